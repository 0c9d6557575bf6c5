"""What the kit shows of training jobs, and the errors that it makes of their reasons. No AWS here."""

import io
import tarfile
from pathlib import Path
from typing import Any

import fake_sagemaker
import pytest
from fake_sagemaker import JOB, Logs, SageMaker, account, job

from workshop import job_training_jobs, jobs, training_container
from workshop.aws import objects, training_jobs, training_lines, training_requests
from workshop.errors import AwsError, JobError
from workshop.job_runs import Request
from workshop.ml.training import progress_line
from workshop.records import Record
from workshop.settings import load

STARTING = ("Starting", 0, "Starting the training job")
TRAINING = ("Training", 3, "Training image download completed. Training in progress.")
DONE = ("Completed", 65, "Training job completed")
RUNNING = job("InProgress", STARTING)
COMPLETED = job(
    "Completed",
    STARTING,
    TRAINING,
    DONE,
    BillableTimeInSeconds=60,
    ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    ModelArtifacts={"S3ModelArtifacts": "s3://b/model.tar.gz"},
    FinalMetricDataList=[{"MetricName": "validation:loss", "Value": 0.25}],
)


def follow(aws: Any) -> tuple[training_jobs.TrainingJob, list[str]]:
    lines: list[str] = []
    return training_jobs.follow(JOB, lines.append, timeout_seconds=30, aws=aws), lines


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_jobs, "DRAIN_SECONDS", {"local": 0.05})


def test_every_status_is_told_once_with_its_time_and_metrics_come_last() -> None:
    aws = account(sagemaker=SageMaker(RUNNING, RUNNING, COMPLETED), logs=Logs("first", "second"))
    ended, lines = follow(aws)
    assert (
        ended.status == "Completed" and ended.model == "s3://b/model.tar.gz" and ended.billable_seconds == 60
    )
    assert [line[:16].rstrip() for line in lines if line.startswith(" ")] == [
        " 0.0 s  Starting",
        " 3.0 s  Training",
        "  1:05  Complete",
    ]
    assert lines.index("second") < next(number for number, line in enumerate(lines) if "Completed" in line)
    assert [line for line in lines if line in ("first", "second")] == ["first", "second"]
    assert lines[-1] == "validation:loss 0.25"


def test_lines_that_come_after_the_end_are_told_and_before_it() -> None:
    class Late(Logs):
        looks = 0

        def get_log_events(self, nextToken: str = "0", **asked: Any) -> dict[str, Any]:
            self.looks += 1
            none = {"events": [], "nextForwardToken": nextToken}
            return none if self.looks < 2 else super().get_log_events(nextToken, **asked)

    _, lines = follow(account(sagemaker=SageMaker(COMPLETED), logs=Late("late")))
    assert lines.index("late") < next(number for number, line in enumerate(lines) if "Completed" in line)


def test_a_status_whose_message_changes_is_told_again() -> None:
    first, second = (
        job("InProgress", ("Downloading", 1, said)) for said in ("Downloading input data", "an image")
    )
    aws = account(sagemaker=SageMaker(first, first, second, COMPLETED), logs=Logs())
    _, lines = follow(aws)
    assert [line.split("  ")[-1] for line in lines if "Downloading" in line] == [
        "Downloading input data",
        "an image",
    ]


def test_a_failed_job_is_an_error_with_its_reason_and_where_its_log_is() -> None:
    broken = job("Failed", STARTING, ("Failed", 9, ""), FailureReason="ClientError: 21 features, expected 22")
    with pytest.raises(AwsError, match=f"{JOB} failed: ClientError: 21 features, expected 22") as caught:
        follow(account(sagemaker=SageMaker(RUNNING, broken), logs=Logs("a")))
    assert f"training_jobs.logs('{JOB}')" in caught.value.remedy


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity", "try again in some minutes"),
        ("InternalServerError: We encountered an internal error", "with another name"),
        (
            "ClientError: User: arn:aws:sts::1:assumed-role/workshop-satisfaction-SageMakerRole-0AB/SageMaker is not "
            "authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no identity-based policy allows",
            "add s3:GetObject on arn:aws:s3:::b/k to SageMakerRole in cloudformation/satisfaction.yaml",
        ),
    ],
)
def test_known_reasons_have_their_remedy(reason: str, remedy: str) -> None:
    found = training_jobs.failed(training_jobs.training_records.read(job("Failed", FailureReason=reason)), [])
    assert remedy in found.remedy


