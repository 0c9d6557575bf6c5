"""CloudFormation's types of SageMaker: made, changed in place or replaced, and gone, with the caller's rights."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from ecs_world import wait_until
from hosting_world import HostingWorld, hosting

pytestmark = pytest.mark.local
TEMPLATE = """
Parameters:
  Role: {Type: String}
  Image: {Type: String}
  Data: {Type: String}
  Word: {Type: String, Default: one}
  Team: {Type: String, Default: red}
  Broken: {Type: String, Default: ""}
Resources:
  Model:
    Type: AWS::SageMaker::Model
    Properties:
      ExecutionRoleArn: !Ref Role
      PrimaryContainer:
        Image: !Ref Image
        ModelDataUrl: !Ref Data
        Environment: {WORD: !Ref Word, BROKEN: !Ref Broken}
      Tags: [{Key: team, Value: !Ref Team}]
  Config:
    Type: AWS::SageMaker::EndpointConfig
    Properties:
      ProductionVariants:
        - VariantName: AllTraffic
          ModelName: !GetAtt Model.ModelName
          InitialInstanceCount: 1
          InstanceType: ml.m5.large
          InitialVariantWeight: 1
      Tags: [{Key: team, Value: !Ref Team}]
  Endpoint:
    Type: AWS::SageMaker::Endpoint
    Properties:
      EndpointConfigName: !GetAtt Config.EndpointConfigName
      Tags: [{Key: team, Value: !Ref Team}]
  Group:
    Type: AWS::SageMaker::ModelPackageGroup
    Properties:
      ModelPackageGroupName: passengers
      ModelPackageGroupDescription: Models of passengers
      Tags: [{Key: team, Value: !Ref Team}]
Outputs:
  Model: {Value: !Ref Model}
  ModelName: {Value: !GetAtt Model.ModelName}
  Config: {Value: !Ref Config}
  Endpoint: {Value: !Ref Endpoint}
  EndpointName: {Value: !GetAtt Endpoint.EndpointName}
  Group: {Value: !Ref Group}
  GroupStatus: {Value: !GetAtt Group.ModelPackageGroupStatus}
