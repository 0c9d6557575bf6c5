"""CloudFormation acts with its caller's rights, or with those of the role that it was given."""

import json
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from localaws import daemon
from localaws.cloudformation import resource_rights_launch
from localaws.cloudformation import resource_rights_table as rights
from localaws.cloudformation.resource_rights_table import Subject

pytestmark = pytest.mark.local
ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
Client = Callable[..., Any]
BUCKET = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
"""
TAGGED = """
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties:
      RetentionInDays: %s
"""
ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      %s
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: sts:AssumeRole}
      Policies:
        - PolicyName: all
          PolicyDocument: {Version: "2012-10-17", Statement: {Effect: Allow, Action: "*", Resource: "*"}}
"""


# ---- the table ------------------------------------------------------------------------------------------------


def test_service_that_is_updated_is_asked_about_by_its_name_and_its_deployments_by_theirs() -> None:
    """A stack knows a service by its ARN."""
    start = f"arn:aws:ecs:us-east-1:{ACCOUNT}:"
    before, after = ({"Cluster": "c", "TaskDefinition": f"t:{number}"} for number in (1, 2))
    known = f"{start}service/c/s-Service-1"
    service = Subject("AWS::ECS::Service", after, "s", "Service", known, before, ACCOUNT, "us-east-1")
    asked = {each.action: each.resource_arn for each in rights.needed("update", service)}
    assert asked["ecs:UpdateService"] == known
    assert asked["ecs:StopServiceDeployment"] == f"{start}service-deployment/c/s-Service-1/*"


@pytest.mark.parametrize("type_name", sorted(rights.table()))
def test_every_right_in_the_table_is_one_that_aws_publishes_for_the_type(type_name: str) -> None:
    every = ("create", "read", "update", "delete")
    published = {handler: rights.published(type_name, handler) for handler in every}
    for handler, action in rights.actions(type_name):
        known = published[handler] or [each for handler in every for each in published[handler]]
        assert any(fnmatchcase(action, pattern) for pattern in known), (handler, action)


def test_every_type_of_the_templates_is_in_the_table() -> None:
    used = set()
    for path in (ROOT / "cloudformation").glob("*.yaml"):
        document = yaml.load(path.read_text(), Loader=_AnyTag)
        used |= {each["Type"] for each in document["Resources"].values()}
    assert used <= set(rights.table())


def test_type_that_is_not_in_the_table_needs_all_that_aws_publishes() -> None:
    needed = rights.needed("create", Subject("AWS::SQS::Queue", {}, "s", "l"))
    assert [each.action for each in needed] == rights.published("AWS::SQS::Queue", "create")
    assert any(each.action == "sqs:CreateQueue" for each in needed)


def test_custom_resource_needs_the_right_to_call_what_it_names() -> None:
    token = "arn:aws:lambda:r:1:function:f"
    [needed] = rights.needed("create", Subject("Custom::Thing", {"ServiceToken": token}, "s", "l"))
    assert (needed.action, needed.resource_arn) == ("lambda:InvokeFunction", token)


def test_rights_follow_the_properties() -> None:
    plain = Subject("AWS::S3::Bucket", {"BucketName": "b"}, "s", "l", account=ACCOUNT, region="r")
    versions = Subject(
        "AWS::S3::Bucket",
        {"BucketName": "b", "VersioningConfiguration": {"Status": "Enabled"}},
        "s",
        "l",
        account=ACCOUNT,
        region="r",
    )
    more = {each.action for each in rights.needed("create", versions)}
    assert more - {each.action for each in rights.needed("create", plain)} == {
        "s3:PutBucketVersioning",
        "s3:GetBucketVersioning",
    }
    assert {each.resource_arn for each in rights.needed("create", versions)} == {"arn:aws:s3:::b"}


def test_update_needs_only_what_changes() -> None:
    subject = Subject(
        "AWS::Logs::LogGroup", {"RetentionInDays": 3}, "s", "l", "g", {"RetentionInDays": 1}, ACCOUNT, "r"
    )
    changing = {each.action for each in rights.needed("update", subject)}
    assert {"logs:PutRetentionPolicy"} <= changing
    assert not changing & {"logs:CreateLogGroup", "logs:TagResource", "logs:AssociateKmsKey"}


def test_role_is_made_with_its_boundary_and_tags_as_condition_keys() -> None:
    properties = {"PermissionsBoundary": "arn:b", "Tags": [{"Key": "workshop", "Value": "w"}], "Path": "/p/"}
    subject = Subject("AWS::IAM::Role", {**properties, "RoleName": "r"}, account=ACCOUNT, region="r")
    create = next(each for each in rights.needed("create", subject) if each.action == "iam:CreateRole")
    assert create.resource_arn == f"arn:aws:iam::{ACCOUNT}:role/p/r"
    assert create.context["iam:PermissionsBoundary"] == "arn:b"
    assert create.context["aws:RequestTag/workshop"] == "w" and create.context["aws:TagKeys"] == ["workshop"]


