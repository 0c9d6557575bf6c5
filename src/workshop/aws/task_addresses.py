"""Where a running task answers: the address that ECS mapped a container's port to.

Try it:  from workshop.aws import task_addresses; task_addresses.find(task, 8888)
A binding that names an address is taken at its word: the local AWS binds loopback, for you, and with Docker the
address of its network too, for other tasks. One that is bound to every address of its instance is reached by the
instance's own: the public one for you, the private one for other tasks.
"""

from __future__ import annotations

from typing import Any, Literal

from workshop.aws import session, task_failures, tasks, waiting
from workshop.aws.endpoint import is_loopback
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.aws.tasks import Task
from workshop.errors import AwsError

EVERY_ADDRESS = ("", "0.0.0.0", "::")
HEALTHY_TIMEOUT_SECONDS = 180


def find(task: Task, port: int, seen_from: Literal["you", "task"] = "you", aws: Aws | None = None) -> str:
    """Return http://ADDRESS:PORT of a container's port.

    Errors: AwsError if the task does not map that port, or its instance has no address to be reached by.
    """
    aws = aws or session.current()
    entry = _describe(task, aws)
    bindings = [each for container in entry["containers"] for each in container.get("networkBindings", [])]
    fitting = [each for each in bindings if each.get("containerPort") == port]
    if not fitting:
        mapped = ", ".join(str(each.get("containerPort")) for each in bindings) or "none"
        raise AwsError(
            f"task {task.id} of {task.family} maps no port {port} (mapped: {mapped})",
            "look at portMappings in task-definitions/",
        )
    found = min(fitting, key=lambda each: is_loopback(str(each.get("bindIP", ""))) != (seen_from == "you"))
    address = str(found.get("bindIP", ""))
    if address in EVERY_ADDRESS:
        address = _instance_address(
            entry, "PublicIpAddress" if seen_from == "you" else "PrivateIpAddress", aws
        )
    return f"http://{address}:{found['hostPort']}"


def wait_own(task: Task, timeout_seconds: float, aws: Aws | None = None) -> Task:
    """Wait until an awsvpc task has its own address, which is in `address` of the task returned.

    Errors: AwsError if it stops before, with the reason.
    """
    aws = aws or session.current()
    latest = task

    def has_one() -> bool:
        nonlocal latest
        latest = tasks.describe(latest, aws)
        return latest.is_stopped or bool(latest.address)

    waiting.until(has_one, timeout_seconds, f"task {task.id} to have an address", lambda: latest.last_status)
    if latest.is_stopped:
        raise task_failures.ended(latest, tasks.logs(latest, aws))
    return latest


def wait_healthy(
    task: Task, timeout_seconds: float = HEALTHY_TIMEOUT_SECONDS, aws: Aws | None = None
) -> Task:
    """Wait until the task's own health check passes.

    Errors: AwsError if it stops or turns unhealthy instead, with the reason.
    """
    aws = aws or session.current()
    latest: dict[str, Any] = {}

    def healthy() -> bool:
        latest.update(_describe(task, aws))
        return latest["lastStatus"] == "STOPPED" or latest.get("healthStatus") == "HEALTHY"

    def state() -> str:
        return f"{latest.get('lastStatus')}, {latest.get('healthStatus')}"

    waiting.until(healthy, timeout_seconds, f"task {task.id} to be healthy", state)
    now = tasks.describe(task, aws)
    if now.is_stopped:
        raise task_failures.ended(now, tasks.logs(now, aws))
    return now


def _describe(task: Task, aws: Aws) -> dict[str, Any]:
    with explained(f"look at task {task.id}"):
        answer = aws.client("ecs").describe_tasks(cluster=task.cluster, tasks=[task.arn])
    if not answer["tasks"]:
        raise AwsError(f"there is no task {task.id} in cluster {task.cluster}", "workshop status")
    return dict(answer["tasks"][0])


def _instance_address(entry: dict[str, Any], kind: str, aws: Aws) -> str:
    arn = entry.get("containerInstanceArn", "")
    with explained("find the instance that the task runs on"):
        instances = aws.client("ecs").describe_container_instances(
            cluster=entry["clusterArn"], containerInstances=[arn]
        )["containerInstances"]
        found = aws.client("ec2").describe_instances(
            InstanceIds=[each["ec2InstanceId"] for each in instances]
        )
    address = found["Reservations"][0]["Instances"][0].get(kind, "")
    if not address:
        raise AwsError(
            f"the instance of task {entry['taskArn'].rsplit('/', 1)[-1]} has no {kind}",
            "the network stack's subnets give public addresses: workshop prepare 3",
        )
    return str(address)
