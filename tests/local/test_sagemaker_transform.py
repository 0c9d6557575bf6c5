"""Batch transform: records and payloads, assembled answers in S3, failures with their data log, stopping, restarts."""

import gzip
import json
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import refused
from ecs_world import wait_until
from hosting_world import BUCKET, HostingWorld, hosting

SOON: Any = {"Delay": 0.1, "MaxAttempts": 300}
GROUP = "/aws/sagemaker/TransformJobs"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingWorld]:
    with hosting(tmp_path_factory.mktemp("transform")) as made:
        yield made


def job(
    aws: HostingWorld, objects: dict[str, str | bytes], model: str = "", **more: Any
) -> tuple[str, dict[str, Any]]:
    """A job over these objects, started: its name and its request."""
    name = f"job-{uuid.uuid4().hex[:8]}"
    for key, body in objects.items():
        aws.s3.put_object(Bucket=BUCKET, Key=f"{name}/in/{key}", Body=body)
    given = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/in/"}}}
    request = {
        "TransformJobName": name,
        "ModelName": model or aws.model(MODE="lines"),
        "TransformInput": {**given, "ContentType": "text/csv", **more.pop("input", {"SplitType": "Line"})},
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/{name}/out",
            **more.pop("output", {"AssembleWith": "Line"}),
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    }
    aws.sagemaker.create_transform_job(**request)
    return name, request


def ended(aws: HostingWorld, name: str, status: str = "Completed") -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = aws.sagemaker.describe_transform_job(TransformJobName=name)
        return found if "TransformEndTime" in found else None

    found = dict(wait_until(over))
    assert found["TransformJobStatus"] == status, found
    return found


def outputs(aws: HostingWorld, name: str) -> dict[str, str]:
    prefix = f"{name}/out/"
    found = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents") or []
    return {
        each["Key"].removeprefix(prefix): aws.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"]
        .read()
        .decode()
        for each in found
    }


def log(aws: HostingWorld, name: str, end: str = "") -> list[str]:
    streams = aws.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    names = [each["logStreamName"] for each in streams if each["logStreamName"].endswith(end)]
    if not names:
        return []
    events = aws.logs.filter_log_events(logGroupName=GROUP, logStreamNames=names)["events"]
    return [each["message"] for each in events]


def test_every_line_gets_an_answer_in_its_place_and_every_object_an_output_of_its_name(
    aws: HostingWorld,
) -> None:
    rows = "\n".join("x" * (number % 7) for number in range(1, 500)) + "\n"
    two = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    name, request = job(aws, {"a.csv": rows, "deep/b.csv": "one\nthree"}, TransformResources=two)
    aws.sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName=name, WaiterConfig=SOON
    )
    found = outputs(aws, name)
    assert sorted(found) == ["a.csv.out", "deep/b.csv.out"]
    assert [each.partition(":")[0] for each in found["a.csv.out"].splitlines()] == [
        str(len(each)) for each in rows.splitlines()
    ]
    assert found["deep/b.csv.out"] == "3:2\n5:2\n"
    described = aws.sagemaker.describe_transform_job(TransformJobName=name)
    assert described["TransformInput"] == request["TransformInput"]
    assert described["TransformStartTime"] <= described["TransformEndTime"]
    assert "MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in log(aws, name, "data-log")[0]
    assert sum("listening on" in each for each in log(aws, name)) == 2


def test_single_records_are_sent_one_by_one(aws: HostingWorld) -> None:
    name, _ = job(
        aws, {"a.csv": "one\ntwo\nthree\n"}, BatchStrategy="SingleRecord", MaxConcurrentTransforms=4
    )
    ended(aws, name)
    assert outputs(aws, name) == {"a.csv.out": "3:1\n3:1\n5:1\n"}


def test_payloads_are_as_large_as_they_may_be_and_not_larger(aws: HostingWorld) -> None:
    name, _ = job(aws, {"a.csv": "\n".join(["x" * 1000] * 3000)}, MaxPayloadInMB=1)
    ended(aws, name)
    counts = [int(each.partition(":")[2]) for each in outputs(aws, name)["a.csv.out"].splitlines()]
    assert len(counts) == 3000
    assert max(counts) == 1024 * 1024 // 1001


def test_a_file_that_is_not_split_is_one_payload_and_answers_are_put_together_as_they_are(
    aws: HostingWorld,
) -> None:
    name, _ = job(aws, {"a.txt": "one\ntwo\n"}, input={}, output={"Accept": "text/csv"})
    ended(aws, name)
    assert outputs(aws, name) == {"a.txt.out": "3:3\n3:3\n0:3"}


def test_compressed_input_and_manifests_are_read(aws: HostingWorld) -> None:
    name, _ = job(
        aws, {"a.gz": gzip.compress(b"one\ntwo\n")}, input={"SplitType": "Line", "CompressionType": "Gzip"}
    )
    ended(aws, name)
    assert outputs(aws, name) == {"a.gz.out": "3:2\n3:2\n"}
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/{name}/in/"}, "a.gz"])
    aws.s3.put_object(Bucket=BUCKET, Key="list.manifest", Body=manifest)
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/list.manifest"}}
    given = {"SplitType": "Line", "CompressionType": "Gzip", "DataSource": source}
    name, _ = job(aws, {}, input=given)
    ended(aws, name)
    assert outputs(aws, name) == {"a.gz.out": "3:2\n3:2\n"}


