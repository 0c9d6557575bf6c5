"""A container's health check: a command, run again and again inside it.

Try it:  tests/local/test_ecs_tasks.py -k health
Knows how ECS counts (HealthCheck in the ECS API reference) and nothing of tasks.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localaws.engine import Container

PROBE_SECONDS = 0.5


@dataclass(frozen=True)
class HealthCheck:
    """When and what to run. All times in seconds."""

    command: list[str]
    interval: float = 30
    timeout: float = 5
    retries: int = 3
    start_period: float = 0


def parse(given: Mapping[str, Any]) -> HealthCheck:
    """Read a container definition's healthCheck; CMD-SHELL goes through /bin/sh as in Docker."""
    kind, *rest = given["command"]
    command = ["/bin/sh", "-c", *rest] if kind == "CMD-SHELL" else rest if kind == "CMD" else [kind, *rest]
    return HealthCheck(
        command,
        float(given.get("interval") or 30),
        float(given.get("timeout") or 5),
        int(given.get("retries") or 3),
        float(given.get("startPeriod") or 0),
    )


class Counter:
    """Turns results into a status: failures count only after the start period or the first success."""

    def __init__(self, check: HealthCheck) -> None:
        self._check = check
        self._failures = 0
        self._succeeded = False
        self.status = "UNKNOWN"

    def add(self, exit_code: int, age_seconds: float) -> str:
        """Count one result of a container of this age; returns the status."""
        if exit_code == 0:
            self._failures, self._succeeded, self.status = 0, True, "HEALTHY"
        elif self._succeeded or age_seconds >= self._check.start_period:
            self._failures += 1
            if self._failures >= self._check.retries:
                self.status = "UNHEALTHY"
        return self.status


def watch(
    check: HealthCheck,
    container: Container,
    ended: threading.Event,
    report: Callable[[str], None],
) -> None:
    """Check until `ended`, reporting each change of status.

    Docker checks for the first time after an interval. Here success is looked for twice a second until it
    comes, so that an interval made for a server does not hold up a short task; a failure counts at most
    once an interval.
    """
    counter = Counter(check)
    began = time.monotonic()
    due = began + check.interval
    while not ended.wait(
        check.interval if counter.status != "UNKNOWN" else min(check.interval, PROBE_SECONDS)
    ):
        before = counter.status
        code, _ = container.execute(check.command, check.timeout)
        now = time.monotonic()
        if ended.is_set():
            return
        if code == 0 or now >= due:
            counter.add(code, now - began)
            due = now + check.interval * 0.9  # a check's own time must not push the next one out of its turn
        if counter.status != before:
            report(counter.status)
