"""A job that several workers do together, as processes and as ECS tasks: it ends well, or it ends with the reason."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import group_job
import psutil
import pytest
from attendee import Attendee, attendee, wait_until

pytestmark = pytest.mark.local
TIMEOUT_SECONDS = 90
END_SECONDS = 30  # from the loss of a member to the end of the command
JOB = ("run", group_job.NAME, "--workers", "2")


class Group:
    """What the tests ask of the attendee's machine."""

    def __init__(self, learner: Attendee) -> None:
        self.learner = learner
        session = boto3.Session("local", "local", region_name="us-east-1")
        self.ecs = session.client("ecs", endpoint_url=f"http://127.0.0.1:{learner.port}")

    def cluster(self) -> str:
        return str(self.ecs.list_clusters()["clusterArns"][0])

    def running(self) -> list[str]:
        return list(self.ecs.list_tasks(cluster=self.cluster(), desiredStatus="RUNNING")["taskArns"])

    def record(self) -> dict[str, Any]:
        newest = max(self.learner.runs.glob("*/run.json"), key=lambda path: path.parent.name)
        return dict(json.loads(newest.read_text()))

    def members(self) -> list[psutil.Process]:
        """The processes of members, here or in tasks, and what they started."""
        found = []
        for process in self.learner.processes():
            try:
                if "WORKSHOP_WORKERS" in process.environ():
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("group")) as one:
        group_job.write(one.root)
        prepared = one.run("prepare", "4")
        assert prepared.returncode == 0, prepared.stderr
        yield one


