"""Faults that commands must tell of and survive; nothing here needs the local AWS."""

import json
import os
from pathlib import Path

import boto3
import fake_sts
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from course_copy import small_course, variables

from workshop import batch, checkpoints, cli, course, datasets, doctor, inputs, job_runs, local, place
from workshop.aws import task_failures
from workshop.aws.task_records import Task
from workshop.errors import AwsError, BusyError, DataError, JobError, TargetError, WorkshopError
from workshop.records import Record
from workshop.settings import Settings, load


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A small course that the command finds by its variables, and nothing of this machine's."""
    for name in list(os.environ):
        if name.startswith(("WORKSHOP_", "AWS_")):
            monkeypatch.delenv(name)
    made = small_course(tmp_path)
    for name, value in variables(made).items():
        monkeypatch.setenv(name, value)
    return made


class Silent:
    """A view that shows nothing."""

    def prepare(self, step: str) -> None: ...
    def begin(self, lab: object) -> None: ...
    def event(self, event: object) -> None: ...
    def end(self, lab: object) -> None: ...


# --- runs of labs


def test_refused_run_leaves_no_record_that_a_resume_would_take_up(settings: Settings) -> None:
    with place.hold(settings.state_dir / batch.PLACE, "workshop run 4"):
        assert cli.main(["run", "1-2"]) == 1
    assert list(settings.runs_dir.glob("*")) == []


def test_preparation_that_fails_stands_with_its_reason_in_the_report(settings: Settings) -> None:
    def fails(*_: object) -> None:
        raise AwsError("stack workshop-network ended as ROLLBACK_COMPLETE: <Vpc>", "workshop clean --all")

    record = batch.begin(course.choose("1", settings.root), settings)
    with pytest.raises(AwsError):
        batch.run(record, settings, Silent(), prepare=fails)
    assert Record.open(record.folder).get("status") == "failed"
    page = (record.folder / "report.html").read_text()
    assert "ROLLBACK_COMPLETE: &lt;Vpc&gt;" in page and "workshop clean --all" in page


@pytest.mark.parametrize(
    ("what", "changes", "told"),
    [
        ("1", {}, "is of labs 1-2"),
        ("1-2", {"profile": "full"}, "has profile 'full'"),
        ("1-2", {"target": "aws"}, "has target 'aws'"),
    ],
    ids=["labs", "profile", "target"],
)
def test_run_is_resumed_by_its_id_only_as_it_was(
    settings: Settings, what: str, changes: dict[str, str], told: str
) -> None:
    record = batch.begin(course.choose("1-2", settings.root), settings)
    record.set(status="failed", **changes)
    with pytest.raises(WorkshopError, match=told):
        batch.resume(course.choose(what, settings.root), settings, record.id)


def test_damaged_record_is_passed_over_and_refused_by_name(settings: Settings) -> None:
    folder = settings.runs_dir / "20260101-000000-labs-1-2-aaaa"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"kind": "la')
    assert batch.resume(course.choose("1-2", settings.root), settings) is None
    with pytest.raises(WorkshopError, match=r"run\.json is damaged"):
        batch.resume(None, settings, folder.name)


@pytest.mark.parametrize("labs", ["1-2", "1"])
def test_killed_run_is_shown_as_cut_off_with_the_way_on(
    settings: Settings, capsys: pytest.CaptureFixture[str], labs: str
) -> None:
    batch.begin(course.choose(labs, settings.root), settings).set(status="running")
    cli.main(["status"])
    shown = capsys.readouterr().out
    assert "cut off" in shown and f"workshop run {labs} --resume" in shown


def test_local_aws_that_a_run_uses_is_not_stopped_unasked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with place.hold(settings.state_dir / batch.PLACE, "workshop run 1-4"):
        assert cli.main(["down"]) == 1
        told = capsys.readouterr().err
        assert "workshop run 1-4" in told and "workshop down --force" in told
        assert cli.main(["down", "--force"]) == 0
    assert cli.main(["down"]) == 0


def test_place_can_be_held_on_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    path = settings.state_dir / batch.PLACE
    monkeypatch.setattr(place.os, "write", full)
    with place.hold(path), pytest.raises(BusyError), place.hold(path):
        pass


