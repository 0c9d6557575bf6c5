"""Health checks: each target is asked as its group says, and counts as healthy or not by what it answers.

Try it:  python -m pytest tests/local/test_loadbalancer_health.py
Copied from "Health checks for Application Load Balancer target groups"
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html): the first
check comes at once and one success is enough then; afterwards so many in a row turn the state. The interval
does not wait for slow answers. Unlike AWS's, a target that has not passed yet is asked twice a second, so that a
task is in service when it is ready and not up to an interval later; its failures count once an interval. Knows
no control plane: it calls `report`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localaws.loadbalancer.proxy.groups import HEALTHY, INITIAL, UNHEALTHY, Group, Target

MISMATCH, TIMEOUT, FAILED = "Target.ResponseCodeMismatch", "Target.Timeout", "Target.FailedHealthChecks"
CHECKING = ("Elb.InitialHealthChecking", "Initial health checks in progress")
AGENT = "ELB-HealthChecker/2.0"
MOST_HEAD_BYTES = 32 * 1024
EAGER_SECONDS = 0.5  # between checks of a target that has not passed one yet

Outcome = tuple[str, str]  # reason and description; both empty if the target passed
Report = Callable[[Group, Target, str, str], None]


@dataclass(frozen=True)
class Check:
    """A target group's settings, in the API's words."""

    path: str
    port: str
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str

    def accepts(self, status: int) -> bool:
        """Whether the matcher, such as "200", "200,202" or "200-299", has the status."""
        for part in self.matcher.split(","):
            low, _, high = part.partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False


class Checks:
    """A task for each target of each group that is in use."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._running: dict[Target, tuple[tuple[Check, float], asyncio.Task[None]]] = {}

    def update(self, group: Group, given: dict[str, Any]) -> None:
        """Begin, go on or begin anew, as the group's targets and settings have changed."""
        check = Check(**given)
        for target in group.targets.values():
            before = self._running.get(target)
            if target.draining or (before and before[0] == (check, target.since)):
                continue
            if before:
                before[1].cancel()
            task = asyncio.get_running_loop().create_task(self._watch(group, target, check))
            self._running[target] = ((check, target.since), task)
        self.forget()

    def forget(self) -> None:
        """End the checks of targets that are gone or draining."""
        for target in [each for each in self._running if each.gone or each.draining]:
            self._running.pop(target)[1].cancel()

    async def _watch(self, group: Group, target: Target, check: Check) -> None:
        if target.state == INITIAL:
            self._report(group, target, *CHECKING)
        in_a_row = 0  # how many of the same kind, passed above and failed below zero
        counted = time.monotonic() - check.interval_seconds
        while True:
            began = time.monotonic()
            reason, description = await _ask(target, check)
            if reason and target.state == INITIAL and began < counted + check.interval_seconds:
                await asyncio.sleep(EAGER_SECONDS)
                continue
            counted = began
            in_a_row = min(in_a_row, 0) - 1 if reason else max(in_a_row, 0) + 1
            before = target.state
            if in_a_row >= (1 if before == INITIAL else check.healthy_threshold):
                target.state = HEALTHY
            elif in_a_row <= -check.unhealthy_threshold:
                target.state = UNHEALTHY
            if target.state != before:
                group.refresh()
            if target.state != before or (target.state == UNHEALTHY and reason):
                self._report(group, target, reason, description)
            pause = (
                min(check.interval_seconds, EAGER_SECONDS)
                if target.state == INITIAL
                else check.interval_seconds
            )
            await asyncio.sleep(max(began + pause - time.monotonic(), 0))


async def _ask(target: Target, check: Check) -> Outcome:
    """One health check, on a connection of its own."""
    port = target.port if check.port == "traffic-port" else int(check.port)
    try:
        async with asyncio.timeout(check.timeout_seconds):
            status = await _status(target.host, port, check.path)
    except TimeoutError:
        return TIMEOUT, "Request timed out"
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
        return FAILED, "Health checks failed"
    if not check.accepts(status):
        return MISMATCH, f"Health checks failed with these codes: [{status}]"
    return "", ""


async def _status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port, limit=MOST_HEAD_BYTES)
    try:
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\nUser-Agent: {AGENT}\r\n\r\n"
        )
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        version, _, rest = answer.partition(b" ")
        if not version.startswith(b"HTTP/"):
            raise ValueError("not HTTP")
        return int(rest[:3])
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
