"""Training jobs of the local SageMaker: their life, the container's contract, their rights."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from ecs_world import wait_until
from identity_world import refused
from training_world import ALGORITHM, BUCKET, RUN, SAVE, TRUSTED, Trainer, channel, rights, trainer


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    folder = tmp_path_factory.mktemp("training")
    labels = {"workshop.environment": "workshop"}
    config = {"Labels": labels, "Entrypoint": ["python", "-u", "-c", RUN]}
    described = {"name": "linear-learner", "config": config, "dockerfile": "/none", "context": "/none"}
    (folder / "algorithm.json").write_text(json.dumps(described))
    with trainer(folder, "--algorithm", f"linear-learner={folder / 'algorithm.json'}") as made:
        yield made


def test_a_job_goes_through_awss_statuses_and_leaves_its_artefacts(aws):
    aws.begin(SAVE + "(base / 'output/data/curve.txt').write_text('c')", TrainingJobName="First")
    aws.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="First", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    job = aws.job("First")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert [(each["Status"], each["StatusMessage"]) for each in job["SecondaryStatusTransitions"]] == [
        ("Starting", "Preparing the instances for training"),
        ("Downloading", "Downloading the training image"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert all(each["StartTime"] <= each["EndTime"] for each in job["SecondaryStatusTransitions"])
    assert (
        job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] == job["LastModifiedTime"]
    )
    assert job["BillableTimeInSeconds"] >= 1
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/First/output/model.tar.gz"
    assert aws.artefact(job) == {"weights": b"w"}
    assert aws.artefact(job, "output.tar.gz") == {"curve.txt": b"c"}
    assert job["TrainingJobArn"].endswith(":training-job/first")
    assert aws.left() == []


def test_the_container_finds_what_aws_puts_into_opt_ml(aws):
    code = (
        "print(json.dumps([(base / f'input/config/{name}.json').read_text() for name in "
        "('hyperparameters', 'inputdataconfig', 'resourceconfig')]))\n"
        "print(sorted(str(each.relative_to(base)) for each in (base / 'input/data').rglob('*')))"
    )
    given = channel("train", f"s3://{BUCKET}/train", ContentType="text/csv")
    job = aws.train(code, HyperParameters={"code": code, "epochs": "15"}, InputDataConfig=[given])
    lines = aws.said_by(job["TrainingJobName"])
    parameters, channels, resources = (json.loads(each) for each in json.loads(lines[0]))
    assert parameters["epochs"] == "15"
    assert channels == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["current_instance_type"] == "ml.m5.large"
    assert lines[1] == str(["input/data/train", "input/data/train/rows.csv"])


def test_an_image_is_run_with_train_and_the_jobs_variables(aws):
    told = "import os, sys; print(sys.argv[1:], os.environ['TRAINING_JOB_NAME'], os.environ['X'])"
    image = aws.push("told", Entrypoint=["python", "-u", "-c", told])
    request = aws.request(Environment={"X": "y"}, TrainingJobName="Told")
    request["AlgorithmSpecification"] = {"TrainingImage": image, "TrainingInputMode": "File"}
    aws.sagemaker.create_training_job(**request)
    assert aws.ended("Told")["TrainingJobStatus"] == "Completed"
    assert aws.said_by("Told") == ["['train'] Told y"]


def test_the_container_acts_as_the_jobs_role_and_no_more(aws):
    job = aws.train(
        "import boto3\n"
        "print(boto3.client('sts').get_caller_identity()['Arn'])\n"
        "print(os.environ['TRAINING_JOB_ARN'])\n"
        "try: boto3.client('s3').delete_object(Bucket='training', Key='train/rows.csv')\n"
        "except Exception as error: print(error.response['Error']['Code'])"
    )
    name = aws.trains.rpartition("/")[2]
    assert aws.said_by(job["TrainingJobName"]) == [
        f"arn:aws:sts::123456789012:assumed-role/{name}/SageMaker",
        job["TrainingJobArn"],
        "AccessDenied",
    ]


def test_an_isolated_container_has_no_credentials(aws):
    code = "print([name for name in os.environ if 'CREDENTIALS' in name or 'ENDPOINT' in name])"
    job = aws.train(code, EnableNetworkIsolation=True)
    assert aws.said_by(job["TrainingJobName"]) == ["[]"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(1)", "AlgorithmError: , exit code: 1"),
        (
            "(base / 'output/failure').write_text('no rows\\n'); os._exit(3)",
            "AlgorithmError: no rows, exit code: 3",
        ),
        ("os.kill(os.getpid(), 9)", "AlgorithmError: , exit code: 137"),
    ],
)
def test_a_failing_container_gives_its_exit_code_and_its_own_words(aws, code, reason):
    assert aws.failure(code) == reason


def test_a_long_failure_is_cut_and_keeps_its_exit_code(aws):
    reason = aws.failure("(base / 'output/failure').write_text('x' * 5000); os._exit(1)")
    assert len(reason) == 1024
    assert reason.startswith("AlgorithmError: xxx")
    assert reason.endswith("x, exit code: 1")


def test_a_failed_job_puts_no_model(aws):
    job = aws.train(SAVE + "os._exit(1)")
    with refused("", "NoSuchKey"):
        aws.artefact(job)


def test_a_program_that_is_not_there_fails_the_job(aws):
    reason = aws.failure(
        specification={"ContainerEntrypoint": ["/no/such/program"], "ContainerArguments": ["x"]}
    )
    assert "/no/such/program" in reason
    assert reason.endswith("exit code: 127")


def test_metrics_are_read_from_lines_by_their_definitions(aws):
    defined = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}, {"Name": "none", "Regex": "none=(.*)"}]
    job = aws.train(
        "print('loss=0.7;'); print('loss=0.5; none=x')", specification={"MetricDefinitions": defined}
    )
    assert [(each["MetricName"], each["Value"]) for each in job["FinalMetricDataList"]] == [("loss", 0.5)]
    dimensions = [{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}]
    found = aws.client("cloudwatch").list_metrics(
        Namespace="/aws/sagemaker/TrainingJobs", Dimensions=dimensions
    )
    assert [each["MetricName"] for each in found["Metrics"]] == ["loss"]


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (
            "s3:GetObject",
            f"ClientError: Data download failed:Unable to download object s3://{BUCKET}/train/rows.csv (AccessDenied: ",
        ),
        ("s3:PutObject", "ClientError: Artifact upload failed:Unable to upload object"),
        (
            "ecr",
            "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions",
        ),
    ],
)
def test_a_right_that_the_role_lacks_fails_the_job_in_awss_words(aws, right, reason):
    assert aws.failure(RoleArn=aws.role(rights(right), TRUSTED)).startswith(reason)
    assert aws.left() == []


def test_a_containers_credentials_are_its_roles_and_end_with_it(aws):
    ask = (
        "import json, os, urllib.request as web\n"
        "where = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI']\n"
        "token = os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']\n"
        "asked = web.Request(where, headers={'Authorization': token})\n"
        "print(where, token, json.load(web.urlopen(asked))['RoleArn'])"
    )
    [said] = aws.said_by(aws.train(ask)["TrainingJobName"])
    where, token, role = said.split()
    assert role == aws.trains
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(where, headers={"Authorization": token}))


def test_a_role_without_logs_and_metrics_trains_all_the_same(aws):
    role = aws.role(rights("logs", "cloudwatch"), TRUSTED)
    defined = [{"Name": "silent", "Regex": "silent=(.*)"}]
    job = aws.train("print('silent=1')", RoleArn=role, specification={"MetricDefinitions": defined})
    assert job["TrainingJobStatus"] == "Completed"
    assert aws.said_by(job["TrainingJobName"]) == []
    assert aws.client("cloudwatch").list_metrics(MetricName="silent")["Metrics"] == []


def test_a_manifest_names_the_objects_of_a_channel(aws):
    aws.s3.put_object(Bucket=BUCKET, Key="train/sub/more.csv", Body=b"3,4\n")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/train/"}, "sub/more.csv"])
    aws.s3.put_object(Bucket=BUCKET, Key="train/manifest.json", Body=manifest.encode())
    code = (
        "print([str(each.relative_to(base)) for each in (base / 'input/data').rglob('*') if each.is_file()])"
    )
    uri = f"s3://{BUCKET}/train/manifest.json"
    job = aws.train(code, InputDataConfig=[channel("few", uri, kind="ManifestFile")])
    assert aws.said_by(job["TrainingJobName"]) == [str(["input/data/few/sub/more.csv"])]
    uri = f"s3://{BUCKET}/train/rows.csv"
    reason = aws.failure(InputDataConfig=[channel("few", uri, kind="ManifestFile")])
    assert reason.startswith(f"ClientError: Data download failed:Manifest file {uri} is not valid")


def test_a_stopped_job_keeps_the_model_that_it_saved_on_sigterm(aws):
    name = aws.begin(
        "import signal, sys, time\n"
        "def end(*_):\n    (base / 'model/weights').write_text('so far'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready')\n"
        "while True: time.sleep(1)"
    )
    aws.says(name)
    aws.sagemaker.stop_training_job(TrainingJobName=name)
    job = aws.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [each["Status"] for each in job["SecondaryStatusTransitions"]][-3:] == [
        "Stopping",
        "Uploading",
        "Stopped",
    ]
    assert aws.artefact(job) == {"weights": b"so far"}
    with refused(
        "The request was rejected because the training job is in status Stopped.", "ValidationException"
    ):
        aws.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_that_is_stopped_before_its_container_runs_never_starts_it(aws):
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/train/"}, *["rows.csv"] * 3000])
    aws.s3.put_object(Bucket=BUCKET, Key="train/long.json", Body=manifest.encode())
    uri = f"s3://{BUCKET}/train/long.json"
    name = aws.begin(InputDataConfig=[channel("much", uri, kind="ManifestFile")])
    wait_until(lambda: aws.job(name)["SecondaryStatus"] == "Downloading")
    aws.sagemaker.stop_training_job(TrainingJobName=name)
    job = aws.ended(name)
    assert [each["Status"] for each in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Stopping",
        "Stopped",
    ]
    assert aws.left() == []


def test_a_job_can_be_stopped_at_any_moment(aws):
    for _ in range(4):
        name = aws.begin(SAVE + "import time; time.sleep(60)")
        aws.sagemaker.stop_training_job(TrainingJobName=name)
        job = aws.ended(name)
        steps = [each["Status"] for each in job["SecondaryStatusTransitions"]]
        assert job["TrainingJobStatus"] == "Stopped"
        assert steps[steps.index("Stopping") :] in (
            ["Stopping", "Stopped"],
            ["Stopping", "Uploading", "Stopped"],
        )
        assert aws.left() == []


def test_a_name_can_be_used_again_after_its_job_was_deleted(aws):
    for _ in range(3):
        aws.train(TrainingJobName="again")
        aws.sagemaker.delete_training_job(TrainingJobName="again")


def test_a_job_that_takes_too_long_is_ended_and_says_so(aws):
    code = SAVE + "import time; time.sleep(60)"
    job = aws.train(code, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert aws.artefact(job) == {"weights": b"w"}


def test_each_change_of_status_is_an_event(aws):
    queue = aws.client("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:events"
    events = aws.client("events")
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
    events.put_rule(Name="training", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="training", Targets=[{"Id": "1", "Arn": arn}])
    try:
        job = aws.train()
        seen: list[str] = []

        def ended() -> bool:
            got = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            seen.extend(
                json.loads(each["Body"])["detail"]["SecondaryStatus"] for each in got.get("Messages", [])
            )
            return "Completed" in seen

        wait_until(ended)
    finally:
        events.remove_targets(Rule="training", Ids=["1"])
        events.delete_rule(Name="training")
    assert {each["Status"] for each in job["SecondaryStatusTransitions"]} == set(seen)


def test_jobs_are_listed_by_status_and_deleted_when_they_have_ended(aws):
    aws.train(TrainingJobName="list-1")
    aws.failure("os._exit(1)", TrainingJobName="list-2")
    found = aws.sagemaker.list_training_jobs(NameContains="list-", StatusEquals="Failed")
    assert [each["TrainingJobName"] for each in found["TrainingJobSummaries"]] == ["list-2"]
    with refused("training job with this name already exists", "ResourceInUse"):
        aws.begin(TrainingJobName="list-1")
    name = aws.begin("import time; time.sleep(60)")
    with refused("InProgress", "ResourceInUse"):
        aws.sagemaker.delete_training_job(TrainingJobName=name)
    aws.sagemaker.stop_training_job(TrainingJobName=name)
    aws.sagemaker.delete_training_job(TrainingJobName="list-1")
    for call in (aws.sagemaker.describe_training_job, aws.sagemaker.stop_training_job):
        with refused("Requested resource not found.", "ValidationException"):
            call(TrainingJobName="list-1")


def test_a_built_in_algorithm_runs_what_stands_for_it_and_has_awss_metrics(aws):
    def train(code: str) -> dict[str, Any]:
        request = aws.request(code)
        request["AlgorithmSpecification"] = {"TrainingImage": ALGORITHM, "TrainingInputMode": "File"}
        aws.sagemaker.create_training_job(**request)
        return aws.ended(request["TrainingJobName"])

    said = "#quality_metric: host=algo-1, validation binary_classification_accuracy <score>=0.875"
    job = train(f"print('{said}')")
    assert (job["TrainingJobStatus"], job["FinalMetricDataList"][0]["MetricName"]) == (
        "Completed",
        "validation:binary_classification_accuracy",
    )
    job = train("(base / 'output/failure').write_text('no label'); os._exit(2)")
    assert job["FailureReason"] == "ClientError: no label, exit code: 2"
