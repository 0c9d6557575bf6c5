"""A service's deployments: which tasks to start and to stop next, and when a deployment is done or has failed.

Try it:  python -m pytest tests/fast/test_ecs_deployments.py
Pure: a service's record and what is known of its tasks in, a plan and a changed record out. Copied from the ECS
API reference (DeploymentConfiguration, DeploymentCircuitBreaker, Deployment) and from the developer guide, "How
the Amazon ECS deployment circuit breaker detects failures"; events in the words of its service event messages.
"""

import copy
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Service = dict[str, Any]
Deployment = dict[str, Any]

MOST_EVENTS = 100  # DescribeServices shows that many
# What belongs to a deployment: a change of one of these starts a new one (UpdateService in the API reference).
REVISION = (
    "taskDefinition",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "loadBalancers",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
)
SHOWN = (
    "taskDefinition",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
)
BREAKER_LEAST, BREAKER_MOST, BREAKER_PERCENT = 3, 200, 50
TASKS_FAILED = "ECS deployment circuit breaker: tasks failed to start."
STUCK = (
    "was unable to stop or start tasks during a deployment because of the service deployment configuration. "
    "Update the minimumHealthyPercent or maximumPercent value and try again."
)
INCONSISTENT = (
    "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section "
    "of the Amazon ECS Developer Guide."
)


@dataclass(frozen=True)
class Member:
    """A task of the service that has not stopped yet."""

    arn: str
    deployment: str
    healthy: bool = False
    was_healthy: bool = False
    sick: str = ""  # why it is to be replaced
    drains: bool = False  # it is to stop, and its containers were not told yet
    created: float = 0.0


@dataclass
class Plan:
    """What to do in one pass: stop these tasks, each with a reason or none, then start so many."""

    start: int = 0
    stop: dict[str, str] = field(default_factory=dict)
    stuck: bool = False  # neither is allowed, and nothing under way will change that


def new(service: Service, now: float) -> Deployment:
    """Make the service's new PRIMARY deployment from what the service's record says now."""
    for other in service["deployments"]:
        if other["status"] == "PRIMARY":
            other["status"] = "ACTIVE"
    identifier = f"ecs-svc/{random.randint(10**18, 10**19 - 1)}"
    revision = {name: copy.deepcopy(service.get(name)) for name in REVISION}
    deployment: Deployment = {
        "id": identifier,
        "status": "PRIMARY",
        "desiredCount": service["desiredCount"],
        "pendingCount": 0,
        "runningCount": 0,
        "failedTasks": 0,
        "createdAt": now,
        "updatedAt": now,
        "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": f"ECS deployment {identifier} in progress.",
        "_revision": revision,
        **{name: revision[name] for name in SHOWN},
    }
    service["deployments"].insert(0, deployment)
    return deployment


def primary(service: Service) -> Deployment | None:
    """The deployment that the service is going to; a service that was deleted has none."""
    return next((each for each in service["deployments"] if each["status"] == "PRIMARY"), None)


def of_task(service: Service, task: dict[str, Any]) -> Deployment | None:
    """The deployment that started a task; None if it is gone."""
    wanted = task.get("_deployment_id")
    return next((each for each in service["deployments"] if each["id"] == wanted), None)


def revision(deployment: Deployment) -> dict[str, Any]:
    """What the service was when the deployment began; an older record says less."""
    return deployment.get("_revision") or {name: deployment.get(name) for name in SHOWN}


def say(service: Service, message: str, now: float) -> None:
    """Add an event, newest first, in the form that all of ECS's have; the last one is not said again."""
    text = f"(service {service['serviceName']}) {message}"
    if service["events"] and service["events"][0]["message"] == text:
        return
    event = {"id": f"{random.getrandbits(128):032x}", "createdAt": now, "message": text}
    service["events"] = [event, *service["events"][: MOST_EVENTS - 1]]


def bounds(service: Service) -> tuple[int, int]:
    """(fewest healthy tasks, most tasks) during a deployment: rounded up, and down."""
    given = service.get("deploymentConfiguration") or {}
    desired = service["desiredCount"]
    least = math.ceil(desired * int(given.get("minimumHealthyPercent", 100)) / 100)
    most = desired * int(given.get("maximumPercent", 200)) // 100
    return least, max(most, 1)


def plan(service: Service, members: Sequence[Member], crowded: bool = False) -> Plan:
    """What brings the service nearer to its primary deployment.

    members: tasks that are not to stop yet. crowded: the last pass found no place for a task, so that older
    tasks have to make room.
    """
    head = primary(service)
    made = Plan()
    if head is None or head["rolloutState"] == "FAILED":
        return made
    desired = service["desiredCount"]
    least, most = bounds(service)
    mine = [each for each in members if each.deployment == head["id"]]
    old = [each for each in members if each.deployment != head["id"]]
    well = sorted((each for each in mine if not each.sick), key=lambda each: (not each.healthy, each.created))
    for each in well[desired:]:
        made.stop[each.arn] = ""
    well = well[:desired]
    healthy = sum(each.healthy for each in well)
    kept = max(0, desired - healthy)  # how many others may stay until there are enough healthy new ones
    _replace_sick(made, mine, kept)
    old = sorted(old, key=lambda each: (each.healthy, each.created))
    for each in old[: max(0, len(old) - kept)]:
        made.stop[each.arn] = ""
    wanted = desired - len(well)
    left = [each for each in [*mine, *old] if each.arn not in made.stop]
    room = most - len(left)
    if wanted > room or (wanted and crowded):
        spare = sum(each.healthy for each in left) - least
        room += _make_room(made, left, wanted if crowded else wanted - room, spare, head["id"])
    made.start = max(0, min(wanted, room))
    made.stuck = bool(old and not well and wanted and not made.start and not made.stop)
    return made


