"""Many tasks at once, and what happens under a running service: nothing is lost, and every end says why.

The Docker tier runs the same tests with containers.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local
SLEEP = "import time; print('up'); time.sleep(60)"
MANY, AT_ONCE = 50, 10  # RunTask starts at most ten


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("faults")) as made:
        yield made


def test_fifty_tasks_at_once_all_end_with_their_own_code_and_log(aws: World) -> None:
    code = "import os, sys; print('task', os.environ['N']); sys.exit(int(os.environ['N']) % 3)"
    definition = aws.register(aws.container(code, memory=64), family="many", networkMode="awsvpc")
    numbers = {}
    for n in range(MANY // AT_ONCE):
        given = {"name": "app", "environment": [{"name": "N", "value": str(n)}]}
        answer = aws.ecs.run_task(
            cluster="c",
            taskDefinition=definition,
            launchType="FARGATE",
            count=AT_ONCE,
            networkConfiguration=aws.network(),
            overrides={"containerOverrides": [given]},
        )
        assert not answer["failures"]
        numbers |= {task["taskArn"]: n for task in answer["tasks"]}
    arns = list(numbers)
    assert len(arns) == MANY
    wait_until(lambda: Counter(each["lastStatus"] for each in described(aws, arns)) == {"STOPPED": MANY}, 180)
    addresses = set()
    for task in described(aws, arns):
        n = numbers[task["taskArn"]]
        assert task["containers"][0]["exitCode"] == n % 3
        assert task["stoppedReason"] == "Essential container in task exited"
        assert aws.lines(task["taskArn"]) == [f"task {n}"]
        names = (
            "createdAt",
            "pullStartedAt",
            "pullStoppedAt",
            "startedAt",
            "executionStoppedAt",
            "stoppedAt",
        )
        times = [task[name] for name in names]
        assert times == sorted(times)
        addresses.add(tuple(each["value"] for each in task["attachments"][0]["details"]))
    assert len(addresses) == MANY
    assert not aws.ecs.list_tasks(cluster="c")["taskArns"]


def described(aws: World, arns: list[str]) -> list[dict]:
    found = aws.ecs.describe_tasks(cluster="c", tasks=arns)
    assert not found["failures"]
    return list(found["tasks"])


def test_image_that_is_deleted_under_a_service_shows_when_a_task_is_to_be_replaced(aws: World) -> None:
    image = aws.push("vanishing")
    definition = aws.register(aws.container(SLEEP, image=image), family="vanishing")
    aws.ecs.create_service(
        cluster="c", serviceName="vanishing", taskDefinition=definition, desiredCount=1, launchType="FARGATE"
    )

    def tasks(status: str) -> list[str]:
        return list(
            aws.ecs.list_tasks(cluster="c", serviceName="vanishing", desiredStatus=status)["taskArns"]
        )

    [first] = wait_until(lambda: tasks("RUNNING"))
    aws.line(first)
    aws.client("ecr").batch_delete_image(repositoryName="vanishing", imageIds=[{"imageTag": "latest"}])
    assert aws.task(first)["lastStatus"] == "RUNNING"
    aws.ecs.stop_task(cluster="c", task=first)
    failed = wait_until(lambda: [arn for arn in tasks("STOPPED") if arn != first])
    task = aws.stopped(failed[0])
    assert task["stopCode"] == "TaskFailedToStart"
    assert (
        task["stoppedReason"].startswith("CannotPullContainerError") and "not found" in task["stoppedReason"]
    )
    aws.push("vanishing")
    aws.ecs.update_service(cluster="c", service="vanishing", forceNewDeployment=True)
    wait_until(lambda: [arn for arn in tasks("RUNNING") if aws.task(arn)["lastStatus"] == "RUNNING"])
    aws.ecs.delete_service(cluster="c", service="vanishing", force=True)
    wait_until(lambda: not tasks("RUNNING"))
