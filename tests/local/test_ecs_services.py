"""Services of the local ECS keep their tasks, also over a killed server."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local
SLEEP = "import os, time; print(os.getpid()); time.sleep(60)"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("services")) as made:
        yield made


class Service:
    def __init__(self, aws: World, name: str, definition: str, count: int = 1, **more: Any) -> None:
        self.aws, self.name = aws, name
        aws.ecs.create_service(
            cluster="c",
            serviceName=name,
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            **more,
        )

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.ecs.describe_services(cluster="c", services=[self.name])["services"][
            0
        ]
        return found

    def tasks(self, status: str = "RUNNING") -> list[str]:
        found: list[str] = self.aws.ecs.list_tasks(cluster="c", serviceName=self.name, desiredStatus=status)[
            "taskArns"
        ]
        return found

    def settle(self, count: int) -> list[str]:
        """Tasks once exactly so many run and the service says so."""

        def settled() -> list[str]:
            arns = self.tasks()
            running = [arn for arn in arns if self.aws.task(arn)["lastStatus"] == "RUNNING"]
            return running if len(arns) == len(running) == count == self.describe()["runningCount"] else []

        return list(wait_until(settled)) if count else list(wait_until(lambda: not self.tasks()) and [])

    def delete(self) -> None:
        self.aws.ecs.delete_service(cluster="c", service=self.name, force=True)
        wait_until(lambda: self.describe()["status"] == "INACTIVE")


def test_service_replaces_a_killed_task_and_follows_its_desired_count(aws: World) -> None:
    service = Service(aws, "steady", aws.register(aws.container(SLEEP)), 2)
    first = service.settle(2)
    os.kill(int(aws.line(first[0])), signal.SIGKILL)
    assert aws.stopped(first[0])["containers"][0]["exitCode"] == 137
    second = service.settle(2)
    assert first[1] in second and first[0] not in second
    aws.ecs.update_service(cluster="c", service="steady", desiredCount=1)
    [left] = service.settle(1)
    gone = aws.stopped(next(arn for arn in second if arn != left))
    assert gone["stopCode"] == "ServiceSchedulerInitiated"
    assert "Scaling activity initiated by (deployment ecs-svc/" in gone["stoppedReason"]
    aws.ecs.update_service(cluster="c", service="steady", desiredCount=3)
    service.settle(3)
    service.delete()
    assert not service.tasks()


def test_task_stopped_by_hand_is_replaced(aws: World) -> None:
    service = Service(aws, "byhand", aws.register(aws.container(SLEEP)))
    [first] = service.settle(1)
    aws.ecs.stop_task(cluster="c", task=first)
    aws.stopped(first)
    assert service.settle(1) != [first]
    service.delete()


def test_new_revision_replaces_the_tasks(aws: World) -> None:
    service = Service(aws, "rolling", aws.register(aws.container(SLEEP), family="rolling"))
    [first] = service.settle(1)
    after = aws.register(aws.container(SLEEP), family="rolling")
    aws.ecs.update_service(cluster="c", service="rolling", taskDefinition=after)
    aws.stopped(first)
    [second] = service.settle(1)
    assert aws.task(second)["taskDefinitionArn"] == after
    wait_until(lambda: service.describe()["deployments"][0]["rolloutState"] == "COMPLETED")
    service.delete()


def test_unhealthy_task_is_replaced(aws: World) -> None:
    check = {"command": ["CMD-SHELL", "! test -f sick"], "interval": 5, "retries": 1, "timeout": 2}
    code = "import time; print('up'); time.sleep(1); open('sick', 'w').close(); time.sleep(60)"
    service = Service(aws, "sickly", aws.register(aws.container(code, healthCheck=check)))
    [first] = service.settle(1)
    task = aws.stopped(first)
    assert task["stoppedReason"] == "Task failed container health checks"
    assert task["healthStatus"] == "UNHEALTHY"
    assert service.settle(1) != [first]
    service.delete()


def test_service_whose_tasks_fail_at_once_is_not_started_without_end(aws: World) -> None:
    service = Service(aws, "failing", aws.register(aws.container("raise SystemExit(1)")))
    wait_until(lambda: len(service.tasks("STOPPED")) >= 3)
    assert len(service.tasks("STOPPED")) < 6
    service.delete()


def test_service_that_can_not_be_placed_says_so_in_its_events(aws: World) -> None:
    definition = aws.register(aws.container(SLEEP))
    aws.ecs.create_service(
        cluster="c", serviceName="homeless", taskDefinition=definition, desiredCount=1, launchType="EC2"
    )
    [service] = aws.ecs.describe_services(cluster="c", services=["homeless"])["services"]
    assert "was unable to place a task because No Container Instances" in service["events"][0]["message"]
    aws.ecs.delete_service(cluster="c", service="homeless", force=True)


def test_no_client_says_that_its_task_is_one_of_a_service(aws: World) -> None:
    with pytest.raises(ClientError, match="Invalid namespace for group"):
        aws.run(aws.container(SLEEP), group="service:any")


def test_kill_of_the_server_leaves_no_process_and_its_services_come_back(aws: World) -> None:
    service = Service(aws, "lasting", aws.register(aws.container(SLEEP)))
    [first] = service.settle(1)
    alone = aws.run(aws.container(SLEEP))
    pids = [int(aws.line(arn)) for arn in (first, alone)]
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    wait_until(lambda: _is_kept(aws, first) and _is_kept(aws, alone))
    aws.stop(signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 2)
    aws.start()
    for arn in (first, alone):
        task = aws.task(arn)
        assert (task["lastStatus"], task["desiredStatus"]) == ("STOPPED", "STOPPED")
        assert task["stoppedReason"] == "Task stopped because the local AWS was restarted"
        assert task["containers"][0]["exitCode"] == 137
    assert service.settle(1) != [first]
    service.delete()


def test_stop_of_the_server_ends_tasks_and_keeps_their_reason(aws: World) -> None:
    arn = aws.run(aws.container(SLEEP))
    pid = int(aws.line(arn))
    aws.stop()
    assert not Path(f"/proc/{pid}").exists()
    aws.start()
    task = aws.task(arn)
    assert (task["lastStatus"], task["stoppedReason"]) == ("STOPPED", "The local AWS was stopped")
    assert task["containers"][0]["exitCode"] == 143


def _is_kept(aws: World, arn: str) -> bool:
    """Whether the newest snapshot has the task; one may be taken away while it is read."""
    with contextlib.suppress(FileNotFoundError):
        kept = (aws.folder / "localaws").rglob("ecs.json")
        return arn.encode() in b"".join(path.read_bytes() for path in kept)
    return False
