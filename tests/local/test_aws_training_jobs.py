"""The kit against the local SageMaker, as a learner with IAM asked: jobs, a model, an endpoint, and what is left."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import group_job
import numpy as np
import pytest
from attendee import Attendee, attendee, wait_until

from workshop.aws import (
    algorithms,
    cleaning,
    hosting,
    images,
    leftovers,
    objects,
    running_costs,
    sagemaker_names,
    session,
    stacks,
    training_jobs,
)
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

pytestmark = pytest.mark.local
TIMEOUT_SECONDS = 90
NAME = "leave-a-model"
PARAMETERS = """\
num_epochs = 2  # rounds of nothing
hold = ""  # a file; the second epoch waits while it exists
fail = False  # fail in the last epoch
output = ""  # a folder or s3://bucket/runs/ID
"""
WORK = """\
import json, pathlib, time
from workshop.aws import runs
run = runs.open(output)
saved = run.folder / "state.json"
done = json.loads(saved.read_text()) if saved.exists() else 0
first = done + 1
while done < num_epochs:
    while done == 1 and hold and pathlib.Path(hold).exists():
        time.sleep(0.05)
    done += 1
    saved.write_text(json.dumps(done))
    run.publish()
    print(f"epoch {done}/{num_epochs} loss 0.50 accuracy 0.{done}0 1 s", flush=True)
if fail:
    raise ValueError("it was to fail")
(run.folder / "artefact").mkdir(exist_ok=True)
(run.folder / "artefact" / "weights").write_text("learned")
(run.folder / "metrics.json").write_text(json.dumps({"accuracy": 0.75, "first_epoch": first}))
run.publish()
"""
RUN = ("run", NAME, "--on", "sagemaker")
ENDPOINT = "workshop-satisfaction"


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("training")) as one:
        (one.root / "notebooks" / f"{NAME}.ipynb").write_text(json.dumps(notebook()))
        assert one.run("up").returncode == 0
        yield one


def notebook() -> dict[str, Any]:
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Leave a model"},
        group_job._code("b", PARAMETERS, "parameters"),
        group_job._code("c", WORK),
    ]
    front = {"environment": "workshop", "family": "jobs-tensorflow", "minutes": 0.1}
    return {"cells": cells, "metadata": {"workshop": front}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def aws(learner: Attendee) -> Aws:
    """The learner's connection; the stacks that training jobs need are there."""
    found = session.connect(load(learner.variables), {})
    stacks.deploy("storage", aws=found)
    images.build("tensorflow", aws=found)
    images.push("tensorflow", aws=found)
    stacks.deploy("satisfaction", aws=found)
    return found


def record(learner: Attendee) -> dict[str, Any]:
    newest = max(learner.runs.glob("*/run.json"), key=lambda path: path.parent.name)
    return dict(json.loads(newest.read_text()))