@pytest.fixture
def group(learner: Attendee) -> Group:
    return Group(learner)


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A file that keeps worker 1 in its second epoch, and with it everybody."""
    path = tmp_path / "hold"
    path.touch()
    return path


def wait_for_epoch(learner: Attendee, number: int) -> None:
    wait_until(lambda: f"epoch {number}/" in learner.said(), TIMEOUT_SECONDS, learner.said)


@pytest.mark.parametrize("on", ["here", "ecs"])
def test_two_workers_do_one_job_with_one_result(group: Group, learner: Attendee, on: str) -> None:
    ended = learner.run(*JOB, "--on", on, "--json", timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["metrics"]["epochs"] == [3, 3, 3]
    addresses = result["metrics"]["addresses"]
    assert len(set(addresses)) == (1 if on == "here" else 2)
    assert list(result["members"]) == ["worker 0", "worker 1"] == list(group.record()["members"])
    assert re.findall(r"epoch \d/3 sum 3", ended.stderr) == [f"epoch {each}/3 sum 3" for each in (1, 2, 3)]
    assert re.search(r"worker 1 \((task|process) [0-9a-f-]+\): STOPPED$", ended.stderr, re.MULTILINE)
    assert group.members() == [] and group.running() == []


def test_stopped_task_ends_all_with_the_reason_and_resume_finishes(
    group: Group, learner: Attendee, hold: Path
) -> None:
    job = (*JOB, "--on", "ecs", "-p", f"hold={hold}")
    with learner.start(*job) as process:
        wait_for_epoch(learner, 1)
        worker = group.record()["members"]["worker 1"]
        group.ecs.stop_task(cluster=group.cluster(), task=worker, reason="a test stops it")
        began = time.monotonic()
        status = process.wait(TIMEOUT_SECONDS)
    took = time.monotonic() - began
    said = learner.said()
    assert (status, took < END_SECONDS) == (1, True), said
    name = worker.rpartition("/")[2]
    assert re.search(rf"error: .*worker 1 \(task {name}\) left at epoch 1: .*a test stops it", said), said
    assert "Traceback" not in said
    assert group.running() == [] and group.members() == []
    hold.unlink()
    resumed = learner.run(*job, "--resume", timeout_seconds=TIMEOUT_SECONDS)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1/" not in resumed.stdout and "epoch 3/3 sum 3" in resumed.stdout
    assert group.record()["status"] == "passed"


def test_killed_worker_is_named_with_its_exit_code_and_resume_finishes(
    group: Group, learner: Attendee, hold: Path
) -> None:
    job = (*JOB, "-p", f"hold={hold}")
    with learner.start(*job) as process:
        wait_for_epoch(learner, 1)
        [victim] = [
            each
            for each in group.members()
            if each.environ().get("WORKSHOP_RANK") == "1" and "WORKSHOP_GROUP_TOKEN" in each.environ()
        ]
        victim.kill()
        began = time.monotonic()
        status = process.wait(TIMEOUT_SECONDS)
    took, said = time.monotonic() - began, learner.said()
    assert (status, took < END_SECONDS) == (1, True), said
    assert re.search(r"worker 1 \(process .*\) left at epoch 1: exit code 137", said), said
    assert "--resume" in said
    assert group.members() == []
    hold.unlink()
    resumed = learner.run(*job, "--resume", timeout_seconds=TIMEOUT_SECONDS)
    assert resumed.returncode == 0 and "epoch 1/" not in resumed.stdout, resumed.stderr


def test_runner_that_is_killed_leaves_the_tasks_and_resume_follows_them(
    group: Group, learner: Attendee, hold: Path
) -> None:
    job = (*JOB, "--on", "ecs", "-p", f"hold={hold}")
    with learner.start(*job) as process:
        wait_for_epoch(learner, 1)
        process.kill()
    before = group.record()["members"]
    assert set(before.values()) == set(group.running())
    hold.unlink()
    resumed = learner.run(*job, "--resume", timeout_seconds=TIMEOUT_SECONDS)
    assert resumed.returncode == 0, resumed.stderr
    assert group.record()["members"] == before


def test_runner_that_is_killed_takes_its_processes_with_it(
    group: Group, learner: Attendee, hold: Path
) -> None:
    with learner.start(*JOB, "-p", f"hold={hold}") as process:
        wait_for_epoch(learner, 1)
        process.kill()
    wait_until(lambda: not group.members(), 20, lambda: str(group.members()))


@pytest.mark.parametrize("on", ["here", "ecs"])
def test_ctrl_c_stops_everybody_and_resume_goes_on(
    group: Group, learner: Attendee, hold: Path, on: str
) -> None:
    job = (*JOB, "--on", on, "-p", f"hold={hold}")
    with learner.start(*job) as process:
        wait_for_epoch(learner, 1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 130
    assert "--resume goes on" in learner.said()
    if on == "ecs":  # at once, while the tasks are still stopping
        hold.unlink()
        resumed = learner.run(*job, "--resume", timeout_seconds=TIMEOUT_SECONDS)
        assert resumed.returncode == 0 and "epoch 1/" not in resumed.stdout, resumed.stderr
    wait_until(lambda: not group.members(), 40, lambda: str(group.members()))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train-images-mxnet", "--workers", "9"), "1 to 8 workers, not 9"),
        (("train-images-mxnet", "--workers", "0"), "1 to 8 workers, not 0"),
        (("classify-images", "--workers", "2"), "done by one worker"),
        (("1", "--workers", "2"), "for jobs, not for labs"),
    ],
)
def test_group_that_can_not_be_is_refused_at_once(
    learner: Attendee, words: tuple[str, ...], said: str
) -> None:
    refused = learner.run("run", *words)
    assert refused.returncode == 1
    assert said in refused.stderr and "fix:" in refused.stderr


def test_group_that_the_cluster_can_not_hold_is_refused_before_any_task_starts(
    group: Group, learner: Attendee
) -> None:
    path = learner.root / "task-definitions" / "jobs-tensorflow.json"
    before = path.read_text()
    path.write_text(before.replace('"memory": 3072', '"memory": 12000'))
    try:
        refused = learner.run("run", group_job.NAME, "--workers", "3", "--on", "ecs")
    finally:
        path.write_text(before)
    assert refused.returncode == 1
    assert "3 tasks do not fit into cluster" in refused.stderr and "36000 MiB" in refused.stderr
    assert group.running() == []
