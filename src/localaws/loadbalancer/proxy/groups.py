"""Target groups: their targets with connections kept for reuse, and which one gets the next request.

Try it:  python -m pytest tests/fast/test_loadbalancer_routing.py -k target
Healthy targets get requests; if there is none, all do that are not draining: a load balancer fails open
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html). Knows no
HTTP.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

INITIAL, HEALTHY, UNHEALTHY, DRAINING = "initial", "healthy", "unhealthy", "draining"
# A target that has just not taken a connection is passed over while there are others: an address that is gone
# answers only after seconds.
PASSED_OVER_SECONDS = 2.0
# A kept connection that was idle for longer is not used again: servers close theirs after some seconds (uvicorn
# after 5), and a request that crosses with that end can't be told from one that was begun.
MOST_IDLE_SECONDS = 2.0


@dataclass(eq=False, slots=True)
class Target:
    """One address and port of a group. host: where it is reached; since: which registration this is of."""

    address: str
    port: int
    host: str
    since: float = 0.0
    state: str = INITIAL
    draining: bool = False
    gone: bool = False
    in_flight: int = 0
    not_before: float = 0.0
    idle: list[Any] = field(default_factory=list)  # connections, the last used one last
    busy: set[Any] = field(default_factory=set)

    def close_idle(self) -> None:
        """Close what is kept: before a target ends, so that no request can meet that end."""
        while self.idle:
            self.idle.pop().close()

    def close_stale(self, now: float) -> None:
        while self.idle and now - self.idle[0].idle_since > MOST_IDLE_SECONDS:
            self.idle.pop(0).close()

    def take_idle(self, now: float) -> Any:
        """A connection that may be used again, or None."""
        while self.idle:
            connection = self.idle.pop()
            if now - connection.idle_since <= MOST_IDLE_SECONDS and not connection.closed:
                return connection
            connection.close()
        return None


class Group:
    """A target group's targets, in turn or by their outstanding requests."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.name = arn.rpartition(":")[2]
        self.targets: dict[tuple[str, int], Target] = {}
        self.least_outstanding = False
        self._in_service: list[Target] = []
        self._turn = 0

    def update(self, given: list[dict[str, Any]], algorithm: str) -> None:
        """Take over what is registered now; what is gone loses its connections."""
        self.least_outstanding = algorithm == "least_outstanding_requests"
        wanted = {(each["address"], each["port"]): each for each in given}
        for key in [key for key in self.targets if key not in wanted]:
            target = self.targets.pop(key)
            target.gone = True
            target.close_idle()
            for connection in list(target.busy):
                connection.abort()
        for key, each in wanted.items():
            target = self.targets.get(key) or Target(key[0], key[1], each["host"])
            self.targets[key] = target
            if target.since != each["since"]:  # registered anew: it has to pass a check again
                target.since, target.state = each["since"], INITIAL
            target.draining = each["draining"]
            if target.draining:
                target.close_idle()
        self.refresh()

    def refresh(self) -> None:
        """A target's state has changed."""
        able = [each for each in self.targets.values() if not each.draining]
        self._in_service = [each for each in able if each.state == HEALTHY] or able

    def has_others(self, tried: Collection[Target]) -> bool:
        """Whether a target is left that was not tried."""
        return any(each not in tried for each in self._in_service)

    def choose(self, tried: Collection[Target], now: float) -> Target | None:
        """The target whose turn it is, none of those that were tried; None if there is no other."""
        targets = self._in_service
        count = len(targets)
        if not count:
            return None
        self._turn += 1
        start = self._turn % count
        target = targets[start]
        if not self.least_outstanding and not tried and target.not_before <= now:
            return target
        left = [each for each in targets[start:] + targets[:start] if each not in tried]
        left = [each for each in left if each.not_before <= now] or left
        if self.least_outstanding:
            return min(left, key=lambda each: each.in_flight, default=None)
        return left[0] if left else None
