"""Why a job failed, in the form of AWS's FailureReason.

Try it:  aws sagemaker describe-training-job --training-job-name NAME --query FailureReason
Kinds: AlgorithmError for what the container did, ClientError for what it was given, InternalServerError for SageMaker
itself (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html). Knows no job.
"""

from botocore.exceptions import BotoCoreError, ClientError

from localaws.engine import OUT_OF_MEMORY, Exit

LONGEST_REASON = 1024
CUSTOMER_ERROR = 2  # the exit code of AWS's algorithms when their input or hyperparameters are to blame
TOO_LITTLE_MEMORY = (
    "Please use an instance type with more memory, or reduce the size of training data processed on an "
    "instance."
)
# What AWS says too where it can say no more.
INTERNAL = "We encountered an internal error. Please try again."


class JobFailed(Exception):
    """A job can't go on: `reason` is what its record says."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.reason = f"{kind}: {message}"[:LONGEST_REASON]


def of_client(message: str) -> JobFailed:
    return JobFailed("ClientError", message)


def of_algorithm(message: str, exit_code: int) -> JobFailed:
    """What the container left in its failure file."""
    return JobFailed("AlgorithmError", _with_code(message, "AlgorithmError", exit_code))


def _with_code(message: str, kind: str, exit_code: int) -> str:
    """Cut so that the exit code is still there."""
    end = f", exit code: {exit_code}"
    return message[: LONGEST_REASON - len(f"{kind}: ") - len(end)] + end


def of_exit(said: str, ended: Exit, built_in: bool) -> JobFailed:
    """Why a container that ended with a code other than 0 failed its job.

    said: what it left in /opt/ml/output/failure. built_in: whether it is one of AWS's algorithms, which say themselves
    whose fault it was.
    """
    if ended.reason == OUT_OF_MEMORY:
        return of_client(f"{TOO_LITTLE_MEMORY}, exit code: {ended.code}")
    if ended.reason:  # not the container's doing
        return internal(f"{INTERNAL} ({ended.reason})")
    kind, colon, text = said.partition(": ")
    if not built_in:
        return of_algorithm(said, ended.code)
    said = text if colon and kind in ("ClientError", "AlgorithmError") else said
    if kind == "ClientError" or ended.code == CUSTOMER_ERROR:
        return JobFailed("ClientError", _with_code(said, "ClientError", ended.code))
    return of_algorithm(said, ended.code)


def internal(message: str = INTERNAL) -> JobFailed:
    return JobFailed("InternalServerError", message)


def said(error: Exception) -> str:
    """`Code: message` of a refusal by AWS, or what kept the call from being answered."""
    if isinstance(error, ClientError):
        found = error.response["Error"]
        return f"{found.get('Code')}: {found.get('Message')}"
    return f"{type(error).__name__}: {error}"


ANSWERS_NOT = (BotoCoreError, ClientError)
