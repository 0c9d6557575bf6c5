"""Which resources a request is about, and the condition keys that it carries, where ministack says otherwise.

Try it:  aws ecs describe-tasks with a policy that names one cluster's tasks alone
Resource types and their ARNs are those of the Service Authorization Reference, one page a service:
docs.aws.amazon.com/service-authorization/latest/reference. Knows how requests are spelled; decides nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from localaws.identity import members
from localaws.identity.reading import document_read

EC2_TYPES = {
    "i": "instance",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "vol": "volume",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "eni": "network-interface",
    "eipalloc": "elastic-ip",
    "vpce": "vpc-endpoint",
}
_EC2_ID = re.compile(r"([a-z]+)-[0-9a-f]{8,17}$")
# Calls that take tags for what they make need this right too; where they give them; AWS's name of the resource.
TAGGING = {
    "ecs:RunTask": "ecs:TagResource",
    "ecs:StartTask": "ecs:TagResource",
    "ecs:RegisterTaskDefinition": "ecs:TagResource",
    "ecs:CreateService": "ecs:TagResource",
    "ecs:CreateCluster": "ecs:TagResource",
    "ecs:CreateCapacityProvider": "ecs:TagResource",
    "ecr:CreateRepository": "ecr:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "lambda:CreateFunction": "lambda:TagResource",
    "events:PutRule": "events:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
}


@dataclass(frozen=True)
class Right:
    """Something to ask IAM for. `service` is ministack's name, where it is not the request's own."""

    action: str
    resource_arn: str
    context: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""


@dataclass(frozen=True)
class Request:
    """A request as IAM sees it. action: such as `ecs:RunTask`; params: of the query or form."""

    service: str
    action: str
    body: bytes
    params: Mapping[str, Any]
    region: str
    account: str
    path: str = ""

    @property
    def operation(self) -> str:
        return self.action.partition(":")[2]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON body; empty if it is none."""
        return document_read(self.body)

    def strictly(self) -> "Request":
        """The same without what its operation does not have."""
        strict = replace(self, params=members.known(self.service, self.operation, self.params))
        strict.__dict__["document"] = members.known(self.service, self.operation, self.document)
        return strict

    def param(self, name: str) -> str:
        value = self.params.get(name)
        return str(value[0] if isinstance(value, list) else value or "")

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def resources(request: Request, found: str) -> list[str]:
    """The ARNs that the request needs its action on, at least one; found: what ministack says."""
    own = RESOURCES.get(request.service)
    return (own(request, found) if own else None) or [found]


def context(request: Request) -> dict[str, Any]:
    """The condition keys of the request's service."""
    own = CONTEXTS.get(request.service)
    return own(request) if own else {}


def listing(request: Request) -> list[Right]:
    """DescribeStacks of no stack in particular lists them all, and needs that right too (API reference)."""
    if request.action == "cloudformation:DescribeStacks" and not request.param("StackName"):
        return [Right("cloudformation:ListStacks", "*")]
    return []


def tagging(request: Request, resource_arn: str) -> list[Right]:
    """The right to tag what the request makes, if it gives tags."""
    needed = TAGGING.get(request.action)
    given = request.document.get("tags") or request.document.get("Tags")
    if not needed or not given:
        return []
    if request.operation in ("RunTask", "StartTask"):  # a task has its number only afterwards
        resource_arn = request.arn("ecs", f"task/{_cluster(request)}/*")
    keys = list(given) if isinstance(given, dict) else [each.get("key") or each.get("Key") for each in given]
    values = (
        given
        if isinstance(given, dict)
        else {k: each.get("value", each.get("Value")) for k, each in zip(keys, given, strict=True)}
    )
    carried: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in values.items()}
    carried |= {"aws:TagKeys": keys, f"{request.service}:CreateAction": request.operation}
    return [Right(needed, resource_arn, {**context(request), **carried})]


# ---- ECS -----------------------------------------------------------------------------------------------------

CLUSTER_CALLS = {"DeleteCluster", "UpdateCluster", "UpdateClusterSettings", "PutClusterCapacityProviders"}
CLUSTER_CALLS |= {"ListContainerInstances", "ListAttributes", "RegisterContainerInstance"}
CLUSTER_CALLS |= {"DeregisterContainerInstance", "SubmitTaskStateChange", "SubmitContainerStateChange"}
NO_RESOURCE = {"ListClusters", "ListServices", "ListTaskDefinitions", "ListTaskDefinitionFamilies"}
NO_RESOURCE |= {"DescribeTaskDefinition", "DeregisterTaskDefinition", "DiscoverPollEndpoint"}
NO_RESOURCE |= {
    "ListAccountSettings",
    "PutAccountSetting",
    "PutAccountSettingDefault",
    "DeleteAccountSetting",
}


