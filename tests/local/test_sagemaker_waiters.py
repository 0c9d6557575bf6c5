"""boto3's own waiters and paginators of SageMaker, written by AWS against AWS."""

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import WaiterError
from clients_world import ClientsWorld, clients_world, variant_of
from sagemaker_table import ROWS
from sagemaker_table_registry import inference

SOON: Any = {"Delay": 0.2, "MaxAttempts": 150}
AT_ONCE: Any = {"Delay": 0.01, "MaxAttempts": 2}
ANSWERED = {row.operation for row in ROWS}
COUNT = 3


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with clients_world(tmp_path_factory.mktemp("waiters")) as made:
        made.artefact = made.trained("first")
        made.sagemaker.create_model(**made.model("m", made.artefact))
        yield made


def wait(client: Any, name: str, **what: Any) -> None:
    client.get_waiter(name).wait(WaiterConfig=SOON, **what)


def refused(client: Any, name: str, how: Any = AT_ONCE, **what: Any) -> str:
    """Why a waiter gave up before its attempts were over."""
    with pytest.raises(WaiterError) as caught:
        client.get_waiter(name).wait(WaiterConfig=how, **what)
    assert "terminal failure" in str(caught.value)
    return str(caught.value)


def test_these_are_all_waiters_of_what_is_answered() -> None:
    model = botocore.session.get_session().get_waiter_model("sagemaker")
    known = {name for name in model.waiter_names if model.get_waiter(name).operation in ANSWERED}
    assert known == {
        "EndpointDeleted",
        "EndpointInService",
        "TrainingJobCompletedOrStopped",
        "TransformJobCompletedOrStopped",
    }


def test_training_waiter_ends_with_the_job_however_it_ends_and_at_once_where_there_is_none(
    aws: ClientsWorld,
) -> None:
    name = "training_job_completed_or_stopped"
    aws.sagemaker.create_training_job(**aws.training("quick"))
    wait(aws.sagemaker, name, TrainingJobName="quick")
    aws.sagemaker.create_training_job(**aws.training("long", seconds="600"))
    aws.in_training("long")
    aws.sagemaker.stop_training_job(TrainingJobName="long")
    wait(aws.sagemaker, name, TrainingJobName="long")
    assert aws.ended("long")["SecondaryStatus"] == "Stopped"
    aws.sagemaker.create_training_job(**aws.training("bad", fail="no luck"))
    assert "Failed" in refused(aws.sagemaker, name, SOON, TrainingJobName="bad")
    assert "ValidationException" in refused(aws.sagemaker, name, TrainingJobName="none")


def test_endpoint_waiters_from_creation_to_deletion(aws: ClientsWorld) -> None:
    aws.endpoint("e", "m")
    wait(aws.sagemaker, "endpoint_in_service", EndpointName="e")
    assert aws.invoke("e")["lines"] == 2
    aws.sagemaker.delete_endpoint(EndpointName="e")
    wait(aws.sagemaker, "endpoint_deleted", EndpointName="e")
    assert "ValidationException" in refused(aws.sagemaker, "endpoint_in_service", EndpointName="e")


def test_transform_waiter_ends_with_the_job(aws: ClientsWorld) -> None:
    name = "transform_job_completed_or_stopped"
    aws.sagemaker.create_transform_job(**aws.transform("t", "m"))
    wait(aws.sagemaker, name, TransformJobName="t")
    written = aws.s3.get_object(Bucket="learning", Key="transformed/t/rows.csv.out")["Body"].read()
    assert json.loads(written)["lines"] == 2
    assert "ValidationException" in refused(aws.sagemaker, name, TransformJobName="none")


# Paginators: everything once, in pages no larger than asked for.

