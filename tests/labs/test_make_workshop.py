"""`workshop run all` (what `make workshop` runs): killed in the middle of training, resumed, and run again.

One story for all tests, since the labs take minutes: a run in a fresh place; while it trains, a second run
that must be refused; then `kill -9` of the run and of the local AWS; then --resume. Each test sees one part.
"""

import io
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import boto3
import numpy as np
import psutil
import pytest
from attendee import Attendee, is_free, kill, wait_until

TO_TRAINING_SECONDS = 600  # labs 1 to 3 and the first epoch of lab 4, on a machine that is busy with more
RUN_SECONDS = 1800
EPOCH = re.compile(r"^epoch (\d+)/(\d+) ", re.MULTILINE)


@dataclass
class Story:
    """What was seen, in the order of the fields."""

    first_pid: int
    refused: "CompletedProcess[str]"
    refused_left: set[str]
    before_kill: dict[str, Any]
    saved_epochs: int
    after_kill: list[list[str]]
    ports_after_kill: bool
    resumed: "CompletedProcess[str]"
    folder: Path
    record: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(course: Attendee) -> Story:
    first = course.start("run", "all", log="first.log")
    wait_until(lambda: _saved_epochs(course, first), TO_TRAINING_SECONDS, lambda: course.said("first.log"))
    folder = _runs(course, "labs")[0]
    runs_before = _names(course)
    refused = course.run("run", "all", timeout_seconds=90)
    refused_left = _names(course) - runs_before

    saved, before_kill = _saved_epochs(course, first), _read(folder / "run.json")
    kill(first.pid)
    kill(course.local_aws_pid())
    first.wait()
    remaining = _remaining(course)
    free = is_free(course.port)

    resumed = course.run("run", "all", "--resume", timeout_seconds=RUN_SECONDS)
    record = _read(folder / "run.json")
    return Story(
        first.pid, refused, refused_left, before_kill, saved, remaining, free, resumed, folder, record
    )


def test_second_run_at_once_is_refused_and_told_who_holds_the_place(story: Story) -> None:
    said = story.refused.stdout + story.refused.stderr
    assert story.refused.returncode == 1
    assert f"process {story.first_pid}" in said and "run all" in said and "fix:" in said
    assert "Traceback" not in said


def test_refused_run_leaves_nothing_that_a_resume_could_take_up(story: Story) -> None:
    assert story.refused_left == set()


def test_kill_9_leaves_no_process_and_no_port(story: Story) -> None:
    assert story.after_kill == []
    assert story.ports_after_kill


def test_killed_run_had_passed_three_labs_and_was_training(story: Story) -> None:
    statuses = [lab["status"] for lab in story.before_kill["labs"]]
    assert statuses == ["passed"] * 3 + ["running"] + ["waiting"] * 3
    assert story.saved_epochs >= 1


def test_resumed_run_ends_well_with_every_checkpoint_passed(story: Story) -> None:
    assert story.resumed.returncode == 0, story.resumed.stdout[-3000:] + story.resumed.stderr[-3000:]
    assert f"resuming run {story.folder.name}" in story.resumed.stdout
    assert story.record["status"] == "passed"
    for lab in story.record["labs"]:
        assert lab["status"] == "passed"
        assert len(lab["checks"]) >= 3 and all(line["passed"] for line in lab["checks"])


def test_resumed_run_does_not_repeat_what_had_passed(story: Story) -> None:
    before, after = story.before_kill["labs"], story.record["labs"]
    assert [lab["started"] for lab in before[:3]] == [lab["started"] for lab in after[:3]]


def test_resumed_training_goes_on_from_the_last_saved_epoch(story: Story) -> None:
    lab_4 = _printed(story.folder / story.record["labs"][3]["notebook"])
    first, last = EPOCH.search(lab_4), EPOCH.findall(lab_4)
    assert first is not None, lab_4
    assert int(first[1]) > 1
    assert int(first[1]) <= story.saved_epochs + 2  # one may have been saved between the look and the kill
    assert (first[2], first[2]) in last  # and to the end


def test_run_leaves_report_metrics_and_executed_notebooks(story: Story) -> None:
    report = (story.folder / "report.html").read_text()
    assert all(lab["title"] in report for lab in story.record["labs"])
    assert "data:image/png;base64," in report and "✓" in report
    metrics = _read(story.folder / "metrics.json")
    assert {"mxnet", "tensorflow"} <= set(re.findall(r"mxnet|tensorflow", json.dumps(metrics)))
    executed = sorted(path.name for path in (story.folder / "labs").glob("*.ipynb"))
    assert [name[:2] for name in executed] == ["01", "02", "03", "04", "05", "06", "08"]


def test_closing_table_says_where_to_look(story: Story) -> None:
    assert "report.html" in story.resumed.stdout


def test_run_leaves_only_the_local_aws_running(story: Story, course: Attendee) -> None:
    local_aws = psutil.Process(course.local_aws_pid())
    allowed = {local_aws, *local_aws.children(recursive=True)}
    wait_until(lambda: set(course.processes()) <= allowed, 10, lambda: str(course.processes()))


def test_running_again_in_the_same_place_passes_again(story: Story, course: Attendee) -> None:
    again = course.run("run", "1-2", timeout_seconds=RUN_SECONDS)
    assert again.returncode == 0, again.stdout + again.stderr


def _saved_epochs(course: Attendee, run: "Popen[bytes]") -> int:
    """How many epochs of the run's training have their saved state in the output bucket."""
    assert run.poll() is None, course.said("first.log")
    jobs = [_read(folder / "run.json") for folder in _runs(course, "job")]
    outputs = [job["output"] for job in jobs if job["job"].startswith("train-") and job.get("task")]
    if not outputs:
        return 0
    bucket, _, prefix = outputs[0].removeprefix("s3://").partition("/")
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{course.port}",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    key = f"{prefix}/checkpoints/state.npz"
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
        return 0
    state = np.load(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()), allow_pickle=False)
    return len(json.loads(str(state["header"]))["epochs"])


def _remaining(course: Attendee) -> list[list[str]]:
    """The processes that are still there ten seconds later; kernels and tasks end by themselves."""
    try:
        wait_until(lambda: not course.processes(), 10)
    except AssertionError:
        return [process.cmdline() for process in course.processes()]
    return []


def _runs(course: Attendee, kind: str) -> list[Path]:
    found = [path.parent for path in sorted(course.runs.glob("*/run.json"))]
    return [folder for folder in found if _read(folder / "run.json")["kind"] == kind]


def _names(course: Attendee) -> set[str]:
    return {path.name for path in course.runs.iterdir()}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def _printed(notebook: Path) -> str:
    cells = _read(notebook)["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in outputs)