def test_launch_template_asks_for_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from ministack.services import ec2, iam

    data = {
        "ImageId": "ami-1",
        "InstanceType": "m6i.xlarge",
        "SecurityGroupIds": ["sg-1"],
        "IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/p"},
        "InstanceMarketOptions": {"MarketType": "spot"},
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}],
    }
    version = {"VersionNumber": 1, "LaunchTemplateData": data}
    template = {"lt-1": {"LatestVersionNumber": 1, "DefaultVersionNumber": 1, "Versions": [version]}}
    monkeypatch.setattr(ec2, "_launch_templates", template)
    monkeypatch.setattr(iam, "_instance_profiles", {"p": {"Roles": ["r"]}})
    monkeypatch.setattr(iam, "_roles", {"r": {"Arn": "arn:aws:iam::1:role/r"}})
    properties = {
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
        "VPCZoneIdentifier": ["subnet-1"],
    }
    needed = resource_rights_launch.needed(properties, "1", "r")
    runs = {each.resource_arn.split(":")[5] for each in needed if each.action == "ec2:RunInstances"}
    parts = {"instance/*", "volume/*", "network-interface/*", "spot-instances-request/*"}
    assert runs == {*parts, "image/ami-1", "security-group/sg-1", "subnet/subnet-1", "launch-template/lt-1"}
    others = {each.action: each for each in needed if each.action != "ec2:RunInstances"}
    assert set(others) == {"ec2:CreateTags", "iam:PassRole", "iam:CreateServiceLinkedRole"}
    assert others["iam:PassRole"].context == {"iam:PassedToService": "ec2.amazonaws.com"}
    instance = next(each for each in needed if each.resource_arn.endswith("instance/*"))
    assert instance.context["ec2:InstanceType"] == "m6i.xlarge"


# ---- stacks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    from attendee import free_port

    folder = tmp_path_factory.mktemp("enforced")
    boundary = folder / "boundary.json"
    boundary.write_text(json.dumps(_policy("s3:GetObject")))
    yield daemon.start(
        folder, free_port(), "eu-central-1", "process", enforce=True, managed_policies={"boundary": boundary}
    )
    daemon.stop(folder)


@pytest.fixture(scope="module")
def administrator(enforced: daemon.Running) -> Client:
    return _clients(enforced, "local", "local")


@pytest.fixture
def limited(enforced: daemon.Running, administrator: Client) -> Iterator[Callable[..., Client]]:
    """Clients of a user who may do what is named, and whatever of CloudFormation."""
    iam, name = administrator("iam"), f"user-{time.time_ns()}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def may(*actions: str) -> Client:
        document = json.dumps(_policy("cloudformation:*", *actions))
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        return _clients(enforced, key["AccessKeyId"], key["SecretAccessKey"])

    yield may
    iam.delete_user_policy(UserName=name, PolicyName="p")
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def test_resource_fails_in_the_words_of_aws_where_its_maker_may_not_make_it(
    limited: Callable[..., Client], administrator: Client
) -> None:
    client = limited("s3:CreateBucket", "s3:DeleteBucket", "s3:ListBucket")
    assert _deploy(client, "denied", BUCKET) == "ROLLBACK_COMPLETE"
    [reason] = _reasons(administrator, "denied", "Bucket")
    assert "is not authorized to perform: s3:PutBucketVersioning on resource: arn:aws:s3:::denied-" in reason
    assert "because no identity-based policy allows the s3:PutBucketVersioning action" in reason
    assert reason.endswith("(HandlerErrorCode: AccessDenied)")
    assert administrator("s3").list_buckets()["Buckets"] == []


def test_change_set_acts_with_the_rights_of_whoever_executes_it(
    limited: Callable[..., Client], administrator: Client
) -> None:
    administrator("cloudformation").create_change_set(
        StackName="two-people", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=BUCKET
    )
    administrator("cloudformation").get_waiter("change_set_create_complete").wait(
        StackName="two-people", ChangeSetName="c", WaiterConfig={"Delay": 0}
    )
    limited()("cloudformation").execute_change_set(StackName="two-people", ChangeSetName="c")
    assert _settled(administrator, "two-people") == "ROLLBACK_COMPLETE"
    assert "s3:CreateBucket" in _reasons(administrator, "two-people", "Bucket")[0]


def test_template_reads_parameters_and_zones_with_its_callers_rights(limited: Callable[..., Client]) -> None:
    template = """
Parameters:
  Image:
    Type: AWS::SSM::Parameter::Value<String>
    Default: /aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
Outputs:
  Zone: {Value: !Select [0, !GetAZs ""]}
"""
    client = limited()
    errors = client("cloudformation").exceptions
    with pytest.raises(
        errors.ClientError, match=r"ssm:GetParameters on resource: arn:aws:ssm:[^:]+::parameter/aws/"
    ):
        _deploy(client, "reads", template)
    with pytest.raises(errors.ClientError, match="ec2:DescribeAvailabilityZones"):
        _deploy(limited("ssm:GetParameters"), "reads", template)


