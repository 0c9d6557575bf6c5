"""Read CloudWatch Logs: whole, or as they come.

Try it:  from workshop.aws import logs; print(*logs.tail("/workshop/jobs"), sep="\n")
Knows nothing of who wrote the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from workshop.aws import session
from workshop.aws.failures import code_of, explained
from workshop.aws.session import Aws
from workshop.errors import AwsError


class Line(NamedTuple):
    """One log event."""

    time: datetime
    stream: str
    message: str

    def __str__(self) -> str:
        return self.message


class Cursor:
    """A place in one log stream: each call of `fresh` gives what came since the last."""

    def __init__(self, group: str, stream: str, aws: Aws) -> None:
        self.group = group
        self.stream = stream
        self._client = aws.client("logs")
        self._token: str | None = None

    def fresh(self) -> list[Line]:
        """New lines, oldest first; none while the stream does not exist yet."""
        lines: list[Line] = []
        while True:
            request: dict[str, Any] = {"logGroupName": self.group, "logStreamName": self.stream}
            if self._token:
                request["nextToken"] = self._token
            try:
                with explained(f"read the log {self.group} {self.stream}"):
                    page = self._client.get_log_events(**request, startFromHead=True)
            except AwsError as error:
                if isinstance(error.__cause__, ClientError) and _is_absent(error.__cause__):
                    return lines
                raise
            lines += [_line(event, self.stream) for event in page["events"]]
            token = page["nextForwardToken"]
            if token == self._token or not page["events"]:
                self._token = token
                return lines
            self._token = token


def read(group: str, stream: str, aws: Aws | None = None) -> list[str]:
    """Every line of one stream; empty if there is no such stream."""
    return [line.message for line in Cursor(group, stream, aws or session.current()).fresh()]


def tail(
    group: str, stream: str | None = None, since: datetime | None = None, aws: Aws | None = None
) -> list[Line]:
    """Lines of a whole group, or of the streams that begin as `stream` does, in order of time."""
    aws = aws or session.current()
    request: dict[str, Any] = {"logGroupName": group}
    if stream:
        request["logStreamNamePrefix"] = stream
    if since:
        request["startTime"] = int(since.timestamp() * 1000)
    lines: list[Line] = []
    with explained(f"read the log group {group}"):
        for page in aws.client("logs").get_paginator("filter_log_events").paginate(**request):
            lines += [_line(event, event["logStreamName"]) for event in page["events"]]
    return sorted(lines, key=lambda line: line.time)


def groups(prefix: str, aws: Aws | None = None) -> Iterator[str]:
    """Names of the log groups that begin so."""
    client = (aws or session.current()).client("logs")
    with explained(f"list the log groups {prefix}*"):
        for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            yield from (group["logGroupName"] for group in page["logGroups"])


def _is_absent(error: ClientError) -> bool:
    return code_of(error) == "ResourceNotFoundException"


def _line(event: dict[str, Any], stream: str) -> Line:
    return Line(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), stream, event["message"].rstrip("\n"))
