"""What InvokeEndpoint answers when it can't: the documents of its errors.

Try it:  aws sagemaker-runtime invoke-endpoint --endpoint-name missing --body fileb://row.csv out
Codes and statuses are the runtime's (https://docs.aws.amazon.com/sagemaker/latest/APIReference/
API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors), sentences what AWS answers. Knows no endpoints.
"""

import json
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
MODEL_ERROR = 424
# In small letters: a "Content-Type" of JSON is rewritten by ministack to what the control plane's protocol has.
CONTENT_TYPE = "content-type"
# The container's name where a model has one only.
CONTAINER = "primary"
# A request that is larger than this by up to that much is refused by the service, not by what stands before it.
SLACK_BYTES = 4096
TIMED_OUT = (
    b"Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    b"each container in Amazon CloudWatch, resolve the issue, and try again."
)
# InvokeEndpoint's Body has the same limit in both directions; AWS's sentence is documented nowhere.
ANSWER_TOO_LARGE = b"The response of container primary is larger than 6291456 bytes."
NO_ANSWER = (
    "Amazon SageMaker could not get a response from the {} endpoint. This can occur when CPU or memory utilization is "
    "high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an instance type with more CPU "
    "capacity or memory."
)


class Failed(Exception):
    """An invocation that has another answer than the model's."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer[0])
        self.answer = answer


def refused(code: str, message: str, status: int = 400, **more: Any) -> Failed:
    """An error of the runtime by its code; more: its further members."""
    body = json.dumps({"Message": message, **more}).encode()
    return Failed((status, {CONTENT_TYPE: "application/json", "x-amzn-ErrorType": code}, body))


def validation(message: str) -> Failed:
    """A request that can't be meant. The runtime calls it ValidationError, the control plane ValidationException."""
    return refused("ValidationError", message)


def unavailable() -> Failed:
    """No container answers now; clients try again."""
    return refused("ServiceUnavailable", "The service is currently unavailable. Please try again.", 503)


def throttled() -> Failed:
    """More invocations at once than the variant takes; clients try again, later each time."""
    return refused("ThrottlingException", "Rate exceeded", 400)


def unsupported(what: str) -> Failed:
    """Something that AWS has and the local AWS refuses by name; 501 because clients do not try it again."""
    message = f"the local AWS has no {what} in SageMaker; help('localaws') lists what it leaves out"
    return refused("UnsupportedOperation", message, 501)


def too_large(most_bytes: int) -> Answer:
    """A body over the limit: AWS's answer is a bare 413, not a document of the service's."""
    message = f"HTTP content length exceeded {most_bytes + SLACK_BYTES} bytes."
    return 413, {CONTENT_TYPE: "text/plain"}, message.encode()


def model_error(endpoint: str, region: str, account: str, status: int, body: bytes) -> Failed:
    """The container answered with an error, or not at all (status 0)."""
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
    try:
        original = body.decode()
        said = f'with message "{original}"'
    except UnicodeDecodeError:
        original, said = "", "and could not load the entire response body"
    whose = "client" if 400 <= status < 500 else "server"
    message = (
        f"Received {whose} error ({status}) from {CONTAINER} {said}. See {console} in account {account} "
    )
    message += "for more information."
    return refused(
        "ModelError",
        message,
        MODEL_ERROR,
        OriginalMessage=original,
        OriginalStatusCode=status,
        LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
    )
