"""Look at a service behind its load balancer, wait until it is stable, roll it, and watch it grow and shrink.

Try it:  python -c "from workshop.aws import services; print(services.describe())"
A service is named by its concern: `sentiment` is the one of the stacks sentiment (its door) and sentiment-service.
Knows ECS's deployments and the load balancer's targets; nothing of models or of what the service answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from workshop.aws import (
    service_images,
    service_records,
    session,
    stacks,
    task_definitions,
    task_failures,
    task_records,
    waiting,
)
from workshop.aws.failures import explained
from workshop.aws.service_records import FAILED, Event, Service, Target
from workshop.aws.session import Aws
from workshop.aws.task_records import Task
from workshop.errors import AwsError

SENTIMENT = "sentiment"
STABLE_TIMEOUT_SECONDS = 15 * 60
# Target tracking names its alarms after the service, with a number behind: which of the two is what one wants to read.
ALARM = re.compile(r"TargetTracking-\S*?(AlarmHigh|AlarmLow)-[0-9a-f-]{36}")
WATCH_PAUSE_SECONDS = 1.0
Say = Callable[[str], None]


def describe(name: str = SENTIMENT, aws: Aws | None = None) -> Service:
    """The service as it is now. Errors: AwsError if there is none."""
    aws = aws or session.current()
    return _describe(_place(name, aws), aws)


def url(name: str = SENTIMENT, aws: Aws | None = None) -> str:
    """Where the service answers: its load balancer."""
    return stacks.outputs(name, aws)["ServiceUrl"]


def events(name: str = SENTIMENT, aws: Aws | None = None) -> list[Event]:
    """What ECS has noted of the service, oldest first; it keeps the last hundred."""
    return list(reversed(describe(name, aws).events))


def wait_stable(
    name: str = SENTIMENT,
    timeout_seconds: float = STABLE_TIMEOUT_SECONDS,
    on_line: Say | None = None,
    aws: Aws | None = None,
    deployment: str = "",
    fewest: int = 0,
    seen: Collection[str] | None = None,
) -> Service:
    """Wait until the wanted revision alone runs, with healthy targets only; events are told as they come.

    deployment: the id of the one that is waited for; without it, of the one that is wanted now. fewest: as many
    tasks at least, where scaling has been told so and ECS may not know yet. seen: ids of events told already;
    without them, of all that there are now.
    Errors: AwsError with the reason if that one fails or is rolled back, or after timeout_seconds.
    """
    aws = aws or session.current()
    place = _place(name, aws)
    first = _describe(place, aws)
    waited_for = deployment or (first.primary.id if first.primary else "")
    told = {event.id for event in first.events} if seen is None else set(seen)
    latest = first

    def stable() -> Service | None:
        nonlocal latest
        latest = _describe(place, aws)
        for event in reversed([each for each in latest.events if each.id not in told]):
            told.add(event.id)
            if on_line:
                on_line(str(event))
        _expect_alive(latest, waited_for, aws)
        return latest if latest.is_stable and latest.desired >= fewest else None

    return waiting.until(
        stable, timeout_seconds, f"the service {first.name} to be stable", lambda: latest.counts
    )


def roll(
    name: str = SENTIMENT,
    timeout_seconds: float = STABLE_TIMEOUT_SECONDS,
    on_line: Say | None = None,
    aws: Aws | None = None,
) -> Service:
    """Replace every task by a new one of the same revision, none leaving before its successor is healthy."""
    aws = aws or session.current()
    place = _place(name, aws)
    seen = {event.id for event in _describe(place, aws).events}
    with explained(f"roll the service {place.service}"):
        answer = aws.client("ecs").update_service(
            cluster=place.cluster, service=place.service, forceNewDeployment=True
        )
    primary = service_records.read(answer["service"], place.cluster).primary
    return wait_stable(name, timeout_seconds, on_line, aws, primary.id if primary else "", seen=seen)


def watch(
    until: Callable[[Service], bool],
    timeout_seconds: float,
    name: str = SENTIMENT,
    on_change: Say | None = print,
    aws: Aws | None = None,
) -> list[tuple[float, Service]]:
    """Look again and again until something is so; (seconds since the beginning, service) at each change.

    Errors: AwsError after timeout_seconds, with how the service is then.
    """
    aws = aws or session.current()
    place = _place(name, aws)
    began = time.monotonic()
    changes: list[tuple[float, Service]] = []

    def so() -> list[tuple[float, Service]] | None:
        now = _describe(place, aws)
        if not changes or now.counts != changes[-1][1].counts:
            changes.append((time.monotonic() - began, now))
            if on_change:
                on_change(f"{changes[-1][0]:6.1f} s  {now.counts}")
        return changes if until(now) else None

    return waiting.until(
        so,
        timeout_seconds,
        f"the service {name}",
        lambda: changes[-1][1].counts,
        longest_pause_seconds=WATCH_PAUSE_SECONDS,
    )


def release(
    name: str = SENTIMENT, on_line: Say | None = None, aws: Aws | None = None, **parameters: str
) -> Service:
    """Register task-definitions/<name>.json and bring it into service; return once it is stable.

    Where the definition is the same and its tag names a newer image, the service is rolled to that.
    parameters: of the stack <name>-service, such as MinTasks='2'.
    """
    aws = aws or session.current()
    say = on_line or (lambda line: None)
    revision = task_definitions.register(name, aws=aws)
    say(f"revision {revision.rpartition('/')[2]}")
    given: dict[str, Any] = {"TaskDefinition": revision, **parameters}
    stacks.deploy(f"{name}-service", on_event=lambda event: say(str(event)), aws=aws, **given)
    least = _parameter(f"{name}-service", "MinTasks", aws)
    stable = wait_stable(name, on_line=on_line, aws=aws, fewest=int(least))
    newer = service_images.outdated(_running(stable, aws), aws)
    if not newer:
        return stable
    say(f"{', '.join(each.rpartition('/')[2] for each in newer)} was pushed since: rolling the service")
    return roll(name, on_line=on_line, aws=aws)


def tasks(name: str = SENTIMENT, aws: Aws | None = None) -> list[Task]:
    """The service's running tasks."""
    aws = aws or session.current()
    found = describe(name, aws)
    return [task_records.read(entry, found.cluster) for entry in _running(found, aws)]


