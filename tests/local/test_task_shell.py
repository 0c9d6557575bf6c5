"""Shells in running tasks, opened as a person and as a script would: by the command, in a terminal and in a pipe."""

import hashlib
import io
import os
import signal
import threading
from collections.abc import Iterator

import psutil
import pytest
from botocore.exceptions import ClientError
from ecs_world import wait_until, world
from shell_world import Shells, shells

from workshop.aws import task_shell, tasks
from workshop.aws.task_shell_channel import Channel, Closed
from workshop.aws.tasks import Task
from workshop.errors import AwsError

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shells]:
    with world(tmp_path_factory.mktemp("shell")) as made, shells(made) as found:
        yield found


@pytest.fixture(scope="module")
def task(here: Shells) -> Task:
    return here.start()


def piped(here: Shells, task: Task, command: str, typed: bytes) -> tuple[int, bytes]:
    """What `… | workshop shell TASK` does: (exit code, output)."""
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb") as source:
            source.write(typed)

    feeder = threading.Thread(target=feed)
    feeder.start()
    output = io.BytesIO()
    code = task_shell.carry(task.id, "", command, read, output, as_terminal=False, aws=here.aws)
    feeder.join()
    os.close(read)
    return code, output.getvalue()


# ---- in a terminal ----


def test_person_types_reads_resizes_interrupts_and_gets_the_exit_code(here, task):
    person = here.person(task.id)
    person.type("echo $((6 * 7))-is-it\r")
    person.sees("42-is-it")
    person.uses_the_terminal()
    person.type("exit 3\r")
    assert person.exit_code() == 3


def test_shell_has_the_containers_variables_and_folder(here, task):
    person = here.person(task.id[:8], "-c", "app")
    person.type("echo $FROM_IMAGE-$ECS_CONTAINER_METADATA_URI_V4 ${AWS_SECRET_ACCESS_KEY-none}\r")
    person.sees("1-http://127.0.0.1:")
    person.sees(" none")
    person.type("PS1=re'ady> '\r")
    person.sees("ready> ")
    person.type("readlink /proc/self/cwd\r")
    person.sees("/engine/")
    person.sees("ready> ")  # a Ctrl-D while a command runs is that command's, and the shell never hears it
    person.type("\x04")
    assert person.exit_code() == 0


def test_two_shells_at_once_do_not_hear_each_other(here, task):
    one, two = here.person(task.id), here.person(task.id)
    one.type("X=first\r")
    two.type("X=second\r")
    one.type("echo =$X=\r")
    two.type("echo =$X=\r")
    one.sees("=first=")
    two.sees("=second=")
    assert b"second" not in one.seen and b"first" not in two.seen


def test_task_that_stops_under_the_shell_ends_it_with_the_reason(here):
    task = here.start()
    person = here.person(task.id)
    person.type("sleep 301 & echo 'pi'd=$!=\r")
    person.sees("pid=")
    pid = int(person.reads_to("="))
    assert psutil.pid_exists(pid)
    tasks.stop(task, "to see what the shell says", aws=here.aws)
    assert person.exit_code() == 1
    assert b"the task stopped under the shell: to see what the shell says" in person.seen
    wait_until(lambda: not psutil.pid_exists(pid))


def test_container_that_ends_by_itself_ends_the_shell_with_the_reason(here):
    wait = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\nraise SystemExit(9)"
    task = here.start(here.world.container(wait))
    with pytest.raises(AwsError, match="stopped under the shell: Essential container in task exited"):
        task_shell.output_of(task, "touch go; sleep 300", aws=here.aws)


def test_command_ends_when_its_client_is_killed(here, task):
    person = here.person(task.id)
    person.type("echo 'pi'd=$$=\r")
    person.sees("pid=")
    pid = int(person.reads_to("="))
    assert psutil.pid_exists(pid)
    person.program.kill(signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid))
    assert here.world.task(task.arn)["lastStatus"] == "RUNNING"


# ---- in a pipe ----


