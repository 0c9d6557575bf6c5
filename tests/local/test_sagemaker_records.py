"""What the local SageMaker keeps: models, endpoint configurations, tags; and what it refuses."""

import contextlib
import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients_world import BUCKET, ClientsWorld, arn, variant_of
from conftest import refused
from ecs_world import wait_until
from records_world import ARTEFACT, model, records_world, unchecked, version, with_container

pytestmark = pytest.mark.local
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with records_world(tmp_path_factory.mktemp("records")) as made:
        yield made


@pytest.fixture
def name() -> str:
    return f"n{next(_numbers)}"


# ---- models --------------------------------------------------------------------------------------------------------


def test_a_model_is_described_as_it_was_made_and_is_gone_once_deleted(aws: ClientsWorld, name: str) -> None:
    network = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    made = aws.sagemaker.create_model(**model(aws, name, VpcConfig=network, EnableNetworkIsolation=True))
    found = aws.sagemaker.describe_model(ModelName=name)
    assert made["ModelArn"] == found["ModelArn"] == arn("model", name)
    assert (
        found["PrimaryContainer"]["Image"] == aws.image
        and found["PrimaryContainer"]["ModelDataUrl"] == ARTEFACT
    )
    assert found["VpcConfig"] == network and found["EnableNetworkIsolation"] is True
    aws.sagemaker.delete_model(ModelName=name)
    code, message = refused(aws.sagemaker.describe_model, ModelName=name)
    assert (code, message) == ("ValidationException", f'Could not find model "{arn("model", name)}".')


def test_names_that_differ_in_case_alone_are_one_and_arns_are_in_lower_case(aws: ClientsWorld) -> None:
    aws.sagemaker.create_model(**model(aws, "MixedCase"))
    assert aws.sagemaker.describe_model(ModelName="mixedcase")["ModelName"] == "MixedCase"
    assert aws.sagemaker.describe_model(ModelName="MIXEDCASE")["ModelArn"] == arn("model", "mixedcase")
    _, message = refused(aws.sagemaker.create_model, **model(aws, "mixedCASE"))
    assert message == f'Cannot create already existing model "{arn("model", "mixedcase")}".'


def test_one_container_in_a_list_is_a_model_as_well(aws: ClientsWorld, name: str) -> None:
    given = model(aws, name)
    container = given.pop("PrimaryContainer")
    aws.sagemaker.create_model(**given, Containers=[container])
    found = aws.sagemaker.describe_model(ModelName=name)
    assert found["Containers"][0]["Image"] == aws.image and "PrimaryContainer" not in found


def test_an_archive_may_be_named_by_a_model_data_source(aws: ClientsWorld, name: str) -> None:
    data = {"S3Uri": ARTEFACT, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    aws.sagemaker.create_model(
        **with_container(aws, name, ModelDataUrl=None, ModelDataSource={"S3DataSource": data})
    )
    shown = aws.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    assert shown["ModelDataSource"]["S3DataSource"] == data and "ModelDataUrl" not in shown


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"Mode": "MultiModel"}, "multi-model endpoints"),
        ({"MultiModelConfig": {"ModelCacheSetting": "Enabled"}}, "multi-model endpoints"),
        ({"ImageConfig": {"RepositoryAccessMode": "Vpc"}}, "images of registries in a VPC"),
        (
            {
                "ModelDataUrl": None,
                "ModelDataSource": {
                    "S3DataSource": {"S3Uri": ARTEFACT, "S3DataType": "S3Prefix", "CompressionType": "None"}
                },
            },
            "uncompressed model data",
        ),
    ],
)
def test_what_a_container_may_not_be_is_refused_by_name(
    aws: ClientsWorld, name: str, members: dict[str, Any], what: str
) -> None:
    code, message = refused(aws.sagemaker.create_model, **with_container(aws, name, **members))
    assert code == "UnsupportedOperation" and what in message


def test_a_pipeline_of_containers_is_refused_by_name(aws: ClientsWorld, name: str) -> None:
    given = model(aws, name)
    container = given.pop("PrimaryContainer")
    code, message = refused(aws.sagemaker.create_model, **given, Containers=[container, container])
    assert code == "UnsupportedOperation" and "inference pipelines" in message


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"Image": None}, "needs either Image or ModelPackageName"),
        ({"ModelPackageName": "p"}, "needs either Image or ModelPackageName"),
        ({"Image": "nowhere.example.com/x:1"}, "Invalid image URI"),
        ({"ModelDataUrl": "https://example.com/model.tar.gz"}, "Invalid ModelDataUrl"),
        (
            {"ModelDataUrl": f"s3://{BUCKET}/none.tar.gz"},
            f"Could not find model data at s3://{BUCKET}/none.tar.gz.",
        ),
        (
            {"Environment": {"1": "x"}},
            "'primaryContainer.environment' failed to satisfy constraint: Map keys",
        ),
    ],
)
def test_a_model_that_could_never_serve_is_not_made(
    aws: ClientsWorld, name: str, members: dict[str, Any], says: str
) -> None:
    code, message = refused(aws.sagemaker.create_model, **with_container(aws, name, **members))
    assert code == "ValidationException" and says in message
    assert refused(aws.sagemaker.describe_model, ModelName=name)[0] == "ValidationException"


