"""Search an account for anything of the course that is still there, by tag and by name.

Try it:  python -c "from workshop.aws import leftovers; print(*leftovers.find(), sep='\n')"
By tag: what the tagging service knows as workshop=<name>. By name and state: what it does not know, or still
lists for an hour after it is gone. API Gateway's are looked for by tag alone: who may list API keys may read them all.
Deletes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from workshop.aws import sagemaker_names, session, stacks
from workshop.aws.failures import explained
from workshop.aws.session import Aws

TAGS_AT_ONCE = 20  # the most that elasticloadbalancing:DescribeTags takes
# Kinds that the tagging service goes on listing after their end; `_SEARCHES` looks at their state instead.
OUTLIVE_THEIR_END = (
    ":task/",
    ":task-definition/",
    ":container-instance/",
    ":cluster/",
    ":instance/",
    ":volume/",
    ":natgateway/",
    ":transform-job/",
)


@dataclass(frozen=True)
class Leftover:
    """One thing that is still there. found_by: 'tag' or 'name'."""

    kind: str
    id: str
    found_by: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.id}"


def find(aws: Aws | None = None) -> list[Leftover]:
    """Everything of this course in this account and region, each once; empty means nothing is left.

    Errors: AwsError if a service can't be asked: what was not looked for is never reported as absent.
    """
    aws = aws or session.current()
    found: dict[str, Leftover] = {}
    for kind, search in _SEARCHES:
        with explained(f"look for {kind}s"):
            names = [each for each in search(aws)]
        for name in names:
            found.setdefault(_short(name, kind), Leftover(kind, name, "name"))
    for arn in _tagged(aws):
        found.setdefault(_short(arn), Leftover(_kind(arn), arn, "tag"))
    return sorted(found.values(), key=lambda each: (each.kind, each.id))


def is_ours(name: str, aws: Aws) -> bool:
    """True for names that CloudFormation made from those of the course's stacks: <name>-<concern>…"""
    lowered = name.lower()
    return any(f"{aws.name}-{concern}" in lowered for concern in stacks.COURSE)


def task_definitions(aws: Aws) -> Iterator[str]:
    """ARNs of the active task definitions that carry this course's tag."""
    ecs = aws.client("ecs")
    for arn in _pages(ecs, "list_task_definitions", "taskDefinitionArns", status="ACTIVE"):
        tags = ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"]).get("tags", [])
        if {"key": "workshop", "value": aws.name} in tags:
            yield arn


def _tagged(aws: Aws) -> list[str]:
    with explained("look for resources by tag"):
        filters = [{"Key": "workshop", "Values": [aws.name]}]
        client = aws.client("resourcegroupstaggingapi")
        found = _pages(client, "get_resources", "ResourceTagMappingList", TagFilters=filters)
        arns = [entry["ResourceARN"] for entry in found]
    return [arn for arn in arns if not any(part in arn for part in OUTLIVE_THEIR_END)]