def test_a_job_without_a_reason_shows_the_end_of_its_log() -> None:
    with pytest.raises(AwsError, match="failed: b; c; d"):
        follow(account(sagemaker=SageMaker(job("Failed", STARTING)), logs=Logs("a", "b", "c", "d")))


def test_a_job_that_is_not_there_is_refused_in_sagemakers_words() -> None:
    with pytest.raises(AwsError, match="Requested resource not found"):
        training_jobs.describe("none", account(sagemaker=SageMaker()))


def test_stopping_asks_only_for_what_has_not_ended() -> None:
    alive, ended = SageMaker(RUNNING), SageMaker(COMPLETED)
    training_jobs.stop(JOB, account(sagemaker=alive))
    training_jobs.stop(JOB, account(sagemaker=ended))
    assert (alive.stopped, ended.stopped) == ([JOB], [])


def test_the_artefact_is_unpacked_and_nothing_is_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = account(sagemaker=SageMaker(COMPLETED))
    monkeypatch.setattr(objects, "download", lambda uri, path, aws: packed(path, "weights.json"))
    assert [each.name for each in training_jobs.artefact(JOB, tmp_path / "model", aws)] == ["weights.json"]
    monkeypatch.setattr(objects, "download", lambda uri, path, aws: packed(path, "../escaped"))
    with pytest.raises(AwsError, match="can't be unpacked"):
        training_jobs.artefact(JOB, tmp_path / "model", aws)
    assert not (tmp_path / "escaped").exists()
    with pytest.raises(AwsError, match="has left no model: it is InProgress"):
        training_jobs.artefact(JOB, tmp_path, account(sagemaker=SageMaker(RUNNING)))


def packed(path: Path, name: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    return path


STAMP = "[01/02/2026 03:04:05 INFO 139873452] "
OBJECTIVE = (
    "#quality_metric: host=algo-1, epoch=4, train binary_classification_cross_entropy_objective <loss>=0.28"
)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            STAMP + "#progress_metric: host=algo-1, completed 50.0 % of epochs",
            "▇" * 12 + "░" * 12 + "  50 % of epochs",
        ),
        (STAMP + OBJECTIVE, "epoch 5  train binary_classification_cross_entropy_objective 0.28"),
        (STAMP + "#validation_score (algo-1) : x", None),
        ("[01/02/2026 03:04:05 ERROR 1] no data", "error: no data"),
        ('#metrics {"StartTime": 1}', None),
        ("what any other container prints", "what any other container prints"),
    ],
)
def test_lines_of_a_built_in_algorithm_are_shown_as_a_person_reads_them(line: str, shown: str | None) -> None:
    assert training_lines.shown(line) == shown


def test_a_curve_has_a_row_for_each_epoch() -> None:
    lines = [f"#quality_metric: host=algo-1, epoch={n}, train loss <loss>={1 / (n + 1)}" for n in range(3)]
    lines += ["#quality_metric: host=algo-1, epoch=2, validation loss <loss>=0.4", "noise"]
    assert training_lines.curve(lines) == [
        {"epoch": 1.0, "train loss": 1.0},
        {"epoch": 2.0, "train loss": 0.5},
        {"epoch": 3.0, "train loss": pytest.approx(1 / 3), "validation loss": 0.4},
    ]
    assert training_lines.curve(lines, "validation") == [{"epoch": 3.0, "validation loss": 0.4}]


# ---- jobs of the course ---------------------------------------------------------------------------------------

