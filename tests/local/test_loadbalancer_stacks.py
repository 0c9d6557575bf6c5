"""Load balancers by CloudFormation, and who may make them."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from attendee import free_port
from botocore.exceptions import WaiterError
from identity_world import ACCOUNT, Account, account, allow, refused

pytestmark = pytest.mark.local
QUICK = {"Delay": 1, "MaxAttempts": 30}
TEMPLATE = """
Parameters:
  Subnets: {Type: "List<AWS::EC2::Subnet::Id>"}
  Vpc: {Type: String}
  Port: {Type: Number}
  Interval: {Type: Number, Default: 5}
  Delay: {Type: Number, Default: 5}
  Priority: {Type: Number, Default: 1}
Resources:
  Balancer:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties:
      Subnets: !Ref Subnets
      LoadBalancerAttributes: [{Key: idle_timeout.timeout_seconds, Value: "30"}]
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties:
      VpcId: !Ref Vpc
      Protocol: HTTP
      Port: 80
      TargetType: ip
      HealthCheckIntervalSeconds: !Ref Interval
      HealthCheckTimeoutSeconds: 2
      TargetGroupAttributes: [{Key: deregistration_delay.timeout_seconds, Value: !Ref Delay}]
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Balancer
      Port: !Ref Port
      Protocol: HTTP
      DefaultActions: [{Type: forward, TargetGroupArn: !Ref Group}]
  Rule:
    Type: AWS::ElasticLoadBalancingV2::ListenerRule
    Properties:
      ListenerArn: !Ref Listener
      Priority: !Ref Priority
      Conditions: [{Field: path-pattern, PathPatternConfig: {Values: [/hello]}}]
      Actions:
        - Type: fixed-response
          FixedResponseConfig: {StatusCode: "200", ContentType: text/plain, MessageBody: hi}
Outputs:
  Name: {Value: !GetAtt Balancer.DNSName}
  Balancer: {Value: !GetAtt Balancer.LoadBalancerFullName}
  Zone: {Value: !GetAtt Balancer.CanonicalHostedZoneID}
  Group: {Value: !GetAtt Group.TargetGroupFullName}
  GroupArn: {Value: !Ref Group}
  ListenerArn: {Value: !Ref Listener}
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("balancers")) as made:
        yield made


def _network(aws: Account) -> tuple[str, list[str]]:
    ec2 = aws.client("ec2")
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
    return ec2.describe_vpcs()["Vpcs"][0]["VpcId"], subnets


def _parameters(aws: Account, **more: Any) -> list[dict[str, str]]:
    vpc, subnets = _network(aws)
    given = {"Subnets": ",".join(subnets), "Vpc": vpc, **more}
    return [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in given.items()]