def test_a_job_on_sagemaker_leaves_the_same_results_and_a_model(
    aws: Aws, learner: Attendee, tmp_path: Path
) -> None:
    ended = learner.run(*RUN, timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    for said in (
        "Training",
        "Uploading",
        "Completed",
        "epoch 2/2 loss 0.50",
        "train:accuracy 0.2",
        "test:accuracy 0.75",
    ):
        assert said in ended.stdout
    job = training_jobs.describe(record(learner)["training_job"], aws)
    assert job.status == "Completed" and job.metrics["train:loss"] == 0.5 and job.billable_seconds
    assert [path.name for path in training_jobs.artefact(job.name, tmp_path, aws)] == ["weights"]
    kept = {entry.key.rpartition("/")[2] for entry in objects.list(record(learner)["output"], aws)}
    assert {"metrics.json", "notebook.ipynb", "weights", "model.tar.gz"} <= kept


def test_a_failed_job_says_why_here_and_in_sagemaker(aws: Aws, learner: Attendee) -> None:
    ended = learner.run(*RUN, "-p", "fail=true", timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 1 and "ValueError: it was to fail" in ended.stderr
    job = training_jobs.describe(record(learner)["training_job"], aws)
    assert job.status == "Failed" and "ValueError: it was to fail" in job.reason
    assert record(learner)["status"] == "failed" and "Traceback" not in ended.stderr


def test_ctrl_c_stops_the_job_and_resume_goes_on_in_another(
    aws: Aws, learner: Attendee, tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    job = (*RUN, "-p", f"hold={hold}")
    with learner.start(*job) as process:
        wait_until(lambda: "epoch 1/" in learner.said(), TIMEOUT_SECONDS, learner.said)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 130, learner.said()
    stopped = record(learner)["training_job"]
    wait_until(lambda: training_jobs.describe(stopped, aws).status == "Stopped", TIMEOUT_SECONDS)
    hold.unlink()
    ended = learner.run(*job, "--resume", timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["first_epoch"] == 2
    assert record(learner)["training_job"] != stopped


@pytest.fixture(scope="module")
def trained(aws: Aws) -> str:
    """A training job of Linear Learner's on a few rows, of which the first number says it all."""
    noise = np.random.default_rng(1)
    rows = noise.normal(size=(600, 3))
    lines = [f"{int(row[0] > 0)},{row[0]:.4f},{row[1]:.4f},{row[2]:.4f}" for row in rows]
    place = f"s3://{stacks.output('InputBucket', aws)}/satisfaction"
    objects.write_bytes(f"{place}/train/train.csv", "\n".join(lines[:500]).encode(), aws)
    objects.write_bytes(f"{place}/validation/validation.csv", "\n".join(lines[500:]).encode(), aws)
    name = f"{ENDPOINT}-1"
    aws.client("sagemaker").create_training_job(**training(name, place, aws))
    return name


def training(name: str, place: str, aws: Aws) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": stacks.output("SageMakerRoleArn", aws),
        "AlgorithmSpecification": {
            "TrainingImage": algorithms.image("linear-learner", aws.region),
            "TrainingInputMode": "File",
        },
        "HyperParameters": {
            "feature_dim": "3",
            "predictor_type": "binary_classifier",
            "mini_batch_size": "50",
            "epochs": "3",
        },
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place}/{channel}/"}},
            }
            for channel in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{stacks.output('ModelBucket', aws)}/satisfaction"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [{"Key": "workshop", "Value": aws.name}],
    }


def test_a_built_in_algorithm_is_followed_with_its_progress_and_a_curve(aws: Aws, trained: str) -> None:
    lines: list[str] = []
    job = training_jobs.follow(trained, lines.append, aws=aws)
    assert job.status == "Completed" and job.model.endswith("/model.tar.gz")
    assert any("100 % of epochs" in line for line in lines) and not any("#metrics" in line for line in lines)
    assert training_jobs.curve(trained, "objective", aws)[0]["epoch"] == 1
    assert training_jobs.timeline(trained, aws)[0][0] == "Starting"
    assert job.metrics and f"{next(iter(job.metrics))} " in "\n".join(lines)


def test_an_endpoint_is_waited_for_asked_counted_and_removed(
    aws: Aws, learner: Attendee, trained: str
) -> None:
    sagemaker, tags = aws.client("sagemaker"), [{"Key": "workshop", "Value": aws.name}]
    role = stacks.output("SageMakerRoleArn", aws)
    model = {
        "Image": algorithms.image("linear-learner", aws.region),
        "ModelDataUrl": training_jobs.follow(trained, lambda line: None, aws=aws).model,
    }
    variant = {"VariantName": "AllTraffic", "ModelName": ENDPOINT, "InitialInstanceCount": 1}
    variants = [{**variant, "InstanceType": "ml.m5.large"}]
    sagemaker.create_model(ModelName=ENDPOINT, PrimaryContainer=model, ExecutionRoleArn=role, Tags=tags)
    sagemaker.create_endpoint_config(EndpointConfigName=ENDPOINT, ProductionVariants=variants, Tags=tags)
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT, Tags=tags)
    lines: list[str] = []
    assert hosting.wait(ENDPOINT, on_line=lines.append, aws=aws).is_up and "InService" in lines[-1]
    scores, labels = hosting.predict(ENDPOINT, [[2.0, 0, 0], [-2.0, 0, 0]] * 600, aws=aws)
    assert labels.tolist() == [1, 0] * 600 and scores[0] > 0.5 > scores[1]
    with pytest.raises(AwsError, match="ModelError"):
        hosting.predict(ENDPOINT, [[1.0]], aws=aws)
    [item] = running_costs.endpoints(aws)
    assert item.what == f"endpoint {ENDPOINT}: 1 x ml.m5.large"
    assert running_costs.now(aws).usd_per_hour > item.usd
    assert f"  endpoint {ENDPOINT}: 1 x ml.m5.large: 0.115 USD an hour" in learner.run("status").stdout
    assert {each.kind for each in leftovers.find(aws)} >= {
        "endpoint",
        "endpoint configuration",
        "model",
        "training job",
    }
    assert hosting.remove(ENDPOINT, aws, lambda line: None) == [
        f"endpoint {ENDPOINT}",
        f"endpoint configuration {ENDPOINT}",
        f"model {ENDPOINT}",
    ]
    assert hosting.describe(ENDPOINT, aws) is None and hosting.remove(ENDPOINT, aws, lambda line: None) == []


def test_cleaning_stops_what_runs_and_leaves_nothing_in_sagemaker_and_the_rest_of_the_course(
    aws: Aws, learner: Attendee, tmp_path: Path
) -> None:
    sagemaker, hold = aws.client("sagemaker"), tmp_path / "hold"
    sagemaker.create_model_package_group(ModelPackageGroupName=ENDPOINT)
    hold.touch()
    with learner.start(*RUN, "-p", f"hold={hold}") as process:
        wait_until(lambda: "epoch 1/" in learner.said(), TIMEOUT_SECONDS, learner.said)
        assert {each.kind for each in leftovers.find(aws)} >= {"model package group", "training job"}
        removed = cleaning.clean(8, aws=aws).removed
        process.wait(TIMEOUT_SECONDS)
    assert removed[0].startswith("stopped training job workshop-leave-a-model-")
    kinds = {kind: sagemaker_names.of(kind, aws) for kind in sagemaker_names.KINDS}
    assert set(map(tuple, kinds.values())) == {()}
    assert sagemaker_names.log_groups(aws) == [] and list(sagemaker_names.log_streams(aws)) == []
    assert {each.id for each in leftovers.find(aws) if each.kind == "stack"} == {"workshop-storage"}
    assert objects.list(f"s3://{stacks.output('InputBucket', aws)}/satisfaction/", aws) == []


def test_the_image_is_where_the_sagemaker_sdk_says_in_every_region() -> None:
    """Some seconds, most of which importing the SDK takes."""
    image_uris = pytest.importorskip("sagemaker.core.image_uris", reason="the SageMaker SDK is not installed")
    regions = algorithms._table("linear-learner")["versions"]["1"]["registries"]
    assert len(regions) > 30
    for region in regions:
        assert algorithms.image("linear-learner", region) == image_uris.retrieve("linear-learner", region)
