"""Say in words why a task was not placed, or how it ended: what happened, why, what mends it.

Try it:  python -c "from workshop.aws import tasks; tasks.run('jobs-mxnet', size='gpu')"
Knows ECS's reasons by their text: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
and stopped-task-error-codes.html of the same guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError

if TYPE_CHECKING:
    from workshop.aws.task_records import Task

LAST_LINES = 40
READ_LOG = "read its log: the last lines name the error"

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
        "run it again with --resume: it goes on from the last saved epoch",
    ),
    (r"RESOURCE:(\w+)", "no container instance had enough of it free", "run it with size='cpu'"),
)

EXITED = {
    # exit code: (why, what mends it)
    1: ("its program failed", READ_LOG),
    2: ("its command line was refused", "check the command: workshop run --help"),
    126: ("its command may not be executed", "check the entry point in the Dockerfile"),
    127: ("its command is not in the image", "look inside the image: lab 2, images.inspect"),
    137: ("it was killed (SIGKILL)", "run it again with --resume: it goes on from the last saved epoch"),
    139: ("its program crashed (SIGSEGV)", "run it again; if it stays so, another version of the library"),
    143: ("it was asked to stop (SIGTERM)", "run it again with --resume"),
}


def ended(task: Task, lines: Sequence[str]) -> AwsError:
    """The error for a task that did not exit with 0: reason first, exit code and last log line with it."""
    last = next((line.strip() for line in reversed(lines[-LAST_LINES:]) if line.strip()), "")
    for pattern, why, fix in STOPPED:
        if re.search(pattern, task.stopped_reason, re.IGNORECASE | re.DOTALL):
            code = f" with {task.exit_code}" if task.exit_code is not None else ""
            message = f"task {task.family} stopped{code}: {task.stopped_reason}: {why}"
            return AwsError(message, fix.format(family=task.family.removesuffix("-gpu")))
    if task.exit_code is None:
        return AwsError(
            f"task {task.family} stopped without running: {task.stopped_reason or 'no reason given'}"
        )
    if task.exit_code == 0:
        return AwsError(f"task {task.family} was stopped: {task.stopped_reason}")
    said = _said(lines)
    if said and task.exit_code < 126:  # our own programs say what mends it; a killed one could not
        return AwsError(f"task {task.family} exited with {task.exit_code}: {said[0]}", said[1] or READ_LOG)
    why, fix = EXITED.get(task.exit_code, ("", READ_LOG))
    if fix == READ_LOG and task.log_group:
        fix = f"read its log: group {task.log_group}, stream {task.log_stream}"
    told = f": {last}" if last else (f": {why}" if why else ": it wrote nothing")
    if why and last and task.exit_code > 2:
        told = f": {why}; its last line: {last}"
    return AwsError(f"task {task.family} exited with {task.exit_code}{told}", fix)


def _said(lines: Sequence[str]) -> tuple[str, str] | None:
    """The last `error: …` of a log with its `fix: …`, as our programs end; None if there is none."""
    tail = [line.strip() for line in lines[-LAST_LINES:]]
    at = next((i for i in reversed(range(len(tail))) if tail[i].startswith("error: ")), None)
    if at is None:
        return None
    fix = next((line for line in tail[at + 1 :] if line.startswith("fix: ")), "")
    return tail[at].removeprefix("error: "), fix.removeprefix("fix: ")


def placement(reason: str, definition: Mapping[str, Any], cluster: str, aws: Aws) -> AwsError:
    """The error for a task that no instance can take: what it asked for, and what each instance has free."""
    asked = wanted(definition)
    instances = capacity(cluster, aws)
    free = "; ".join(_free(each) for each in instances) or "none"
    kind = reason.partition(":")[2].upper()
    need = (
        f"{asked[kind]:g} {_UNITS[kind]}"
        if kind in asked
        else ", ".join(f"{amount:g} {_UNITS[name]}" for name, amount in asked.items())
    )
    message = (
        f"{reason}: no container instance of cluster '{cluster}' can take {definition['family']}: "
        f"it asks for {need}; free there: {free} (instances: {len(instances)})"
    )
    return AwsError(message, _PLACEMENT_FIXES.get(kind, "workshop status shows the instances"))


_UNITS = {"CPU": "CPU units", "MEMORY": "MiB of memory", "GPU": "GPU"}
_PLACEMENT_FIXES = {
    "GPU": "run it with size='cpu', or make the cluster with GPU instances and a quota for them",
    "MEMORY": "stop a task that runs there, or lower memory in the task definition",
    "CPU": "stop a task that runs there, or lower cpu in the task definition",
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
    ecs = aws.client("ecs")
    free = []
    with explained(f"look at the instances of {cluster}"):
        arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
        found = []
        if arns:
            answer = ecs.describe_container_instances(cluster=cluster, containerInstances=arns)
            found = answer["containerInstances"]
    for instance in found:
        left = {entry["name"]: entry for entry in instance.get("remainingResources", [])}
        free.append({name: _amount(left.get(name, {})) for name in _UNITS})
    return free


def _amount(resource: Mapping[str, Any]) -> float:
    """GPUs come as a set of device names, the others as numbers."""
    if resource.get("type") == "STRINGSET":
        return float(len(resource.get("stringSetValue", [])))
    return float(resource.get("integerValue", 0))


def _free(instance: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {_UNITS[name]}" for name, amount in instance.items())
