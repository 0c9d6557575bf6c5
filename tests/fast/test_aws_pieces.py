"""Pieces of the door to AWS that need none: waiting, events, addresses, packages, names of what is left."""

import io
import os
import zipfile
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from workshop.aws import functions, leftovers, objects, runs, stack_events, waiting
from workshop.aws.failures import explained
from workshop.errors import AwsError, JobError, TargetError
from workshop.settings import load


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def test_waiting_returns_the_answer_as_soon_as_it_is_true():
    clock, answers = Clock(), iter([None, "", 7])
    assert waiting.until(lambda: next(answers), 10, "seven", clock=clock, sleep=clock.sleep) == 7
    assert clock.slept == [0.02, pytest.approx(0.028)]


def test_waiting_ends_at_its_deadline_and_says_what_was_seen_last():
    clock = Clock()
    with pytest.raises(AwsError, match="waited 5 s for the moon: it is new"):
        waiting.until(lambda: None, 5, "the moon", lambda: "new", clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(5)
    assert max(clock.slept) <= waiting.LONGEST_PAUSE_SECONDS


def test_quiet_waits_anew_after_each_thing_that_came():
    clock, answers = Clock(), iter([True, True])
    waiting.quiet(lambda: next(answers, False), 0.95, clock=clock, sleep=clock.sleep)
    assert clock.now == pytest.approx(1.1)


def event(
    logical_id: str, status: str, reason: str = "", kind: str = "AWS::S3::Bucket"
) -> stack_events.Event:
    return stack_events.Event(datetime.now(UTC), logical_id, kind, status, reason)


def test_first_failure_is_the_one_that_cancelled_the_others():
    stack = "AWS::CloudFormation::Stack"
    events = [
        event("A", "CREATE_FAILED", "Resource creation cancelled"),
        event("B", "CREATE_FAILED", "name taken"),
        event("workshop-network", "ROLLBACK_IN_PROGRESS", "failed: [B]", stack),
    ]
    found = stack_events.first_failure(events)
    assert found is not None and found.logical_id == "B"
    only = stack_events.first_failure([event("workshop-network", "DELETE_FAILED", "no right", stack)])
    assert only is not None and only.reason == "no right"
    assert stack_events.first_failure([event("A", "CREATE_COMPLETE")]) is None


@pytest.mark.parametrize("address", ["bucket/key", "http://bucket/key", "s3:///key", "", "s3://"])
def test_what_is_no_s3_address_is_refused(address):
    with pytest.raises(AwsError, match="not an S3 address"):
        objects.split(address)


def test_s3_address_is_split_at_the_first_slash():
    assert objects.split("s3://bucket/a/b c") == ("bucket", "a/b c")
    assert objects.split("s3://bucket") == ("bucket", "")


def test_unfinished_and_hidden_files_are_not_published(tmp_path):
    for name in ("a.json", "deep/b.png", "c.json.part", "d.tmp", ".hidden/e", ".f"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in objects.finished_files(tmp_path)]
    assert found == ["a.json", "deep/b.png"]


def test_output_that_is_a_folder_is_used_as_it_is_and_publishes_nothing(tmp_path):
    run = runs.open(str(tmp_path / "mine"))
    (run.folder / "metrics.json").write_text("{}")
    assert (run.id, run.is_remote, run.publish()) == ("mine", False, [])
    assert run.uri("metrics.json") == str(tmp_path / "mine" / "metrics.json")


def test_no_output_is_a_new_folder_below_the_runs_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_RUNS_DIR", str(tmp_path))
    first, second = runs.open(""), runs.open("")
    assert first.folder.parent == tmp_path
    assert first.id != second.id
    assert first.folder.is_dir()


@pytest.mark.parametrize("output", ["http://x/y", "gs://bucket/runs", "s3://bucket", "s3://bucket/"])
def test_output_that_can_not_be_used_is_refused_before_any_call(output):
    with pytest.raises(JobError):
        runs.open(output)


def test_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="is a file"):
        runs.open(str(tmp_path / "file"))


def test_package_is_the_same_for_the_same_source_whenever_it_was_written(tmp_path):
    handler = tmp_path / "functions" / "hello.py"
    handler.parent.mkdir()
    handler.write_text("def handler(event, context): ...\n")
    first = functions.package("hello", tmp_path)
    os.utime(handler, (1, 1))
    assert functions.package("hello", tmp_path) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["hello.py"]
    handler.write_text("changed\n")
    assert functions.package("hello", tmp_path) != first
    with pytest.raises(AwsError, match="functions: hello"):
        functions.package("helo", tmp_path)


def test_every_function_of_the_course_is_packaged():
    for path in (load({}).root / "functions").glob("*.py"):
        assert functions.package(path.stem)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:s3:::workshop-storage-input", "workshop-storage-input"),
        ("arn:aws:cloudformation:r:1:stack/workshop-network/uuid", "workshop-network"),
        ("arn:aws:ecs:r:1:task-definition/jobs:1", "jobs:1"),
        ("arn:aws:lambda:r:1:function:classify", "classify"),
        ("arn:aws:logs:r:1:log-group:/aws/lambda/x:*", "/aws/lambda/x"),
        ("arn:aws:iam::1:role/workshop-cluster-Role", "workshop-cluster-Role"),
        ("/aws/lambda/x", "/aws/lambda/x"),
    ],
)
def test_a_thing_found_by_tag_and_by_name_has_one_name(arn, name):
    assert leftovers._short(arn) == name


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not today"}}, "Op")


def test_refusal_of_aws_names_what_was_tried_and_the_remedy():
    with (
        pytest.raises(AwsError, match="could not empty it: AccessDenied: not today") as caught,
        explained("empty it"),
    ):
        raise refusal("AccessDenied")
    assert "policy" in caught.value.remedy


def test_missing_credentials_are_a_matter_of_the_target():
    with pytest.raises(TargetError, match="no AWS credentials"), explained("look"):
        raise NoCredentialsError


def test_state_of_a_training_is_published_at_most_once_in_so_many_seconds(tmp_path, monkeypatch):
    now, sent = [100.0], []
    monkeypatch.setattr(runs.objects, "sync_up", lambda *arguments: sent.append(now[0]) or [])
    run = runs.Run("one", tmp_path, "s3://bucket/runs/one", clock=lambda: now[0])
    for now[0] in (100.0, 105.0, 119.9, 120.0, 130.0):
        run.publish_if_due(seconds=20)
    assert sent == [100.0, 120.0]
