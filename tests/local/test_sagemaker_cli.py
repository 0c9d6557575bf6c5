"""The AWS CLI drives the local SageMaker: a training, a model, an endpoint, a batch transform, and their end.

The CLI's own waiters look every 30 to 120 seconds, so each is called once what it waits for is there.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import Cli
from clients_world import BUCKET, SMALL, ClientsWorld, channel, clients_world
from ecs_world import wait_until

from workshop.settings import load

GIVEN = ",".join(f"{name}={value}" for name, value in SMALL.items())


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with clients_world(tmp_path_factory.mktemp("cli")) as made:
        yield made


@pytest.fixture(scope="module")
def cli(aws: ClientsWorld, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    settings = load({}, state_dir=aws.folder, port=aws.port, region="us-east-1")
    return Cli(settings, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def artefact(aws: ClientsWorld, cli: Cli) -> str:
    """A training job made and waited for with the CLI; where its model lies."""
    channels = json.dumps([channel("train"), channel("validation")])
    arn = cli.text(
        "sagemaker create-training-job --training-job-name typed "
        f"--algorithm-specification TrainingImage={aws.image},TrainingInputMode=File --role-arn {aws.role} "
        f"--hyper-parameters seconds=0 --input-data-config '{channels}' "
        f"--output-data-config S3OutputPath=s3://{BUCKET}/out "
        f"--resource-config {GIVEN},VolumeSizeInGB=1 --stopping-condition MaxRuntimeInSeconds=600 "
        "--query TrainingJobArn"
    )
    assert arn.endswith(":training-job/typed")
    aws.ended("typed")
    cli.shell("aws sagemaker wait training-job-completed-or-stopped --training-job-name typed")
    query = "[TrainingJobStatus,SecondaryStatusTransitions[].Status,ModelArtifacts.S3ModelArtifacts]"
    status, transitions, found = cli.json(
        f"sagemaker describe-training-job --training-job-name typed --query '{query}'"
    )
    assert status == "Completed" and transitions[-1] == "Completed" and "Training" in transitions
    return str(found)


def test_log_of_the_training_is_read_with_logs(cli: Cli, artefact: str) -> None:
    group = "--log-group-name /aws/sagemaker/TrainingJobs"
    said = cli.json(
        f"logs filter-log-events {group} --log-stream-name-prefix typed/ --query 'events[].message'"
    )
    assert "channels train validation" in said


def test_endpoint_is_made_invoked_and_taken_away(
    aws: ClientsWorld, cli: Cli, artefact: str, tmp_path: Path
) -> None:
    made = f"--execution-role-arn {aws.role} --primary-container Image={aws.image},ModelDataUrl={artefact}"
    cli.shell(f"aws sagemaker create-model --model-name typed {made}")
    variant = "VariantName=AllTraffic,ModelName=typed,InitialInstanceCount=1,InstanceType=ml.m5.large"
    cli.shell(
        f"aws sagemaker create-endpoint-config --endpoint-config-name typed --production-variants {variant}"
    )
    cli.shell("aws sagemaker create-endpoint --endpoint-name typed --endpoint-config-name typed")
    aws.in_service("typed")
    cli.shell("aws sagemaker wait endpoint-in-service --endpoint-name typed")
    (tmp_path / "rows.csv").write_text("0.5\n-0.5\n0.25\n")
    variant = cli.text(
        f"sagemaker-runtime invoke-endpoint --endpoint-name typed --body fileb://{tmp_path}/rows.csv "
        f"--content-type text/csv {tmp_path}/answer.json --query InvokedProductionVariant"
    )
    assert variant == "AllTraffic"
    assert json.loads((tmp_path / "answer.json").read_text())["lines"] == 3
    said = cli.refused(
        "aws sagemaker-runtime invoke-endpoint --endpoint-name none --content-type text/csv "
        f"--body fileb://{tmp_path}/rows.csv {tmp_path}/none.json"
    )
    assert "(ValidationError) when calling the InvokeEndpoint operation: Endpoint none of account " in said
    cli.shell("aws sagemaker delete-endpoint --endpoint-name typed")
    wait_until(lambda: aws.sagemaker.list_endpoints()["Endpoints"] == [])
    cli.shell("aws sagemaker wait endpoint-deleted --endpoint-name typed")
    cli.shell("aws sagemaker delete-endpoint-config --endpoint-config-name typed")


def test_batch_transform_writes_its_answers(aws: ClientsWorld, cli: Cli, artefact: str) -> None:
    model = aws.model("batch", artefact)
    aws.sagemaker.create_model(**model)
    source = f"DataSource={{S3DataSource={{S3DataType=S3Prefix,S3Uri=s3://{BUCKET}/train/}}}}"
    cli.shell(
        "aws sagemaker create-transform-job --transform-job-name typed --model-name batch "
        f"--transform-input '{source},ContentType=text/csv,SplitType=Line' "
        f"--transform-output S3OutputPath=s3://{BUCKET}/answers,AssembleWith=Line "
        f"--transform-resources {GIVEN}"
    )
    status = lambda: aws.sagemaker.describe_transform_job(TransformJobName="typed")["TransformJobStatus"]  # noqa: E731
    wait_until(lambda: status() != "InProgress")
    cli.shell("aws sagemaker wait transform-job-completed-or-stopped --transform-job-name typed")
    assert '"lines"' in cli.shell(f"aws s3 cp s3://{BUCKET}/answers/rows.csv.out -")


def test_lists_come_in_pages_of_the_size_asked_for(aws: ClientsWorld, cli: Cli, artefact: str) -> None:
    for name in ("page-a", "page-b", "page-c"):
        aws.sagemaker.create_model(**aws.model(name, artefact))
    listed = "sagemaker list-models --name-contains page --sort-by Name --sort-order Ascending --max-items 2"
    first = cli.json(listed)
    assert [each["ModelName"] for each in first["Models"]] == ["page-a", "page-b"]
    second = cli.json(f"{listed} --starting-token {first['NextToken']}")
    assert [each["ModelName"] for each in second["Models"]] == ["page-c"]
    assert cli.json(
        "sagemaker list-models --name-contains page --page-size 1 --query 'Models[].ModelName'"
    ) == [
        "page-c",
        "page-b",
        "page-a",
    ]
    cli.shell("aws sagemaker delete-model --model-name page-a")
    said = cli.refused("aws sagemaker describe-model --model-name page-a")
    assert "(ValidationException) when calling the DescribeModel operation: Could not find model" in said


def test_error_names_its_code_and_what_is_not_there_its_name(cli: Cli, artefact: str) -> None:
    said = cli.refused("aws sagemaker stop-training-job --training-job-name typed")
    assert "(ValidationException)" in said and "training job is in status Completed" in said
    said = cli.refused("aws sagemaker list-notebook-instances")
    assert "UnsupportedOperation" in said and "ListNotebookInstances" in said