OUTPUTS = {
    "SageMakerRoleArn": "arn:aws:iam::123456789012:role/workshop-satisfaction-SageMakerRole-1",
    "MxnetRepositoryUri": "host/mxnet",
    "OutputBucket": "results",
    "AWS_REGION": "us-east-1",
    "Target": "local",
}


def build(monkeypatch: pytest.MonkeyPatch, *command: str, **outputs: str) -> dict[str, Any]:
    known = {name: value for name, value in {**OUTPUTS, **outputs}.items() if value}
    monkeypatch.setattr(training_requests.task_definitions, "values", lambda aws: known)
    return training_requests.build("workshop-x", "jobs-mxnet", command, "s3://results/runs/1", account())


def test_a_training_job_has_the_image_and_variables_of_the_jobs_task(monkeypatch: pytest.MonkeyPatch) -> None:
    request = build(monkeypatch, "run", "train-images-mxnet")
    assert request["AlgorithmSpecification"]["TrainingImage"] == "host/mxnet:latest"
    assert request["AlgorithmSpecification"]["ContainerArguments"] == ["run", "train-images-mxnet"]
    assert (
        request["Environment"]["OUTPUTBUCKET"] == "results"
        and request["Environment"]["WORKSHOP_TARGET"] == "local"
    )
    assert request["RoleArn"] == OUTPUTS["SageMakerRoleArn"]
    assert {"Key": "workshop", "Value": "workshop"} in request["Tags"]


def test_the_request_is_one_that_aws_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel
    from botocore.validate import ParamValidator

    model = ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")
    shape = model.operation_model("CreateTrainingJob").input_shape
    report = ParamValidator().validate(build(monkeypatch, "run", "x"), shape)
    assert not report.has_errors(), report.generate_report()


def test_a_training_job_without_its_role_or_with_an_endless_argument_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AwsError, match="need the role of the stack 'workshop-satisfaction'"):
        build(monkeypatch, "run", SageMakerRoleArn="")
    with pytest.raises(JobError, match="256 characters"):
        build(monkeypatch, "run", "x" * 257)


def test_names_are_never_the_same_and_fit_sagemaker() -> None:
    names = {
        training_requests.new_name("train-images-tensorflow-and-much-more-than-fits-in_it", account())
        for _ in "12"
    }
    assert len(names) == 2 and all(len(name) <= 63 and "_" not in name for name in names)
    assert all(name.startswith("workshop-train-images-tensorflow") for name in names)


def test_metrics_are_found_in_the_lines_that_jobs_print() -> None:
    import re

    values = {"loss": 1.31, "accuracy": 0.52, "validation_accuracy": 0.5, "seconds": 11.0}
    log = [progress_line(2, 6, values), '{"accuracy": 0.68, "loss": 1.0}']
    found = {
        each["Name"]: next(group for group in match.groups() if group)
        for each in training_requests.METRICS
        for line in log
        if (match := re.search(each["Regex"], line))
    }
    assert found == {
        "train:loss": "1.31",
        "train:accuracy": "0.52",
        "validation:accuracy": "0.50",
        "test:accuracy": "0.68",
    }


@pytest.mark.parametrize(
    ("asked", "flag"),
    [({"size": "gpu"}, "--size gpu"), ({"workers": 2}, "--workers"), ({"shell": True}, "--shell")],
)
def test_what_only_ecs_has_is_refused_by_its_flag_before_anything_starts(
    asked: dict[str, Any], flag: str, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=flag):
        jobs.run("train-images-mxnet", on="sagemaker", settings=load({}, runs_dir=tmp_path), **asked)
    assert list(tmp_path.iterdir()) == []
    request = Request(jobs.load("train-images-mxnet"), {}, "sagemaker", "", "cpu", print)
    job_training_jobs.check(request)  # and nothing of it is no mistake


def test_an_unknown_place_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(JobError, match="here, ecs, sagemaker, and 'moon' is none of them"):
        jobs.run("train-images-mxnet", on="moon", settings=load({}))


