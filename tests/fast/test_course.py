"""Labs run in order, stop at the first that fails, and go on where they were cut off. No AWS here."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from course_copy import small_course, variables

from workshop import batch, course, jobs, outputs, place, progress
from workshop.batch import BATCH_VARIABLE
from workshop.errors import BusyError, JobError, WorkshopError
from workshop.job_runs import Record
from workshop.settings import Settings

COMMAND = Path(sys.executable).with_name("workshop")
TIMEOUT_SECONDS = 60


def no_preparation(number, settings, on_step) -> None:
    on_step(f"nothing for lab {number}")


def run(record: Record, settings: Settings) -> tuple[bool, list[str]]:
    """Run labs without AWS; returns whether all passed, and what the plain view wrote."""
    written: list[str] = []
    view = progress.Plain(record.get("labs"), write=written.append)
    passed = batch.run(record, settings, view, no_preparation, lambda s: dict(s.environment()))
    return passed, written


def statuses(record: Record) -> list[str]:
    return [row["status"] for row in record.get("labs")]


@pytest.fixture
def settings(tmp_path) -> Settings:
    return small_course(tmp_path)


def test_labs_are_read_from_their_notebooks(settings):
    first = course.labs(settings.root)[0]
    assert (first.number, first.name, first.title) == (1, "01-first", "the first one")
    assert (first.minutes, first.cost_usd) == (0.1, 0.0)


@pytest.mark.parametrize(("text", "numbers"), [("1", [1]), ("1-2", [1, 2]), ("all", [1, 2, 3]), ("03", [3])])
def test_ranges_choose_labs(settings, text, numbers):
    assert course.is_lab_range(text)
    assert [lab.number for lab in course.choose(text, settings.root)] == numbers


@pytest.mark.parametrize(("text", "why"), [("4", "no lab 4"), ("2-5", "no lab 5"), ("2-1", "is empty")])
def test_ranges_beyond_the_labs_are_refused(settings, text, why):
    with pytest.raises(WorkshopError, match=why):
        course.choose(text, settings.root)


@pytest.fixture
def with_a_gap(settings) -> Settings:
    """Labs 1, 3 and 5, as a course that is still being written has them."""
    folder = settings.root / "labs"
    (folder / "02-second.ipynb").rename(folder / "05-fifth.ipynb")
    return settings


@pytest.mark.parametrize(
    ("text", "numbers"), [("all", [1, 3, 5]), ("1-5", [1, 3, 5]), ("3-5", [3, 5]), ("5", [5])]
)
def test_a_range_takes_the_labs_that_there_are_in_it(with_a_gap, text, numbers):
    assert [lab.number for lab in course.choose(text, with_a_gap.root)] == numbers


@pytest.mark.parametrize(("text", "why"), [("4", "no lab 4"), ("2-5", "no lab 2"), ("3-9", "no lab 9")])
def test_a_lab_that_is_named_and_not_there_is_refused_and_those_that_are_there_are_listed(
    with_a_gap, text, why
):
    with pytest.raises(WorkshopError, match=f"{why}: the labs are 1, 3, 5\n"):
        course.choose(text, with_a_gap.root)


def test_numbers_are_told_in_ranges():
    assert [course._numbers(each) for each in ((1,), (1, 2), (1, 2, 3, 4, 5, 6, 8), (2, 4, 5, 9))] == [
        "1",
        "1-2",
        "1-6, 8",
        "2, 4-5, 9",
    ]


def test_a_jobs_name_is_no_range():
    assert not course.is_lab_range("train-images-mxnet")


def test_two_labs_pass_and_leave_notebooks_checks_and_report(settings):
    record = batch.begin(course.choose("1-2", settings.root), settings)
    passed, written = run(record, settings)
    assert passed, record.get("labs")
    executed = record.folder / "labs" / "01-first.ipynb"
    assert "target local labs" in executed.read_text()
    assert outputs.checkpoint_lines(executed)[0]["what"] == "the flag is there"
    assert len(outputs.pictures(executed)) == 1
    assert "✓ the flag is there" in (record.folder / "report.html").read_text()
    figures = json.loads((record.folder / "metrics.json").read_text())
    assert (figures["status"], figures["checks"]) == ("passed", {"all": 2, "passed": 2})
    assert any("step 2/2  Checkpoint" in line for line in written)
    assert not list((record.folder / "labs").glob(".*")), "the kernel's files are left"
    with pytest.raises(WorkshopError, match="nothing to resume"):
        batch.resume(None, settings, record.id)


def test_a_failing_lab_stops_the_rest_and_resuming_goes_on_with_it(settings, monkeypatch):
    monkeypatch.setenv("BREAK_LAB", "2")
    chosen = course.choose("1-3", settings.root)
    record = batch.begin(chosen, settings)
    passed, _ = run(record, settings)
    assert not passed
    assert statuses(record) == ["passed", "failed", "not run"]
    assert "the flag <b>is</b> missing" in record.get("labs")[1]["error"]
    assert record.get("labs")[1]["fix"] == "touch flag"
    assert "the flag &lt;b&gt;is&lt;/b&gt; missing" in (record.folder / "report.html").read_text()

    monkeypatch.delenv("BREAK_LAB")
    again = batch.resume(chosen, settings)
    assert again is not None and again.id == record.id
    first_lab_ended = again.get("labs")[0]["started"]
    run(again, settings)
    assert again.get("labs")[0]["started"] == first_lab_ended, "a lab that had passed was run again"
    assert statuses(again) == ["passed", "passed", "failed"], (
        "lab 3 shows no checkpoint, so it proves nothing"
    )
    assert "without a checkpoint" in again.get("labs")[2]["error"]


def test_other_labs_profiles_and_jobs_are_not_resumed(settings):
    record = batch.begin(course.choose("1-2", settings.root), settings)
    assert batch.resume(course.choose("1-2", settings.root), settings) is None  # it has not had the place yet
    record.set(status="running")
    assert batch.resume(course.choose("1", settings.root), settings) is None
    full = small_settings(settings, profile="full")
    assert batch.resume(course.choose("1-2", settings.root), full) is None
    assert batch.resume(course.choose("1-2", settings.root), settings).id == record.id
    with pytest.raises(WorkshopError, match="no run 'never'"):
        batch.resume(None, settings, "never")


def small_settings(settings: Settings, **changes: str) -> Settings:
    import dataclasses

    return dataclasses.replace(settings, **changes)


def test_a_second_run_is_refused_while_one_holds_the_place(settings):
    record = batch.begin(course.choose("1", settings.root), settings)
    with (
        place.hold(settings.state_dir / batch.PLACE, "workshop run 1-4"),
        pytest.raises(BusyError, match="run 1-4"),
    ):
        run(record, settings)


def test_a_job_leaves_its_record_notebook_and_metrics(settings):
    result = jobs.run("count-pictures", {"num_pictures": 4, "scale": 2}, settings=settings)
    assert result.metrics["pictures"] == 8.0
    assert result.file("run.json").exists() and result.notebook.exists()
    assert not list(result.notebook.parent.glob(".notebook-kernel"))
    with pytest.raises(JobError, match=r"it has metrics\.json, notebook\.ipynb, run\.json"):
        result.file("curves.png")


def test_a_failed_cell_fails_the_job_in_one_sentence_and_the_copy_is_kept(settings):
    with pytest.raises(JobError) as failed:
        jobs.run("count-pictures", {"name": "broken"}, settings=settings)
    assert (
        failed.value.message == "count-pictures failed in cell 2 ('Count'): ValueError: no picture is broken"
    )
    [record] = Record.all(settings.runs_dir, "job")
    assert record.get("status") == "failed"
    assert "no picture is broken" in (record.folder / "notebook.ipynb").read_text()


def test_a_job_that_measures_nothing_fails_even_over_an_earlier_result(settings, tmp_path):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "metrics.json").write_text('{"pictures": 1}')
    with pytest.raises(JobError, match=r"left no metrics\.json"):
        jobs.run("count-pictures", {"name": "silent"}, output=str(output), settings=settings)


def test_a_killed_kernel_fails_the_job_with_the_likely_reason(settings):
    with pytest.raises(JobError, match="most often for want of memory"):
        jobs.run("count-pictures", {"name": "killed"}, settings=settings)


def test_within_a_batch_a_resumed_lab_takes_up_the_job_that_had_passed(settings, monkeypatch):
    monkeypatch.setenv(BATCH_VARIABLE, "batch-1")
    folder = settings.runs_dir / "20260101-000000-count-pictures-aaaa"
    asked = {"job": "count-pictures", "parameters": {"num_pictures": 5}, "on": "here"}
    record = Record(folder, "job", **asked, batch="batch-1", output=str(folder))
    record.set(status="passed", seconds=3.0)
    (folder / "metrics.json").write_text('{"pictures": 5.0}')
    result = jobs.run("count-pictures", {"num_pictures": 5}, resume=True, settings=settings)
    assert result.run_id == record.id


@pytest.mark.parametrize(
    ("signal_number", "status", "recorded"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "interrupted"),
        (signal.SIGKILL, -9, "running"),
    ],
)
def test_no_kernel_outlives_the_command(settings, signal_number, status, recorded):
    process = subprocess.Popen(
        [COMMAND, "run", "count-pictures", "-p", "name=endless"],
        env=variables(settings) | {"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counting endless\n"
        kernels = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal_number)
        assert process.wait(TIMEOUT_SECONDS) == status
    assert kernels
    _wait_until_gone(kernels)
    [record] = Record.all(settings.runs_dir, "job")
    assert record.get("status") == recorded
    with place.hold(record.folder / place.LOCK):
        pass


def _wait_until_gone(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 10
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in processes:
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < deadline, f"{process} outlived the command"
                time.sleep(0.05)


def test_a_stack_that_is_missing_is_made_by_the_lab_that_the_remedy_names() -> None:
    from workshop.aws import stacks

    made = {concern: lab for lab, concerns in course.STACKS.items() for concern in concerns}
    assert made.items() <= stacks.LAB_OF.items()
    assert set(stacks.COURSE) - set(stacks.LAB_OF) == set(stacks.ADMINISTRATORS)
