"""The two roles of the stack `satisfaction` with one right taken out, really used: what then fails, with which words.

test_mutated_roles.py does the same for tasks, the pull and the upload's function.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import course_world
import pytest
from botocore.exceptions import ClientError
from lesser_roles import lacking

from localaws import daemon
from workshop.aws import images, objects, session, stacks, training_jobs, training_requests
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

pytestmark = pytest.mark.local
PATIENCE_SECONDS = 60
BASE = "import os, pathlib; base = pathlib.Path(os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml')); "
TRAIN = BASE + "(base / 'model' / 'weights').write_text('learned'); print('epoch 1/1 loss 0.50')"
# (statement, action, a part of what SageMaker or the kit then says)
FAILS = [
    ("ListThem", "s3:ListBucket", "s3:ListBucket"),
    ("ReadTheData", "s3:GetObject", "not authorized to perform: s3:GetObject"),
    ("ReadAndWriteModelsAndResults", "s3:PutObject", "not authorized to perform: s3:PutObject"),
    # Which right it lacks to pull, SageMaker does not say; the kit names them all.
    ("LogInToTheRegistry", "ecr:GetAuthorizationToken", "Cannot pull algorithm container"),
    ("PullTheTwoImages", "ecr:BatchGetImage", "Cannot pull algorithm container"),
    ("PullTheTwoImages", "ecr:GetDownloadUrlForLayer", "Cannot pull algorithm container"),
]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """What lab 8 stands on, by an administrator, so that roles can be changed."""
    folder = tmp_path_factory.mktemp("mutated")
    root, state_dir = folder / "root", folder / "state"
    root.mkdir()
    course_world.lay_out(root)
    environments = {"workshop": root / ".venvs" / "workshop"}
    running = daemon.start(
        state_dir, course_world.free_port(), course_world.REGION, "process", environments, enforce=True
    )
    try:
        settings = load({}, root=root, state_dir=state_dir, port=running.port, region=course_world.REGION)
        found = session.connect(settings, {})
        stacks.deploy("storage", aws=found)
        images.build("mxnet", aws=found)
        images.push("mxnet", aws=found)
        stacks.deploy("satisfaction", aws=found)
        objects.write_bytes(f"{data(found)}train.csv", b"1,2", found)
        yield found
    finally:
        daemon.stop(state_dir)


def data(aws: Aws) -> str:
    return f"s3://{stacks.output('InputBucket', aws)}/satisfaction/train/"


def ended(aws: Aws, code: str = TRAIN) -> training_jobs.TrainingJob:
    """A training job of the probe's image, with a channel; how it ended."""
    name = training_requests.new_name("probe", aws)
    output = f"s3://{stacks.output('ModelBucket', aws)}/satisfaction"
    request = training_requests.build(name, "probe", [code], output, aws)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data(aws)}}
    channels = [{"ChannelName": "train", "DataSource": source, "ContentType": "text/csv"}]
    aws.client("sagemaker").create_training_job(**request, InputDataConfig=channels)
    with contextlib.suppress(AwsError):  # how it failed, the record says
        training_jobs.follow(name, lambda line: None, timeout_seconds=PATIENCE_SECONDS, aws=aws)
    return training_jobs.describe(name, aws)


def test_the_role_as_it_is_suffices_for_data_image_log_metrics_and_model(aws: Aws) -> None:
    job = ended(aws)
    assert (job.status, job.reason) == ("Completed", "")
    assert training_jobs.logs(job.name, aws) == ["epoch 1/1 loss 0.50"] and job.metrics == {"train:loss": 0.5}


@pytest.mark.parametrize(
    ("sid", "action", "said"), FAILS, ids=[f"{sid}-{action}" for sid, action, _ in FAILS]
)
def test_job_fails_and_says_what_its_role_lacks(aws: Aws, sid: str, action: str, said: str) -> None:
    with lacking(aws, "SageMakerRole", sid, action):
        try:
            job = ended(aws)
        except ClientError as refused:  # what SageMaker looks at before it makes the job
            assert said in str(refused)
            return
    assert job.status == "Failed" and said in job.reason
    remedy = training_jobs.failed(job, []).remedy
    assert action in remedy and "SageMakerRole in cloudformation/satisfaction.yaml" in remedy


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_role_that_may_not_log_has_no_log_and_the_job_goes_on(aws: Aws, action: str) -> None:
    with lacking(aws, "SageMakerRole", "WriteLogs", action):
        job = ended(aws)
    assert job.status == "Completed" and training_jobs.logs(job.name, aws) == []


