"""The Docker engine is stopped, or killed, under the local AWS, and comes back."""

import signal
from collections.abc import Iterator

import pytest
from docker_images import docker, network_is_left
from docker_world import DockerWorld, docker_world
from ecs_world import wait_until
from private_engine import IMAGE, PrivateEngine, private_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    with private_engine(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, engine: PrivateEngine) -> Iterator[DockerWorld]:
    with pytest.MonkeyPatch.context() as patch, engine.inside():
        patch.setenv("DOCKER_HOST", engine.host)
        with docker_world(tmp_path_factory.mktemp("faults"), IMAGE) as made:
            yield made


def service_task(aws: DockerWorld, name: str) -> str:
    """The one running task of a service, once there is one."""

    def running() -> str:
        found = aws.ecs.list_tasks(cluster="c", serviceName=name, desiredStatus="RUNNING")["taskArns"]
        return next((arn for arn in found if aws.task(arn)["lastStatus"] == "RUNNING"), "")

    return str(wait_until(running, 60))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_engine_that_ends_ends_its_tasks_and_services_return_with_it(
    aws: DockerWorld, engine: PrivateEngine, number: int
) -> None:
    name = f"steady-{number}"
    alone = aws.run(aws.container(""), register={"networkMode": "awsvpc"})
    aws.running(alone)
    definition = aws.register(aws.container(""))
    aws.ecs.create_service(
        cluster="c", serviceName=name, taskDefinition=definition, desiredCount=1, launchType="FARGATE"
    )
    first = service_task(aws, name)
    engine.stop(number)
    late = aws.run(aws.container(""))
    reason = aws.stopped(late)["stoppedReason"]
    assert "the Docker engine does not answer" in reason, reason
    engine.start()
    for arn in (alone, first):
        task = aws.stopped(arn)
        assert task["stopCode"] == "EssentialContainerExited"
        if number == signal.SIGKILL:  # else it stops its containers in order, and tells of their ends
            assert task["stoppedReason"].startswith("DockerStateError: the Docker engine was stopped")
        assert task["containers"][0]["exitCode"] in (137, 143)
    assert service_task(aws, name) != first
    aws.ecs.delete_service(cluster="c", service=name, force=True)
    after = aws.run(aws.container(""), register={"networkMode": "awsvpc"})
    aws.running(after)
    aws.ecs.stop_task(cluster="c", task=after)
    assert aws.stopped(after)["containers"][0]["exitCode"] == 143


def test_engine_that_is_gone_for_good_does_not_hold_up_the_end(
    aws: DockerWorld, engine: PrivateEngine
) -> None:
    arn = aws.run(aws.container(""))
    aws.running(arn)
    engine.stop()
    aws.stop()
    engine.start()
    aws.start()
    assert aws.task(arn)["lastStatus"] == "STOPPED"
    aws.stop()
    owner = aws.folder / "localaws" / "engine"
    assert docker("ps", "--all", "--quiet", "--filter", f"label=localaws.owner={owner}") == ""
    assert not network_is_left()
    aws.start()
