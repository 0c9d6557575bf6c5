"""The awslogs driver: a container's lines to CloudWatch Logs, as they come.

Try it:  aws logs tail GROUP --follow
Knows log groups and streams; a container is an iterator of lines to it.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.engine import EngineError


class NoLogging(EngineError):
    """The log group is not there, so the container must not start."""

    kind = "ResourceInitializationError"


@dataclass(frozen=True)
class Destination:
    """A log stream."""

    account: str
    region: str
    group: str
    stream: str


def destination(definition: Mapping[str, Any], task_id: str, account: str, region: str) -> Destination | None:
    """Where a container's lines go, None if nowhere; makes the stream, raises NoLogging without a group."""
    configuration = definition.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{definition['name']}/{task_id}" if prefix else f"{definition['name']}/{task_id}"
    chosen = Destination(account, options.get("awslogs-region") or region, options["awslogs-group"], stream)
    _make(chosen, str(options.get("awslogs-create-group", "")).lower() == "true")
    return chosen


def _make(chosen: Destination, create_group: bool) -> None:
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch_logs as logs

    with request_scope(chosen.account, chosen.region):
        if create_group and chosen.group not in logs._log_groups:
            logs._create_log_group({"logGroupName": chosen.group})
        if chosen.group not in logs._log_groups:
            raise NoLogging(
                "failed to validate logger args: create stream has been retried 1 times: failed to create "
                f"Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. "
                f"({chosen.group})",
                "create the log group, or set awslogs-create-group to true",
            )
        if chosen.stream not in logs._log_groups[chosen.group]["streams"]:
            logs._create_log_stream({"logGroupName": chosen.group, "logStreamName": chosen.stream})


def forward(batches: Iterable[list[str]], chosen: Destination | None) -> None:
    """Send batches of lines until they end; without a destination they are read and dropped."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch_logs as logs

    for lines in batches:
        now = int(time.time() * 1000)
        # CloudWatch Logs refuses empty events, and the driver leaves such lines out.
        events = [{"timestamp": now, "message": line} for line in lines if line]
        if chosen and events:
            with request_scope(chosen.account, chosen.region):
                logs._put_log_events(
                    {"logGroupName": chosen.group, "logStreamName": chosen.stream, "logEvents": events}
                )
