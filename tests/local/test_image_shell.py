"""A shell in an image that is not running, without Docker."""

import os
import subprocess
from collections.abc import Iterator

import course_world
import pytest
from shell_world import Person, words

from workshop.aws import images
from workshop.aws.session import Aws

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with course_world.course(tmp_path_factory.mktemp("image")) as found:
        images.build("mxnet", aws=found)
        yield found


def variables(aws: Aws) -> dict[str, str]:
    kept = {name: each for name, each in os.environ.items() if not name.startswith(("WORKSHOP_", "AWS_"))}
    settings = aws.settings
    return kept | {
        "WORKSHOP_ROOT": str(settings.root),
        "WORKSHOP_STATE_DIR": str(settings.state_dir),
        "WORKSHOP_NAME": settings.name,
        "WORKSHOP_REGION": settings.region,
        "WORKSHOP_ENGINE": "process",
    }


def run(aws: Aws, *arguments: str, typed: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(words(*arguments), env=variables(aws), input=typed, capture_output=True, timeout=60)


def test_person_looks_into_an_image_and_interrupts_a_command(aws):
    person = Person(words("--image", "mxnet"), variables(aws))
    try:
        person.type("echo =$FROM_THE_IMAGE=$((6 * 7))=\r")
        person.sees("=yes=42=")
        person.type("PS1=re'ady> '; sh -c 'echo up; exec sleep 300'\r")
        person.sees("up\r\n")
        person.type("\x03")
        person.sees("ready> ")  # the shell drops what is typed while it ends the command
        person.type("echo code $?; exit 3\r")
        person.sees("code 130")
        assert person.exit_code() == 3
    finally:
        person.program.terminate(force=True)


def test_command_and_piped_script_are_run_in_an_image(aws):
    done = run(aws, "--image", "mxnet", "--command", "cat; echo $FROM_THE_IMAGE; exit 4", typed=b"typed\n")
    assert (done.returncode, done.stdout) == (4, b"typed\nyes\n")
    assert run(aws, "--image", "mxnet", typed=b"pwd\nexit 5\n").returncode == 5


def test_image_that_is_not_built_or_not_there_is_refused(aws):
    assert b"'tensorflow' is not built yet" in run(aws, "--image", "tensorflow").stderr
    assert b"there is no image 'other'" in run(aws, "--image", "other").stderr
    assert b"shell needs a task or an image" in run(aws).stderr
