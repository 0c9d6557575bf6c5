"""A metric's statistic, period by period, from ministack's store of data points.

Try it:  aws cloudwatch get-metric-statistics
A Period of 60 lasts one of CloudWatch's minutes here (`metric_seconds`). Windows end with a minute, so that a
longer period slides from minute to minute, as on AWS. Knows no thresholds.
"""

from collections.abc import Mapping
from typing import Any

from localaws.alarms.evaluator import Datapoint

MINUTE = 60  # what AWS calls one


def seconds_of(period: int, metric_seconds: float) -> float:
    """How long an alarm's Period lasts here."""
    return period * metric_seconds / MINUTE


def last_end(now: float, period: int, metric_seconds: float) -> float:
    """When the newest period ended whose points are all in.

    Publishers put a minute's points right after it: they are given a fifth of it, and never more than two seconds
    (as with a real minute), before anybody looks.
    """
    grace = min(0.2 * metric_seconds, 2.0)
    step = seconds_of(min(period, MINUTE), metric_seconds)
    return (now - grace) // step * step


def read(alarm: Mapping[str, Any], end: float, count: int, metric_seconds: float) -> list[Datapoint | None]:
    """The last `count` periods of an alarm's metric before `end`, oldest first; None for one without data."""
    length = seconds_of(alarm["Period"], metric_seconds)
    begin = end - count * length
    windows: list[list[Any]] = [[] for _ in range(count)]
    for point in _points(alarm):
        # A point of the minute that begins at `end` is not in yet. Half a millisecond is for rounding.
        index = int((point["Timestamp"] - begin + 0.0005) // length)
        if 0 <= index < count:
            windows[index].append(point)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    return [_datapoint(points, statistic, begin + index * length) for index, points in enumerate(windows)]


def _points(alarm: Mapping[str, Any]) -> list[Any]:
    from ministack.services import cloudwatch

    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    points = list(cloudwatch._metrics.get(key) or [])
    unit = alarm.get("Unit")
    return [each for each in points if not unit or each.get("Unit", "None") == unit]


def _datapoint(points: list[Any], statistic: str, start: float) -> Datapoint | None:
    from ministack.services import cloudwatch

    statistics = cloudwatch._calc_stats(points) if points else {}
    value = cloudwatch._stat_value(statistics, statistic, points) if statistics else None
    return None if value is None else Datapoint(start, float(value), statistics["SampleCount"])
