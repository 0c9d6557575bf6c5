"""What ECS and the load balancer say of a service, as values that show themselves.

Try it:  from workshop.aws import services; print(services.describe())
Makes no call: `services` reads, this holds and shows. In a notebook the last value of a cell is a table.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

COMPLETED, FAILED = "COMPLETED", "FAILED"
TARGET_GROUP = re.compile(r"target-group arn:\S*?:targetgroup/([^/)]+)/[0-9a-f]+")
HEALTHY = "healthy"


class Event(NamedTuple):
    """One line of a service's diary, in ECS's words; shown without the service's name, which they begin with."""

    time: datetime
    message: str
    id: str = ""

    def __str__(self) -> str:
        told = TARGET_GROUP.sub(r"target group \1", self.message.partition(") ")[2] or self.message)
        return f"{self.time.astimezone():%H:%M:%S}  {told}"


@dataclass(frozen=True)
class Target:
    """One task as the load balancer sees it. state: initial, healthy, unhealthy, draining or unused."""

    address: str
    port: int
    state: str
    reason: str = ""
    description: str = ""

    def __str__(self) -> str:
        why = f"  {self.reason}: {self.description}".rstrip(": ") if self.reason else ""
        return f"{self.address}:{self.port:<6} {self.state}{why}"


@dataclass(frozen=True)
class Deployment:
    """One revision on its way in, there, or on its way out. status: PRIMARY is the one that is wanted."""

    id: str
    status: str
    rollout: str
    reason: str
    revision: str
    desired: int
    running: int
    pending: int
    failed: int

    def __str__(self) -> str:
        counts = f"{self.running} running, {self.pending} pending, {self.desired} desired"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.revision:<16} {self.status:<8} {self.rollout:<12} {counts}{failed}"


@dataclass(frozen=True)
class Service:
    """A service as ECS described it last, with its targets. deployments: the wanted one first."""

    name: str
    cluster: str
    status: str
    desired: int
    running: int
    pending: int
    deployments: tuple[Deployment, ...]
    targets: tuple[Target, ...]
    url: str = ""
    events: tuple[Event, ...] = field(default=(), repr=False)  # newest first, as ECS gives them

    @property
    def primary(self) -> Deployment | None:
        return next((each for each in self.deployments if each.status == "PRIMARY"), None)

    @property
    def healthy(self) -> int:
        """How many targets the load balancer sends requests to."""
        return sum(target.state == HEALTHY for target in self.targets)

    @property
    def is_stable(self) -> bool:
        """One deployment, complete, with as many tasks as are wanted, each of them healthy and none leaving."""
        alone = len(self.deployments) == 1 and self.deployments[0].rollout == COMPLETED
        counts = self.running == self.desired and self.pending == 0
        return alone and counts and self.healthy == len(self.targets) == self.desired

    @property
    def counts(self) -> str:
        """The service in one short line, which changes when something has happened."""
        states = [target.state for target in self.targets]
        told = (
            ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
            or "no targets"
        )
        rollout = self.primary.rollout if self.primary else self.status
        return f"desired {self.desired}, running {self.running}, pending {self.pending} · {told} · {rollout}"

    def __str__(self) -> str:
        lines = [f"{self.name}  {self.status}  {self.url}".rstrip(), f"  {self.counts}"]
        lines += [f"  deployment  {each}" for each in self.deployments]
        lines += [f"  target      {each}" for each in self.targets]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        deployments = [
            (each.revision, each.status, each.rollout, each.running, each.pending, each.desired)
            for each in self.deployments
        ]
        targets = [(f"{each.address}:{each.port}", each.state, each.reason) for each in self.targets]
        heading = html.escape(f"{self.name} · {self.counts}")
        return (
            f"<p><b>{heading}</b></p>"
            + _table(("revision", "status", "rollout", "running", "pending", "desired"), deployments)
            + _table(("target", "state", "reason"), targets)
        )


def read(entry: Mapping[str, Any], cluster: str, targets: Sequence[Target] = (), url: str = "") -> Service:
    """The service in an entry of describe_services."""
    found = [_deployment(each) for each in entry.get("deployments", [])]
    return Service(
        name=entry["serviceName"],
        cluster=cluster,
        status=entry["status"],
        desired=entry["desiredCount"],
        running=entry["runningCount"],
        pending=entry["pendingCount"],
        deployments=tuple(sorted(found, key=lambda each: each.status != "PRIMARY")),
        targets=tuple(targets),
        url=url,
        events=tuple(
            Event(each["createdAt"], each["message"], each["id"]) for each in entry.get("events", [])
        ),
    )


def _deployment(entry: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=entry["id"],
        status=entry["status"],
        rollout=entry.get("rolloutState", ""),
        reason=entry.get("rolloutStateReason", ""),
        revision=str(entry["taskDefinition"]).rpartition("/")[2],
        desired=entry["desiredCount"],
        running=entry["runningCount"],
        pending=entry["pendingCount"],
        failed=entry.get("failedTasks", 0),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"