# --- jobs by their run's id


def job_record(settings: Settings, **changes: object) -> Record:
    folder = settings.runs_dir / "20260101-000000-count-pictures-aaaa"
    asked = {"job": "count-pictures", "parameters": {"num_pictures": 5}, "on": "here", "output": str(folder)}
    record = Record(folder, "job", **{**asked, "status": "failed", **changes})
    record.set()
    return record


@pytest.mark.parametrize(
    ("changes", "flags", "told"),
    [
        ({"status": "passed"}, [], "has passed"),
        ({"on": "ecs"}, [], "ran on 'ecs'"),
        ({"job": "another"}, [], "is not one of count-pictures"),
        ({}, ["-p", "num_pictures=6"], "num_pictures was 5"),
        ({}, ["--output", "elsewhere"], "keeps that run's output"),
    ],
    ids=["passed", "elsewhere", "job", "parameters", "output"],
)
def test_job_is_resumed_by_its_id_only_as_it_was(
    settings: Settings, capsys: pytest.CaptureFixture[str], changes: dict, flags: list[str], told: str
) -> None:
    record = job_record(settings, **changes)
    assert cli.main(["run", "count-pictures", *flags, "--resume", record.id]) == 1
    assert told in capsys.readouterr().err


def test_run_id_that_does_not_exist_starts_no_other_run(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "count-pictures", "--resume", "no-such-run"]) == 1
    assert "there is no run 'no-such-run'" in capsys.readouterr().err
    assert not settings.runs_dir.exists()


