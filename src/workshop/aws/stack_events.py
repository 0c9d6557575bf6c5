"""Read and follow a stack's events, each once, in order.

Try it:  from workshop.aws import stacks; [print(*event) for event in stacks.events("network")]
Knows nothing of templates or of which stacks there are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from workshop.aws import waiting
from workshop.aws.failures import explained
from workshop.aws.session import Aws


class Event(NamedTuple):
    """One step of one resource."""

    time: datetime
    logical_id: str
    type: str
    status: str
    reason: str
    physical_id: str = ""
    id: str = ""

    def __str__(self) -> str:
        kind = self.type.removeprefix("AWS::")
        reason = f"  {self.reason}" if self.reason else ""
        return f"{self.time.astimezone():%H:%M:%S}  {self.status:<20} {self.logical_id:<24} {kind}{reason}"


FINAL = (
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "UPDATE_COMPLETE",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_FAILED",
    "DELETE_COMPLETE",
    "DELETE_FAILED",
)


def read_all(aws: Aws, stack: str) -> list[Event]:
    """Every event of a stack, oldest first. AWS gives newest first, in pages."""
    found = []
    with explained(f"read the events of {stack}"):
        for page in (
            aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack)
        ):
            found += [
                Event(
                    entry["Timestamp"],
                    entry["LogicalResourceId"],
                    entry.get("ResourceType", ""),
                    entry.get("ResourceStatus", ""),
                    entry.get("ResourceStatusReason", ""),
                    entry.get("PhysicalResourceId", ""),
                    entry["EventId"],
                )
                for entry in page["StackEvents"]
            ]
    return found[::-1]


def follow(
    aws: Aws,
    stack: str,
    seen: set[str],
    on_event: Callable[[Event], None] | None,
    timeout_seconds: float,
) -> tuple[str, list[Event]]:
    """Report events not in `seen` until the stack rests; return its final status and those events."""
    happened: list[Event] = []
    name = stack.split("/")[1] if "/" in stack else stack  # arn:…:stack/NAME/UUID

    def rested() -> str | None:
        final = None
        for event in read_all(aws, stack):
            if event.id in seen:
                continue
            seen.add(event.id)
            happened.append(event)
            if on_event:
                on_event(event)
            if event.type == "AWS::CloudFormation::Stack" and event.logical_id == name:
                final = event.status if event.status in FINAL else None
        return final

    def latest() -> str:
        return str(happened[-1]) if happened else "without an event yet"

    return waiting.until(rested, timeout_seconds, f"stack {stack} to rest", latest), happened


def refused_early(aws: Aws, **which: str) -> list[Event]:
    """What CloudFormation found before it made anything, such as a name that is taken.

    which: StackName or ChangeSetName. The stack's own events only say how many such findings there are.
    """
    with explained("read what CloudFormation found"):
        found = aws.client("cloudformation").describe_events(**which)["OperationEvents"]
    return [
        Event(
            entry["Timestamp"],
            entry.get("LogicalResourceId", ""),
            entry.get("ResourceType", ""),
            "CREATE_FAILED",
            entry.get("ValidationStatusReason", ""),
            id=entry["EventId"],
        )
        for entry in found
        if entry.get("EventType") == "VALIDATION_ERROR" and entry.get("ValidationFailureMode") == "FAIL"
    ]


def first_failure(events: list[Event]) -> Event | None:
    """The failure that began it, passing over what was cancelled because of it and the stack itself."""
    failed = [event for event in events if event.status.endswith("_FAILED")]
    own = [event for event in failed if "cancelled" not in event.reason.lower()]
    resources = [event for event in own if event.type != "AWS::CloudFormation::Stack"]
    return next(iter(resources or own or failed), None)
