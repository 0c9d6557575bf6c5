"""Which operation a request to SageMaker means, which resources it is about, and the further rights that it needs.

Try it:  aws sagemaker describe-model --model-name NAME with a policy that names another model
Resource types, ARNs and condition keys of the Service Authorization Reference, "Amazon SageMaker AI"
(list_amazonsagemaker.html). ARNs have names in lower case. Knows no records.
"""

import re
from collections.abc import Mapping
from typing import Any

from localaws.identity.resources import Request, Right

NAME = "sagemaker"
TARGET = "SageMaker."
INVOKE = "InvokeEndpoint"
UNKNOWN = "UnknownOperation"
# The runtime's operations by the end of their path.
RUNTIME = {
    "InvokeEndpoint": "invocations",
    "InvokeEndpointAsync": "async-invocations",
    "InvokeEndpointWithResponseStream": "invocations-response-stream",
}
# Calls whose body is the model's to read.
BODIES_OF_OTHERS = {f"{NAME}:{name}" for name in RUNTIME}
# Members that name what a call is about, and what its ARN has before the slash; all that are there count, for
# CreateEndpoint is about the endpoint and its configuration.
NAMING = {
    "TrainingJobName": "training-job",
    "TransformJobName": "transform-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelPackageGroupName": "model-package-group",
    "ModelPackageName": "model-package",
    "ModelPackageArn": "model-package",
}
_RUNTIME = re.compile(r"/endpoints/([^/]+)/([a-z-]+)/?")
_TAG_CALLS = ("AddTags", "DeleteTags", "ListTags")
_VPC = {"SecurityGroupIds": "VpcSecurityGroupIds", "Subnets": "VpcSubnets"}


def operation(method: str, path: str, headers: Mapping[str, str]) -> str:
    """The one reading of a request, for IAM and for the service: by its target if it has one, else by its path."""
    target = headers.get("x-amz-target", "")
    if target:
        return target.removeprefix(TARGET) if target.startswith(TARGET) else UNKNOWN
    matched = _RUNTIME.fullmatch(path)
    if method == "POST" and matched:
        return next((name for name, end in RUNTIME.items() if end == matched.group(2)), UNKNOWN)
    return UNKNOWN


def endpoint_named(path: str) -> str:
    """The endpoint that a path of the runtime names; the path decoded, as ministack hands it on."""
    matched = _RUNTIME.fullmatch(path)
    return matched.group(1) if matched else ""


def action(method: str, path: str, headers: Mapping[str, str]) -> str:
    """The IAM action of a request."""
    return f"{NAME}:{operation(method, path, headers)}"


def resources(request: Request, found: str) -> list[str]:
    """The ARNs of what a call names; "*" where it is about none in particular."""
    name, given = request.operation, request.document
    if request.action in BODIES_OF_OTHERS:
        return [_arn(request, "endpoint", endpoint_named(request.path))]
    if name in _TAG_CALLS:
        return [str(given.get("ResourceArn") or "*")]
    if name == "ListModelPackages" and given.get("ModelPackageGroupName"):
        return [_arn(request, "model-package-group", given["ModelPackageGroupName"])]
    if name.startswith("List"):
        return ["*"]
    if name == "BatchDescribeModelPackage":
        arns = given.get("ModelPackageArnList")
        return [str(each) for each in arns] if isinstance(arns, list) and arns else ["*"]
    if name in ("CreateModel", "DescribeModel", "DeleteModel"):
        return [_arn(request, "model", given.get("ModelName"))]
    named = [_arn(request, kind, given[member]) for member, kind in NAMING.items() if given.get(member)]
    if name == "CreateModelPackage" and given.get("ModelPackageGroupName"):
        # Its version is a number that nobody knows before.
        group = str(given["ModelPackageGroupName"]).rpartition("/")[2]
        named.append(_arn(request, "model-package", f"{group}/*"))
    return named or ["*"]


def _arn(request: Request, kind: str, name_or_arn: Any) -> str:
    text = str(name_or_arn or "*")
    return text if text.startswith("arn:") else request.arn(NAME, f"{kind}/{text.lower()}")


def context(request: Request) -> dict[str, Any]:
    """The condition keys of the service, where the request has them."""
    given = request.document
    found: dict[str, Any] = {}
    types = _instance_types(given)
    if types:
        found["InstanceTypes"] = types
    models = [_arn(request, "model", each["ModelName"]) for each in _variants(given) if each.get("ModelName")]
    if request.operation == "CreateTransformJob" and given.get("ModelName"):
        models = [_arn(request, "model", given["ModelName"])]
    if models:
        found["ModelArn"] = models
    for member, key in _VPC.items():
        if _inside(given, "VpcConfig").get(member):
            found[key] = _inside(given, "VpcConfig")[member]
    for member, key in {
        "EnableNetworkIsolation": "NetworkIsolation",
        "EnableInterContainerTrafficEncryption": "InterContainerTrafficEncryption",
    }.items():
        if member in given:
            found[key] = str(bool(given[member])).lower()
    if given.get("ModelApprovalStatus") and request.operation != "ListModelPackages":
        found["ModelApprovalStatus"] = str(given["ModelApprovalStatus"])
    seconds = _inside(given, "StoppingCondition").get("MaxRuntimeInSeconds")
    if seconds is not None:
        found["MaxRuntimeInSeconds"] = str(seconds)
    return {f"{NAME}:{key}": value for key, value in found.items()}


def _instance_types(given: Mapping[str, Any]) -> list[str]:
    several = [_inside(given, "ResourceConfig"), _inside(given, "TransformResources"), *_variants(given)]
    return [str(each["InstanceType"]) for each in several if each.get("InstanceType")]


def _variants(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    variants = given.get("ProductionVariants")
    return [each for each in variants if isinstance(each, dict)] if isinstance(variants, list) else []


def _inside(given: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    found = given.get(member)
    return found if isinstance(found, dict) else {}


def further(request: Request) -> list[Right]:
    """Who gives tags to what he makes must be allowed to add tags to it (developer guide, "Provide permissions for
    tagging SageMaker AI resources")."""
    tags = request.document.get("Tags")
    if (
        request.service != NAME
        or not request.operation.startswith("Create")
        or not isinstance(tags, list)
        or not tags
    ):
        return []
    pairs = {str(each.get("Key")): str(each.get("Value")) for each in tags if isinstance(each, dict)}
    carried: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in pairs.items()}
    carried |= {"aws:TagKeys": list(pairs), f"{NAME}:TaggingAction": request.operation}
    made = resources(request, "*")[0]
    return [Right(f"{NAME}:AddTags", made, {**context(request), **carried})]
