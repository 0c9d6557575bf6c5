"""A job that several workers do together, with every member a container of its own address."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import group_job
import pytest
from attendee import WORKSHOP, Attendee, attendee, make_pictures, wait_until
from docker_images import docker, remove_images

TIMEOUT_SECONDS = 120
END_SECONDS = 30  # from the loss of a member to the end of the command
JOB = ("run", group_job.NAME, "--workers", "2", "--on", "ecs")
# Only the smaller of the two images: what is shown here is the same with both.
PREPARE = """
from workshop import local
from workshop.aws import images, stacks
from workshop.settings import load
local.up(load())
for concern in ("network", "storage", "cluster"):
    stacks.deploy(concern)
images.build("mxnet")
images.push("mxnet")
"""


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    folder = tmp_path_factory.mktemp("group")
    with attendee(folder, "docker") as one:
        make_pictures(folder / "data", 40)
        one.variables |= {"WORKSHOP_DATA_DIR": str(folder / "data")}
        group_job.write(one.root, "mxnet", "jobs-mxnet")
        command = [str(WORKSHOP.with_name("python")), "-c", PREPARE]
        prepared = subprocess.run(command, env=one.variables, capture_output=True, text=True, timeout=580)
        assert prepared.returncode == 0, prepared.stderr
        yield one
    remove_images(one.port)


def containers(learner: Attendee) -> dict[str, str]:
    """Container id by member, of the members that run."""
    owner = learner.state / "localaws" / "engine"
    found = {}
    for identifier in docker("ps", "--quiet", "--filter", f"label=localaws.owner={owner}").split():
        variables = json.loads(docker("inspect", "--format", "{{json .Config.Env}}", identifier))
        told = dict(each.split("=", 1) for each in variables or [])  # what holds an address has none
        if "WORKSHOP_GROUP_ROLE" in told:
            found[f"{told['WORKSHOP_GROUP_ROLE']} {told['WORKSHOP_GROUP_NUMBER']}"] = identifier
    return found


def record(learner: Attendee) -> dict[str, Any]:
    newest = max(learner.runs.glob("*/run.json"), key=lambda path: path.parent.name)
    return dict(json.loads(newest.read_text()))


def test_killed_container_ends_the_job_with_the_reason_and_resume_finishes(learner: Attendee) -> None:
    with learner.start(*JOB, "-p", "num_epochs=200") as process:
        wait_until(lambda: "epoch 2/" in learner.said(), TIMEOUT_SECONDS, learner.said)
        members = containers(learner)
        assert set(members) == {"worker 0", "worker 1"}
        docker("kill", members["worker 1"])
        began = time.monotonic()
        status = process.wait(TIMEOUT_SECONDS)
    took, said = time.monotonic() - began, learner.said()
    assert (status, took < END_SECONDS) == (1, True), said
    assert re.search(r"error: .*worker 1 \(task [0-9a-f-]+\) left at epoch \d+: exit code 137", said), said
    assert containers(learner) == {}
    resumed = learner.run(*JOB, "-p", "num_epochs=200", "--resume", "--json", timeout_seconds=TIMEOUT_SECONDS)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/" not in resumed.stderr
    metrics = json.loads(resumed.stdout)["metrics"]
    assert metrics["epochs"] == [3] * 200
    assert len(set(metrics["addresses"])) == 2 and "127.0.0.1" not in metrics["addresses"]


def test_mxnet_learns_with_scheduler_server_and_workers_in_containers(learner: Attendee) -> None:
    job = ("run", "train-images-mxnet", "--workers", "2", "--on", "ecs")
    values = ("-p", "num_epochs=1", "-p", "batch_size=16")
    ended = learner.run(*job, *values, timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(record(learner)["members"]) == ["scheduler", "server 0", "worker 0", "worker 1"]
    assert "epoch 1/1" in ended.stdout
    assert containers(learner) == {}
