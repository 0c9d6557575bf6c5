"""The targets of a service's tasks: registered when a task runs, drained before it stops.

Try it:  aws elbv2 describe-target-health --target-group-arn ARN
Documented in the ECS developer guide, "Use load balancing to distribute Amazon ECS service traffic" and "Amazon
ECS task lifecycle". Knows which address and port a task has for a target group; balancing is `loadbalancer`'s.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localaws.errors import LocalAwsError

logger = logging.getLogger("localaws.services")
Record = dict[str, Any]
Target = tuple[str, str, int]  # target group's ARN, address (or instance), port
DRAINING = "draining"
LOOK_SECONDS = 0.1


def of(task: Record, load_balancers: Iterable[Mapping[str, Any]]) -> list[Target]:
    """Where the target groups of a service reach a running task."""
    found = []
    for each in load_balancers:
        group, container, port = each.get("targetGroupArn"), each["containerName"], each["containerPort"]
        if group and task.get("_network_mode") == "awsvpc":
            found.append((group, task["_container_ip"], int(port)))
        elif group:
            host_port = next(
                binding["hostPort"]
                for member in task["containers"]
                if member["name"] == container
                for binding in member.get("networkBindings") or []
                if binding["containerPort"] == port
            )
            found.append((group, task.get("_instance_id") or "127.0.0.1", host_port))
    return found


def register(task: Record, targets: Iterable[Target]) -> list[tuple[Target, str]]:
    """Have a task's targets get requests once they are healthy; its record keeps them.

    Returns those that could not be, with the reason.
    """
    from localaws.loadbalancer import targets as balancer

    kept: list[Target] = []
    failed = []
    for target in targets:
        task["_targets"] = [*kept, target]  # first: whoever finds the record later can undo it
        try:
            balancer.register(*target)
            kept.append(target)
        except LocalAwsError as error:
            failed.append((target, error.message))
    task["_targets"] = kept
    return failed


def deregister(task: Record) -> list[Target]:
    """Have a task's targets get nothing new; returns those that were registered."""
    from localaws.loadbalancer import targets as balancer

    gone = []
    for target in registered(task):
        try:
            balancer.deregister(*target)
            gone.append(target)
        except LocalAwsError as error:  # the group was deleted: nothing sends to the task any more
            logger.warning("deregistering %s: %s", target, error.message)
    return gone


def registered(task: Record) -> list[Target]:
    """A task's targets as its record, which may have been written to disk and back, says them."""
    return [(str(group), str(address), int(port)) for group, address, port in task.get("_targets") or []]


def drain(targets: Iterable[Target], ended: Callable[[float], bool]) -> None:
    """Wait until the deregistration delay of all targets is over, or the task has ended by itself.

    ended: waits so many seconds at most, and says whether there is nothing left to wait for.
    """
    waiting = list(targets)
    while waiting and not ended(LOOK_SECONDS):
        waiting = [each for each in waiting if state(each, {})[0] == DRAINING]


def state(target: Target, known: dict[str, list[Any]]) -> tuple[str, str]:
    """(state, why) of a target; known: healths by group, asked for only once in a pass."""
    from localaws.loadbalancer import targets as balancer

    group, address, port = target
    if group not in known:
        try:
            known[group] = list(balancer.health(group))
        except LocalAwsError:
            known[group] = []
    for each in known[group]:
        if (each.address, each.port) == (address, port):
            return str(each.state), str(each.description)
    return "unused", "Target is not registered to the target group"


def forget(load_balancers: Iterable[Mapping[str, Any]]) -> None:
    """Take everything out of a service's target groups: after a restart of the server no task is left, and what
    a killed server last wrote of them may be older than its last task."""
    from localaws.loadbalancer import targets as balancer

    for group in {each.get("targetGroupArn") for each in load_balancers} - {None}:
        try:
            for each in balancer.health(str(group)):
                if each.state != DRAINING:
                    balancer.deregister(str(group), each.address, each.port)
        except LocalAwsError as error:
            logger.warning("after the restart: %s", error.message)


def problem(load_balancers: Iterable[Mapping[str, Any]], definition: Mapping[str, Any]) -> str:
    """What AWS refuses of a service's loadBalancers; empty if nothing."""
    for each in load_balancers:
        wrong = _wrong_group(str(each.get("targetGroupArn", "")), definition) or _wrong_port(each, definition)
        if wrong:
            return wrong
    return ""


def _wrong_port(each: Mapping[str, Any], definition: Mapping[str, Any]) -> str:
    name, port = each.get("containerName"), each.get("containerPort")
    containers = {member["name"]: member for member in definition.get("containerDefinitions") or []}
    if name not in containers:
        return f"The container {name} does not exist in the task definition."
    ports = [mapping["containerPort"] for mapping in containers[str(name)].get("portMappings") or []]
    if port not in ports:
        return (
            f"The container {name} did not have a container port {port} defined. Specify a different port and "
            "try again."
        )
    return ""


def _wrong_group(arn: str, definition: Mapping[str, Any]) -> str:
    from localaws.loadbalancer import records

    group = records.store("targetgroup").get(arn)
    if group is None:
        return f"The target group {arn} does not exist."
    awsvpc = definition.get("networkMode") == "awsvpc"
    kind = group.get("TargetType") or "instance"
    if awsvpc != (kind == "ip"):
        mode = definition.get("networkMode") or "bridge"
        return (
            f"The provided target group {arn} has target type {kind}, which is incompatible with the {mode} "
            "network mode specified in the task definition."
        )
    if not records.balancers_using(arn):
        return f"The target group with targetGroupArn {arn} does not have an associated load balancer."
    return ""