def test_command_in_a_pipe_gives_its_output_and_exit_code(here, task):
    done = here.run(task.id, "--command", "cat; echo one; echo 'two  three' >&2; exit 7", typed=b"zero\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"zero\none\ntwo  three\n", b"")


def test_large_output_comes_unharmed(here, task):
    program = "import sys; sys.stdout.buffer.write(bytes(i % 256 for i in range(1000)) * 5000)"
    code, output = piped(here, task, f'python -c "{program}"', b"")
    expected = bytes(i % 256 for i in range(1000)) * 5000
    assert (code, len(output)) == (0, len(expected))
    assert hashlib.sha256(output).digest() == hashlib.sha256(expected).digest()


@pytest.mark.parametrize("typed", ["Grüße\nsecond\n".encode(), b"no end of line", b""])
def test_piped_text_reaches_the_command_and_ends(here, task, typed):
    assert piped(here, task, "cat; echo .", typed) == (0, typed + b".\n")


def test_much_piped_text_reaches_the_command(here, task):
    typed = b"".join(b"line %d\n" % number for number in range(20_000))
    code, output = piped(here, task, "sha256sum", typed)
    assert (code, output.split()[0].decode()) == (0, hashlib.sha256(typed).hexdigest())


def test_piped_script_is_run(here, task):
    assert piped(here, task, "", b"echo $((6 * 7))\nexit 5\n") == (5, b"42\n")


def test_output_of_a_command_is_had_in_a_notebook(here, task):
    assert task_shell.output_of(task, "echo hello; pwd", aws=here.aws).startswith("hello\n/")
    with pytest.raises(AwsError, match=r"(?s)`ls /nowhere` exited with 2: .*No such file"):
        task_shell.output_of(task.id, "ls /nowhere", aws=here.aws)


# ---- what is refused ----


def test_unknown_task_is_refused_with_those_that_run(here, task):
    done = here.run("ffffffff", "--command", "ls")
    assert done.returncode == 1
    assert b"no task 'ffffffff' (running: " in done.stderr and f"{task.id} (job)".encode() in done.stderr


def test_task_that_has_stopped_or_was_not_started_for_shells_is_refused(here):
    task = here.start(enableExecuteCommand=False)
    with pytest.raises(AwsError) as refused:
        task_shell.output_of(task, "ls", aws=here.aws)
    assert "was not started for shells" in refused.value.message and "--shell" in refused.value.remedy
    with pytest.raises(ClientError, match="execute command was not enabled when the task was run"):
        here.execute(task.arn)
    tasks.wait(tasks.stop(task, "enough", aws=here.aws), aws=here.aws)
    with pytest.raises(AwsError, match=r"is STOPPED: enough; a shell needs one that is RUNNING"):
        task_shell.output_of(task, "ls", aws=here.aws)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interactive": False}, "Interactive is the only mode supported currently"),
        ({"container": "nobody"}, "container nobody was not found"),
        ({"command": "sh -c 'unfinished"}, "can't be read"),
        ({"task": "f" * 32}, "referenced task was not found"),
        ({"cluster": "nowhere"}, "ClusterNotFoundException"),
    ],
)
def test_request_that_aws_refuses_is_refused(here, task, given, message):
    with pytest.raises(ClientError, match=message):
        here.execute(**{"task": task.arn, **given})


def test_several_containers_must_be_told_apart(here):
    from shell_world import WAIT

    task = here.start(here.world.container(WAIT), here.world.container(WAIT, "other"))
    with pytest.raises(AwsError) as refused:
        task_shell.output_of(task, "ls", aws=here.aws)
    assert "containers: app, other" in refused.value.message and "-c NAME" in refused.value.remedy
    with pytest.raises(ClientError, match="Container name must be specified"):
        here.execute(task.arn)
    assert task_shell.output_of(task, "echo hi", "other", aws=here.aws) == "hi\n"
    tasks.stop(task, "done", aws=here.aws)


def test_shells_need_a_task_role(here):
    bare = here.world.register(here.world.container("pass"), family="roleless")
    request = {"cluster": "c", "taskDefinition": bare, "launchType": "FARGATE", "enableExecuteCommand": True}
    with pytest.raises(ClientError, match="valid taskRoleArn is not being used"):
        here.world.ecs.run_task(**request)
    with pytest.raises(ClientError, match="service couldn't be created because a valid taskRoleArn"):
        here.world.ecs.create_service(serviceName="s", desiredCount=0, **request)


def test_token_opens_one_session_once(here, task):
    opened = here.execute(task.arn, "sh -c 'echo here; cat'")
    url, token = opened["streamUrl"], opened["tokenValue"]
    with Channel(url, token, direct=True) as first:
        wait_until(lambda: first.is_open.is_set())
        for other in (token, "another"):
            with Channel(url, other, direct=True) as second:
                wait_until(second.taken_any)
                assert second.taken() == [Closed("AWS closed the session: invalid token")]


def test_command_that_is_not_there_is_named(here, task):
    opened = here.execute(task.arn, "no-such-program --now")
    with Channel(opened["streamUrl"], opened["tokenValue"], direct=True) as channel:
        wait_until(channel.taken_any)
        [closed] = channel.taken()
    assert isinstance(closed, Closed) and "no-such-program: No such file" in closed.why


def test_agent_is_shown_in_the_task(here, task):
    [agent] = here.world.task(task.arn)["containers"][0]["managedAgents"]
    assert (agent["name"], agent["lastStatus"]) == ("ExecuteCommandAgent", "RUNNING")