@pytest.mark.parametrize(
    ("before", "creates"),
    [(RUNNING, False), (COMPLETED, False), (job("Failed", FailureReason="x"), True), (None, True)],
)
def test_a_run_that_was_cut_off_takes_up_its_training_job_unless_that_has_failed(
    before: dict[str, Any] | None, creates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it looks at first is how the job was, then how the one that it follows ended."""
    sagemaker = SageMaker(*([before] if before else []), COMPLETED)
    if before is None:
        sagemaker.describe_training_job = missing_once(sagemaker)  # type: ignore[method-assign]
    aws = account(sagemaker=sagemaker, logs=Logs())
    made: list[str] = []
    monkeypatch.setattr(training_jobs.session, "current", lambda: aws)
    monkeypatch.setattr(training_requests, "create", lambda *given: made.append(given[0]) or JOB)
    monkeypatch.setattr(objects, "sync_down", lambda *given: [])
    asked = Request(jobs.load("train-images-mxnet"), {}, "sagemaker", "", "cpu", lambda event: None)
    record = Record(tmp_path, "job", output="s3://b/runs/1")
    job_training_jobs.run(asked, record, JOB)
    assert (
        bool(made) is creates and record.get("training_job") == JOB and record.get("billable_seconds") == 60
    )


def missing_once(sagemaker: SageMaker) -> Any:
    answers = iter([fake_sagemaker.refusal("ValidationException", "Requested resource not found.")])

    def describe(TrainingJobName: str) -> dict[str, Any]:
        for refusal in answers:
            raise refusal
        return COMPLETED

    return describe


def test_an_interrupted_run_stops_its_training_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sagemaker = SageMaker(RUNNING)
    monkeypatch.setattr(
        training_jobs.session, "current", lambda: account(sagemaker=sagemaker, logs=Logs("x"))
    )
    monkeypatch.setattr(training_requests, "create", lambda *given: JOB)

    def interrupted(event: Any) -> None:
        raise KeyboardInterrupt

    asked = Request(jobs.load("train-images-mxnet"), {}, "sagemaker", "", "cpu", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job_training_jobs.run(asked, Record(tmp_path, "job", output="s3://b/runs/1"))
    assert sagemaker.stopped == [JOB]


# ---- inside a training job ------------------------------------------------------------------------------------


def test_outside_of_a_training_job_nothing_is_written(tmp_path: Path) -> None:
    elsewhere = {"SAGEMAKER_BASE_DIR": str(tmp_path)}
    with pytest.raises(JobError), training_container.telling_failure(elsewhere):
        raise JobError("it failed")
    assert training_container.keep_artefact(str(tmp_path), elsewhere) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (JobError("it failed", "mend it"), "it failed; fix: mend it"),
        (ValueError("x" * 2000), "ValueError: xxx"),
    ],
)
def test_a_failure_is_told_to_sagemaker_and_an_interruption_is_none(
    tmp_path: Path, error: Exception, told: str
) -> None:
    inside = {"TRAINING_JOB_NAME": "j", "SAGEMAKER_BASE_DIR": str(tmp_path)}
    with pytest.raises(KeyboardInterrupt), training_container.telling_failure(inside):
        raise KeyboardInterrupt
    assert not (tmp_path / "output").exists()
    with pytest.raises(type(error)), training_container.telling_failure(inside):
        raise error
    written = (tmp_path / "output" / "failure").read_text()
    assert written.startswith(told) and len(written) <= 1024


def test_what_was_trained_lies_where_sagemaker_packs_it(tmp_path: Path) -> None:
    inside = {"TRAINING_JOB_NAME": "j", "SAGEMAKER_BASE_DIR": str(tmp_path / "ml")}
    output = tmp_path / "run"
    (output / "artefact").mkdir(parents=True)
    (output / "artefact" / "weights").write_text("w")
    assert training_container.keep_artefact(str(output), inside) == [tmp_path / "ml" / "model" / "weights"]
    assert training_container.base({"TRAINING_JOB_NAME": "j"}) == Path("/opt/ml")
    assert training_container.base({}) is None
