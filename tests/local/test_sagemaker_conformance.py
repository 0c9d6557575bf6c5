"""Every answer and every refusal of the local SageMaker, held against botocore's model of it and against the table of
what AWS says (sagemaker_table.py)."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape
from clients_world import ROWS as DATA
from clients_world import ClientsWorld, arn, clients_world
from conformance import Watch, wrong
from ecs_world import wait_until
from sagemaker_rows import Refusal, Row
from sagemaker_table import ROWS, RUNTIME
from sagemaker_table_registry import inference

BY_NAME = {row.operation: row for row in ROWS}
REFUSALS = [(row, refusal) for row in (*ROWS, *RUNTIME) for refusal in row.refusals]
HAVE_STATES = {
    "DeleteEndpoint",
    "DeleteModelPackageGroup",
    "DeleteTrainingJob",
    "StopTrainingJob",
    "StopTransformJob",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
}
NEVER_TWICE = {"CreateModelPackage"}  # a further one is a further version


@dataclass
class Walk:
    """A local AWS in which every operation has been called once, and what was seen meanwhile."""

    aws: ClientsWorld
    client: Any  # which sends what it is given, also what botocore would not
    runtime: Any  # likewise
    watch: Watch
    problems: list[str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with clients_world(tmp_path_factory.mktemp("conformance")) as aws:
        furnish(aws)
        client, runtime = (unchecked(aws, service) for service in ("sagemaker", "sagemaker-runtime"))
        watch = Watch(client)
        for row in ROWS:
            call(client, row.operation, row.least(aws))
        for name in ("failed", "running", "stopped"):
            client.describe_training_job(TrainingJobName=name)
        client.describe_endpoint(EndpointName="coming")
        client.describe_transform_job(TransformJobName="stopped")
        for name in ("e", "updated"):
            aws.in_service(name)
        yield Walk(aws, client, runtime, watch, watch.checked())


def unchecked(aws: ClientsWorld, service: str) -> Any:
    return boto3.Session("local", "local", region_name="us-east-1").client(
        service,
        endpoint_url=f"http://127.0.0.1:{aws.port}",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


def furnish(aws: ClientsWorld) -> None:
    """What the table's names stand for."""
    training = aws.sagemaker.create_training_job
    for name, hyperparameters in {
        "done": {},
        "gone": {},
        "failed": {"fail": "too little data"},
        "running": {"seconds": "600"},
        "stopped": {"seconds": "600"},
    }.items():
        training(**aws.training(name, **hyperparameters), Tags=[{"Key": "a", "Value": ""}])
    aws.artefact = aws.ended("done")["ModelArtifacts"]["S3ModelArtifacts"]
    aws.sagemaker.create_model(**aws.model("m", aws.artefact))
    aws.sagemaker.create_model(**aws.model("gone", aws.artefact))
    aws.sagemaker.create_model(**aws.model("silent", aws.artefact, SILENT="1"))
    for endpoint in ("e", "gone", "updated"):
        aws.endpoint(endpoint, "m")
    aws.endpoint("coming", "silent")
    for job, model in {"t": "m", "stopped": "silent"}.items():
        aws.sagemaker.create_transform_job(**aws.transform(job, model))
    for group in ("g", "gone"):
        aws.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    for _ in range(2):
        aws.sagemaker.create_model_package(
            ModelPackageGroupName="g",
            InferenceSpecification=inference(aws),
            ModelApprovalStatus="PendingManualApproval",
        )
    for endpoint in ("e", "gone", "updated"):
        aws.in_service(endpoint)
    for job in ("gone", "failed"):
        aws.ended(job)
    wait_until(lambda: _transformed(aws, "t"))


def _transformed(aws: ClientsWorld, name: str) -> bool:
    found = aws.sagemaker.describe_transform_job(TransformJobName=name)
    return bool(found["TransformJobStatus"] == "Completed")


def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
    return getattr(client, xform_name(operation))(**arguments)


def refusal_of(client: Any, operation: str, arguments: dict[str, Any]) -> tuple[int, str, str]:
    """Status, code and sentence of the error that a call ends in; (200, "", "") if it succeeds."""
    try:
        call(client, operation, arguments)
    except ClientError as error:
        told = error.response["Error"]
        return error.response["ResponseMetadata"]["HTTPStatusCode"], told["Code"], told["Message"]
    return 200, "", ""