def test_an_image_that_is_not_in_the_registry_is_not_found(aws: ClientsWorld, name: str) -> None:
    image = aws.image.replace(":latest", ":missing")
    code, message = refused(aws.sagemaker.create_model, **with_container(aws, name, Image=image))
    assert (code, message) == ("ValidationException", f"Requested image {image} not found.")


# ---- endpoint configurations ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(aws: ClientsWorld) -> str:
    aws.sagemaker.create_model(**model(aws, "served"))
    return "served"


def test_a_configuration_keeps_its_variants_with_a_weight_of_one(
    aws: ClientsWorld, name: str, served: str
) -> None:
    two = [variant_of(served, VariantName="a"), variant_of(served, VariantName="b", InitialVariantWeight=3)]
    aws.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=two)
    found = aws.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert [(each["VariantName"], each["InitialVariantWeight"]) for each in found["ProductionVariants"]] == [
        ("a", 1.0),
        ("b", 3.0),
    ]
    listed = aws.sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
    assert [each["EndpointConfigArn"] for each in listed] == [arn("endpoint-config", name)]


@pytest.mark.parametrize(
    ("variants", "more", "says"),
    [
        ([{"ModelName": "none"}], {}, "Could not find model"),
        ([{}, {}], {}, "Duplicate production variant names"),
        ([{"InitialVariantWeight": 0.0}], {}, "sum of all variant weights"),
        ([{"InitialVariantWeight": -1.0}], {}, "initialVariantWeight"),
        ([{"InitialInstanceCount": 0}], {}, "initialInstanceCount"),
        ([{"InstanceType": "ml.none.large"}], {}, "Member must satisfy enum value set"),
        (
            [{"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}],
            {},
            "no serverless endpoints",
        ),
        (
            [{}],
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}},
            "no asynchronous endpoints",
        ),
        ([{}], {"ShadowProductionVariants": [variant_of("served")]}, "no shadow variants"),
        (
            [{}],
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://b/o",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "no data capture",
        ),
    ],
)
def test_a_configuration_that_could_never_serve_is_not_made(
    aws: ClientsWorld, name: str, served: str, variants: list[Any], more: dict[str, Any], says: str
) -> None:
    given = [variant_of(served, **each) for each in variants]
    code, message = refused(
        unchecked(aws).create_endpoint_config, EndpointConfigName=name, ProductionVariants=given, **more
    )
    assert code in ("ValidationException", "UnsupportedOperation") and says in message
    assert aws.sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"] == []


# ---- tags ----------------------------------------------------------------------------------------------------------


def test_tags_come_with_a_resource_and_can_be_changed(aws: ClientsWorld, name: str) -> None:
    tags = [{"Key": "team", "Value": "blue"}, {"Key": "cost", "Value": ""}]
    made = aws.sagemaker.create_model(**model(aws, name, Tags=tags))["ModelArn"]
    after = aws.sagemaker.add_tags(ResourceArn=made, Tags=[{"Key": "team", "Value": "red"}])["Tags"]
    assert {each["Key"]: each["Value"] for each in after} == {"team": "red", "cost": ""}
    aws.sagemaker.delete_tags(ResourceArn=made, TagKeys=["cost", "none"])
    assert aws.sagemaker.list_tags(ResourceArn=made)["Tags"] == [{"Key": "team", "Value": "red"}]
    by_tag = aws.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "team", "Values": ["red"]}], ResourceTypeFilters=["sagemaker"]
    )
    assert [each["ResourceARN"] for each in by_tag["ResourceTagMappingList"]] == [made]


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "Duplicate tag keys"),
        ([{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}], "Duplicate tag keys"),
        ([{"Key": "aws:mine", "Value": "1"}], "aws:"),
        ([{"Key": "a*b", "Value": "1"}], "'tags.1.member.key' failed to satisfy constraint"),
        ([{"Key": "k", "Value": "v" * 257}], "'tags.1.member.value' failed to satisfy constraint"),
    ],
)
def test_tags_that_aws_does_not_take_make_no_model(
    aws: ClientsWorld, name: str, tags: list[dict[str, str]], says: str
) -> None:
    code, message = refused(unchecked(aws).create_model, **model(aws, name, Tags=tags))
    assert code == "ValidationException" and says in message
    assert aws.sagemaker.list_models(NameContains=name)["Models"] == []


