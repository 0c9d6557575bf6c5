"""The request of CreateTrainingJob for a job of the course: the same image and command as its ECS task has.

Try it:  python -c "from workshop.aws import training_requests as t; print(t.METRICS)"
What a job's container is, its task definition says; what of that SageMaker needs is put together here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from workshop.aws import session, stacks, task_definitions
from workshop.aws.change_sets import PROJECT
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError, JobError

ROLE_OUTPUT = "SageMakerRoleArn"
INSTANCE_TYPE = "ml.m5.large"  # the only one that the learner's policy lets training jobs and endpoints have
VOLUME_GIB = 30
MAX_SECONDS = 6 * 3600
LONGEST_NAME = 63
LONGEST_ARGUMENT = 256
# What the jobs' own lines say (`workshop.ml.training.progress_line`, and the metrics in the command's last line).
METRICS = (
    {"Name": "train:loss", "Regex": r"epoch [0-9]+/[0-9]+ loss ([0-9.]+)"},
    {"Name": "train:accuracy", "Regex": r"epoch [0-9]+/[0-9]+ loss [0-9.]+ accuracy ([0-9.]+)"},
    {"Name": "validation:accuracy", "Regex": r"epoch [0-9]+/[0-9]+ loss .* val ([0-9.]+)"},
    {"Name": "test:accuracy", "Regex": r'^\{"accuracy": ([0-9.]+)|^\{.*, "accuracy": ([0-9.]+)'},
)


def new_name(job: str, aws: Aws) -> str:
    """A training job's name: it is taken for ever, so no two are the same."""
    mark = secrets.token_hex(4)
    stem = re.sub(r"[^a-zA-Z0-9]+", "-", f"{aws.name}-{job}")[: LONGEST_NAME - len(mark) - 1].strip("-")
    return f"{stem}-{mark}"


def create(job: str, family: str, command: Sequence[str], output: str, aws: Aws | None = None) -> str:
    """Create a training job for a job of this family with this command, and return its name.

    output: s3://bucket/…, where its model.tar.gz goes, below its own name.
    """
    aws = aws or session.current()
    request = build(new_name(job, aws), family, command, output, aws)
    with explained(f"create the training job {request['TrainingJobName']}"):
        aws.client("sagemaker").create_training_job(**request)
    return str(request["TrainingJobName"])


def build(name: str, family: str, command: Sequence[str], output: str, aws: Aws) -> dict[str, Any]:
    """The request. Errors: AwsError if the role's stack is not there; JobError for an argument that is too long."""
    long = [part for part in command if len(part) > LONGEST_ARGUMENT]
    if long:
        raise JobError(
            f"SageMaker takes arguments of {LONGEST_ARGUMENT} characters at most, not '{long[0][:40]}…'",
            "shorten it, or run the job --on ecs",
        )
    known = task_definitions.values(aws)
    if ROLE_OUTPUT not in known:
        raise AwsError(
            f"training jobs need the role of the stack '{stacks.stack_name('satisfaction', aws)}', which is not there",
            "python -c \"from workshop.aws import stacks; stacks.deploy('satisfaction')\"",
        )
    described = task_definitions.read(family, aws.settings.root)["containerDefinitions"][0]
    container = task_definitions.fill({key: described.get(key) for key in ("image", "environment")}, known)
    variables = {each["name"]: each["value"] for each in container["environment"] or []}
    return {
        "TrainingJobName": name,
        "RoleArn": known[ROLE_OUTPUT],
        "AlgorithmSpecification": {
            "TrainingImage": container["image"],
            "TrainingInputMode": "File",
            "ContainerArguments": list(command),  # for the image's own entry point, which is `workshop`
            "MetricDefinitions": [dict(each) for each in METRICS],
        },
        "OutputDataConfig": {"S3OutputPath": output},
        "ResourceConfig": {"InstanceType": INSTANCE_TYPE, "InstanceCount": 1, "VolumeSizeInGB": VOLUME_GIB},
        "StoppingCondition": {"MaxRuntimeInSeconds": MAX_SECONDS},
        "Environment": {**variables, "WORKSHOP_TARGET": aws.target, "WORKSHOP_NAME": aws.name},
        "Tags": [{"Key": "workshop", "Value": aws.name}, {"Key": "Project", "Value": PROJECT}],
    }
