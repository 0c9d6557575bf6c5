"""Services behind a load balancer with containers: the process engine's claims, and what Docker measures."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from docker_images import remove_images
from docker_world import DockerWorld
from ecs_world import wait_until
from test_ecs_balanced import (  # noqa: F401
    serve,
    test_roll_of_one_task_has_a_healthy_new_one_before_the_old_one_drains_and_stops,
    test_running_task_is_registered_and_a_steady_state_needs_its_target_healthy,
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, small_image: str) -> Iterator[DockerWorld]:
    made = DockerWorld(tmp_path_factory.mktemp("balanced"), small_image)
    made.options += ["--metric-seconds", "2"]
    made.start()
    try:
        made.furnish()
        yield made
    finally:
        made.stop()
        remove_images(made.port)


def test_measured_use_of_a_services_containers_is_in_cloudwatch(aws: DockerWorld, serve: Any) -> None:  # noqa: F811
    service = serve("measured")
    service.stable()
    names = [{"Name": "ClusterName", "Value": "c"}, {"Name": "ServiceName", "Value": service.name}]

    def highest(metric: str) -> float:
        now = time.time()
        found = aws.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ECS",
            MetricName=metric,
            Dimensions=names,
            StartTime=now - 120,
            EndTime=now + 60,
            Period=60,
            Statistics=["Maximum"],
        )
        return max((each["Maximum"] for each in found["Datapoints"]), default=0.0)

    # Python with a small server: some MiB of the 512 that the task reserves.
    assert 0.5 < wait_until(lambda: highest("MemoryUtilization")) < 20
    assert 0 < highest("CPUUtilization") < 400
