"""The pipeline's own rules: where a run reads and writes, what counts as done, whose figures the gate takes."""

import hashlib
import json

import pytest
from botocore.exceptions import ClientError
from fake_s3 import FakeS3

from workshop.airflow.dag_parameters import checked
from workshop.aws import models, sentiment_flow, worker
from workshop.aws.models import Rejected
from workshop.aws.session import Aws
from workshop.errors import AwsError, JobError, TargetError
from workshop.settings import load

OUTPUTS = {
    "storage": {"InputBucket": "in", "OutputBucket": "out", "ModelBucket": "models", "JobsLogGroup": "logs"},
    "cluster": {"ClusterName": "c", "CapacityProviderName": "instances"},
    "network": {"SubnetIds": "s-1,s-2", "TaskSecurityGroupId": "sg"},
}


class Stacks:
    """CloudFormation that answers for stacks asked for by name, as a narrow role may."""

    def __init__(self, outputs):
        self.outputs = outputs

    def describe_stacks(self, StackName):
        found = self.outputs.get(StackName.removeprefix("workshop-"))
        if found is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        listed = [{"OutputKey": key, "OutputValue": value} for key, value in found.items()]
        return {"Stacks": [{"StackName": StackName, "StackStatus": "CREATE_COMPLETE", "Outputs": listed}]}


class World:
    def __init__(self, outputs=OUTPUTS):
        self.s3 = FakeS3()
        settings = load({})
        self.aws = Aws("local", "http://127.0.0.1:1", "eu-west-1", "1", "workshop", settings, None)
        self.aws._clients.update(s3=self.s3, cloudformation=Stacks(outputs))

    def plan(self, **given):
        return sentiment_flow.plan(checked("sentiment", {"run": "r1", **given}), "manual__x", self.aws)

    def put(self, key, content):
        self.s3.put_object("out", f"runs/r1/{key}", content)

    def train(self, weights=b"weights", **parameters):
        listed = {"model.onnx": {"sha256": hashlib.sha256(weights).hexdigest()}}
        metadata = json.dumps({"files": listed}).encode()
        self.put("train/artefact/model.onnx", weights)
        self.put("train/artefact/metadata.json", metadata)
        self.put(
            "train/run.json",
            json.dumps({"parameters": {"layout": "ours", "seed": 10, **parameters}}).encode(),
        )
        return hashlib.sha256(metadata).hexdigest()

    def evaluate(self, artefact, accuracy=0.8):
        found = {
            "accuracy": accuracy,
            "artefact_sha256": artefact,
            "data_sha256": "d",
            "worst": [["a text", 0.1]],
        }
        self.put("evaluate/metrics.json", json.dumps(found).encode())


@pytest.fixture
def world():
    return World()


def test_all_of_a_run_lies_below_its_own_folder(world):
    made = world.plan(num_epochs=3)
    assert (made["run"], made["folder"], made["model"]) == ("r1", "s3://out/runs/r1", "s3://models/sentiment")
    assert made["data"] == "s3://in/sentiment/tweets.csv"
    train, evaluate = made["commands"]["train"], made["commands"]["evaluate"]
    assert train[:2] == ["run", "train-sentiment"]
    assert train[-2:] == ["--output", "s3://out/runs/r1/train"]
    assert {"dataset=s3://in/sentiment/tweets.csv", "num_epochs=3", "layout=ours", "seed=10"} <= set(train)
    assert {"artefact=s3://out/runs/r1/train/artefact", "dataset=s3://in/sentiment/tweets.csv"} <= set(
        evaluate
    )
    assert json.loads(json.dumps(made)) == made


def test_without_a_name_of_its_own_a_run_is_called_as_airflow_calls_it(world):
    assert world.plan(run="")["run"] == "manual-x"


def test_data_may_lie_anywhere_in_s3(world):
    assert world.plan(dataset="s3://mine/x.csv")["data"] == "s3://mine/x.csv"


def test_the_containers_log_is_read_where_its_definition_writes_it(world):
    assert world.plan()["container"] == {
        "name": "jobs-tensorflow",
        "log_group": "logs",
        "log_prefix": "jobs-tensorflow",
    }


def test_instances_are_asked_for_by_their_capacity_provider(world):
    place = world.plan()["place"]
    assert place["family"] == "jobs-tensorflow"
    assert place["strategy"] == [{"capacityProvider": "instances", "weight": 1}]
    assert place["network"] is None


