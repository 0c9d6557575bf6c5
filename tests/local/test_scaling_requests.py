"""A real service behind a real load balancer grows with its requests, and shrinks when they end."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attendee import free_port
from balanced_world import BalancedService, Balancer
from ecs_world import World, furnished, wait_until

pytestmark = pytest.mark.local
MINUTE = 1.0  # seconds that CloudWatch's minute lasts here
PATIENCE_SECONDS = 90
REQUESTS_A_MINUTE = 10  # and task: far below what one answers
ARN_BEFORE = "loadbalancer/"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("requests"))
    made.options = ["--metric-seconds", str(MINUTE)]
    with furnished(made):
        yield made


class Load:
    """Requests, one after the other, until it is ended."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.answered, self.failed = 0, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(0.01):
            try:
                self.balancer.get()
                self.answered += 1
            except OSError:
                self.failed += 1

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._thread.join()


def test_requests_make_three_tasks_of_one_and_their_end_makes_one_of_three(aws: World) -> None:
    balancer = Balancer(aws, "scaled", free_port())
    service = BalancedService(aws, "scaled", balancer)
    scaling = aws.client("application-autoscaling")
    target: dict[str, Any] = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/c/scaled",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    label = f"{balancer.arn.partition(ARN_BEFORE)[2]}/{balancer.group.rpartition(':')[2]}"
    scaling.put_scaling_policy(
        **target,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": REQUESTS_A_MINUTE,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": label,
            },
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 60,
        },
    )
    wait_until(lambda: list(balancer.health().values()) == ["healthy"], PATIENCE_SECONDS)
    with Load(balancer) as load:
        wait_until(lambda: service.describe()["desiredCount"] == 3, PATIENCE_SECONDS)
        wait_until(lambda: list(balancer.health().values()) == ["healthy"] * 3, PATIENCE_SECONDS)
        pids = {balancer.get().split()[0] for _ in range(12)}
        assert len(pids) == 3
    assert load.failed == 0
    assert load.answered > REQUESTS_A_MINUTE
    wait_until(lambda: service.describe()["runningCount"] == 1, PATIENCE_SECONDS)
    activities = scaling.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=target["ResourceId"])[
        "ScalingActivities"
    ]
    said = [each["Description"] for each in reversed(activities)]
    assert said[-2:] == ["Setting desired count to 2.", "Setting desired count to 1."]
    assert "AlarmHigh" in activities[-1]["Cause"] and "AlarmLow" in activities[0]["Cause"]
