"""A service that is scaled, and the metric that its policies follow. Not a test."""

import time
from typing import Any

from alarm_world import MINUTE
from ecs_world import World, wait_until

TARGET = 100.0
DIMENSION = "ecs:service:DesiredCount"
SLEEP = "import time; time.sleep(600)"


class Scaled:
    """A service of a test's own, with a metric that a policy follows."""

    def __init__(self, aws: World, scaling: Any, name: str, count: int = 1) -> None:
        self.aws, self.scaling, self.name = aws, scaling, name
        self.cloudwatch = aws.client("cloudwatch")
        self.resource = f"service/c/{name}"
        self.target = {
            "ServiceNamespace": "ecs",
            "ResourceId": self.resource,
            "ScalableDimension": DIMENSION,
        }
        definition = aws.register(aws.container(SLEEP), family="sleep")
        aws.ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=definition, desiredCount=count, launchType="FARGATE"
        )

    def register(self, least: int = 1, most: int = 3, **more: Any) -> str:
        given = {**self.target, "MinCapacity": least, "MaxCapacity": most, **more}
        return str(self.scaling.register_scalable_target(**given)["ScalableTargetARN"])

    def follow(self, policy: str = "load", metric: str = "Load", **more: Any) -> dict[str, Any]:
        """Have a target-tracking policy follow a metric."""
        specification = {
            "Namespace": "Test",
            "MetricName": metric,
            "Dimensions": [{"Name": "Of", "Value": self.name}],
            "Statistic": "Average",
        }
        configuration = {"TargetValue": TARGET, "CustomizedMetricSpecification": specification, **more}
        return dict(
            self.scaling.put_scaling_policy(
                **self.target,
                PolicyName=policy,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=configuration,
            )
        )

    def put(self, value: float, metric: str = "Load") -> None:
        data = {
            "MetricName": metric,
            "Dimensions": [{"Name": "Of", "Value": self.name}],
            "Value": value,
        }
        self.cloudwatch.put_metric_data(Namespace="Test", MetricData=[data])

    def put_past(self, value: float, minutes: int, metric: str = "Load") -> None:
        """A value that outweighs what there is in each of the last minutes, so that no test waits for them."""
        now = time.time()
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": "Of", "Value": self.name}],
                "Values": [value],
                "Counts": [1_000_000],
                "Timestamp": now - number * MINUTE,
            }
            for number in range(minutes)
        ]
        self.cloudwatch.put_metric_data(Namespace="Test", MetricData=data)

    def counts(self) -> tuple[int, int]:
        """(desired, running)."""
        found = self.aws.ecs.describe_services(cluster="c", services=[self.name])["services"][0]
        return found["desiredCount"], found["runningCount"]

    def until(self, desired: int, value: float, *metrics: str) -> None:
        """Put a value until the service is to have so many tasks."""

        def reached() -> bool:
            for metric in metrics or ("Load",):
                self.put(value, metric)
            return self.counts()[0] == desired

        wait_until(reached)

    def activities(self, everything: bool = False) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.scaling.describe_scaling_activities(
            ServiceNamespace="ecs", ResourceId=self.resource, IncludeNotScaledActivities=everything
        )["ScalingActivities"]
        return found

    def not_scaled(self, code: str) -> dict[str, Any]:
        def found() -> Any:
            several = [each for each in self.activities(everything=True) if "NotScaledReasons" in each]
            return next((each for each in several if each["NotScaledReasons"][0]["Code"] == code), None)

        return dict(wait_until(found))

    def has_acted(self, side: str) -> None:
        """Wait until one of the alarms has called its policy."""
        name = self.alarm(side)["AlarmName"]
        wait_until(
            lambda: self.cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")[
                "AlarmHistoryItems"
            ]
        )

    def lows(self) -> list[dict[str, Any]]:
        prefix = f"TargetTracking-{self.resource}-AlarmLow-"
        return list(self.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"])

    def alarm(self, side: str) -> dict[str, Any]:
        prefix = f"TargetTracking-{self.resource}-{side}-"
        [found] = self.cloudwatch.describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
        return dict(found)
