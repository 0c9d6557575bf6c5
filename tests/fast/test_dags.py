"""A DAG run as it is followed, told and shown."""

import json
import os
import re
from pathlib import Path

import pytest

from workshop.airflow import dag_events, dag_parameters, dag_progress
from workshop.airflow import home as airflow_home
from workshop.airflow.dag_results import Task
from workshop.airflow.dag_watch import Watched
from workshop.errors import JobError, WorkshopError
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
GIVEN = dag_parameters.checked("sentiment", {"run": "r1"})
NAMES = dag_parameters.TASKS["sentiment"]


def watched(*events, code=0):
    """A run after these events; the clock goes on by a second an event."""
    heard, ticks = [], iter(range(100))
    watch = Watched([Task(name) for name in NAMES], heard.append, lambda: next(ticks), "s3://b/runs/r1")
    for event in events:
        watch.hear(event)
    return watch.ended("sentiment", GIVEN, code, Path("runs/r1")), heard


def passes(*names):
    for name in names:
        yield {"event": "begin", "task": name}
        yield {"event": "end", "task": name, "state": "success"}


def test_a_run_whose_tasks_all_succeed_is_green():
    ended, heard = watched(*passes(*NAMES))
    assert ended.check().state == "success"
    assert [(each.heading, each.text) for each in heard][:2] == [("plan", "running"), ("plan", "success")]
    assert ended.task("train").seconds == 1


def test_a_skipped_last_task_leaves_the_run_green():
    ended, _ = watched(
        *passes(*NAMES[:-1]),
        {"event": "begin", "task": "roll_service"},
        {"event": "end", "task": "roll_service", "state": "skipped"},
    )
    assert ended.passed


def test_a_red_run_names_the_task_the_reason_and_what_mends_it():
    reason = "error: accuracy 0.5 is below the threshold 0.6\n  fix: train longer"
    ended, _ = watched(
        *passes(*NAMES[:4]),
        {"event": "begin", "task": "gate"},
        {
            "event": "end",
            "task": "gate",
            "state": "failed",
            "kind": "AirflowFailException",
            "reason": reason,
        },
        code=1,
    )
    assert (ended.state, ended.red.name) == ("failed", "gate")
    assert (ended.red.reason, ended.red.remedy) == ("accuracy 0.5 is below the threshold 0.6", "train longer")
    assert ended.task("publish").state == "not run"
    with pytest.raises(JobError, match="red at gate: accuracy 0"):
        ended.check()


def test_an_unexpected_error_is_told_by_its_name_and_first_line():
    event = {"event": "end", "task": "plan", "state": "failed", "kind": "KeyError", "reason": "'x'\nmore"}
    ended, _ = watched({"event": "begin", "task": "plan"}, event, code=1)
    assert ended.red.reason == "KeyError: 'x'"


@pytest.mark.parametrize(("code", "told"), [(-9, "Airflow ended with exit code -9"), (None, "interrupted")])
def test_a_task_that_never_told_its_end_is_red(code, told):
    ended, _ = watched(*passes("plan"), {"event": "begin", "task": "validate_data"}, code=code)
    assert ended.red.name == "validate_data"
    assert told in ended.red.reason
    assert ended.red.remedy == "workshop dag sentiment -p run=r1"


def test_a_second_try_that_succeeds_counts():
    failed = {"event": "end", "task": "plan", "state": "failed", "reason": "AWS did not answer"}
    ended, _ = watched({"event": "begin", "task": "plan"}, failed, *passes(*NAMES))
    assert ended.passed
    assert ended.task("plan").reason == ""


def test_airflow_that_ends_well_before_its_tasks_did_is_no_success():
    ended, _ = watched(*passes("plan"))
    assert not ended.passed


def test_a_run_shows_itself_in_a_terminal_in_a_notebook_and_as_json():
    event = {"event": "end", "task": "plan", "state": "failed", "kind": "", "reason": "<b>why</b>"}
    ended, _ = watched({"event": "begin", "task": "plan"}, event, code=1)
    assert str(ended).splitlines()[0] == "DAG sentiment r1: red, 0:03"
    assert "✗ plan           failed" in str(ended)
    assert "&lt;b&gt;why&lt;/b&gt;" in ended._repr_html_()
    kept = json.loads(json.dumps(ended.as_dict()))
    assert kept["tasks"][0] == {
        "name": "plan",
        "state": "failed",
        "seconds": 1,
        "reason": "<b>why</b>",
        "remedy": "",
    }
    assert (kept["run_id"], kept["output"], kept["parameters"]["threshold"]) == ("r1", "s3://b/runs/r1", 0.6)


