"""What CloudWatch hears of endpoints: invocations, errors and latencies in AWS/SageMaker, and what the containers use
in /aws/sagemaker/Endpoints.

Try it:  aws cloudwatch list-metrics --namespace AWS/SageMaker
Names, units and what a value means: "Amazon SageMaker AI metrics in Amazon CloudWatch"
(https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html): latencies are in microseconds, and each
invocation sends a 1 or a 0 of each kind of error, so that a minute without invocations has no errors either. Latencies
of nearly one length (three digits) are put as one value with its count. Knows no containers: it is told.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localaws import metrics

NAMESPACE = "AWS/SageMaker"
OF_CONTAINERS = "/aws/sagemaker/Endpoints"
DIGITS = 3
Owner = tuple[str, str, str, str]  # account, region, endpoint, variant


@dataclass
class Minute:
    """What one variant's invocations were, latencies in microseconds with how often they occurred."""

    instances: int = 1
    codes: Counter[int] = field(default_factory=Counter)  # the container's; 0 where it gave none
    model: Counter[int] = field(default_factory=Counter)
    overhead: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Load:
    """What a variant's instances use, in percent: of one core, and of the instance's memory where that is known."""

    cpu: tuple[float, ...] = ()
    memory: tuple[float, ...] = ()


class EndpointMetrics:
    """Counts invocations, and puts what it counted once a minute. measure: what the variants' containers use now."""

    def __init__(self, seconds: float, measure: Callable[[], Iterable[tuple[Owner, Load]]]) -> None:
        self._seconds = seconds
        self._measure = measure
        self._lock = threading.Lock()
        self._minutes: dict[Owner, Minute] = {}
        self._closed = threading.Event()

    def watch(self) -> None:
        """Put at the end of each minute from now on."""
        given = (self._seconds, self._closed, self.put)
        threading.Thread(target=metrics.each_minute, args=given, name="endpoint-metrics", daemon=True).start()

    def close(self) -> None:
        """Put no more."""
        self._closed.set()

    def add(
        self, owner: Owner, instances: int, code: int, model_seconds: float, overhead_seconds: float
    ) -> None:
        """An invocation has ended. code: the container's status, 0 if it gave none."""
        with self._lock:
            minute = self._minutes.setdefault(owner, Minute())
            minute.instances = max(instances, 1)
            minute.codes[code] += 1
            minute.model[rounded(model_seconds)] += 1
            minute.overhead[rounded(overhead_seconds)] += 1

    def put(self, minute: float) -> None:
        """Put what was counted since the last time, as of the minute that began then."""
        with self._lock:
            counted, self._minutes = self._minutes, {}
        for owner, each in counted.items():
            _put_invocations(minute, owner, each)
        for owner, load in self._measure():
            _put_load(minute, owner, load)


def rounded(seconds: float) -> int:
    """Microseconds, of which three digits count."""
    return int(float(f"{seconds * 1e6:.{DIGITS}g}"))


def _put_invocations(minute: float, owner: Owner, counted: Minute) -> None:
    from ministack.core.responses import request_scope

    account, region, endpoint, variant = owner
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    total = counted.codes.total()
    client = sum(count for code, count in counted.codes.items() if 400 <= code < 500)
    server = sum(count for code, count in counted.codes.items() if code >= 500)
    good = sum(count for code, count in counted.codes.items() if 200 <= code < 300)

    def put(name: str, values: Mapping[Any, int], unit: str = "None") -> None:
        given = {value: count for value, count in values.items() if count}
        metrics.put(
            NAMESPACE, name, dimensions, minute, values=given.keys(), counts=given.values(), unit=unit
        )

    with request_scope(account, region):
        put("Invocations", {1: total})
        put("InvocationsPerInstance", {1 / counted.instances: total})
        put("Invocation4XXErrors", {1: client, 0: total - client})
        put("Invocation5XXErrors", {1: server, 0: total - server})
        put("InvocationModelErrors", {1: total - good, 0: good})
        put("ModelLatency", counted.model, "Microseconds")
        put("OverheadLatency", counted.overhead, "Microseconds")


def _put_load(minute: float, owner: Owner, load: Load) -> None:
    from ministack.core.responses import request_scope

    account, region, endpoint, variant = owner
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    with request_scope(account, region):
        for name, values in (("CPUUtilization", load.cpu), ("MemoryUtilization", load.memory)):
            metrics.put(OF_CONTAINERS, name, dimensions, minute, values=values, unit="Percent")