def test_job_resumed_by_its_id_takes_that_runs_parameters(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, taken = job_record(settings), []
    monkeypatch.setattr(job_runs, "_here", lambda request, *_: taken.append(request.values))
    from workshop import jobs

    jobs.run("count-pictures", resume=record.id, settings=settings)
    assert taken == [{"num_pictures": 5}]


# --- errors and their remedies


def task(exit_code: int) -> Task:
    return Task("arn:task/1", "c", "arn:task-definition/jobs-mxnet:1", "jobs-mxnet", "STOPPED", exit_code)


def test_task_that_ended_with_our_error_says_that_error_and_its_remedy() -> None:
    lines = ["epoch 1", "error: the disk is full at /runs", "  fix: free some space", ""]
    error = task_failures.ended(task(1), lines)
    assert "exited with 1: the disk is full at /runs" in error.message
    assert error.remedy == "free some space"


def test_killed_task_is_not_explained_by_an_older_error_in_its_log() -> None:
    error = task_failures.ended(task(137), ["error: x", "  fix: y", "epoch 2"])
    assert "killed (SIGKILL)" in error.message and "--resume" in error.remedy


def refused() -> ClientError:
    answer = {"Error": {"Code": "AccessDenied", "Message": "not you"}}
    return ClientError(answer, "ListTasks")  # type: ignore[arg-type]


def test_check_that_aws_refuses_is_a_line_and_the_others_still_run() -> None:
    def fails() -> str:
        raise refused()

    outcome = checkpoints.run([fails, lambda: "well"], 1)
    assert [line.passed for line in outcome.lines] == [False, True]
    assert "AccessDenied: not you" in outcome.lines[0].what


def test_without_an_aws_to_ask_one_line_says_so_for_all() -> None:
    def fails() -> str:
        raise TargetError("the local AWS is not running", "workshop up")

    def unreachable() -> str:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    for check in (fails, unreachable):
        [line] = checkpoints.run([check, lambda: "well"], 1).lines
        assert not line.passed and line.fix.startswith("workshop up")


def test_unexpected_error_of_a_check_keeps_its_traceback() -> None:
    def breaks() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        checkpoints.run([breaks], 1)


def test_refusal_by_aws_that_nobody_explained_is_an_error_without_traceback(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object, **__: object) -> None:
        raise refused()

    monkeypatch.setattr("workshop.jobs.load", raises)
    assert cli.main(["run", "count-pictures"]) == 1
    assert "AccessDenied: not you" in capsys.readouterr().err


def test_folder_that_may_not_be_written_is_an_expected_error(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", "/runs/x")

    monkeypatch.setattr("workshop.jobs.load", raises)
    assert cli.main(["run", "count-pictures"]) == 1
    assert "'/runs/x' may not be written" in capsys.readouterr().err


def test_interrupted_run_says_how_it_goes_on(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workshop.jobs.load", interrupted)
    assert cli.main(["run", "count-pictures"]) == cli.INTERRUPTED
    assert "--resume goes on" in capsys.readouterr().err


def test_folder_below_a_file_and_bad_port_are_told_together_with_what_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    given = {"WORKSHOP_RUNS_DIR": f"{tmp_path}/file/runs", "WORKSHOP_PORT": "many"}
    with pytest.raises(WorkshopError, match="expected a folder, found a file") as caught:
        load(given)
    assert "WORKSHOP_RUNS_DIR, WORKSHOP_PORT" in caught.value.remedy


def test_repository_without_jobs_is_an_error(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (settings.root / "notebooks").glob("*.ipynb"):
        path.unlink()
    assert cli.main(["jobs", "--json"]) == 1
    assert "there are no jobs" in capsys.readouterr().err


# --- data


def test_damaged_data_is_missing_to_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar10_jpg_12k.zip").write_bytes(b"half of it")
    given = {"WORKSHOP_DATA_DIR": str(tmp_path), "WORKSHOP_CACHE_DIR": str(tmp_path / "cache")}
    settings = load(given)
    row = doctor._data(settings)
    assert not row.ok and "has 10 bytes, expected 10399790" in row.found
    assert next(x.source for x in datasets.status(settings) if x.name == "cifar10") == datasets.DAMAGED


def test_one_picture_that_a_store_refuses_does_not_lose_the_others(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "good.png")

    def fetch(address: str) -> bytes:
        raise AwsError("NoSuchBucket", "workshop prepare 2")

    places = ["s3://none/x.png", tmp_path / "good.png"]
    opened = inputs.open_pictures(places, on_error="report", fetch=fetch)
    assert [picture.name for picture in opened.pictures] == ["good.png"]
    assert opened.problems[0].remedy == "workshop prepare 2"
    with pytest.raises(DataError, match="NoSuchBucket"):
        inputs.open_pictures(places, fetch=fetch)


# --- never by accident elsewhere


def test_boto3_on_a_machine_set_up_for_elsewhere_calls_the_local_aws_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = "[default]\nignore_configured_endpoint_urls = true\nuse_fips_endpoint = true\n"
    (tmp_path / "config").write_text(config + "[profile production]\nregion = us-west-2\n")
    with fake_sts.serve() as ours, fake_sts.serve() as elsewhere:
        hostile = {
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_PROFILE": "production",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SESSION_TOKEN": "token",
            "AWS_ENDPOINT_URL_STS": elsewhere.url,
            "AWS_USE_FIPS_ENDPOINT": "true",
            "HTTP_PROXY": elsewhere.url,
            "http_proxy": elsewhere.url,
            "NO_PROXY": "intranet",
        }
        for name, value in hostile.items():
            monkeypatch.setenv(name, value)
        given = local.variables(ours.url, "us-east-1")
        for name in local.unwanted():
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        boto3.Session().client("sts").get_caller_identity()
    assert elsewhere.signatures == []
    assert "Credential=local/" in ours.signatures[0]
    assert given["NO_PROXY"].startswith("intranet,")


def test_export_takes_away_every_endpoint_of_a_single_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://203.0.113.7")
    assert "AWS_ENDPOINT_URL_DYNAMODB" in local.unwanted()


def test_json_of_settings_is_all_of_the_output(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["settings", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_resume_of_labs_by_a_jobs_id_names_the_right_command(settings: Settings) -> None:
    record = job_record(settings)
    with pytest.raises(WorkshopError, match="is a job's") as caught:
        batch.resume(None, settings, record.id)
    assert caught.value.remedy == f"workshop run count-pictures --resume {record.id}"
    with pytest.raises(JobError):
        job_runs._named(record.id, _request(settings, on="ecs"), settings)


def _request(settings: Settings, on: str) -> job_runs.Request:
    from workshop import jobs

    return job_runs.Request(jobs.load("count-pictures", settings), {}, on, "", "cpu", jobs.print_lines)
