"""Training jobs that are refused before they begin: by AWS's rules, or because they can't be had here."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from identity_world import allow, refused
from training_world import ALGORITHM, BUCKET, TRUSTED, Trainer, channel, rights, trainer


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    folder = tmp_path_factory.mktemp("refused")
    described = {"name": "linear-learner", "config": {}, "dockerfile": "/none", "context": "/none"}
    (folder / "algorithm.json").write_text(json.dumps(described))
    with trainer(folder, "--algorithm", f"linear-learner={folder / 'algorithm.json'}") as made:
        yield made


def test_a_role_must_trust_sagemaker_and_may_be_passed_by_who_has_the_right(aws):
    for role in (aws.role(rights()), "arn:aws:iam::123456789012:role/is-not-there"):
        with refused("principal 'sagemaker.amazonaws.com' to assume the role.", "ValidationException"):
            aws.begin(RoleArn=role)
    mine = aws.as_(aws.session(allow("sagemaker:CreateTrainingJob")), "sagemaker")
    with refused("iam:PassRole", "AccessDenied"):
        mine.create_training_job(**aws.request())


def test_input_that_is_not_there_is_refused_at_once(aws):
    no_list = aws.role(rights("s3:ListBucket"), TRUSTED)
    for uri, role in (
        (f"s3://{BUCKET}/nothing/", aws.trains),
        ("s3://no-such-bucket/train/", aws.trains),
        (f"s3://{BUCKET}/train/", no_list),
    ):
        with refused(f'No S3 objects found under S3 URL "{uri}"', "ValidationException"):
            aws.begin(RoleArn=role, InputDataConfig=[channel("train", uri)])


def resources(**more: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, **more}


@pytest.mark.parametrize(
    ("given", "words", "code"),
    [
        ({"EnableManagedSpotTraining": True}, "managed spot training", "UnsupportedOperation"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c"}}, "CheckpointConfig", "UnsupportedOperation"),
        (
            {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
            "VpcConfig",
            "UnsupportedOperation",
        ),
        ({"ResourceConfig": resources(InstanceCount=2)}, "several instances", "UnsupportedOperation"),
        ({"ResourceConfig": resources(KeepAlivePeriodInSeconds=60)}, "warm pools", "UnsupportedOperation"),
        ({"ResourceConfig": resources(InstanceType="ml.x9.large")}, "ml.m5.large", "ValidationException"),
        ({"ResourceConfig": resources(VolumeSizeInGB=0)}, "VolumeSizeInGB", "ValidationException"),
        (
            {"ResourceConfig": resources(InstanceType="ml.p5.48xlarge")},
            "0 Instances",
            "ResourceLimitExceeded",
        ),
        ({"specification": {"TrainingInputMode": "Pipe"}}, "Pipe", "UnsupportedOperation"),
        ({"specification": {"TrainingImage": "python:3.11"}}, "Invalid image URI", "ValidationException"),
        (
            {"specification": {"TrainingImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:1"}},
            "is in the region eu-west-1; a job in us-east-1 takes images of that region",
            "ValidationException",
        ),
        (
            {
                "specification": {
                    "TrainingImage": ALGORITHM.replace("linear-learner:1", "sagemaker-xgboost:1.7-1")
                }
            },
            ALGORITHM,
            "ValidationException",
        ),
        (
            {"specification": {"MetricDefinitions": [{"Name": "bad", "Regex": "("}]}},
            "regular expression",
            "ValidationException",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "https://b/c"}}, "S3OutputPath", "ValidationException"),
        (
            {"InputDataConfig": [channel("train", f"s3://{BUCKET}/train/", InputMode="FastFile")]},
            "FastFile",
            "UnsupportedOperation",
        ),
        (
            {"InputDataConfig": [channel("train", f"s3://{BUCKET}/train/", CompressionType="Gzip")]},
            "Gzip",
            "ValidationException",
        ),
        (
            {"InputDataConfig": [channel("same", f"s3://{BUCKET}/train/")] * 2},
            "unique",
            "ValidationException",
        ),
        ({"InputDataConfig": [channel("..", f"s3://{BUCKET}/train/")]}, "..", "ValidationException"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_no_job_here_can_have_is_refused_by_name(aws, given, words, code):
    with refused(words, code):
        aws.begin(**given)


def test_an_image_that_is_not_in_the_registry_is_refused(aws):
    for image in (aws.image.replace(":latest", ":missing"), aws.image.replace("/jobs", "/missing")):
        with refused(f"Requested image {image} not found.", "ValidationException"):
            aws.begin(specification={"TrainingImage": image})