def changed(least: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A request with other members, also inside of structures; None takes one away."""
    made = copy.deepcopy(least)
    for name, value in changes.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = changed(made[name], value)
        else:
            made[name] = value
    return made


def required(shape: Shape, given: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a request there is a member that the model requires."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in given:
                if name in shape.required_members:
                    yield (*path, name)
                yield from required(member, given[name], (*path, name))
    elif shape.type_name == "list":
        for number, item in enumerate(given):
            yield from required(shape.member, item, (*path, number))


def without(request: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    made = copy.deepcopy(request)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return made


def said_of(path: tuple[Any, ...]) -> str:
    """The path as AWS writes it: productionVariants.1.member.modelName."""
    steps = [f"{step + 1}.member" if isinstance(step, int) else step[0].lower() + step[1:] for step in path]
    return ".".join(steps)


def least_of(shape: Shape | None) -> Any:
    """The smallest value that a model accepts."""
    kind = shape.type_name if shape else "structure"
    if kind == "structure":
        return {name: least_of(shape.members[name]) for name in (shape.required_members if shape else [])}
    if kind == "list":
        return [least_of(shape.member)] if shape else []
    words = getattr(shape, "enum", None) or ["x"]
    values: dict[str, Any] = {"string": words[0], "boolean": True, "map": {}, "timestamp": 0}
    return values.get(kind, 1)


def kinds(row: Row) -> set[str]:
    return {refusal.why for refusal in row.refusals}


def ids(case: Any) -> str:
    return case.operation if isinstance(case, Row) else case.why if isinstance(case, Refusal) else ""


@pytest.mark.parametrize("row", (*ROWS, *RUNTIME), ids=ids)
def test_row_says_what_is_refused_and_where_aws_says_so(row: Row) -> None:
    expected = {"value"}
    if row.operation.startswith("Create"):
        expected |= {"duplicate"} - ({"duplicate"} if row.operation in NEVER_TWICE else set())
    elif not row.operation.startswith(("List", "BatchDescribe")) or row.operation == "ListTags":
        expected |= {"missing"}
    if row.operation in HAVE_STATES:
        expected |= {"state"}
    assert expected <= kinds(row)
    for refusal in row.refusals:
        assert refusal.source.startswith(("https://docs.aws.amazon.com/", "https://github.com/"))


def test_every_answer_has_the_shape_that_botocore_knows(walk: Walk) -> None:
    assert walk.watch.answered == set(BY_NAME)
    assert walk.problems == []


def test_what_has_no_row_is_refused_by_its_name(walk: Walk) -> None:
    model = walk.client.meta.service_model
    others = set(model.operation_names) - set(BY_NAME)
    assert len(others) > 300
    told = {}
    for name in sorted(others):
        told[name] = refusal_of(walk.client, name, least_of(model.operation_model(name).input_shape))
    answered = {
        name: said
        for name, said in told.items()
        if said[:2] != (501, "UnsupportedOperation") or name not in said[2]
    }
    assert answered == {}


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_request_without_a_required_member_is_refused_by_the_members_name(walk: Walk, row: Row) -> None:
    shape = walk.client.meta.service_model.operation_model(row.operation).input_shape
    request = row.least(walk.aws)
    wanted = list(required(shape, request))
    assert {path[0] for path in wanted if len(path) == 1} == set(shape.required_members)
    for path in wanted:
        status, code, said = refusal_of(walk.client, row.operation, without(request, path))
        assert (status, code) == (400, "ValidationException"), path
        assert (
            f"Value null at '{said_of(path)}' failed to satisfy constraint: Member must not be null" in said
        )


@pytest.mark.parametrize(("row", "refusal"), REFUSALS, ids=ids)
def test_refusal_is_the_one_of_aws(walk: Walk, row: Row, refusal: Refusal) -> None:
    walk.watch.checked()
    request = changed(row.least(walk.aws), refusal.changes)
    client = walk.runtime if row in RUNTIME else walk.client
    status, code, said = refusal_of(client, row.operation, request)
    assert (status, code) == (refusal.status, refusal.code), said
    assert refusal.says in said
    assert walk.watch.checked() == []  # and botocore expects it of this operation


def test_what_was_deleted_is_missing(walk: Walk) -> None:
    for operation, member in {
        "DescribeModel": "ModelName",
        "DescribeEndpointConfig": "EndpointConfigName",
        "DescribeTrainingJob": "TrainingJobName",
        "DescribeModelPackageGroup": "ModelPackageGroupName",
    }.items():
        assert refusal_of(walk.client, operation, {member: "gone"})[1] == "ValidationException", operation
    wait_until(lambda: refusal_of(walk.client, "DescribeEndpoint", {"EndpointName": "gone"})[0] == 400)


def test_invocation_answers_with_the_members_of_the_model(walk: Walk) -> None:
    answer = walk.aws.runtime.invoke_endpoint(
        EndpointName="e", Body=DATA, ContentType="text/csv", CustomAttributes="trace=1"
    )
    answer.pop("ResponseMetadata")
    assert answer.pop("Body").read().startswith(b'{"lines": 2')
    shape = walk.aws.runtime.meta.service_model.operation_model("InvokeEndpoint").output_shape
    assert list(wrong(shape.members["ContentType"], answer["ContentType"], "ContentType")) == []
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "AllTraffic")


def test_other_calls_of_the_runtime_are_refused_by_name(walk: Walk) -> None:
    for call_, more in {
        "invoke_endpoint_async": {"InputLocation": "s3://learning/train/rows.csv"},
        "invoke_endpoint_with_response_stream": {"Body": DATA},
    }.items():
        with pytest.raises(ClientError) as caught:
            getattr(walk.aws.runtime, call_)(EndpointName="e", **more)
        assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_package_of_the_registry_keeps_its_decision(walk: Walk) -> None:
    found = walk.client.describe_model_package(ModelPackageName=arn("model-package", "g/1"))
    assert (found["ModelApprovalStatus"], found["ModelPackageVersion"]) == ("Approved", 1)