"""
KINDS = {
    "Model": "model",
    "Config": "endpoint-config",
    "Endpoint": "endpoint",
    "Group": "model-package-group",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingWorld]:
    with hosting(tmp_path_factory.mktemp("stacks"), enforce=True) as made:
        yield made


@pytest.fixture(scope="module")
def deploy(world: HostingWorld) -> Callable[..., dict[str, str]]:
    """Create or update the stack; its outputs. Errors: WaiterError if it ended otherwise than well."""
    data, clouds = world.artefact("one"), world.client("cloudformation")

    def deployed(action: str = "update", **parameters: str) -> dict[str, str]:
        given = {"Role": world.serving_role, "Image": world.image, "Data": data, **parameters}
        pairs = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
        call = getattr(clouds, f"{action}_stack")
        call(StackName="passengers", TemplateBody=TEMPLATE, Parameters=pairs)
        return ended(action)

    def ended(action: str) -> dict[str, str]:
        waiter = clouds.get_waiter(f"stack_{action}_complete")
        try:
            waiter.wait(StackName="passengers", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000})
        except WaiterError:
            events = clouds.describe_stack_events(StackName="passengers")["StackEvents"]
            print(*(each.get("ResourceStatusReason") for each in events), sep="\n")
            raise
        [stack] = clouds.describe_stacks(StackName="passengers")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    return deployed


@pytest.fixture(scope="module")
def made(deploy: Callable[..., dict[str, str]]) -> dict[str, str]:
    return deploy("create")


def tag(world: HostingWorld, arn: str) -> str:
    tags = world.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    return str({each["Key"]: each["Value"] for each in tags}["team"])


def test_the_stack_is_made_when_the_endpoint_answers(world: HostingWorld, made: dict[str, str]) -> None:
    assert world.invoke(made["EndpointName"], "env WORD") == "one"
    assert made["GroupStatus"] == "Completed"


@pytest.mark.parametrize(("output", "kind"), list(KINDS.items()))
def test_ref_is_the_arn_and_the_tags_are_there(
    world: HostingWorld, made: dict[str, str], output: str, kind: str
) -> None:
    assert made[output].startswith("arn:aws:sagemaker:us-east-1:123456789012:" + kind + "/")
    assert tag(world, made[output]) == "red"


def test_names_are_made_of_stack_and_resource(made: dict[str, str]) -> None:
    assert made["ModelName"].startswith("passengers-Model-")
    assert made["EndpointName"].startswith("passengers-Endpoint-")


def test_tags_change_in_place(
    world: HostingWorld, made: dict[str, str], deploy: Callable[..., dict[str, str]]
) -> None:
    assert deploy(Team="blue") == made
    assert {tag(world, made[output]) for output in KINDS} == {"blue"}


def test_another_model_is_another_resource_and_the_same_endpoint_never_stops_answering(
    world: HostingWorld, made: dict[str, str], deploy: Callable[..., dict[str, str]]
) -> None:
    after = deploy(Team="blue", Word="two")
    assert after["Endpoint"] == made["Endpoint"]
    assert after["Model"] != made["Model"] and after["Config"] != made["Config"]
    assert world.invoke(after["EndpointName"], "env WORD") == "two"
    left = [each["ModelName"] for each in world.sagemaker.list_models()["Models"]]
    assert left == [after["ModelName"]]


def test_an_update_whose_containers_fail_is_rolled_back_with_sagemakers_reason(
    world: HostingWorld, made: dict[str, str], deploy: Callable[..., dict[str, str]]
) -> None:
    with pytest.raises(WaiterError):
        deploy(Team="blue", Word="three", Broken="exit")
    clouds = world.client("cloudformation")

    def status() -> str:
        return str(clouds.describe_stacks(StackName="passengers")["Stacks"][0]["StackStatus"])

    wait_until(lambda: status() == "UPDATE_ROLLBACK_COMPLETE")
    assert world.invoke(made["EndpointName"], "env WORD") == "two"
    events = clouds.describe_stack_events(StackName="passengers")["StackEvents"]
    reasons = [
        each.get("ResourceStatusReason", "") for each in events if each["LogicalResourceId"] == "Endpoint"
    ]
    assert any("ping health check" in reason for reason in reasons), reasons


def test_whoever_may_not_make_a_model_gets_none_from_cloudformation(world: HostingWorld) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="limited")
    allowed = {"Effect": "Allow", "Action": ["cloudformation:*", "iam:PassRole"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="limited", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="limited")["AccessKey"]
    import boto3

    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    clouds = session.client("cloudformation", endpoint_url=f"http://127.0.0.1:{world.port}")
    template = {"Resources": {"G": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {}}}}
    template["Resources"]["G"]["Properties"] = {"ModelPackageGroupName": "Mine"}
    clouds.create_stack(StackName="denied", TemplateBody=json.dumps(template))
    with pytest.raises(WaiterError):
        clouds.get_waiter("stack_create_complete").wait(
            StackName="denied", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000}
        )
    events = world.client("cloudformation").describe_stack_events(StackName="denied")["StackEvents"]
    reasons = " ".join(each.get("ResourceStatusReason", "") for each in events)
    assert "sagemaker:CreateModelPackageGroup on resource: arn:aws:sagemaker:us-east-1:" in reasons
    assert "model-package-group/mine because no identity-based policy" in reasons


def test_a_group_with_a_policy_is_refused_by_name_before_it_is_made(world: HostingWorld) -> None:
    policy = {"ModelPackageGroupName": "ruled", "ModelPackageGroupPolicy": {"Version": "2012-10-17"}}
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": policy}
    clouds = world.client("cloudformation")
    clouds.create_stack(StackName="ruled", TemplateBody=json.dumps({"Resources": {"G": group}}))
    with pytest.raises(WaiterError):
        clouds.get_waiter("stack_create_complete").wait(
            StackName="ruled", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000}
        )
    events = clouds.describe_stack_events(StackName="ruled")["StackEvents"]
    assert any("ModelPackageGroupPolicy" in each.get("ResourceStatusReason", "") for each in events)
    groups = world.sagemaker.list_model_package_groups(NameContains="ruled")
    assert groups["ModelPackageGroupSummaryList"] == []


def test_an_endpoint_that_never_serves_fails_the_stack_and_leaves_nothing(world: HostingWorld) -> None:
    clouds = world.client("cloudformation")
    given = {"Role": world.serving_role, "Image": world.image, "Data": world.artefact("x"), "Broken": "exit"}
    pairs: list[Any] = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    body = TEMPLATE.replace("ModelPackageGroupName: passengers", "ModelPackageGroupName: others")
    clouds.create_stack(StackName="broken", TemplateBody=body, Parameters=pairs)
    with pytest.raises(WaiterError):
        clouds.get_waiter("stack_create_complete").wait(
            StackName="broken", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000}
        )
    wait_until(
        lambda: clouds.describe_stacks(StackName="broken")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    )
    assert world.sagemaker.list_endpoints(NameContains="broken")["Endpoints"] == []
    assert world.sagemaker.list_models(NameContains="broken")["Models"] == []


def test_deleted_the_stack_leaves_nothing_of_sagemaker(world: HostingWorld, made: dict[str, str]) -> None:
    """The last of the module: the stack is gone then."""
    clouds = world.client("cloudformation")
    clouds.delete_stack(StackName="passengers")
    clouds.get_waiter("stack_delete_complete").wait(
        StackName="passengers", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000}
    )
    found = world.sagemaker
    assert found.list_endpoints()["Endpoints"] == found.list_endpoint_configs()["EndpointConfigs"] == []
    assert found.list_models()["Models"] == []
    assert found.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