def activities(name: str = SENTIMENT, aws: Aws | None = None) -> list[str]:
    """What scaling has done and why, oldest first, a line each."""
    aws = aws or session.current()
    place = _place(name, aws)
    pages = aws.client("application-autoscaling").get_paginator("describe_scaling_activities")
    asked = {"ServiceNamespace": "ecs", "ResourceId": f"service/{place.cluster}/{place.service}"}
    with explained(f"read the scaling of {place.service}"):
        found = [each for page in pages.paginate(**asked) for each in page["ScalingActivities"]]
    return [
        f"{each['StartTime'].astimezone():%H:%M:%S}  {each['StatusCode']:<12} {each['Description']}  "
        + ALARM.sub(r"\1", each["Cause"])
        for each in sorted(found, key=lambda each: each["StartTime"])
    ]


class _Place(NamedTuple):
    """Where a service is: what its stacks say."""

    cluster: str
    service: str
    group: str
    url: str


def _place(name: str, aws: Aws) -> _Place:
    """By the stacks' outputs, also while one of them is being updated."""
    found = {
        **stacks.outputs("cluster", aws),
        **stacks.outputs(name, aws),
        **stacks.outputs(f"{name}-service", aws),
    }
    missing = {"ServiceName", "TargetGroupArn", "ServiceUrl"} - set(found)
    if missing:  # a stack that is being made has no outputs yet
        raise AwsError(f"the stacks of '{name}' have no {', '.join(sorted(missing))} yet", _make_it(name))
    return _Place(found["ClusterName"], found["ServiceName"], found["TargetGroupArn"], found["ServiceUrl"])


def _describe(place: _Place, aws: Aws) -> Service:
    with explained(f"look at the service {place.service}"):
        answer = aws.client("ecs").describe_services(cluster=place.cluster, services=[place.service])
    alive = [each for each in answer["services"] if each["status"] != "INACTIVE"]
    if not alive:
        raise AwsError(
            f"there is no service '{place.service}' in the cluster {place.cluster}", _make_it(SENTIMENT)
        )
    return service_records.read(alive[0], place.cluster, _targets(place.group, aws), place.url)


def _targets(group: str, aws: Aws) -> list[Target]:
    with explained("look at the load balancer's targets"):
        answer = aws.client("elbv2").describe_target_health(TargetGroupArn=group)
    return [
        Target(
            each["Target"]["Id"],
            int(each["Target"].get("Port", 0)),
            each["TargetHealth"]["State"],
            each["TargetHealth"].get("Reason", ""),
            each["TargetHealth"].get("Description", ""),
        )
        for each in answer["TargetHealthDescriptions"]
    ]


def _expect_alive(service: Service, waited_for: str, aws: Aws) -> None:
    """Errors: AwsError if the deployment that is waited for has failed, or another one took its place."""
    own = next((each for each in service.deployments if each.id == waited_for), None)
    if own and own.status == "PRIMARY" and own.rollout != FAILED:
        return
    primary = service.primary
    back = f"; back to {primary.revision}" if primary and primary.id != waited_for else ""
    why = own.reason if own and own.reason else "another deployment took its place"
    last = _last_stopped(service, aws)
    raise AwsError(
        f"the deployment of {service.name} failed: {why}{back}{'. Last: ' + last.message if last else ''}",
        last.remedy if last else "workshop status; then services.events() says what happened",
    )


def _running(service: Service, aws: Aws) -> list[dict[str, Any]]:
    ecs = aws.client("ecs")
    with explained(f"look at the tasks of {service.name}"):
        arns = ecs.list_tasks(cluster=service.cluster, serviceName=service.name)["taskArns"]
        found = ecs.describe_tasks(cluster=service.cluster, tasks=arns)["tasks"] if arns else []
    return [each for each in found if each["lastStatus"] == "RUNNING"]


def _parameter(concern: str, name: str, aws: Aws) -> str:
    """What a stack was given for one of its parameters, or has by default."""
    found = (stacks.describe(concern, aws) or {}).get("Parameters", [])
    return str(next(each["ParameterValue"] for each in found if each["ParameterKey"] == name))


def _last_stopped(service: Service, aws: Aws) -> AwsError | None:
    """Why the newest of the service's stopped tasks stopped; None if ECS remembers none."""
    ecs = aws.client("ecs")
    with explained(f"look at the stopped tasks of {service.name}"):
        arns = ecs.list_tasks(cluster=service.cluster, serviceName=service.name, desiredStatus="STOPPED")[
            "taskArns"
        ]
        found: list[Any] = ecs.describe_tasks(cluster=service.cluster, tasks=arns)["tasks"] if arns else []
    stopped = [each for each in found if each["lastStatus"] == "STOPPED" and "stoppedAt" in each]
    if not stopped:
        return None
    newest = max(stopped, key=lambda each: each["stoppedAt"])
    return task_failures.ended(task_records.read(newest, service.cluster), [])


def _make_it(name: str) -> str:
    return f'services.release("{name}"), with a model published before (lab 5)'
