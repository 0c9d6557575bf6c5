"""A metric and an alarm on it, for tests that wait for its state. Not a test."""

import time
from typing import Any

from ecs_world import wait_until

MINUTE = 0.5  # seconds that CloudWatch's minute lasts in these tests


class Metric:
    """A metric of a test's own, and an alarm on it."""

    def __init__(self, cloudwatch: Any, name: str) -> None:
        self.cloudwatch, self.name = cloudwatch, name
        self.dimensions = [{"Name": "Of", "Value": name}]

    def alarm(self, **changes: Any) -> str:
        given: dict[str, Any] = {
            "AlarmName": self.name,
            "Namespace": "Test",
            "MetricName": "Load",
            "Dimensions": self.dimensions,
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 10,
            "ComparisonOperator": "GreaterThanThreshold",
            **changes,
        }
        self.cloudwatch.put_metric_alarm(
            **{name: value for name, value in given.items() if value is not None}
        )
        return str(given["AlarmName"])

    def put(self, value: float, minutes_ago: float = 0) -> None:
        """A point in the minute that was so long ago."""
        at = time.time() - minutes_ago * MINUTE
        data = {"MetricName": "Load", "Dimensions": self.dimensions, "Value": value, "Timestamp": at}
        self.cloudwatch.put_metric_data(Namespace="Test", MetricData=[data])

    def described(self) -> dict[str, Any]:
        found = self.cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        return dict(found[0])

    def until(self, state: str) -> dict[str, Any]:
        def reached() -> Any:
            found = self.described()
            return found if found["StateValue"] == state else None

        return dict(wait_until(reached))

    def until_put(self, state: str, value: float) -> dict[str, Any]:
        """The alarm once it has the state while this value goes on being put."""

        def reached() -> Any:
            self.put(value)
            found = self.described()
            return found if found["StateValue"] == state else None

        return dict(wait_until(reached))

    def history(self, kind: str = "StateUpdate") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cloudwatch.describe_alarm_history(
            AlarmName=self.name, HistoryItemType=kind
        )["AlarmHistoryItems"]
        return found
