"""Take away what the course has made in SageMaker: what runs first, what others stand on last.

Try it:  workshop clean 8
Everything here was made call by call, and no stack knows it. A transform job that has ended stays: AWS has no way
to delete it, and it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from workshop.aws import hosting, sagemaker_names, training_jobs, waiting
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.aws.training_records import ENDED

STOP_SECONDS = 300
"""A training job may take two minutes to save what it has."""


def clean(aws: Aws, say: Callable[[str], None]) -> None:
    """Remove every endpoint, configuration, model, package, training job and log of the course's."""
    _stop_jobs(aws, say)
    for endpoint in sagemaker_names.of("endpoint", aws):
        hosting.remove(endpoint, aws, say)
    _delete("endpoint configuration", "delete_endpoint_config", "EndpointConfigName", aws, say)
    _delete("model", "delete_model", "ModelName", aws, say)
    _packages(aws, say)
    _delete("training job", "delete_training_job", "TrainingJobName", aws, say)
    _logs(aws, say)


def _stop_jobs(aws: Aws, say: Callable[[str], None]) -> None:
    """And wait until they have stopped: until then they write, and can't be deleted."""
    training = sagemaker_names.of("running training job", aws)
    for name in training:
        training_jobs.stop(name, aws)
        say(f"stopped training job {name}")
    transforms = sagemaker_names.of("running transform job", aws)
    for name in transforms:
        with explained(f"stop the transform job {name}"):
            aws.client("sagemaker").stop_transform_job(TransformJobName=name)
        say(f"stopped transform job {name}")
    training += sagemaker_names.of("stopping training job", aws)

    def stopped() -> bool:
        return all(training_jobs.describe(name, aws).has_ended for name in training) and all(
            _transform_has_ended(name, aws) for name in transforms
        )

    waiting.until(stopped, STOP_SECONDS, "jobs of SageMaker's to stop")


def _transform_has_ended(name: str, aws: Aws) -> bool:
    with explained(f"look at the transform job {name}"):
        found = aws.client("sagemaker").describe_transform_job(TransformJobName=name)
    return found["TransformJobStatus"] in ENDED


def _delete(kind: str, operation: str, member: str, aws: Aws, say: Callable[[str], None]) -> None:
    for name in sagemaker_names.of(kind, aws):
        with explained(f"delete the {kind} {name}"):
            getattr(aws.client("sagemaker"), operation)(**{member: name})
        say(f"deleted {kind} {name}")


def _packages(aws: Aws, say: Callable[[str], None]) -> None:
    """A group that holds a version can't be deleted."""
    sagemaker = aws.client("sagemaker")
    for group in sagemaker_names.of("model package group", aws):
        versions = sagemaker_names.packages(group, aws)
        with explained(f"delete the model package group {group}"):
            for arn in versions:
                sagemaker.delete_model_package(ModelPackageName=arn)
            sagemaker.delete_model_package_group(ModelPackageGroupName=group)
        say(f"deleted model package group {group} with {len(versions)} versions")


def _logs(aws: Aws, say: Callable[[str], None]) -> None:
    """The groups of endpoints whole; of the groups that all jobs of an account share, the course's streams."""
    logs = aws.client("logs")
    for group in sagemaker_names.log_groups(aws):
        with explained(f"delete the log group {group}"):
            logs.delete_log_group(logGroupName=group)
        say(f"deleted log group {group}")
    for group, stream in sagemaker_names.log_streams(aws):
        with explained(f"delete the log stream {stream}"):
            logs.delete_log_stream(logGroupName=group, logStreamName=stream)
        say(f"deleted log stream {stream} of {group}")
