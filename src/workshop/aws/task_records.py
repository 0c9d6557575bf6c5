"""What ECS says of a task, as one value.

Try it:  from workshop.aws import tasks; print(tasks.find("TASK-ID"))
Makes no call: it reads the answers of describe_tasks and describe_task_definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Task:
    """One task as ECS described it last. ports: host port by container port; exit_code: of that container."""

    arn: str
    cluster: str
    definition: str
    container: str
    last_status: str
    exit_code: int | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    log_group: str = ""
    log_stream: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)
    service: str = ""  # that keeps it running; empty for one that was started by itself
    address: str = ""  # of its own network interface; empty until it has one, and without awsvpc
    times: Mapping[str, datetime] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def family(self) -> str:
        return self.definition.rsplit("/", 1)[-1].rsplit(":", 1)[0]

    @property
    def is_stopped(self) -> bool:
        return self.last_status == "STOPPED"


def read(entry: Mapping[str, Any], cluster: str) -> Task:
    """The task in an entry of describe_tasks or run_task."""
    containers = entry.get("containers", [])
    names = [each["name"] for each in entry.get("overrides", {}).get("containerOverrides", [])]
    first = next(
        (each for each in containers if each.get("name") in names), containers[0] if containers else {}
    )
    bindings = [binding for each in containers for binding in each.get("networkBindings", [])]
    reason = first.get("reason") or entry.get("stoppedReason", "")
    return Task(
        arn=entry["taskArn"],
        cluster=cluster,
        definition=entry["taskDefinitionArn"],
        container=first.get("name", ""),
        last_status=entry["lastStatus"],
        exit_code=first.get("exitCode"),
        stop_code=entry.get("stopCode", ""),
        stopped_reason=reason,
        ports={int(each["containerPort"]): int(each["hostPort"]) for each in bindings if "hostPort" in each},
        service=_service(entry),
        address=_address(entry),
        times={name: value for name, value in entry.items() if isinstance(value, datetime)},
    )


def _address(entry: Mapping[str, Any]) -> str:
    """The private address of an awsvpc task's network interface."""
    details = [
        pair
        for each in entry.get("attachments", [])
        if each.get("type") == "ElasticNetworkInterface"
        for pair in each.get("details", [])
    ]
    return next((pair["value"] for pair in details if pair["name"] == "privateIPv4Address"), "")


def _service(entry: Mapping[str, Any]) -> str:
    """ECS says `service:NAME` or `family:NAME` as the task's group."""
    kind, _, name = str(entry.get("group", "")).partition(":")
    return name if kind == "service" else ""


def with_log(task: Task, definition: Mapping[str, Any]) -> Task:
    """Where awslogs puts the lines: <prefix>/<container>/<task id>."""
    containers = definition["containerDefinitions"]
    container = next((each for each in containers if each["name"] == task.container), containers[0])
    options = container.get("logConfiguration", {}).get("options", {})
    if "awslogs-group" not in options:
        return replace(task, container=container["name"])
    stream = f"{options.get('awslogs-stream-prefix', '')}/{container['name']}/{task.id}"
    return replace(
        task, container=container["name"], log_group=options["awslogs-group"], log_stream=stream.lstrip("/")
    )