def test_update_and_deletion_are_asked_for_as_well(
    limited: Callable[..., Client], administrator: Client
) -> None:
    assert _deploy(administrator, "logs", TAGGED % 3) == "CREATE_COMPLETE"
    client = limited("logs:ListTagsForResource", "logs:Describe*", "logs:GetDataProtectionPolicy")
    client("cloudformation").update_stack(StackName="logs", TemplateBody=TAGGED % 5)
    assert _settled(administrator, "logs") == "UPDATE_ROLLBACK_COMPLETE"
    assert "logs:PutRetentionPolicy" in _reasons(administrator, "logs", "Group")[0]
    client("cloudformation").delete_stack(StackName="logs")
    assert _settled(administrator, "logs") == "DELETE_FAILED"
    groups = administrator("logs").describe_log_groups(logGroupNamePrefix="logs-Group-")["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [3]


def test_stack_keeps_the_role_that_it_was_given(
    limited: Callable[..., Client], administrator: Client
) -> None:
    role = _service_role(administrator, "stack-role", "logs:*")
    client = limited("iam:PassRole")
    assert _deploy(client, "by-role", TAGGED % 3, RoleARN=role) == "CREATE_COMPLETE"
    without_pass_role = limited()
    without_pass_role("cloudformation").update_stack(StackName="by-role", TemplateBody=TAGGED % 5)
    assert _settled(administrator, "by-role") == "UPDATE_COMPLETE"
    stack_id = administrator("cloudformation").describe_stacks(StackName="by-role")["Stacks"][0]["StackId"]
    without_pass_role("cloudformation").delete_stack(StackName="by-role")
    assert _settled(administrator, stack_id) == "DELETE_COMPLETE"
    assert _deploy(without_pass_role, "by-role", TAGGED % 3) == "ROLLBACK_COMPLETE"  # a new stack, no role


def test_role_can_do_no_more_than_its_policies_say(
    limited: Callable[..., Client], administrator: Client
) -> None:
    role = _service_role(administrator, "weak-role", "logs:*")
    assert _deploy(limited("iam:PassRole", "s3:*"), "weak", BUCKET, RoleARN=role) == "ROLLBACK_COMPLETE"
    [reason] = _reasons(administrator, "weak", "Bucket")
    assert "assumed-role/weak-role/AWSCloudFormation is not authorized to perform: s3:CreateBucket" in reason


def test_role_that_does_not_trust_cloudformation_is_refused(administrator: Client) -> None:
    role = _service_role(administrator, "stranger", "logs:*", service="ec2.amazonaws.com")
    with pytest.raises(administrator("cloudformation").exceptions.ClientError, match="cannot be assumed"):
        _deploy(administrator, "no-trust", BUCKET, RoleARN=role)


def test_boundary_of_a_template_confines_its_role(administrator: Client) -> None:
    boundary = f"PermissionsBoundary: arn:aws:iam::{ACCOUNT}:policy/boundary"
    assert _deploy(administrator, "confined", ROLE % boundary) == "CREATE_COMPLETE"
    [found] = administrator("cloudformation").list_stack_resources(StackName="confined")[
        "StackResourceSummaries"
    ]
    role = administrator("iam").get_role(RoleName=found["PhysicalResourceId"])["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/boundary")


def test_boundary_that_is_not_there_fails_the_role(administrator: Client) -> None:
    boundary = f"PermissionsBoundary: arn:aws:iam::{ACCOUNT}:policy/nobody-made-it"
    assert _deploy(administrator, "unconfined", ROLE % boundary) == "ROLLBACK_COMPLETE"
    [reason] = _reasons(administrator, "unconfined", "Role")
    assert "does not exist or is not attachable" in reason


# ---- what the tests above share -------------------------------------------------------------------------------


class _AnyTag(yaml.SafeLoader):
    """Reads a template without looking into its functions."""


_AnyTag.add_multi_constructor("!", lambda loader, suffix, node: None)


def _clients(running: daemon.Running, key: str, secret: str) -> Client:
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name="eu-central-1")
    return lambda service: session.client(service, endpoint_url=running.endpoint)


def _policy(*actions: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
    }


def _service_role(
    administrator: Client, name: str, action: str, service: str = "cloudformation.amazonaws.com"
) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    }
    made = administrator("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = json.dumps(_policy(action))
    administrator("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return str(made["Role"]["Arn"])


def _deploy(client: Client, name: str, template: str, **options: str) -> str:
    client("cloudformation").create_stack(
        StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"], **options
    )
    return _settled(client, name)


def _settled(client: Client, name: str) -> str:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        status = str(client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(0.05)
    raise AssertionError(f"stack {name} is still {status}")


def _reasons(client: Client, name: str, logical_id: str) -> list[str]:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [
        event["ResourceStatusReason"]
        for event in events
        if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("FAILED")
    ]
