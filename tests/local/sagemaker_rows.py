"""What a row of SageMaker's table is made of, and where AWS says it.

Not a test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clients_world import BUCKET, ClientsWorld, arn

Request = dict[str, Any]

# Where it is said. Of most errors AWS's reference names the code alone, or no code at all: then the sentence is from
# what AWS's own controller for Kubernetes compares answers with, or from what AWS said to somebody.
REFERENCE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_{}.html"
COMMON = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html"
CONTROLLER = "https://github.com/aws-controllers-k8s/sagemaker-controller/blob/main/generator.yaml"
OPERATOR = "https://github.com/aws/amazon-sagemaker-operator-for-k8s"
PATTERN = "https://github.com/aws/amazon-sagemaker-examples/issues/2236"
NO_OBJECTS = "https://github.com/aws/amazon-sagemaker-examples/issues/2489"
NO_ARTEFACT = "https://github.com/aws/amazon-sagemaker-examples/issues/2264"
NO_ACCESS = "https://github.com/philschmid/llm-sagemaker-sample/issues/2"
NO_TRUST = "https://github.com/awslabs/predictive-maintenance-using-machine-learning/issues/3"
SAME_TRAINING_JOB = "https://github.com/SuperCowPowers/workbench/issues/384"
SAME_ENDPOINT = "https://github.com/aws/sagemaker-python-sdk/issues/101"
SAME_CONFIG = "https://github.com/awslabs/spot-tagging-bot-for-digital-assets/issues/2"
NOT_STOPPABLE = "https://github.com/awslabs/benchmark-ai/issues/928"
NO_GROUP = "https://github.com/aws-controllers-k8s/code-generator/blob/main/pkg/model/model_sagemaker_test.go"
MISSING_ARN = "https://github.com/getmoto/moto/pull/7165"


@dataclass(frozen=True)
class Refusal:
    """A request that is refused: what differs from the row's least request (None takes a member away)."""

    why: str  # missing, duplicate, value, state
    changes: Request
    says: str
    source: str
    code: str = "ValidationException"
    status: int = 400


@dataclass(frozen=True)
class Row:
    operation: str
    least: Callable[[ClientsWorld], Request]
    refusals: tuple[Refusal, ...]


def missing(says: str, source: str = CONTROLLER, **changes: Any) -> Refusal:
    return Refusal("missing", changes, says, source)


def duplicate(says: str, source: str, code: str = "ValidationException", **changes: Any) -> Refusal:
    return Refusal("duplicate", changes, says, source, code)


def state(says: str, source: str, code: str = "ValidationException", **changes: Any) -> Refusal:
    return Refusal("state", changes, says, source, code)


def value(says: str, source: str = PATTERN, **changes: Any) -> Refusal:
    return Refusal("value", changes, says, source)


def name(member: str, bad: str = "not_a_name") -> Refusal:
    """A name that the pattern in the model forbids."""
    at = member[0].lower() + member[1:]
    return value(
        f"Value '{bad}' at '{at}' failed to satisfy constraint: Member must satisfy regular", **{member: bad}
    )


def listed(operation: str, least: Request, *more: Refusal) -> Row:
    """A List* call: every one has pages and an order."""
    page = REFERENCE.format(operation)
    return Row(
        operation,
        lambda aws: least,
        (
            value(
                "at 'maxResults' failed to satisfy constraint: Member must have value less",
                page,
                MaxResults=101,
            ),
            value(
                "at 'sortOrder' failed to satisfy constraint: Member must satisfy enum", page, SortOrder="Up"
            ),
            value("oken", page, NextToken="none of ours"),
            *more,
        ),
    )


ENUM = "failed to satisfy constraint: Member must satisfy enum value set"
FROM_NOWHERE = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/nothing/"}
NO_MODEL = f'Could not find model "{arn("model", "none")}"'
NOTHING_THERE = f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/" given in input data source'