@pytest.mark.parametrize(
    ("private", "subnets", "public_address"),
    [(None, ["s-1", "s-2"], "ENABLED"), ("p-1,p-2", ["p-1", "p-2"], "DISABLED")],
)
def test_fargate_has_an_address_of_its_own_that_can_pull_the_image(private, subnets, public_address):
    more = {"private-network": {"PrivateSubnets": private}} if private else {}
    place = World({**OUTPUTS, **more}).plan(launch_type="FARGATE")["place"]
    assert (place["family"], place["launch_type"]) == ("jobs-tensorflow-fargate", "FARGATE")
    network = place["network"]["awsvpcConfiguration"]
    assert network == {"subnets": subnets, "securityGroups": ["sg"], "assignPublicIp": public_address}


def test_missing_stacks_are_told_by_the_outputs_that_are_missing():
    with pytest.raises(AwsError, match="InputBucket, OutputBucket, ModelBucket") as refused:
        World({"cluster": OUTPUTS["cluster"]}).plan()
    assert "prepare" in refused.value.remedy


def test_nothing_is_done_before_the_first_time(world):
    made = world.plan()
    assert sentiment_flow.done_before("train", made, world.aws) == ""
    assert sentiment_flow.done_before("evaluate", made, world.aws) == ""


def test_a_whole_artefact_is_not_trained_again(world):
    world.train()
    assert "is complete" in sentiment_flow.done_before("train", world.plan(), world.aws)


def test_half_an_artefact_is(world):
    world.train()
    del world.s3.objects["out", "runs/r1/train/artefact/model.onnx"]
    assert sentiment_flow.done_before("train", world.plan(), world.aws) == ""


def test_the_same_run_with_other_parameters_is_refused(world):
    world.train()
    with pytest.raises(JobError, match="layout was ours and is published now"):
        sentiment_flow.done_before("train", world.plan(layout="published"), world.aws)


def test_an_evaluation_counts_for_the_artefact_that_it_is_of(world):
    made = world.plan()
    world.evaluate(world.train())
    assert "this very artefact" in sentiment_flow.done_before("evaluate", made, world.aws)
    world.train(weights=b"others")
    assert sentiment_flow.done_before("evaluate", made, world.aws) == ""


def test_the_gate_takes_this_runs_figures_and_no_others(world):
    made = world.plan()
    digest = world.train()
    world.s3.put_object("out", "runs/r0/evaluate/metrics.json", b'{"accuracy": 1.0}')
    with pytest.raises(Rejected, match="gives no accuracy"):
        sentiment_flow.judge(made, world.aws)
    world.evaluate(digest, accuracy=0.7)
    assert "accuracy 0.700 reaches" in sentiment_flow.judge(made, world.aws)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"{}"])
def test_metrics_that_can_not_be_read_are_none(world, content):
    world.train()
    world.put("evaluate/metrics.json", content)
    with pytest.raises(Rejected):
        sentiment_flow.judge(world.plan(threshold=0), world.aws)


def test_figures_of_another_artefact_are_refused(world):
    world.evaluate(world.train())
    world.train(weights=b"others")
    with pytest.raises(Rejected, match="of another artefact"):
        sentiment_flow.judge(world.plan(), world.aws)


def test_a_published_run_may_be_judged_again_beside_a_better_one(world):
    world.evaluate(world.train(), accuracy=0.7)
    assert sentiment_flow.publish(world.plan(), world.aws).changed
    better = models.Pointer("sentiment", "r2", "", "", {"accuracy": 0.9, "data_sha256": "d"}, "r1")
    now = models.current("s3://models/sentiment", world.s3)
    models._write(models.record_of("s3://models/sentiment", "r1"), models._spelled(now), world.s3)
    world.s3.put_object("models", "sentiment/current.json", models._spelled(better))
    assert "has been published before" in sentiment_flow.judge(world.plan(), world.aws)
    assert not sentiment_flow.publish(world.plan(), world.aws).changed
    with pytest.raises(Rejected, match="below the threshold"):
        sentiment_flow.judge(world.plan(threshold=0.8), world.aws)


def test_a_pointer_holds_figures_and_no_texts_of_the_data(world):
    digest = world.train()
    world.evaluate(digest)
    held = sentiment_flow.publish(world.plan(), world.aws).pointer.metrics
    assert held == {"accuracy": 0.8, "artefact_sha256": digest, "data_sha256": "d"}


def test_without_a_service_there_is_nothing_to_roll(world):
    assert sentiment_flow.roll(world.plan(), print, world.aws) == ""


def test_a_worker_without_an_endpoint_does_not_reach_a_real_account(tmp_path):
    with pytest.raises(TargetError):
        worker.connect({"WORKSHOP_STATE_DIR": str(tmp_path)})
    with pytest.raises(TargetError, match="not on this machine"):
        worker.connect({"AWS_ENDPOINT_URL": "https://s3.amazonaws.com", "WORKSHOP_STATE_DIR": str(tmp_path)})