def test_progress_is_a_line_for_each_task_and_each_of_its_lines(capsys):
    show = dag_progress.printer(clock=iter(range(100)).__next__)
    watch = Watched([Task("train")], show, iter(range(100)).__next__)
    watch.hear({"event": "begin", "task": "train"})
    watch.hear({"event": "line", "task": "train", "text": "epoch 1/6 loss 1.0"})
    watch.hear({"event": "end", "task": "train", "state": "success"})
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [re.sub(r"^\d:\d\d +", "", line) for line in lines] == [
        "train",
        "epoch 1/6 loss 1.0",
        "✓ train success (1 s)",
    ]


def test_events_go_through_the_pipe_and_a_pipe_without_a_reader_is_noticed(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setenv(dag_events.VARIABLE, str(writing))
    dag_events.tell("line", task="train", text="one\ntwo")
    with os.fdopen(reading, "rb") as events:
        assert dag_events.parse(events.readline()) == {"event": "line", "task": "train", "text": "one\ntwo"}
    with pytest.raises(dag_events.Abandoned):
        dag_events.tell("line", task="train", text="three")
    os.close(writing)
    monkeypatch.delenv(dag_events.VARIABLE)
    dag_events.tell("line")  # nobody asked


@pytest.mark.parametrize("line", [b"", b"[1]\n", b"{", b"\xff\n"])
def test_a_line_that_is_no_event_is_passed_over(line):
    assert dag_events.parse(line) == {}


def test_every_wrong_parameter_is_named_at_once():
    with pytest.raises(JobError) as refused:
        dag_parameters.checked(
            "sentiment", {"thresold": 1, "num_epochs": "two", "launch_type": "ec2", "threshold": 2}
        )
    for part in ("did you mean 'threshold'?", "num_epochs: 'two'", "'ec2' is not one of", "threshold: 2"):
        assert part in refused.value.message


@pytest.mark.parametrize("run", ["../x", "a b", "x" * 101])
def test_a_run_id_is_what_a_folder_may_be_called(run):
    with pytest.raises(JobError, match="run: "):
        dag_parameters.checked("sentiment", {"run": run})


def test_parameters_are_read_as_what_they_are():
    read = dag_parameters.read("sentiment", {"num_epochs": "3", "threshold": "0.5", "run": "7", "seed": "x"})
    assert read == {"num_epochs": 3, "threshold": 0.5, "run": "7", "seed": "x"}


def test_an_unknown_dag_is_named():
    with pytest.raises(JobError, match="there is no DAG 'nope'"):
        dag_parameters.checked("nope", {})


def test_without_its_environment_the_error_says_how_to_make_it(tmp_path):
    (tmp_path / ".venvs").mkdir()
    with pytest.raises(WorkshopError, match="Airflow is not set up here") as refused:
        airflow_home.program(load({}, root=tmp_path))
    assert refused.value.remedy == "make setup"


@pytest.fixture
def course(tmp_path):
    """A repository whose `airflow db migrate` notes each call and makes a file; settings that lead to it."""
    program = tmp_path / "root" / ".venvs" / "airflow" / "bin" / "airflow"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ntouch "$AIRFLOW_HOME/airflow.db"\n')
    program.chmod(0o755)
    (tmp_path / "root" / "requirements").mkdir()
    (tmp_path / "root" / "requirements" / "airflow.txt").write_text("apache-airflow==1")
    return load({}, root=tmp_path / "root", state_dir=tmp_path / "state")


def test_airflows_database_is_made_once_for_each_version(course, tmp_path):
    home = airflow_home.prepare(course)
    assert home.stat().st_mode & 0o777 == 0o700  # parameters and logs of runs are nobody else's
    assert airflow_home.prepare(course) == home
    assert (tmp_path / "calls").read_text() == "db migrate\n"
    assert (home / "airflow.db").exists()
    (course.root / "requirements" / "airflow.txt").write_text("apache-airflow==2")
    airflow_home.prepare(course)
    assert (tmp_path / "calls").read_text().count("db migrate") == 2


def test_a_database_that_was_left_half_made_is_made_anew(course, tmp_path):
    half = tmp_path / "state" / "airflow.new"
    half.mkdir(parents=True)
    (half / "airflow.db").write_text("half")
    home = airflow_home.prepare(course)
    assert (home / "airflow.db").read_text() == ""
    assert not half.exists()


def test_a_database_that_can_not_be_made_is_told_with_its_log(course):
    airflow_home.program(course).write_text("#!/bin/sh\necho no; exit 4\n")
    with pytest.raises(WorkshopError, match=r"could not be made \(exit code 4\)") as refused:
        airflow_home.prepare(course)
    assert "migrate.log" in refused.value.remedy
    assert not airflow_home.folder(course).exists()


def test_airflow_gets_the_roles_rights_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    settings = load({}, root=ROOT, state_dir=tmp_path)
    found = airflow_home.variables(settings, {"AWS_ACCESS_KEY_ID": "role"}, "http://127.0.0.1:1")
    assert "AWS_PROFILE" not in found
    assert found["AWS_ACCESS_KEY_ID"] == "role"
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == found["AWS_CONFIG_FILE"] == os.devnull
    assert found["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert found["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