def _cluster(request: Request) -> str:
    return str(request.document.get("cluster") or "default").rpartition("/")[2]


def _ecs(request: Request, found: str) -> list[str]:
    given, name = request.document, request.operation
    if name in NO_RESOURCE:
        return ["*"]
    if name == "CreateCluster":
        return _ecs_arns(request, "cluster", [given.get("clusterName") or "default"])
    if name == "DescribeClusters":
        return _ecs_arns(request, "cluster", given.get("clusters") or ["default"])
    if name in CLUSTER_CALLS:
        return _ecs_arns(request, "cluster", [_cluster(request)])
    if name in ("RunTask", "StartTask"):
        return _ecs_arns(request, "task-definition", [given.get("taskDefinition", "")])
    if name == "RegisterTaskDefinition":
        return _ecs_arns(request, "task-definition", [f"{given.get('family', '')}:*"])
    if name == "DeleteTaskDefinitions":
        return _ecs_arns(request, "task-definition", given.get("taskDefinitions") or [])
    if name == "ExecuteCommand":
        return _ecs_arns(request, "cluster", [_cluster(request)]) + _ecs_members(request)
    if name.endswith(("CapacityProvider", "CapacityProviders")):
        return _ecs_arns(
            request,
            "capacity-provider",
            given.get("capacityProviders") or [given.get("capacityProvider") or given.get("name") or "*"],
        )
    return _ecs_members(request) or [found]


def _ecs_members(request: Request) -> list[str]:
    """Services, tasks and container instances, whose ARNs begin with their cluster's name."""
    given, name, cluster = request.document, request.operation, _cluster(request)
    if "Service" in name:
        wanted = given.get("services") or [given.get("service") or given.get("serviceName") or "*"]
        return _ecs_arns(request, f"service/{cluster}", wanted)
    if "ContainerInstance" in name or name == "ListTasks":
        wanted = given.get("containerInstances") or [given.get("containerInstance") or "*"]
        return _ecs_arns(request, f"container-instance/{cluster}", wanted)
    if "Task" in name or name == "ExecuteCommand":
        return _ecs_arns(request, f"task/{cluster}", given.get("tasks") or [given.get("task") or "*"])
    if name in ("TagResource", "UntagResource", "ListTagsForResource"):
        return [given.get("resourceArn") or "*"]
    return []


def _ecs_arns(request: Request, kind: str, names: list[str]) -> list[str]:
    return [each if each.startswith("arn:") else request.arn("ecs", f"{kind}/{each}") for each in names]


def _ecs_context(request: Request) -> dict[str, Any]:
    name = request.operation
    if name in NO_RESOURCE - {"ListServices"} or name in ("RegisterTaskDefinition", "CreateCluster"):
        return {}
    keys = {"ecs:cluster": request.arn("ecs", f"cluster/{_cluster(request)}")}
    if name == "ExecuteCommand":
        keys["ecs:task"] = _ecs_members(request)[0]
        if request.document.get("container"):
            keys["ecs:container-name"] = request.document["container"]
    return keys


# ---- others --------------------------------------------------------------------------------------------------


def _ecr(request: Request, found: str) -> list[str]:
    names = request.document.get("repositoryNames")
    if request.operation == "DescribeRepositories":
        return [request.arn("ecr", f"repository/{name}") for name in names or ["*"]]
    if request.operation.endswith("ForResource") or request.operation in ("TagResource", "UntagResource"):
        return [request.document.get("resourceArn") or found]
    return [found]


def _logs(request: Request, found: str) -> list[str]:
    """Calls on groups and streams are about `log-group:GROUP:log-stream:STREAM`, the stream left empty."""
    given, name = request.document, request.operation
    if "resourceArn" in given:
        return [found]
    group = (
        given.get("logGroupName") or str(given.get("logGroupIdentifier") or "").partition(":log-group:")[2]
    )
    groups = given.get("logGroupIdentifiers") or []
    if groups:
        return [each.removesuffix(":*") + ":log-stream:" for each in groups]
    if not group and name not in ("DescribeLogGroups",):
        return [found]
    stream = given.get("logStreamName") or ""
    return [request.arn("logs", f"log-group:{group.removesuffix(':*')}:log-stream:{stream}")]


def _lambda(request: Request, found: str) -> list[str]:
    if request.operation == "CreateFunction":
        return [request.arn("lambda", f"function:{request.document.get('FunctionName', '')}")]
    return [found]


