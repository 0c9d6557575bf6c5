"""Which of SageMaker's things in an account are the course's: those whose names begin with its name and a hyphen.

Try it:  python -c "from workshop.aws import sagemaker_names as n, session; print(n.of('endpoint', session.connect()))"
Lists alone; what a thing is, and how it is taken away, others know. SageMaker's log groups for jobs are shared by a
whole account, and there the streams are the course's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from workshop.aws.failures import code_of, explained
from workshop.aws.session import Aws

# Kind to (operation, member of its answer, member of each entry, what else is asked).
_LISTED: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "endpoint": ("list_endpoints", "Endpoints", "EndpointName", {}),
    "endpoint configuration": ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", {}),
    "model": ("list_models", "Models", "ModelName", {}),
    "model package group": (
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
        {},
    ),
    "training job": ("list_training_jobs", "TrainingJobSummaries", "TrainingJobName", {}),
    "running training job": (
        "list_training_jobs",
        "TrainingJobSummaries",
        "TrainingJobName",
        {"StatusEquals": "InProgress"},
    ),
    "stopping training job": (
        "list_training_jobs",
        "TrainingJobSummaries",
        "TrainingJobName",
        {"StatusEquals": "Stopping"},
    ),
    # One that has ended can't be deleted: it is a record that costs nothing.
    "running transform job": (
        "list_transform_jobs",
        "TransformJobSummaries",
        "TransformJobName",
        {"StatusEquals": "InProgress"},
    ),
}
# What each kind is called in an ARN.
KINDS = {
    "endpoint": "endpoint",
    "endpoint configuration": "endpoint-config",
    "model": "model",
    "model package group": "model-package-group",
    "training job": "training-job",
    "running transform job": "transform-job",
}
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/"
SHARED_LOGS = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs")


def of(kind: str, aws: Aws) -> list[str]:
    """Names of the course's own of a kind of `_LISTED`."""
    operation, key, name, asked = _LISTED[kind]
    with explained(f"list {kind}s"):
        pages = aws.client("sagemaker").get_paginator(operation).paginate(NameContains=begin(aws), **asked)
        found = [str(each[name]) for page in pages for each in page[key]]
    return [each for each in found if each.startswith(begin(aws))]


def begin(aws: Aws) -> str:
    return f"{aws.name}-"


def packages(group: str, aws: Aws) -> list[str]:
    """ARNs of every version in a model package group."""
    with explained(f"list the model packages of {group}"):
        pages = aws.client("sagemaker").get_paginator("list_model_packages")
        found = pages.paginate(ModelPackageGroupName=group)
        return [str(each["ModelPackageArn"]) for page in found for each in page["ModelPackageSummaryList"]]


def log_groups(aws: Aws) -> list[str]:
    """Log groups of the course's endpoints."""
    with explained("list log groups"):
        pages = aws.client("logs").get_paginator("describe_log_groups")
        found = pages.paginate(logGroupNamePrefix=f"{ENDPOINT_LOGS}{begin(aws)}")
        return [str(each["logGroupName"]) for page in found for each in page["logGroups"]]


def log_streams(aws: Aws) -> Iterator[tuple[str, str]]:
    """(group, stream) of the course's jobs in the groups that all jobs of an account share."""
    logs = aws.client("logs")
    for group in SHARED_LOGS:
        with explained(f"list the log streams of {group}"):
            pages = logs.get_paginator("describe_log_streams")
            try:
                found = [
                    str(each["logStreamName"])
                    for page in pages.paginate(logGroupName=group, logStreamNamePrefix=begin(aws))
                    for each in page["logStreams"]
                ]
            except logs.exceptions.ResourceNotFoundException:
                continue  # SageMaker makes the group with the first job's first line
        yield from ((group, stream) for stream in found)


def described(operation: str, aws: Aws, **request: str) -> dict[str, Any] | None:
    """What a Describe operation says; None if there is no such thing, which SageMaker calls a ValidationException."""
    client = aws.client("sagemaker")
    ask: Callable[..., Any] = getattr(client, operation)
    with explained(f"look at {', '.join(request.values())}"):
        try:
            return dict(ask(**request))
        except client.exceptions.ClientError as error:
            told = error.response["Error"].get("Message", "")
            absent = "not find" in told or "not found" in told or "does not exist" in told
            if code_of(error) in ("ValidationException", "ResourceNotFound") and absent:
                return None
            raise
