"""Count, 4XXError, 5XXError, Latency and IntegrationLatency of REST APIs, in AWS/ApiGateway, once a minute.

Try it:  aws cloudwatch list-metrics --namespace AWS/ApiGateway
As in the developer guide, "Amazon API Gateway dimensions and metrics": by ApiName, and by ApiName and Stage, in
milliseconds; of both errors the sum is how many there were and the average which part of all requests. Metrics of
single methods, which have to be switched on there, are none here.
"""

import contextvars
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from localaws import metrics

NAMESPACE = "AWS/ApiGateway"
Owner = tuple[str, str, str, str]  # account, region, API's name, stage


@dataclass
class Minute:
    """What one stage answered in a minute. statuses: one for each request; latencies in milliseconds."""

    statuses: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    integration_latencies: list[float] = field(default_factory=list)


# Of the request that is being answered: how long its function took.
_took: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar(
    "localaws_integration", default=None
)


class ApiMetrics:
    """Counts answers as they are given, and puts them when a minute has ended. seconds: CloudWatch's minute here."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._minutes: dict[float, dict[Owner, Minute]] = defaultdict(lambda: defaultdict(Minute))

    def hook(self, module: Any) -> None:
        """Change ministack's apigateway_v1."""
        execute, call = module.handle_execute, module._call_lambda_raw

        async def execute_counted(api_id: str, stage: str, *more: Any) -> Any:
            began, took = time.monotonic(), list[float]()
            token = _took.set(took)
            try:
                answered = await execute(api_id, stage, *more)
            finally:
                _took.reset(token)
            scope = module.find_api_scope(api_id)
            if scope and stage in module.stages_for_api(api_id):
                name = module._rest_apis.get_scoped(*scope, api_id)["name"]
                self._add((*scope, name, stage), int(answered[0]), _milliseconds(began), took)
            return answered

        async def call_timed(*given: Any, **named: Any) -> Any:
            began, took = time.monotonic(), _took.get()
            try:
                return await call(*given, **named)
            finally:
                if took is not None:
                    took.append(_milliseconds(began))

        module.handle_execute = execute_counted
        module._call_lambda_raw = call_timed
        self._watch()

    def _watch(self) -> None:
        """Put each minute's values from now on, until the server ends."""
        given = (self._seconds, threading.Event(), self.put)
        threading.Thread(target=metrics.each_minute, args=given, name="api-metrics", daemon=True).start()

    def _add(self, owner: Owner, status: int, latency: float, integration: list[float]) -> None:
        with self._lock:
            minute = self._minutes[metrics.minute_of(time.time(), self._seconds)][owner]
            minute.statuses.append(status)
            minute.latencies.append(latency)
            minute.integration_latencies += integration

    def put(self, minute: float) -> None:
        """Put what was answered up to the end of the minute that began then."""
        from ministack.core.responses import request_scope

        with self._lock:
            due = [each for each in self._minutes if each <= minute]
            found = [(each, self._minutes.pop(each)) for each in sorted(due)]
        for began, stages in found:
            for (account, region, name, stage), answered in stages.items():
                with request_scope(account, region):
                    for dimensions in ({"ApiName": name}, {"ApiName": name, "Stage": stage}):
                        _put(dimensions, began, answered)


def _milliseconds(began: float) -> float:
    """Since then; AWS gives whole ones, which would hide how fast a machine answers itself."""
    return round((time.monotonic() - began) * 1000, 1)


def _put(dimensions: dict[str, str], minute: float, answered: Minute) -> None:
    def each(metric: str, values: Iterable[float], unit: str) -> None:
        often = Counter(values)  # thousands of requests are few different values
        metrics.put(NAMESPACE, metric, dimensions, minute, values=often, counts=often.values(), unit=unit)

    def errors(hundred: int) -> list[float]:
        return [float(status // 100 == hundred) for status in answered.statuses]

    each("Count", [1.0] * len(answered.statuses), "Count")
    each("4XXError", errors(4), "Count")
    each("5XXError", errors(5), "Count")
    each("Latency", answered.latencies, "Milliseconds")
    each("IntegrationLatency", answered.integration_latencies, "Milliseconds")
