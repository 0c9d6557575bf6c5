"""Many containers at once, and what a learner may do to them with the plain docker command."""

from collections.abc import Iterator

import pytest
from docker_images import docker, network_is_left
from docker_world import DockerWorld, docker_world
from ecs_world import wait_until
from test_faults_tasks import (  # noqa: F401
    SLEEP,
    test_fifty_tasks_at_once_all_end_with_their_own_code_and_log,
    test_image_that_is_deleted_under_a_service_shows_when_a_task_is_to_be_replaced,
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, small_image: str) -> Iterator[DockerWorld]:
    with docker_world(tmp_path_factory.mktemp("faults"), small_image) as made:
        yield made


def left(aws: DockerWorld, kind: str) -> str:
    listing = {"container": ("ps", "--all"), "volume": ("volume", "ls")}[kind]
    return docker(*listing, "--quiet", "--filter", f"label=localaws.owner={aws.folder}/localaws/engine")


@pytest.mark.parametrize("words", [("kill",), ("rm", "--force"), ("stop", "--time", "1")])
def test_container_that_is_ended_by_hand_ends_its_task_and_a_service_replaces_it(
    aws: DockerWorld, words: tuple[str, ...]
) -> None:
    name = f"by-hand-{words[0]}"
    container = aws.container(SLEEP, linuxParameters={})  # without an init process, nothing answers SIGTERM
    aws.ecs.create_service(
        cluster="c",
        serviceName=name,
        taskDefinition=aws.register(container),
        desiredCount=1,
        launchType="FARGATE",
    )

    def running() -> list[str]:
        found = aws.ecs.list_tasks(cluster="c", serviceName=name)["taskArns"]
        return [arn for arn in found if aws.task(arn)["lastStatus"] == "RUNNING"]

    [first] = wait_until(running)
    docker(*words, aws.task(first)["containers"][0]["runtimeId"])
    task = aws.stopped(first)
    assert task["containers"][0]["exitCode"] == 137
    assert task["stoppedReason"] == "Essential container in task exited"
    wait_until(lambda: running() not in ([], [first]))
    aws.ecs.delete_service(cluster="c", service=name, force=True)


def test_task_whose_network_interface_is_taken_away_ends_and_says_so(aws: DockerWorld) -> None:
    arn = aws.run(aws.container(SLEEP), register={"networkMode": "awsvpc"})
    aws.line(arn)
    docker("kill", f"ecs-interface-{arn.rpartition('/')[2]}")
    task = aws.stopped(arn)
    assert "holds the task's network interface has ended" in task["stoppedReason"]
    assert task["containers"][0]["exitCode"] == 137


def test_nothing_is_left_in_docker_after_the_server_was_stopped(aws: DockerWorld) -> None:
    volume = {"name": "kept", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True}}
    mount = [{"sourceVolume": "kept", "containerPath": "/kept"}]
    arn = aws.run(
        aws.container(SLEEP, mountPoints=mount), register={"volumes": [volume], "networkMode": "awsvpc"}
    )
    aws.line(arn)
    assert left(aws, "container") and left(aws, "volume")
    aws.stop()
    assert left(aws, "container") == left(aws, "volume") == ""
    assert not network_is_left()
    aws.start()
