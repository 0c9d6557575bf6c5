"""What IAM is asked about a request to SageMaker, and that the service reads the request in the same way."""

import json
from typing import Any

import pytest

from localaws import shapes
from localaws.identity import roles, sagemaker
from localaws.identity.resources import Request

ARN = "arn:aws:sagemaker:eu-central-1:123456789012:"
CONTROL = {"x-amz-target": "SageMaker.DescribeModel"}


def asked(operation: str, path: str = "/", **document: Any) -> Request:
    body = json.dumps(document).encode()
    return Request("sagemaker", f"sagemaker:{operation}", body, {}, "eu-central-1", "123456789012", path)


@pytest.mark.parametrize(
    ("operation", "document", "resources"),
    [
        ("CreateModel", {"ModelName": "Mine"}, ["model/mine"]),
        ("DescribeModel", {"ModelName": "m"}, ["model/m"]),
        ("CreateTrainingJob", {"TrainingJobName": "J"}, ["training-job/j"]),
        ("StopTrainingJob", {"TrainingJobName": "j"}, ["training-job/j"]),
        ("CreateTransformJob", {"TransformJobName": "t", "ModelName": "m"}, ["transform-job/t"]),
        (
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            ["endpoint/e", "endpoint-config/c"],
        ),
        (
            "UpdateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            ["endpoint/e", "endpoint-config/c"],
        ),
        ("DeleteEndpointConfig", {"EndpointConfigName": "c"}, ["endpoint-config/c"]),
        (
            "CreateModelPackage",
            {"ModelPackageGroupName": "g"},
            ["model-package-group/g", "model-package/g/*"],
        ),
        ("DescribeModelPackage", {"ModelPackageName": f"{ARN}model-package/g/1"}, ["model-package/g/1"]),
        ("UpdateModelPackage", {"ModelPackageArn": f"{ARN}model-package/g/1"}, ["model-package/g/1"]),
        ("ListModelPackages", {"ModelPackageGroupName": "g"}, ["model-package-group/g"]),
        ("AddTags", {"ResourceArn": f"{ARN}endpoint/e"}, ["endpoint/e"]),
    ],
)
def test_a_call_is_about_what_it_names(operation: str, document: dict[str, Any], resources: list[str]):
    found = sagemaker.resources(asked(operation, **document), "*")
    assert found == [ARN + each for each in resources]


@pytest.mark.parametrize(
    "operation", ["ListModels", "ListTrainingJobs", "ListModelPackages", "ListEndpoints"]
)
def test_a_list_is_about_nothing_in_particular(operation: str):
    assert sagemaker.resources(asked(operation, NameContains="x"), "*") == ["*"]


def test_an_invocation_is_about_the_endpoint_of_its_path():
    path = "/endpoints/Mine/invocations"
    assert sagemaker.action("POST", path, {}) == "sagemaker:InvokeEndpoint"
    request = asked("InvokeEndpoint", path, EndpointName="other")
    assert sagemaker.resources(request, "*") == [ARN + "endpoint/mine"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "operation"),
    [
        ("POST", "/", CONTROL, "DescribeModel"),
        ("POST", "/endpoints/e/invocations", CONTROL, "DescribeModel"),
        ("POST", "/endpoints/e/invocations", {"x-amz-target": "Other.ListModels"}, "UnknownOperation"),
        ("GET", "/endpoints/e/invocations", {}, "UnknownOperation"),
        ("POST", "/endpoints/e/invocations/more", {}, "UnknownOperation"),
        ("POST", "/endpoints/e/f/invocations", {}, "UnknownOperation"),
        ("POST", "/endpoints/e/async-invocations", {}, "InvokeEndpointAsync"),
        ("POST", "/FeatureGroup/x", {}, "UnknownOperation"),
    ],
)
def test_a_request_has_one_reading(method: str, path: str, headers: dict[str, str], operation: str):
    assert sagemaker.operation(method, path, headers) == operation


def test_members_that_name_things_are_botocores():
    model = shapes.model("sagemaker")
    members = {
        name for each in model.operation_names for name in model.operation_model(each).input_shape.members
    }
    assert set(sagemaker.NAMING) <= members


def test_tags_at_creation_need_the_right_to_tag():
    request = asked("CreateModel", ModelName="m", Tags=[{"Key": "team", "Value": "blue"}])
    (right,) = sagemaker.further(request)
    assert (right.action, right.resource_arn) == ("sagemaker:AddTags", ARN + "model/m")
    assert right.context["aws:RequestTag/team"] == "blue" and right.context["aws:TagKeys"] == ["team"]
    assert right.context["sagemaker:TaggingAction"] == "CreateModel"
    assert sagemaker.further(asked("CreateModel", ModelName="m")) == []
    assert sagemaker.further(asked("AddTags", ResourceArn=ARN, Tags=[{"Key": "a", "Value": "b"}])) == []


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("CreateTrainingJob", {"RoleArn": "arn:aws:iam::1:role/r"}),
        ("CreateModel", {"ExecutionRoleArn": "arn:aws:iam::1:role/r"}),
    ],
)
def test_a_role_is_passed_to_sagemaker(operation: str, document: dict[str, str]):
    (right,) = roles.passed(asked(operation, **document))
    assert (right.action, right.resource_arn) == ("iam:PassRole", "arn:aws:iam::1:role/r")
    assert right.context == {"iam:PassedToService": "sagemaker.amazonaws.com"}


def test_condition_keys_tell_of_instances_networks_and_approval():
    training = asked(
        "CreateTrainingJob",
        ResourceConfig={"InstanceType": "ml.m5.large"},
        VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        EnableNetworkIsolation=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    assert sagemaker.context(training) == {
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:VpcSubnets": ["subnet-1"],
        "sagemaker:VpcSecurityGroupIds": ["sg-1"],
        "sagemaker:NetworkIsolation": "true",
        "sagemaker:MaxRuntimeInSeconds": "600",
    }
    variants = [{"InstanceType": "ml.t2.medium", "ModelName": "M"}, {"InstanceType": "ml.c5.large"}]
    assert sagemaker.context(asked("CreateEndpointConfig", ProductionVariants=variants)) == {
        "sagemaker:InstanceTypes": ["ml.t2.medium", "ml.c5.large"],
        "sagemaker:ModelArn": [ARN + "model/m"],
    }
    approval = asked("UpdateModelPackage", ModelApprovalStatus="Approved")
    assert sagemaker.context(approval) == {"sagemaker:ModelApprovalStatus": "Approved"}


@pytest.mark.parametrize(
    "odd", [{"ProductionVariants": 3}, {"VpcConfig": "x"}, {"Tags": "x"}, {"ModelName": {}}]
)
def test_a_request_that_makes_no_sense_is_for_the_service_to_refuse(odd: dict[str, Any]):
    request = asked("CreateModel", **odd)
    sagemaker.resources(request, "*")
    sagemaker.context(request)
    sagemaker.further(request)
