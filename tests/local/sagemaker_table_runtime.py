"""The runtime's one call in SageMaker's table. Not a test.

It calls a request that can't be meant a ValidationError, where the control plane says ValidationException.
"""

from clients_world import ROWS
from sagemaker_rows import REFERENCE, Refusal, Row

PAGE = REFERENCE.format("runtime_InvokeEndpoint")
NOT_FOUND = "https://github.com/aws/amazon-sagemaker-examples/issues/293"
TOO_LARGE = "https://github.com/aws/sagemaker-python-sdk/issues/171"
MODEL_ERROR = "https://github.com/aws/amazon-sagemaker-examples/issues/1881"
LARGEST_BYTES = 6_291_456


def wrong(why: str, says: str, source: str = PAGE, **changes: object) -> Refusal:
    return Refusal(why, changes, says, source, "ValidationError")


RUNTIME = (
    Row(
        "InvokeEndpoint",
        lambda aws: {"EndpointName": "e", "Body": ROWS, "ContentType": "text/csv"},
        (
            wrong(
                "missing", "Endpoint none of account 123456789012 not found", NOT_FOUND, EndpointName="none"
            ),
            wrong("missing", "none", TargetVariant="none"),
            wrong("state", "Endpoint coming of account 123456789012 not found", EndpointName="coming"),
            wrong("value", "at 'endpointName' failed to satisfy constraint", EndpointName="not_a_name"),
            wrong("value", "at 'customAttributes' failed to satisfy", CustomAttributes="a" * 1025),
            wrong("value", "at 'inferenceId' failed to satisfy", InferenceId="a" * 65),
            wrong("value", "multi-model", TargetModel="model.tar.gz"),
            Refusal(
                "value",
                {"Body": b"1" * (LARGEST_BYTES + 1)},
                "HTTP content length exceeded",
                TOO_LARGE,
                "413",
                413,
            ),
            Refusal(
                "value",
                {"Body": b"bad"},
                'Received client error (400) from primary with message "cannot read this"',
                MODEL_ERROR,
                "ModelError",
                424,
            ),
        ),
    ),
)