def _reasons(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return "\n".join(each.get("ResourceStatusReason", "") for each in events)


def _get(name: str, port: int) -> bytes:
    with urllib.request.urlopen(f"http://{name}:{port}/hello", timeout=10) as answer:
        return bytes(answer.read())


def test_stack_is_made_changed_in_place_and_deleted(aws: Account) -> None:
    cloudformation, elb = aws.client("cloudformation"), aws.client("elbv2")
    port, other = free_port(), free_port()

    def outputs() -> dict[str, str]:
        [stack] = cloudformation.describe_stacks(StackName="web")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    cloudformation.create_stack(
        StackName="web",
        TemplateBody=TEMPLATE,
        Parameters=_parameters(aws, Port=port),
        Tags=[{"Key": "course", "Value": "mine"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="web", WaiterConfig=QUICK)
    made = outputs()
    assert made["Balancer"].startswith("app/web-") and made["Group"].startswith("targetgroup/web-")
    assert made["Zone"] == "Z35SXDOTRQ7X7K" and _get(made["Name"], port) == b"hi"
    [tags] = elb.describe_tags(ResourceArns=[made["ListenerArn"]])["TagDescriptions"]
    assert {"Key": "course", "Value": "mine"} in tags["Tags"]

    changed = _parameters(aws, Port=other, Interval=10, Delay=7, Priority=9)
    cloudformation.update_stack(StackName="web", UsePreviousTemplate=True, Parameters=changed)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="web", WaiterConfig=QUICK)
    assert outputs() == made and _get(made["Name"], other) == b"hi"
    [group] = elb.describe_target_groups(TargetGroupArns=[made["GroupArn"]])["TargetGroups"]
    assert group["HealthCheckIntervalSeconds"] == 10 and len(group["LoadBalancerArns"]) == 1
    attributes = elb.describe_target_group_attributes(TargetGroupArn=made["GroupArn"])["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "7"} in attributes
    rules = elb.describe_rules(ListenerArn=made["ListenerArn"])["Rules"]
    assert [each["Priority"] for each in rules] == ["9", "default"]

    cloudformation.delete_stack(StackName="web")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="web", WaiterConfig=QUICK)
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_target_groups()["TargetGroups"] == []


def test_what_the_service_refuses_fails_the_stack_and_leaves_nothing(aws: Account) -> None:
    cloudformation, elb = aws.client("cloudformation"), aws.client("elbv2")
    sticky = TEMPLATE.replace(
        "deregistration_delay.timeout_seconds, Value: !Ref Delay", "stickiness.enabled, Value: true"
    )
    cloudformation.create_stack(
        StackName="bad", TemplateBody=sticky, Parameters=_parameters(aws, Port=free_port())
    )
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(StackName="bad", WaiterConfig=QUICK)
    assert "does not emulate the target group attribute stickiness.enabled=true" in _reasons(
        cloudformation, "bad"
    )
    assert (
        elb.describe_load_balancers()["LoadBalancers"] == elb.describe_target_groups()["TargetGroups"] == []
    )
    cloudformation.delete_stack(StackName="bad")


# ---- rights --------------------------------------------------------------------------------------------------

ARN = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}"


@pytest.fixture(scope="module")
def tagged(aws: Account) -> dict[str, str]:
    """Two load balancers, `ours` with a tag."""
    elb = aws.client("elbv2")
    _, subnets = _network(aws)
    made = {}
    for name, tags in (
        ("ours", [{"Key": "course", "Value": "mine"}]),
        ("theirs", [{"Key": "course", "Value": "not"}]),
    ):
        [balancer] = elb.create_load_balancer(Name=name, Subnets=subnets, Tags=tags)["LoadBalancers"]
        made[name] = balancer["LoadBalancerArn"]
    return made


def test_tag_decides_which_load_balancer_may_be_changed(aws: Account, tagged: dict[str, str]) -> None:
    mine = {"StringEquals": {"aws:ResourceTag/course": "mine"}}
    elb = aws.as_(aws.session(allow("elasticloadbalancing:ModifyLoadBalancerAttributes", **mine)), "elbv2")
    attributes = [{"Key": "idle_timeout.timeout_seconds", "Value": "61"}]
    elb.modify_load_balancer_attributes(LoadBalancerArn=tagged["ours"], Attributes=attributes)
    with refused(f"elasticloadbalancing:ModifyLoadBalancerAttributes on resource: {tagged['theirs']}"):
        elb.modify_load_balancer_attributes(LoadBalancerArn=tagged["theirs"], Attributes=attributes)
    with refused("elasticloadbalancing:DescribeLoadBalancers"):
        elb.describe_load_balancers()


def test_making_with_tags_needs_the_right_to_tag_what_is_made(aws: Account) -> None:
    vpc, _ = _network(aws)
    create = allow("elasticloadbalancing:CreateTargetGroup", on=f"{ARN}:targetgroup/*")
    given = {"Name": "new", "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip"}
    tags = [{"Key": "course", "Value": "mine"}]
    elb = aws.as_(aws.session(create), "elbv2")
    with refused(f"elasticloadbalancing:AddTags on resource: {ARN}:targetgroup/new/"):
        elb.create_target_group(**given, Tags=tags)
    while_made = {"StringEquals": {"elasticloadbalancing:CreateAction": "CreateTargetGroup"}}
    both = allow("elasticloadbalancing:AddTags", **while_made)
    both["Statement"] += create["Statement"]
    elb = aws.as_(aws.session(both), "elbv2")
    [group] = elb.create_target_group(**given, Tags=tags)["TargetGroups"]
    with refused(f"elasticloadbalancing:AddTags on resource: {group['TargetGroupArn']}"):
        elb.add_tags(ResourceArns=[group["TargetGroupArn"]], Tags=tags)


def test_stack_needs_its_callers_rights_on_the_load_balancer(aws: Account) -> None:
    allowed = allow("cloudformation:*", "ec2:*", "elasticloadbalancing:Describe*")
    allowed["Statement"] += allow("elasticloadbalancing:*", on=f"{ARN}:targetgroup/*")["Statement"]
    cloudformation = aws.as_(aws.session(allowed), "cloudformation")
    cloudformation.create_stack(
        StackName="held", TemplateBody=TEMPLATE, Parameters=_parameters(aws, Port=free_port())
    )
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(StackName="held", WaiterConfig=QUICK)
    assert "not authorized to perform: elasticloadbalancing:CreateLoadBalancer" in _reasons(
        cloudformation, "held"
    )