def test_a_resource_has_fifty_tags_at_most(aws: ClientsWorld, name: str) -> None:
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    made = aws.sagemaker.create_model(**model(aws, name, Tags=many[:50]))["ModelArn"]
    code, message = refused(aws.sagemaker.add_tags, ResourceArn=made, Tags=many[50:])
    assert code == "ValidationException" and "50" in message
    assert len(aws.sagemaker.list_tags(ResourceArn=made)["Tags"]) == 50


# ---- what else ------------------------------------------------------------------------------------------------------


def test_what_changes_is_told_to_eventbridge(aws: ClientsWorld, name: str) -> None:
    """Detail types of https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html."""
    events, sqs = aws.client("events"), aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
    }
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": queue}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_rule(Name=name, EventPattern='{"source": ["aws.sagemaker"]}')
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue}])

    aws.sagemaker.create_model(**model(aws, name, Tags=[{"Key": "a", "Value": "b"}]))
    aws.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant_of(name)])
    aws.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    aws.sagemaker.update_model_package(ModelPackageArn=version(aws, name), ModelApprovalStatus="Approved")
    got: list[dict[str, Any]] = []

    def more() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            got.append(json.loads(message["Body"]))
        return len(got) >= 4

    wait_until(more)
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)
    assert [each["detail-type"] for each in got] == [
        "SageMaker Model State Change",
        "SageMaker Endpoint Config State Change",
        "SageMaker Model Package State Change",
        "SageMaker Model Package State Change",
    ]
    assert got[0]["resources"] == [arn("model", name)] and got[0]["detail"]["ModelName"] == name
    assert got[0]["detail"]["Tags"] == {"a": "b"} and got[0]["detail"]["CreationTime"] > 1e12
    assert got[3]["detail"]["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]
    assert got[3]["detail"]["CreationTime"].endswith("Z")
    assert not [key for each in got for key in each["detail"] if key.startswith("_")]
    assert [each["detail"]["ModelApprovalStatus"] for each in got[2:]] == [
        "PendingManualApproval",
        "Approved",
    ]


def test_an_operation_that_is_not_there_refuses_by_name(aws: ClientsWorld) -> None:
    code, message = refused(aws.sagemaker.list_notebook_instances)
    assert code == "UnsupportedOperation" and "ListNotebookInstances" in message
    code, message = refused(aws.runtime.invoke_endpoint_async, EndpointName="e", InputLocation="s3://b/k")
    assert code == "UnsupportedOperation" and "InvokeEndpointAsync" in message
    store = aws.client("sagemaker-featurestore-runtime")
    code, message = refused(store.get_record, FeatureGroupName="g", RecordIdentifierValueAsString="1")
    assert code == "UnsupportedOperation" and "GET /FeatureGroup/g" in message


def test_a_paginator_and_times_of_boto3_find_what_they_should(aws: ClientsWorld, name: str) -> None:
    for number in range(5):
        aws.sagemaker.create_model_package_group(ModelPackageGroupName=f"{name}-{number}")
    pages = aws.sagemaker.get_paginator("list_model_package_groups").paginate(
        NameContains=name.upper(), SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    found = [
        [each["ModelPackageGroupName"] for each in page["ModelPackageGroupSummaryList"]] for page in pages
    ]
    assert found == [[f"{name}-4", f"{name}-3"], [f"{name}-2", f"{name}-1"], [f"{name}-0"]]
    second = aws.sagemaker.describe_model_package_group(ModelPackageGroupName=f"{name}-2")["CreationTime"]
    later = aws.sagemaker.list_model_package_groups(NameContains=name, CreationTimeAfter=second)
    assert f"{name}-4" in json.dumps(later, default=str) and f"{name}-2" not in json.dumps(later, default=str)


def test_records_outlive_the_server_however_it_ends(tmp_path: Path) -> None:
    with records_world(tmp_path) as aws:
        aws.sagemaker.create_model(**model(aws, "Kept", Tags=[{"Key": "a", "Value": "b"}]))
        aws.sagemaker.create_model_package_group(ModelPackageGroupName="g")
        before = aws.sagemaker.describe_model(ModelName="Kept")["CreationTime"]
        for number, end in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
            package = version(aws, "g", CustomerMetadataProperties={"a": str(number)})
            assert package == arn("model-package", f"g/{number}")
            wait_until(lambda wanted=f"g/{number}": _is_written(tmp_path, wanted))
            aws.stop(end)
            aws.start()
            assert aws.sagemaker.describe_model(ModelName="kept")["CreationTime"] == before
            tags = aws.sagemaker.list_tags(ResourceArn=arn("model", "kept"))["Tags"]
            assert tags == [{"Key": "a", "Value": "b"}]
            found = aws.sagemaker.describe_model_package(ModelPackageName=package)
            assert found["CustomerMetadataProperties"] == {"a": str(number)}


def _is_written(folder: Path, what: str) -> bool:
    with contextlib.suppress(FileNotFoundError):  # between two snapshots
        return what in (folder / "localaws/snapshot/sagemaker.json").read_text()
    return False
