"""Templates that AWS would refuse are refused before anything is made, by each of the calls that take one."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.local
Client = Callable[..., Any]

ROLE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: sts:AssumeRole}]
"""
NAMED = """
Parameters: {P: {Type: String}}
Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref P}}}
"""
REFUSED = {
    "no resources": ("Resources: {}", "At least one Resources member must be defined"),
    "reference to nothing": (
        "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Nobody}}}",
        r"Unresolved resource dependencies \[Nobody\] in the Resources block",
    ),
    "output of nothing": (
        "Resources: {T: {Type: AWS::SNS::Topic}}\nOutputs: {O: {Value: !GetAtt Nobody.Arn}}",
        r"Unresolved resource dependencies \[Nobody\] in the Outputs block",
    ),
    "substitution of nothing": (
        "Resources: {T: {Type: AWS::SNS::Topic, Properties: {TopicName: !Sub 'a-${Nobody}'}}}",
        r"Unresolved resource dependencies \[Nobody\]",
    ),
    "unknown property": (
        "Resources: {B: {Type: AWS::S3::Bucket, Properties: {Colour: red}}}",
        "Encountered unsupported property Colour",
    ),
    "missing property": (
        "Resources: {S: {Type: AWS::EC2::Subnet, Properties: {CidrBlock: 10.0.0.0/24}}}",
        "Property VpcId cannot be empty",
    ),
    "bad bucket name": (
        "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: Not_A_Name}}}",
        "Not_A_Name",
    ),
    "unknown attribute": (
        "Resources: {B: {Type: AWS::S3::Bucket}}\nOutputs: {O: {Value: !GetAtt B.Colour}}",
        "Colour",
    ),
    "unknown type": (
        "Resources: {B: {Type: AWS::S3::Pail}}",
        r"Unrecognized resource types: \[AWS::S3::Pail\]",
    ),
    "type that is not emulated": (
        "Resources: {N: {Type: AWS::SageMaker::Domain}}",
        r"Unrecognized resource types: \[AWS::SageMaker::Domain\]",
    ),
    "not YAML": ("Resources: [1", "Template format error"),
}


@pytest.mark.parametrize("call", ["create_stack", "create_change_set", "validate_template"])
@pytest.mark.parametrize("case", REFUSED)
def test_template_is_refused_and_nothing_is_made(client: Client, call: str, case: str) -> None:
    template, message = REFUSED[case]
    cloudformation = client("cloudformation")
    names = {
        "create_stack": {"StackName": "refused"},
        "create_change_set": {"StackName": "refused", "ChangeSetName": "c", "ChangeSetType": "CREATE"},
        "validate_template": {},
    }[call]
    with pytest.raises(ClientError, match=message) as caught:
        getattr(cloudformation, call)(TemplateBody=template, **names)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert cloudformation.describe_stacks()["Stacks"] == []
    assert client("s3").list_buckets()["Buckets"] == []


def test_roles_need_the_capability(client: Client) -> None:
    cloudformation = client("cloudformation")
    with pytest.raises(ClientError) as caught:
        cloudformation.create_stack(StackName="role", TemplateBody=ROLE)
    assert caught.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"
    assert "CAPABILITY_IAM" in str(caught.value)
    assert cloudformation.describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [({}, r"Parameters: \[P\] must have values"), ({"P": "a", "Q": "b"}, r"Parameters: \[Q\] do not exist")],
)
def test_parameters_must_fit_the_template(client: Client, given: dict[str, str], message: str) -> None:
    values = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    with pytest.raises(ClientError, match=message):
        client("cloudformation").create_stack(StackName="p", TemplateBody=NAMED, Parameters=values)


def test_region_of_the_request_decides(client: Client) -> None:
    """A template for another region than the server's is checked against that region's schemas."""
    template = "Resources: {T: {Type: AWS::SNS::Topic}}"
    cloudformation = client("cloudformation", "us-west-2")
    cloudformation.create_stack(StackName="west", TemplateBody=template)
    stack = cloudformation.describe_stacks(StackName="west")["Stacks"][0]
    assert ":us-west-2:" in stack["StackId"]
    assert client("cloudformation").describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("redshift", "describe_clusters"),
        ("rds", "describe_db_instances"),
        ("batch", "describe_job_queues"),
        ("eks", "list_clusters"),
    ],
)
def test_service_that_is_not_emulated_refuses_by_name(client: Client, service: str, call: str) -> None:
    with pytest.raises(ClientError, match=f"does not emulate {service}") as caught:
        getattr(client(service), call)()
    assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
