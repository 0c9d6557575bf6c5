"""How long data points are kept, and how they are written down: as long as AWS does, and without stopping anybody.

Try it:  aws cloudwatch get-metric-statistics over yesterday
AWS keeps points of less than a minute for three hours and then one of each minute, for fifteen days (CloudWatch
concepts, "Metrics retention"). Here CloudWatch's minute may be shorter than a minute, so that its points are of that
kind. ministack looked through all of them with every request and copied them deep for every snapshot.
"""

import copy
from typing import Any

FINE_SECONDS = 3 * 3600
KEPT_SECONDS = 15 * 24 * 3600
MINUTE = 60.0
EVERY_SECONDS = 60.0


class Retention:
    """Thins out the store once a minute. metric_seconds: how far apart points of services are."""

    def __init__(self, metric_seconds: float) -> None:
        # Three hours of CloudWatch's minutes: the same number of points, however long one is.
        self.fine_seconds = FINE_SECONDS * metric_seconds / MINUTE
        self._next = 0.0

    def install(self) -> None:
        """Take the place of ministack's."""
        from ministack.services import cloudwatch

        cloudwatch._evict_old_metrics = lambda: None
        cloudwatch.get_state = _state

    def look(self, now: float) -> None:
        """Thin out, if a minute has gone by since the last time."""
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        from ministack.services import cloudwatch

        for key, points in cloudwatch._metrics.all_items():
            thin(points, now, self.fine_seconds)
            if not points:
                cloudwatch._metrics.pop_scoped(*key, None)


def thin(points: list[Any], now: float, fine_seconds: float) -> None:
    """Take away what is too old, and put each old minute's points together; in place, others add meanwhile."""
    count = len(points)
    old = [each for each in points[:count] if now - KEPT_SECONDS <= each["Timestamp"] < now - fine_seconds]
    fine = [each for each in points[:count] if each["Timestamp"] >= now - fine_seconds]
    minutes: dict[tuple[float, str], list[Any]] = {}
    for each in old:
        minutes.setdefault((each["Timestamp"] // MINUTE, each.get("Unit", "None")), []).append(each)
    points[:count] = [_together(found) for found in minutes.values()] + fine


def _together(points: list[Any]) -> Any:
    """One point for a minute's points of one unit."""
    from ministack.services import cloudwatch

    if len(points) == 1:
        return points[0]
    statistics = cloudwatch._calc_stats(points)
    names = ("SampleCount", "Sum", "Minimum", "Maximum")
    value = statistics.get("Average", 0.0)
    return {**points[0], "Value": value, "_stat": {name: statistics.get(name, 0.0) for name in names}}


def _state() -> dict[str, Any]:
    """ministack's state of the service. Points are never changed once they are there: lists of them are enough."""
    from ministack.core.responses import AccountRegionScopedDict
    from ministack.services import cloudwatch

    metrics = AccountRegionScopedDict.from_dict(
        {key: list(points) for key, points in cloudwatch._metrics.all_items()}
    )
    others = {
        "alarms": cloudwatch._alarms,
        "composite_alarms": cloudwatch._composite_alarms,
        "composite_triggers": cloudwatch._composite_triggers,
        "alarm_history": cloudwatch._alarm_history,
        "dashboards": cloudwatch._dashboards,
        "resource_tags": cloudwatch._resource_tags,
    }
    return {"metrics": metrics, **copy.deepcopy(others)}