def _pages(client: Any, operation: str, key: str, **request: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(key, [])


def _stacks(aws: Aws) -> Iterator[str]:
    for stack in _pages(aws.client("cloudformation"), "describe_stacks", "Stacks"):
        if is_ours(stack["StackName"], aws) and stack["StackStatus"] != "DELETE_COMPLETE":
            yield stack["StackName"]


def _tasks(aws: Aws) -> Iterator[str]:
    for cluster in _clusters(aws):
        yield from _pages(aws.client("ecs"), "list_tasks", "taskArns", cluster=cluster)


def _clusters(aws: Aws) -> Iterable[str]:
    return _ours(aws, _pages(aws.client("ecs"), "list_clusters", "clusterArns"))


def _buckets(aws: Aws) -> Iterable[str]:
    return _ours(aws, (entry["Name"] for entry in aws.client("s3").list_buckets()["Buckets"]))


def services(aws: Aws) -> list[tuple[str, str]]:
    """(cluster's ARN, service's ARN) of every service on the course's clusters."""
    ecs = aws.client("ecs")
    return [
        (cluster, service)
        for cluster in _clusters(aws)
        for service in _pages(ecs, "list_services", "serviceArns", cluster=cluster)
    ]


def _load_balancing(operation: str, key: str, field: str) -> Callable[[Aws], Iterator[str]]:
    """By tag, because CloudFormation shortens a stack's name in theirs: 32 characters are the most."""

    def search(aws: Aws) -> Iterator[str]:
        elb = aws.client("elbv2")
        arns = [str(entry[field]) for entry in _pages(elb, operation, key)]
        for start in range(0, len(arns), TAGS_AT_ONCE):
            answer = elb.describe_tags(ResourceArns=arns[start : start + TAGS_AT_ONCE])
            for entry in answer["TagDescriptions"]:
                if {"Key": "workshop", "Value": aws.name} in entry["Tags"]:
                    yield str(entry["ResourceArn"])

    return search


def _nat_gateways(aws: Aws) -> Iterator[str]:
    """Those that are there: EC2 shows a deleted one for an hour."""
    wanted = [
        {"Name": "tag:workshop", "Values": [aws.name]},
        {"Name": "state", "Values": ["pending", "available", "deleting"]},
    ]
    for entry in _pages(aws.client("ec2"), "describe_nat_gateways", "NatGateways", Filters=wanted):
        yield str(entry["NatGatewayId"])


def _addresses(aws: Aws) -> Iterator[str]:
    for entry in aws.client("ec2").describe_addresses()["Addresses"]:  # in one page: an account has few
        if {"Key": "workshop", "Value": aws.name} in entry.get("Tags", []):
            yield str(entry["AllocationId"])


def _scalable_targets(aws: Aws) -> Iterator[str]:
    client = aws.client("application-autoscaling")
    found = _pages(client, "describe_scalable_targets", "ScalableTargets", ServiceNamespace="ecs")
    return (entry["ResourceId"] for entry in found if is_ours(entry["ResourceId"], aws))


def _ec2(operation: str, key: str, field: str) -> Callable[[Aws], Iterator[str]]:
    def search(aws: Aws) -> Iterator[str]:
        by_tag = [{"Name": "tag:workshop", "Values": [aws.name]}]
        for entry in _pages(aws.client("ec2"), operation, key, Filters=by_tag):
            yield str(entry[field])

    return search


def _instances(aws: Aws) -> Iterator[str]:
    by_tag = [
        {"Name": "tag:workshop", "Values": [aws.name]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    for reservation in _pages(aws.client("ec2"), "describe_instances", "Reservations", Filters=by_tag):
        yield from (entry["InstanceId"] for entry in reservation["Instances"])


def _named(service: str, operation: str, key: str, field: str) -> Callable[[Aws], Iterable[str]]:
    def search(aws: Aws) -> Iterable[str]:
        return _ours(aws, (entry[field] for entry in _pages(aws.client(service), operation, key)))

    return search


def _ours(aws: Aws, names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if is_ours(name, aws))


def _sagemaker(kind: str) -> Callable[[Aws], list[str]]:
    return lambda aws: sagemaker_names.of(kind, aws)


_SEARCHES: tuple[tuple[str, Callable[[Aws], Iterable[str]]], ...] = (
    ("stack", _stacks),
    ("task", _tasks),
    ("cluster", _clusters),
    ("task definition", task_definitions),
    ("bucket", _buckets),
    ("repository", _named("ecr", "describe_repositories", "repositories", "repositoryName")),
    ("log group", _named("logs", "describe_log_groups", "logGroups", "logGroupName")),
    ("log group of an endpoint", sagemaker_names.log_groups),
    ("log stream of a job", lambda aws: [stream for _, stream in sagemaker_names.log_streams(aws)]),
    ("endpoint", _sagemaker("endpoint")),
    ("endpoint configuration", _sagemaker("endpoint configuration")),
    ("model", _sagemaker("model")),
    ("model package group", _sagemaker("model package group")),
    ("training job", _sagemaker("training job")),
    ("running transform job", _sagemaker("running transform job")),
    ("function", _named("lambda", "list_functions", "Functions", "FunctionName")),
    ("event rule", _named("events", "list_rules", "Rules", "Name")),
    ("role", _named("iam", "list_roles", "Roles", "RoleName")),
    ("instance profile", _named("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName")),
    (
        "Auto Scaling group",
        _named("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    ),
    ("instance", _instances),
    ("service", lambda aws: [service for _, service in services(aws)]),
    ("scalable target", _scalable_targets),
    ("alarm", _named("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName")),
    (
        "load balancer",
        _load_balancing("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    ),
    ("target group", _load_balancing("describe_target_groups", "TargetGroups", "TargetGroupArn")),
    ("NAT gateway", _nat_gateways),
    ("elastic address", _addresses),
    ("launch template", _ec2("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId")),
    ("VPC", _ec2("describe_vpcs", "Vpcs", "VpcId")),
    ("subnet", _ec2("describe_subnets", "Subnets", "SubnetId")),
    ("security group", _ec2("describe_security_groups", "SecurityGroups", "GroupId")),
    ("internet gateway", _ec2("describe_internet_gateways", "InternetGateways", "InternetGatewayId")),
)


def _kind(arn: str) -> str:
    """'ecr repository' of arn:aws:ecr:us-east-1:123456789012:repository/x"""
    parts = arn.split(":", 5)
    return f"{parts[2]} {parts[5].strip('/').split('/')[0].split(':')[0]}" if len(parts) > 5 else "resource"


def _short(name: str, kind: str = "") -> str:
    """The name in an ARN, so that a thing found by name and by tag counts once.

    In SageMaker an endpoint, its configuration and its model often have one name, and ARNs are in lower case.
    """
    parts = name.split(":", 5)
    if kind in sagemaker_names.KINDS:
        return f"{sagemaker_names.KINDS[kind]}/{name.lower()}"
    if parts[0] != "arn" or len(parts) < 6:
        return name
    resource = parts[5].removesuffix(":*")
    if parts[2] == "sagemaker":
        return resource.lower()
    for prefix in ("log-group:", "function:"):
        resource = resource.removeprefix(prefix)
    if resource.startswith("stack/"):
        return resource.split("/")[1]
    return resource if resource.startswith("/") else resource.rsplit("/", 1)[-1]
