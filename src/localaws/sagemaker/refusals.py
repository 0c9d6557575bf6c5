"""What SageMaker says when it does not do what it is asked.

Try it:  aws sagemaker describe-model --model-name missing
Most of SageMaker's refusals are a ValidationException, which its model does not even name; `ResourceInUse`,
`ResourceNotFound`, `ResourceLimitExceeded` and `ConflictException` are the errors that it does
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html and each operation's "Errors").
"""

# How sentences name a kind of resource; the kind is what its ARN has before the slash.
WORDS = {
    "endpoint-config": "endpoint configuration",
    "model-package": "model package",
    "model-package-group": "model package group",
    "training-job": "training job",
    "transform-job": "transform job",
}


class Refused(Exception):
    """A request that SageMaker does not take: code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> Refused:
    """A request that can't be meant, or is not possible now."""
    return Refused("ValidationException", message)


def not_found(kind: str, arn: str) -> Refused:
    """Something is named that is not there."""
    return invalid(f'Could not find {WORDS.get(kind, kind)} "{arn}".')


def exists(kind: str, arn: str) -> Refused:
    """A model, endpoint configuration or endpoint of that name is there already."""
    return invalid(f'Cannot create already existing {WORDS.get(kind, kind)} "{arn}".')


def job_exists(arn: str) -> Refused:
    """A training or transform job of that name is there already."""
    unique = "Job name must be unique within an AWS account and region"
    return Refused("ResourceInUse", f"{unique}, and a job with this name already exists ({arn})")


def in_use(message: str) -> Refused:
    return Refused("ResourceInUse", message)


def conflict(message: str) -> Refused:
    return Refused("ConflictException", message)


def limit_exceeded(message: str) -> Refused:
    return Refused("ResourceLimitExceeded", message)


def unsupported(what: str) -> Refused:
    """Something that AWS has and the local AWS refuses by name; 501 because clients do not try it again."""
    message = f"the local AWS has no {what} in SageMaker; help('localaws') lists what it leaves out"
    return Refused("UnsupportedOperation", message, 501)
