"""CloudWatch's minute here, and metrics that services put for one: what a load balancer or a service publishes.

Try it:  aws cloudwatch list-metrics --namespace AWS/ApplicationELB
Knows ministack's store of data points and nothing of who publishes. A point is stamped with the beginning of the
minute that it tells of, so that an alarm finds each minute's points together, however late they were put.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger("localaws.metrics")


def minute_of(time_seconds: float, metric_seconds: float) -> float:
    """When the minute began that a moment lies in; both in seconds since the epoch."""
    return time_seconds // metric_seconds * metric_seconds


def each_minute(metric_seconds: float, closed: threading.Event, publish: Callable[[float], None]) -> None:
    """Publish every minute, by its beginning, when it has ended, until closed; what fails is in the log."""
    minute = minute_of(time.time(), metric_seconds)
    while not closed.wait(max(minute + metric_seconds - time.time(), 0)):
        try:
            publish(minute)
        except Exception:
            logger.exception("publishing metrics")
        # A machine that slept has one long minute, not many.
        minute = max(minute + metric_seconds, minute_of(time.time(), metric_seconds))


def put(
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    minute: float,
    value: float | None = None,
    values: Iterable[float] = (),
    counts: Iterable[float] = (),
    unit: str = "None",
) -> None:
    """Put one minute's points into the account and region of the calling context (`request_scope`).

    minute: its beginning, of `minute_of`. value: one point; values: one for each thing that happened, from which
    averages and percentiles are made; counts: how often each of them happened, once if left out. From any thread.
    """
    from ministack.services import cloudwatch

    many = [float(each) for each in values]
    if value is None and not many:
        return
    often = list(counts) or None
    cloudwatch._store_datum(namespace, name, dict(dimensions), minute, unit, value, many or None, often, None)
