"""Shells in tasks that are Docker containers."""

import hashlib
import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from docker_world import docker_world
from ecs_world import wait_until
from shell_world import WAIT, Shells, shells

from workshop.aws import image_shell, images, task_shell, tasks
from workshop.aws.task_shell_channel import Channel
from workshop.aws.tasks import Task
from workshop.errors import AwsError

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def here(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shells]:
    with docker_world(tmp_path_factory.mktemp("shell"), small_image) as made, shells(made) as found:
        yield found


@pytest.fixture(scope="module")
def task(here: Shells) -> Task:
    return here.start()


def inside(here: Shells, task: Task, program: str) -> bool:
    """Whether a program runs in the task's container."""
    identifier: str = here.world.task(task.arn)["containers"][0]["runtimeId"]
    return any(program in " ".join(row) for row in processes(identifier))


def processes(identifier: str) -> list[Any]:
    from docker.client import DockerClient

    return list(DockerClient.from_env().api.top(identifier)["Processes"])


def test_person_types_reads_resizes_interrupts_and_gets_the_exit_code(here, task):
    person = here.person(task.id)
    person.uses_the_terminal()
    person.type("exit 3\r")
    assert person.exit_code() == 3


def test_shell_is_in_the_container_as_root_with_its_variables(here, task):
    said = task_shell.output_of(task, "id -u; hostname; echo $ECS_CONTAINER_METADATA_URI_V4", aws=here.aws)
    user, host, address = said.splitlines()
    runtime_id = here.world.task(task.arn)["containers"][0]["runtimeId"]
    assert (user, host) == ("0", runtime_id[:12]) and address.startswith("http://169.254.170.2:")


def test_large_output_comes_unharmed(here, task):
    program = "import sys; sys.stdout.buffer.write(bytes(i % 256 for i in range(1000)) * 5000)"
    output = io.BytesIO()
    command = f'python -c "{program}"; exit 4'
    code = task_shell.carry(task.id, "", command, -1, output, as_terminal=False, aws=here.aws)
    expected = hashlib.sha256(bytes(i % 256 for i in range(1000)) * 5000).digest()
    assert (code, hashlib.sha256(output.getvalue()).digest()) == (4, expected)


def test_command_ends_when_its_client_has_left(here, task):
    opened = here.execute(task.arn, "sleep 4321")
    with Channel(opened["streamUrl"], opened["tokenValue"], direct=True) as channel:
        wait_until(channel.is_open.is_set)
        wait_until(lambda: inside(here, task, "sleep 4321"))
    wait_until(lambda: not inside(here, task, "sleep 4321"))
    assert here.world.task(task.arn)["lastStatus"] == "RUNNING"


def test_command_that_may_not_be_killed_from_outside_is_ended_from_inside(here, task):
    from docker.client import DockerClient

    from localaws.engine.dockerterminal import DockerTerminal

    api = DockerClient.from_env().api
    runtime_id = here.world.task(task.arn)["containers"][0]["runtimeId"]
    terminal = DockerTerminal(api, runtime_id, ["sleep", "4322"])
    descriptor = terminal.fileno()
    wait_until(lambda: inside(here, task, "sleep 4322"))
    terminal._kill_inside()
    wait_until(lambda: not inside(here, task, "sleep 4322"))
    terminal.close()
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_program_that_is_not_in_the_image_is_named(here, task):
    opened = here.execute(task.arn, "no-such-program")
    with Channel(opened["streamUrl"], opened["tokenValue"], direct=True) as channel:

        def closed() -> Any:
            return next((each for each in channel.taken() if not isinstance(each, bytes)), None)

        assert "no-such-program" in wait_until(closed).why


def test_task_that_stops_under_the_shell_ends_it_with_the_reason(here):
    task = here.start(here.world.container(WAIT, stopTimeout=2))
    person = here.person(task.id)
    person.type("echo u'p'\r")
    person.sees("up\r\n")
    tasks.stop(task, "to see what the shell says", aws=here.aws)
    assert person.exit_code() == 1
    assert b"the task stopped under the shell: to see what the shell says" in person.seen


def test_container_without_a_shell_is_named(here):
    task = here.start(here.world.container("import os; os.remove('/bin/sh'); " + WAIT))
    wait_until(lambda: here.world.lines(task.arn))
    with pytest.raises(AwsError, match="the container 'app' has no shell"):
        task_shell.output_of(task, "ls", aws=here.aws)


def test_shell_in_an_image_is_in_a_fresh_container_without_a_network(small_image, monkeypatch, capfd):
    monkeypatch.setattr(images, "engine", lambda aws: "docker")
    monkeypatch.setattr(images, "docker_uri", lambda name, aws: small_image)
    assert image_shell.open_shell("mxnet", "ls /sys/class/net; exit 6", aws=object()) == 6
    assert capfd.readouterr().out == "lo\n"
