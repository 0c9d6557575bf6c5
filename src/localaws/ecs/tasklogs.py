"""The awslogs driver: a container's lines to CloudWatch Logs, as they come.

Try it:  aws logs tail GROUP --follow
Knows log groups and streams; a container is an iterator of lines to it.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from localaws.ecs.agent import AgentRights
from localaws.engine import EngineError

logger = logging.getLogger("localaws")


class Rights(Protocol):
    """What a role may do to a log stream."""

    def may_not_write(self, group_arn: str, stream: str) -> str | None:
        """Why lines may not be written; None if they may."""


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

    @property
    def group_arn(self) -> str:
        """Without the `:*` that some calls put at its end."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.group}"


def destination(
    definition: Mapping[str, Any], rights: AgentRights, task_id: str, account: str, region: str
) -> Destination | None:
    """Where a container's lines go, None if nowhere; makes the stream, raises NoLogging without a group.

    Errors: MayNotInitialize if the task's agent has no right to.
    """
    configuration = definition.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    prefix = options.get("awslogs-stream-prefix")
    stream = f"{prefix}/{definition['name']}/{task_id}" if prefix else f"{definition['name']}/{task_id}"
    chosen = Destination(account, options.get("awslogs-region") or region, options["awslogs-group"], stream)
    create_group = str(options.get("awslogs-create-group", "")).lower() == "true"
    rights.refuse_logging(chosen.group_arn, stream, create_group)
    make(chosen, create_group)
    return chosen


def make(chosen: Destination, create_group: bool) -> None:
    """Make the stream, and its group if told to; raises NoLogging without a group."""
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


def forward(batches: Iterable[list[str]], chosen: Destination | None, rights: Rights) -> None:
    """Send batches of lines until they end; without a destination, or the right to, they are dropped."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch_logs as logs

    said = None
    for lines in batches:
        now = int(time.time() * 1000)
        # CloudWatch Logs refuses empty events, and the driver leaves such lines out.
        events = [{"timestamp": now, "message": line} for line in lines if line]
        denied = rights.may_not_write(chosen.group_arn, chosen.stream) if chosen and events else None
        if denied and denied != said:
            said = denied
            logger.warning("lines for %s are lost: %s", chosen.stream if chosen else "", denied)
        if chosen and events and not denied:
            with request_scope(chosen.account, chosen.region):
                logs._put_log_events(
                    {"logGroupName": chosen.group, "logStreamName": chosen.stream, "logEvents": events}
                )