def _events(request: Request, found: str) -> list[str]:
    given = request.document
    if given.get("ResourceARN"):
        return [given["ResourceARN"]]
    rule = given.get("Rule") or (given.get("Name") if "Rule" in request.operation else None)
    if not rule or request.operation == "ListRules":
        return [found]
    bus = str(given.get("EventBusName") or "default").rpartition("/")[2]
    return [request.arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")]


def _iam(request: Request, found: str) -> list[str]:
    from ministack.services import iam

    role, profile = request.param("RoleName"), request.param("InstanceProfileName")
    if profile:
        return [f"arn:aws:iam::{request.account}:instance-profile{request.param('Path') or '/'}{profile}"]
    if role:
        path = request.param("Path") or "/"
        return [(iam._roles.get(role) or {}).get("Arn") or f"arn:aws:iam::{request.account}:role{path}{role}"]
    if request.operation == "CreatePolicy":
        path = request.param("Path") or "/"
        return [f"arn:aws:iam::{request.account}:policy{path}{request.param('PolicyName')}"]
    return [found]


def _iam_context(request: Request) -> dict[str, Any]:
    from ministack.services import iam

    found = {}
    role = iam._roles.get(request.param("RoleName")) or {}
    boundary = request.param("PermissionsBoundary") or role.get("PermissionsBoundary")
    if boundary:
        found["iam:PermissionsBoundary"] = boundary
    if request.param("PolicyArn"):
        found["iam:PolicyARN"] = request.param("PolicyArn")
    if request.param("AWSServiceName"):
        found["iam:AWSServiceName"] = request.param("AWSServiceName")
    return found


def _autoscaling(request: Request, found: str) -> list[str]:
    from ministack.services import autoscaling

    if request.operation.startswith("Describe"):
        return ["*"]
    group = autoscaling._asgs.get(request.param("AutoScalingGroupName")) or {}
    return [group.get("AutoScalingGroupARN") or found]


def _ec2(request: Request, found: str) -> list[str]:
    """Calls that change things are about each of the things that they name."""
    if request.operation.startswith(("Describe", "Get")):
        return ["*"]
    named = []
    for value in request.params.values():
        for text in value if isinstance(value, list) else [value]:
            matched = _EC2_ID.match(str(text))
            if matched and matched.group(1) in EC2_TYPES:
                named.append(request.arn("ec2", f"{EC2_TYPES[matched.group(1)]}/{text}"))
    return list(dict.fromkeys(named)) or [found]


def _ssm(request: Request, found: str) -> list[str]:
    given = request.document
    names = given.get("Names") or [given.get("Name") or given.get("Path") or ""]
    if not request.operation.startswith(("GetParameter", "PutParameter", "DeleteParameter")):
        return [found]
    return [
        f"arn:aws:ssm:{request.region}:{'' if name.startswith('/aws/') else request.account}:"
        f"parameter/{name.strip('/')}"
        for name in names
    ]


def _cloudformation_context(request: Request) -> dict[str, Any]:
    keys = {"RoleARN": "RoleArn", "ChangeSetName": "ChangeSetName", "TemplateURL": "TemplateUrl"}
    return {f"cloudformation:{key}": request.param(name) for name, key in keys.items() if request.param(name)}


def _dynamodb_context(request: Request) -> dict[str, Any]:
    from ministack.services import dynamodb

    given = request.document
    table = dynamodb._tables.get(str(given.get("TableName", "")).rpartition("/")[2]) or {}
    name = next(
        (each["AttributeName"] for each in table.get("KeySchema") or [] if each["KeyType"] == "HASH"), None
    )
    value = ((given.get("Key") or given.get("Item") or {}).get(name) if name else None) or _queried(
        given, name
    )
    return {"dynamodb:LeadingKeys": list(value.values())} if isinstance(value, dict) else {}


def _queried(given: dict[str, Any], name: str | None) -> Any:
    """The partition key's value in a Query."""
    names = {**(given.get("ExpressionAttributeNames") or {})}
    expression = str(given.get("KeyConditionExpression") or "")
    for spelled, placeholder in re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", expression):
        if names.get(spelled, spelled) == name:
            return (given.get("ExpressionAttributeValues") or {}).get(placeholder)
    return None


RESOURCES: dict[str, Callable[[Request, str], list[str]]] = {
    "ecs": _ecs,
    "ecr": _ecr,
    "logs": _logs,
    "lambda": _lambda,
    "events": _events,
    "iam": _iam,
    "autoscaling": _autoscaling,
    "ec2": _ec2,
    "ssm": _ssm,
}
CONTEXTS: dict[str, Callable[[Request], dict[str, Any]]] = {
    "ecs": _ecs_context,
    "iam": _iam_context,
    "cloudformation": _cloudformation_context,
    "dynamodb": _dynamodb_context,
}