def _replace_sick(made: Plan, mine: Iterable[Member], kept: int) -> None:
    """A task that was healthy once stays until another is healthy in its place; one that never was serves nobody."""
    for each in mine:
        if each.sick and each.was_healthy and kept:
            kept -= 1
        elif each.sick:
            made.stop[each.arn] = each.sick


def _make_room(made: Plan, left: Iterable[Member], wanted: int, spare: int, head: str) -> int:
    """Stop up to `wanted` sick or old tasks, of healthy ones no more than `spare`; returns how many."""
    stopped = 0
    for each in sorted(left, key=lambda each: (not each.sick, each.healthy, each.created)):
        if stopped == wanted or (each.deployment == head and not each.sick):
            continue
        if each.healthy:
            if spare <= 0:
                continue
            spare -= 1
        made.stop[each.arn] = each.sick
        stopped += 1
    return stopped


def _breaker(service: Service) -> dict[str, Any]:
    return (service.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker") or {}


def threshold(service: Service) -> int:
    """How many failed tasks a deployment survives no more: half of the desired count, at least 3, at most 200."""
    breaker = _breaker(service)
    given = breaker.get("thresholdConfiguration") or {}
    kind, value = given.get("type", "BOUNDED_PERCENT"), int(given.get("value", BREAKER_PERCENT))
    if kind == "COUNT":
        return max(1, value)
    share = math.ceil(value * service["desiredCount"] / 100)
    return max(1, share) if kind == "UNBOUNDED_PERCENT" else min(BREAKER_MOST, max(BREAKER_LEAST, share))


def task_failed(service: Service, deployment: Deployment | None, now: float) -> None:
    """Count a task that did not start, ended by itself or failed its health checks; at the threshold the circuit
    breaker fails the deployment and, if it may, rolls back to the last one that was completed."""
    if deployment is None or deployment is not primary(service):
        return
    if deployment["rolloutState"] != "IN_PROGRESS":
        return
    deployment |= {"failedTasks": deployment["failedTasks"] + 1, "updatedAt": now}
    breaker = _breaker(service)
    if not breaker.get("enable") or deployment["failedTasks"] < threshold(service):
        return
    deployment |= {"rolloutState": "FAILED", "rolloutStateReason": TASKS_FAILED, "desiredCount": 0}
    service.setdefault("_failed", []).append(deployment["id"])
    say(service, f"(deployment {deployment['id']}) deployment failed: tasks failed to start.", now)
    good = service.get("_completed")
    if breaker.get("rollback") and good and good["id"] != deployment["id"]:
        _roll_back(service, deployment, good, now)


def _roll_back(service: Service, failed: Deployment, good: Deployment, now: float) -> None:
    known = next((each for each in service["deployments"] if each["id"] == good["id"]), None)
    if known is None:
        known = copy.deepcopy(good)
        service["deployments"].insert(0, known)
    failed["status"] = "ACTIVE"
    known |= {
        "status": "PRIMARY",
        "desiredCount": service["desiredCount"],
        "failedTasks": 0,
        "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": f"ECS deployment circuit breaker: rolling back to deploymentId {known['id']}.",
        "updatedAt": now,
    }
    service |= copy.deepcopy(revision(known))
    service["deployments"].sort(key=lambda each: each["status"] != "PRIMARY")
    say(service, f"rolling back to deployment {known['id']}.", now)


def task_healthy(service: Service, deployment: Deployment | None) -> None:
    """A task has become healthy: failures before it count no more, unless the breaker is told otherwise."""
    breaker = _breaker(service)
    if deployment and deployment["rolloutState"] == "IN_PROGRESS" and breaker.get("resetOnHealthyTask", True):
        deployment["failedTasks"] = 0


def settle(service: Service, members: Sequence[Member], now: float) -> None:
    """Forget deployments without tasks; complete the primary one when all is as it should be, and say so.

    members: also tasks that drain; a deployment lasts until the connections of its last task are drained.
    """
    held = {each.deployment for each in members}
    service["deployments"] = [
        each for each in service["deployments"] if each["status"] == "PRIMARY" or each["id"] in held
    ]
    head = primary(service)
    if head is None or len(service["deployments"]) > 1 or head["rolloutState"] == "FAILED":
        return
    healthy = sum(each.healthy and not each.drains for each in members)
    if healthy != service["desiredCount"] or len(members) != healthy:
        return
    if head["rolloutState"] == "IN_PROGRESS":
        reason = f"ECS deployment {head['id']} completed."
        head |= {"rolloutState": "COMPLETED", "rolloutStateReason": reason, "updatedAt": now}
        service["_completed"] = copy.deepcopy(head)
        say(service, f"(deployment {head['id']}) deployment completed.", now)
    say(service, "has reached a steady state.", now)
