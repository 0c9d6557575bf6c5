"""Model packages, their groups, and tags in SageMaker's table. Not a test."""

from clients_world import ClientsWorld, arn
from sagemaker_rows import (
    COMMON,
    CONTROLLER,
    ENUM,
    MISSING_ARN,
    NO_GROUP,
    REFERENCE,
    Request,
    Row,
    duplicate,
    listed,
    missing,
    name,
    state,
    value,
)

NO_PACKAGE = "does not exist"


def inference(aws: ClientsWorld) -> Request:
    return {
        "Containers": [{"Image": aws.image, "ModelDataUrl": aws.artefact}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["application/json"],
    }


REGISTRY = (
    Row(
        "CreateModelPackageGroup",
        lambda aws: {"ModelPackageGroupName": "new"},
        (
            duplicate(
                f"Model Package Group already exists: {arn('model-package-group', 'g')}",
                REFERENCE.format("CreateModelPackageGroup"),
                ModelPackageGroupName="g",
            ),
            name("ModelPackageGroupName"),
        ),
    ),
    Row(
        "DescribeModelPackageGroup",
        lambda aws: {"ModelPackageGroupName": "g"},
        (
            missing(
                f"ModelPackageGroup {arn('model-package-group', 'none')} does not exist",
                NO_GROUP,
                ModelPackageGroupName="none",
            ),
            name("ModelPackageGroupName"),
        ),
    ),
    listed("ListModelPackageGroups", {}),
    Row(
        "CreateModelPackage",
        lambda aws: {"ModelPackageGroupName": "g", "InferenceSpecification": inference(aws)},
        (
            missing(NO_PACKAGE, NO_GROUP, ModelPackageGroupName="none"),
            value("Missing ARN", MISSING_ARN, ModelPackageGroupName=None),
            value(
                "Both ModelPackageName and ModelPackageGroupName are provided",
                MISSING_ARN,
                ModelPackageName="p",
            ),
            value(ENUM, REFERENCE.format("CreateModelPackage"), ModelApprovalStatus="Liked"),
        ),
    ),
    Row(
        "DescribeModelPackage",
        lambda aws: {"ModelPackageName": arn("model-package", "g/1")},
        (
            missing(NO_PACKAGE, CONTROLLER, ModelPackageName=arn("model-package", "g/999")),
            name("ModelPackageName"),
        ),
    ),
    Row(
        "BatchDescribeModelPackage",
        lambda aws: {"ModelPackageArnList": [arn("model-package", "g/1"), arn("model-package", "g/999")]},
        # What is missing is no refusal, but an entry of the answer's BatchDescribeModelPackageErrorMap.
        (
            value(
                "at 'modelPackageArnList' failed to satisfy constraint: Member must have length",
                REFERENCE.format("BatchDescribeModelPackage"),
                ModelPackageArnList=[],
            ),
            value("at 'modelPackageArnList.1.member'", ModelPackageArnList=["g/1"]),
        ),
    ),
    listed("ListModelPackages", {"ModelPackageGroupName": "g"}),
    Row(
        "UpdateModelPackage",
        lambda aws: {"ModelPackageArn": arn("model-package", "g/1"), "ModelApprovalStatus": "Approved"},
        (
            missing(NO_PACKAGE, CONTROLLER, ModelPackageArn=arn("model-package", "g/999")),
            value(ENUM, REFERENCE.format("UpdateModelPackage"), ModelApprovalStatus="Liked"),
        ),
    ),
    Row(
        "DeleteModelPackage",
        lambda aws: {"ModelPackageName": arn("model-package", "g/2")},
        (
            missing(NO_PACKAGE, CONTROLLER, ModelPackageName=arn("model-package", "g/999")),
            name("ModelPackageName"),
        ),
    ),
    Row(
        "DeleteModelPackageGroup",
        lambda aws: {"ModelPackageGroupName": "gone"},
        (
            missing(NO_PACKAGE, NO_GROUP, ModelPackageGroupName="none"),
            name("ModelPackageGroupName"),
            state(
                "still contains Model Packages",
                REFERENCE.format("DeleteModelPackageGroup"),
                "ConflictException",
                ModelPackageGroupName="g",
            ),
        ),
    ),
)

# Of what is not there to be tagged, the reference says no more than what all calls have in common.
TAGS = (
    Row(
        "AddTags",
        lambda aws: {"ResourceArn": arn("model", "m"), "Tags": [{"Key": "k", "Value": "v"}]},
        (
            missing("", COMMON, ResourceArn=arn("model", "none")),
            value("at 'resourceArn'", REFERENCE.format("AddTags"), ResourceArn="m"),
        ),
    ),
    Row(
        "ListTags",
        lambda aws: {"ResourceArn": arn("model", "m")},
        (
            missing("", COMMON, ResourceArn=arn("model", "none")),
            value("at 'resourceArn'", REFERENCE.format("ListTags"), ResourceArn="m"),
        ),
    ),
    Row(
        "DeleteTags",
        lambda aws: {"ResourceArn": arn("model", "m"), "TagKeys": ["k"]},
        (
            missing("", COMMON, ResourceArn=arn("model", "none")),
            value("at 'resourceArn'", REFERENCE.format("DeleteTags"), ResourceArn="m"),
        ),
    ),
)
