"""The model registry of the local SageMaker: groups, versions, approval."""

import itertools
from collections.abc import Iterator

import pytest
from clients_world import BUCKET, ClientsWorld, arn
from conftest import refused
from records_world import records_world, specification, version

pytestmark = pytest.mark.local
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with records_world(tmp_path_factory.mktemp("packages")) as made:
        yield made


@pytest.fixture
def name() -> str:
    return f"n{next(_numbers)}"


def test_versions_of_a_group_are_numbered_and_numbers_never_come_again(aws: ClientsWorld, name: str) -> None:
    aws.sagemaker.create_model_package_group(
        ModelPackageGroupName=name, ModelPackageGroupDescription="of a test"
    )
    assert [version(aws, name) for _ in range(2)] == [arn("model-package", f"{name}/{n}") for n in (1, 2)]
    aws.sagemaker.delete_model_package(ModelPackageName=arn("model-package", f"{name}/2"))
    assert version(aws, name) == arn("model-package", f"{name}/3")
    listed = aws.sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    assert [each["ModelPackageVersion"] for each in listed] == [1, 3]
    found = aws.sagemaker.describe_model_package(ModelPackageName=arn("model-package", f"{name}/3"))
    assert (found["ModelPackageStatus"], found["ModelApprovalStatus"]) == (
        "Completed",
        "PendingManualApproval",
    )


def test_only_an_approved_version_becomes_a_model(aws: ClientsWorld, name: str) -> None:
    aws.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    package = version(aws, name)
    given = {"ModelName": name, "ExecutionRoleArn": aws.role}
    container = {"ModelPackageName": package, "Environment": {"B": "2"}}
    code, message = refused(aws.sagemaker.create_model, **given, PrimaryContainer=container)
    assert code == "ValidationException" and "PendingManualApproval" in message
    aws.sagemaker.update_model_package(
        ModelPackageArn=package, ModelApprovalStatus="Approved", ApprovalDescription="good"
    )
    aws.sagemaker.create_model(**given, PrimaryContainer=container)
    assert aws.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["ModelPackageName"] == package


def test_what_is_said_of_a_version_can_be_changed(aws: ClientsWorld, name: str) -> None:
    aws.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    metrics = {
        "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/q.json"}}
    }
    package = version(
        aws, name, ModelMetrics=metrics, CustomerMetadataProperties={"accuracy": "0.87", "a": "b"}
    )
    aws.sagemaker.update_model_package(
        ModelPackageArn=package,
        ModelApprovalStatus="Rejected",
        CustomerMetadataProperties={"reason": "too slow"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    found = aws.sagemaker.describe_model_package(ModelPackageName=package)
    assert found["ModelMetrics"] == metrics and found["ModelApprovalStatus"] == "Rejected"
    assert found["CustomerMetadataProperties"] == {"accuracy": "0.87", "reason": "too slow"}
    assert found["LastModifiedTime"] >= found["CreationTime"]
    rejected = aws.sagemaker.list_model_packages(ModelPackageGroupName=name, ModelApprovalStatus="Rejected")
    assert len(rejected["ModelPackageSummaryList"]) == 1


def test_a_group_with_versions_is_not_deleted(aws: ClientsWorld, name: str) -> None:
    aws.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    package = version(aws, name)
    code, message = refused(aws.sagemaker.delete_model_package_group, ModelPackageGroupName=name)
    assert code == "ConflictException" and arn("model-package-group", name) in message
    aws.sagemaker.delete_model_package(ModelPackageName=package)
    aws.sagemaker.delete_model_package_group(ModelPackageGroupName=name)
    code, message = refused(aws.sagemaker.describe_model_package_group, ModelPackageGroupName=name)
    assert message == f"ModelPackageGroup {arn('model-package-group', name)} does not exist."


def test_a_package_without_a_group_has_no_version_and_no_approval(aws: ClientsWorld, name: str) -> None:
    made = aws.sagemaker.create_model_package(
        ModelPackageName=name,
        InferenceSpecification=specification(aws, SupportedResponseMIMETypes=["text/csv"]),
    )
    found = aws.sagemaker.describe_model_package(ModelPackageName=name)
    assert found["ModelPackageArn"] == made["ModelPackageArn"] == arn("model-package", name)
    assert "ModelApprovalStatus" not in found and "ModelPackageVersion" not in found
    assert name in [
        each["ModelPackageName"] for each in aws.sagemaker.list_model_packages()["ModelPackageSummaryList"]
    ]
    code, message = refused(
        aws.sagemaker.update_model_package,
        ModelPackageArn=made["ModelPackageArn"],
        ModelApprovalStatus="Approved",
    )
    assert code == "ValidationException" and "unversioned" in message


def test_several_packages_are_described_at_once_and_the_missing_ones_named(
    aws: ClientsWorld, name: str
) -> None:
    aws.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    package, none = version(aws, name), arn("model-package", f"{name}/99")
    found = aws.sagemaker.batch_describe_model_package(ModelPackageArnList=[package, none])
    assert found["ModelPackageSummaries"][package]["ModelPackageVersion"] == 1
    assert list(found["BatchDescribeModelPackageErrorMap"]) == [none]