def test_a_role_that_may_not_publish_metrics_has_none_in_cloudwatch(aws: Aws) -> None:
    with lacking(aws, "SageMakerRole", "PublishMetrics", "cloudwatch:PutMetricData"):
        without = ended(aws)
    assert without.status == "Completed"
    assert not published(without, aws) and published(ended(aws), aws)


def published(job: training_jobs.TrainingJob, aws: Aws) -> bool:
    """Whether CloudWatch has the job's loss."""
    metrics = aws.client("cloudwatch").list_metrics(
        Namespace="/aws/sagemaker/TrainingJobs", MetricName="train:loss"
    )["Metrics"]
    return any(job.name in each["Value"] for metric in metrics for each in metric["Dimensions"])


def test_a_job_reads_nothing_but_its_data_and_writes_nowhere_else(aws: Aws) -> None:
    """What the role must not allow, tried by the container itself, with the role's credentials."""
    buckets = stacks.outputs("storage", aws)
    objects.write_bytes(f"s3://{buckets['InputBucket']}/cat.jpg", b"", aws)
    tries = [
        f"s3.get_object(Bucket='{buckets['InputBucket']}', Key='cat.jpg')",
        f"s3.put_object(Bucket='{buckets['InputBucket']}', Key='satisfaction/train/more.csv', Body=b'')",
        f"s3.put_object(Bucket='{buckets['ModelBucket']}', Key='sentiment/current.json', Body=b'')",
        "boto3.client('sagemaker').list_training_jobs()",
        "boto3.client('iam').list_roles()",
    ]
    for attempt in tries:
        job = ended(aws, f"import boto3; s3 = boto3.client('s3'); {attempt}")
        said = " ".join(training_jobs.logs(job.name, aws))
        assert job.status == "Failed" and "AccessDenied" in said, attempt


# ---- the function ---------------------------------------------------------------------------------------------


def called(aws: Aws, event: Any) -> dict[str, Any]:
    name = stacks.outputs("satisfaction", aws)["PredictFunctionName"]
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    return dict(json.loads(answer["Payload"].read()))


def post(aws: Aws) -> dict[str, Any]:
    """As API Gateway calls it with a survey."""
    body = json.dumps({"data": ",".join(["1"] * 22)})
    event = {"httpMethod": "POST", "path": "/predict", "resource": "/predict", "body": body, "headers": {}}
    return called(aws, {**event, "isBase64Encoded": False, "requestContext": {"requestId": "1"}})


def test_the_function_may_ask_its_endpoint_and_says_so_when_it_may_not(aws: Aws) -> None:
    """There is no endpoint: whoever may ask is told that, and whoever may not is told this."""
    assert "is not in service" in post(aws)["body"]
    with lacking(aws, "PredictRole", "AskTheEndpoint", "sagemaker:InvokeEndpoint"):
        refused = post(aws)
    assert refused["statusCode"] == 502 and "AccessDenied" in refused["body"]


def test_the_function_may_read_how_the_form_asks(aws: Aws) -> None:
    form = {"httpMethod": "GET", "path": "/", "resource": "/", "body": None, "headers": {}}
    event = {**form, "isBase64Encoded": False, "requestContext": {"requestId": "1"}}
    bucket = stacks.output("InputBucket", aws)
    objects.write_bytes(f"s3://{bucket}/satisfaction/columns.json", b'{"columns": []}', aws)
    assert called(aws, event)["statusCode"] == 200
    with lacking(aws, "PredictRole", "ReadHowTheFormAsks", "s3:GetObject"):
        assert called(aws, event)["statusCode"] >= 500


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_function_that_may_not_log_has_no_log(aws: Aws, action: str) -> None:
    group = stacks.outputs("satisfaction", aws)["PredictLogGroup"]
    logs = aws.client("logs")

    def lines() -> int:
        found = (
            logs.filter_log_events(logGroupName=group)["events"]
            if logs.describe_log_streams(logGroupName=group)["logStreams"]
            else []
        )
        return len(found)

    before = lines()
    with lacking(aws, "PredictRole", "WriteLogs", action):
        post(aws)
        time.sleep(0.5)
        assert lines() == before
    post(aws)
    assert lines() > before