def test_the_container_is_told_what_it_is_for_and_is_asked_how_it_wants_to_be_asked(
    aws: HostingWorld,
) -> None:
    wants = {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 3}
    model = aws.model(PARAMETERS=json.dumps(wants))
    name, _ = job(aws, {"a": "env SAGEMAKER_BATCH\nenv COLOUR"}, model, Environment={"COLOUR": "red"})
    ended(aws, name)
    assert outputs(aws, name) == {"a.out": "true\nred\n"}
    (line,) = log(aws, name, "data-log")
    assert line.endswith("MaxConcurrentTransforms=2, MaxPayloadInMB=3, BatchStrategy=SINGLE_RECORD")
    name, _ = job(aws, {"a": "env SAGEMAKER_BATCH_STRATEGY"}, model, BatchStrategy="SingleRecord")
    ended(aws, name)
    assert outputs(aws, name) == {"a.out": "SINGLE_RECORD\n"}


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (400, "ClientError: See job logs for more information", "ClientError: 400"),
        (
            500,
            "AlgorithmError: See job logs for more information",
            "Bad HTTP status received from algorithm: 500",
        ),
    ],
)
def test_a_row_that_the_model_refuses_makes_the_job_fail_and_the_data_log_says_which_file_and_why(
    aws: HostingWorld, status: int, reason: str, said: str
) -> None:
    name, _ = job(aws, {"bad.csv": f"status {status} 21 features", "good.csv": "one"})
    assert ended(aws, name, "Failed")["FailureReason"] == reason
    assert list(outputs(aws, name)) == ["good.csv.out"]
    lines = [each.partition("]: ")[2] for each in log(aws, name, "data-log")]
    file = f"{BUCKET}/{name}/in/bad.csv: "
    assert [each for each in lines if each.startswith(file)] == [
        file + each for each in (said, "", "Message:", "21 features")
    ]


def test_a_server_error_is_tried_again_as_often_as_was_asked_for(aws: HostingWorld) -> None:
    model = aws.model()
    name, _ = job(aws, {"a": "once x"}, model)
    ended(aws, name)
    assert outputs(aws, name) == {"a.out": "once x\n"}
    name, _ = job(aws, {"a": "once x"}, model, ModelClientConfig={"InvocationsMaxRetries": 0})
    ended(aws, name, "Failed")


def test_a_record_larger_than_a_payload_and_a_container_that_ends_make_the_job_fail(
    aws: HostingWorld,
) -> None:
    name, _ = job(aws, {"a": "x" * (1024 * 1024 + 1)}, MaxPayloadInMB=1)
    assert ended(aws, name, "Failed")["FailureReason"].startswith("ClientError")
    name, _ = job(aws, {"a": "one"}, aws.model(BROKEN="exit"))
    assert ended(aws, name, "Failed")["FailureReason"].startswith("AlgorithmError")
    assert any("no model here" in each for each in log(aws, name))


def test_a_job_that_is_stopped_ends_soon_and_an_ended_one_is_not_stopped(aws: HostingWorld) -> None:
    name, _ = job(
        aws, {"a": "one\n" * 1000}, aws.model(MODE="lines", SECONDS="5"), BatchStrategy="SingleRecord"
    )
    wait_until(lambda: any("MaxConcurrent" in each for each in log(aws, name)))
    aws.sagemaker.stop_transform_job(TransformJobName=name)
    ended(aws, name, "Stopped")
    assert outputs(aws, name) == {}
    assert refused(aws.sagemaker.stop_transform_job, TransformJobName=name) == (
        "ValidationException",
        "The request was rejected because the transform job is in status Stopped.",
    )
    listed = aws.sagemaker.list_transform_jobs(StatusEquals="Stopped")["TransformJobSummaries"]
    assert [each["TransformJobName"] for each in listed] == [name]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"input": {"SplitType": "RecordIO"}}, "RecordIO"),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, "InputFilter"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "JoinSource"),
    ],
)
def test_what_is_not_here_is_refused_by_name(aws: HostingWorld, more: dict[str, Any], word: str) -> None:
    code, message = refused(job, aws=aws, objects={"a": "x"}, **more)
    assert (code, word in message) == ("UnsupportedOperation", True)


def test_events_tell_of_a_jobs_states(aws: HostingWorld) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Transform Job State Change"]}
    events.put_rule(Name="jobs", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="jobs", Targets=[{"Id": "q", "Arn": arn}])
    name, _ = job(aws, {"a": "one"})
    found: list[str] = []

    def received() -> bool:
        for each in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages") or []:
            detail = json.loads(each["Body"])["detail"]
            found.extend([detail["TransformJobStatus"]] * (detail["TransformJobName"] == name))
        return "Completed" in found

    wait_until(received)
    assert "InProgress" in found


def test_a_job_that_a_killed_server_took_with_it_has_failed(tmp_path: Any) -> None:
    with hosting(tmp_path) as aws:
        name, _ = job(
            aws, {"a": "one\n" * 99}, aws.model(MODE="lines", SECONDS="5"), BatchStrategy="SingleRecord"
        )
        wait_until(lambda: aws.is_kept(name))
        aws.stop(signal.SIGKILL)
        aws.start()
        assert ended(aws, name, "Failed")["FailureReason"].startswith("InternalServerError: ")
