"""Say in words why a task was not placed, or how it ended: what happened, why, what mends it.

Try it:  python -c "from workshop.aws import tasks; tasks.run('jobs-mxnet', size='gpu')"
Knows ECS's reasons by their text: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
and stopped-task-error-codes.html of the same guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workshop import exits
from workshop.aws import denials, task_definitions
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError

if TYPE_CHECKING:
    from workshop.aws.task_records import Task

STOPPED = (
    # (pattern in the reason, why, what mends it)
    (
        r"OutOfMemory",
        "the container used more memory than its limit, and the kernel killed it",
        "raise memory in task-definitions/{family}.json, or lower batch_size",
    ),
    (
        r"CannotPull.*(not found|does not exist|no such|manifest unknown)|ImageNotFound",
        "the image is not in the repository",
        "workshop prepare 3 builds and pushes it",
    ),
    (
        r"CannotPull.*(denied|unauthorized|forbidden|authorization)",
        "the execution role may not pull from the repository",
        "add ecr:BatchGetImage and ecr:GetDownloadUrlForLayer to the execution role",
    ),
    (r"CannotPull", "the image could not be pulled", "workshop prepare 3 builds and pushes it"),
    (
        r"CannotStart|CannotCreate|executable file not found|no such file",
        "the container could not be started: most often the entry point is not in the image",
        "look inside the image: lab 2, images.inspect",
    ),
    (
        r"ResourceInitializationError",
        "ECS could not prepare the task: a secret, a log group or a volume is missing or not allowed",
        "workshop prepare 3",
    ),
    (
        r"CannotInspect|DockerTimeout",
        "the container engine of the instance does not answer",
        "workshop status, then run it again",
    ),
    (
        r"health ?check",
        "the container's health check failed too often",
        "read its log: tasks.logs(task)",
    ),
    (
        r"Host EC2|Spot|instance.*terminat|local AWS (was stopped|stopped|ended)",
        "the instance under the task went away",
        exits.GO_ON,
    ),
    (r"RESOURCE:(\w+)", "no container instance had enough of it free", "run it with size='cpu'"),
)


def ended(task: Task, lines: Sequence[str]) -> AwsError:
    """The error for a task that did not exit with 0: reason first, exit code and last log line with it."""
    for pattern, why, fix in STOPPED:
        if re.search(pattern, task.stopped_reason, re.IGNORECASE | re.DOTALL):
            code = f" with {task.exit_code}" if task.exit_code is not None else ""
            message = f"task {task.family} stopped{code}: {task.stopped_reason}: {why}"
            fix = denials.remedy(task.stopped_reason) or fix.format(
                family=task_definitions.file_of(task.family)
            )
            return AwsError(message, fix)
    if task.exit_code is None:
        return AwsError(
            f"task {task.family} stopped without running: {task.stopped_reason or 'no reason given'}"
        )
    if task.exit_code == 0:
        return AwsError(f"task {task.family} was stopped: {task.stopped_reason}")
    if task.stop_code == "UserInitiated":  # StopTask: its reason says more than how the program took it
        message = f"task {task.family} was stopped ({task.stopped_reason}) and exited with {task.exit_code}"
        return AwsError(message, exits.GO_ON)
    told, fix = exits.told(task.exit_code, lines)
    fix = denials.remedy(told) or fix
    if fix == exits.READ_LOG and task.log_group:
        fix = f"read its log: group {task.log_group}, stream {task.log_stream}"
    return AwsError(f"task {task.family} exited with {task.exit_code}: {told}", fix)


def placement(reason: str, definition: Mapping[str, Any], cluster: str, aws: Aws) -> AwsError:
    """The error for a task that no instance can take: what it asked for, and what each instance has free."""
    asked = wanted(definition)
    left = capacity(cluster, aws)
    free = "; ".join(_free(each) for each in left) or "none"
    kind = reason.partition(":")[2].upper()
    need = (
        f"{asked[kind]:g} {UNITS[kind]}"
        if kind in asked
        else ", ".join(f"{amount:g} {UNITS[name]}" for name, amount in asked.items())
    )
    message = (
        f"{reason}: no container instance of cluster '{cluster}' can take {definition['family']}: "
        f"it asks for {need}; free there: {free} (instances: {len(left)})"
    )
    return AwsError(message, _PLACEMENT_FIXES.get(kind, "workshop status shows the instances"))


UNITS = {"CPU": "CPU units", "MEMORY": "MiB of memory", "GPU": "GPU"}
_PLACEMENT_FIXES = {
    "GPU": "run it with size='cpu', or make the cluster with GPU instances and a quota for them",
    "MEMORY": "stop a task that runs there, or lower memory in the task definition",
    "CPU": "stop a task that runs there, or lower cpu in the task definition",
    # Each task of a group has a network interface of its own, and most instances have room for two or three.
    "ENI": "fewer --workers, more instances, or for new instances: "
    "aws ecs put-account-setting --name awsvpcTrunking --value enabled",
}


def wanted(definition: Mapping[str, Any]) -> dict[str, float]:
    """CPU units, MiB and GPUs that a task definition asks an instance for."""
    containers = definition["containerDefinitions"]
    memory = sum(int(each.get("memoryReservation") or each.get("memory") or 0) for each in containers)
    cpu = sum(int(each.get("cpu") or 0) for each in containers)
    requirements = [entry for each in containers for entry in each.get("resourceRequirements", [])]
    gpus = sum(int(entry["value"]) for entry in requirements if entry.get("type") == "GPU")
    return {
        "CPU": float(definition.get("cpu") or cpu),
        "MEMORY": float(definition.get("memory") or memory),
        "GPU": float(gpus),
    }


def capacity(cluster: str, aws: Aws) -> list[dict[str, float]]:
    """What each container instance of a cluster has free."""
    return [amounts(each.get("remainingResources", [])) for each in instances(cluster, aws)]


def instances(cluster: str, aws: Aws) -> list[dict[str, Any]]:
    """The container instances of a cluster, as ECS describes them."""
    ecs = aws.client("ecs")
    with explained(f"look at the instances of {cluster}"):
        arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
        if not arns:
            return []
        answer = ecs.describe_container_instances(cluster=cluster, containerInstances=arns)
        return list(answer["containerInstances"])


def amounts(resources: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """CPU units, MiB and GPUs in an instance's list of registered or remaining resources."""
    by_name = {entry["name"]: entry for entry in resources}
    return {name: _amount(by_name.get(name, {})) for name in UNITS}


def _amount(resource: Mapping[str, Any]) -> float:
    """GPUs come as a set of device names, the others as numbers."""
    if resource.get("type") == "STRINGSET":
        return float(len(resource.get("stringSetValue", [])))
    return float(resource.get("integerValue", 0))


def _free(instance: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {UNITS[name]}" for name, amount in instance.items())
