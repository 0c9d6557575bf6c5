"""What the service counts, as Prometheus reads it.

Try it:  curl localhost:8080/metrics
Counting is on the way of every request, so it is a few additions here; names, types and text come from
prometheus-client when somebody asks. The latency is the application's own: from the request's headers to the last
byte given to the server.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from workshop.serving.in_service import InService

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
# Upper bounds in seconds, around the targets: 1 ms at one connection, 10 ms at sixteen.
BOUNDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """Counts requests. One event loop writes it, so it needs no lock."""

    def __init__(self, in_service: InService) -> None:
        self.texts = 0
        self._in_service = in_service
        self._requests: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count one request. path: one of the service's own, so that nobody can make ever more series."""
        self._requests[path, status] += 1
        self._buckets[path][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[path] += seconds

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks a collector for."""
        requests = CounterMetricFamily("sentiment_requests", "Answered requests", labels=("path", "status"))
        for (path, status), count in sorted(self._requests.items()):
            requests.add_metric((path, str(status)), count)
        yield requests
        latency = HistogramMetricFamily(
            "sentiment_request_seconds", "Latency in the application", labels=("path",)
        )
        for path, counts in sorted(self._buckets.items()):
            latency.add_metric((path,), _cumulative(counts), self._seconds[path])
        yield latency
        yield CounterMetricFamily("sentiment_texts", "Texts that were classified", value=self.texts)
        yield from self._models()

    def _models(self) -> Iterator[Metric]:
        model = self._in_service.model
        yield GaugeMetricFamily(
            "sentiment_ready", "1 if a verified model is in service", value=model is not None
        )
        if model:
            told = {"version": model.version, "since": model.since}
            yield InfoMetricFamily("sentiment_model", "The model in service", value=told)
        yield CounterMetricFamily(
            "sentiment_swaps", "Models that replaced another one", value=self._in_service.swaps
        )
        refused = "Versions that were refused: damaged, of another format, or not of one training"
        yield CounterMetricFamily("sentiment_refused_artefacts", refused, value=self._in_service.refusals)


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    found, total = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found
