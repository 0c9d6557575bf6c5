"""What happened since the last look, by load balancer and target group, in CloudWatch's names.

Try it:  python -m pytest tests/fast/test_loadbalancer_routing.py -k count
Knows no CloudWatch: `localaws.loadbalancer.minutes` publishes.
"""

import math
from typing import Any

STEPS = 10  # an e-fold of time in so many steps: times in one are at most a tenth apart


class Times:
    """Response times in seconds, those within a tenth of each other as one: means stay exact, percentiles nearly."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: dict[int, list[float]] = {}

    def add(self, seconds: float) -> None:
        step = int(math.log(seconds + 1e-9) * STEPS)
        found = self._steps.get(step)
        if found is None:
            self._steps[step] = [1, seconds]
        else:
            found[0] += 1
            found[1] += seconds

    def taken(self) -> list[tuple[float, float]]:
        """Pairs of a time and how often it was."""
        return [(total / count, count) for count, total in self._steps.values()]


class Count:
    """Of one load balancer, or of one target group behind it."""

    __slots__ = ("codes", "connection_errors", "requests", "times")

    def __init__(self) -> None:
        self.requests = 0
        self.connection_errors = 0
        self.codes: dict[int, int] = {}
        self.times = Times()

    def answered(self, status: int, seconds: float) -> None:
        """A target has begun to answer."""
        self.codes[status // 100] = self.codes.get(status // 100, 0) + 1
        self.times.add(seconds)

    def own_answer(self, status: int) -> None:
        """The load balancer has answered itself."""
        self.codes[status] = self.codes.get(status, 0) + 1


class Counts:
    """Every count since the last `take`."""

    def __init__(self) -> None:
        self._balancers: dict[str, Count] = {}
        self._groups: dict[tuple[str, str], Count] = {}

    def balancer(self, arn: str) -> Count:
        """`codes` of a load balancer are those of its own answers, by status."""
        found = self._balancers.get(arn)
        if found is None:
            found = self._balancers[arn] = Count()
        return found

    def group(self, balancer_arn: str, group_arn: str) -> Count:
        """`codes` of a group are those of targets, by hundreds."""
        found = self._groups.get((balancer_arn, group_arn))
        if found is None:
            found = self._groups[balancer_arn, group_arn] = Count()
        return found

    def take(self) -> dict[str, Any]:
        """What was counted, as a document; counting begins anew."""
        document = {
            "balancers": [
                {"balancer": arn, "requests": count.requests, "codes": count.codes}
                for arn, count in self._balancers.items()
            ],
            "groups": [
                {
                    "balancer": balancer,
                    "group": group,
                    "requests": count.requests,
                    "connection_errors": count.connection_errors,
                    "codes": count.codes,
                    "times": count.times.taken(),
                }
                for (balancer, group), count in self._groups.items()
            ],
        }
        self._balancers, self._groups = {}, {}
        return document