LISTS: list[tuple[str, str, dict[str, Any]]] = [
    ("ListTrainingJobs", "TrainingJobSummaries", {"NameContains": "many"}),
    ("ListModels", "Models", {"NameContains": "many"}),
    ("ListEndpointConfigs", "EndpointConfigs", {"NameContains": "many"}),
    ("ListEndpoints", "Endpoints", {"NameContains": "many"}),
    ("ListTransformJobs", "TransformJobSummaries", {"NameContains": "many"}),
    ("ListModelPackageGroups", "ModelPackageGroupSummaryList", {"NameContains": "many"}),
    ("ListModelPackages", "ModelPackageSummaryList", {"ModelPackageGroupName": "many-0"}),
    ("ListTags", "Tags", {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/many-0"}),
]


@pytest.fixture(scope="module")
def many(aws: ClientsWorld) -> ClientsWorld:
    """Three of everything that can be listed."""
    # More than 50, which is ListTags' smallest page.
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(COUNT * 20)]
    client = aws.sagemaker
    for number in range(COUNT):
        name = f"many-{number}"
        client.create_training_job(**aws.training(name))
        client.create_model(**aws.model(name, aws.artefact), Tags=tags[:50])
        client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant_of("m")])
        client.create_endpoint(EndpointName=name, EndpointConfigName=name)
        client.create_transform_job(**aws.transform(name, "m"))
        client.create_model_package_group(ModelPackageGroupName=name)
        client.create_model_package(ModelPackageGroupName="many-0", InferenceSpecification=inference(aws))
    for number in range(COUNT):
        name = f"many-{number}"
        wait(client, "training_job_completed_or_stopped", TrainingJobName=name)
        wait(client, "endpoint_in_service", EndpointName=name)
        wait(client, "transform_job_completed_or_stopped", TransformJobName=name)
    return aws


def test_these_are_all_lists_of_what_is_answered(aws: ClientsWorld) -> None:
    paged = {name for name in ANSWERED if aws.sagemaker.can_paginate(xform_name(name))}
    assert paged == {each[0] for each in LISTS}


@pytest.mark.parametrize(("operation", "member", "what"), LISTS, ids=[each[0] for each in LISTS])
def test_list_comes_in_pages_and_whole(
    many: ClientsWorld, operation: str, member: str, what: dict[str, Any]
) -> None:
    size = 50 if operation == "ListTags" else 2  # its MaxResults is 50 at least
    paginator = many.sagemaker.get_paginator(xform_name(operation))
    found = [page[member] for page in paginator.paginate(**what, PaginationConfig={"PageSize": size})]
    assert max(len(page) for page in found) <= size
    items = [json.dumps(item, default=str, sort_keys=True) for page in found for item in page]
    assert len(items) == len(set(items)) >= COUNT
    assert len(items) == len(getattr(many.sagemaker, xform_name(operation))(**what)[member])


@pytest.mark.parametrize(("operation", "member", "what"), LISTS[:-1], ids=[each[0] for each in LISTS[:-1]])
def test_list_is_sorted_by_creation_both_ways(
    many: ClientsWorld, operation: str, member: str, what: dict[str, Any]
) -> None:
    ordered = [
        [
            json.dumps(item, default=str)
            for item in getattr(many.sagemaker, xform_name(operation))(**what, SortOrder=order)[member]
        ]
        for order in ("Ascending", "Descending")
    ]
    assert ordered[0] == ordered[1][::-1] and len(ordered[0]) == COUNT


def test_lists_by_state_and_time_leave_out_the_others(many: ClientsWorld) -> None:
    jobs = many.sagemaker.list_training_jobs(StatusEquals="Completed", NameContains="many")
    assert len(jobs["TrainingJobSummaries"]) == COUNT
    assert many.sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"] == []
    assert many.sagemaker.list_endpoints(CreationTimeAfter=2_000_000_000)["Endpoints"] == []
    latest = max(each["CreationTime"] for each in jobs["TrainingJobSummaries"])
    found = many.sagemaker.list_training_jobs(CreationTimeAfter=latest)["TrainingJobSummaries"]
    assert {each["TrainingJobName"] for each in found} <= {"many-2"}
