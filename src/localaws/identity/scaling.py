"""What Application Auto Scaling's calls are about, and the rights in ECS and CloudWatch that they need beside.

Try it:  aws application-autoscaling register-scalable-target by somebody who may not call ecs:UpdateService
The service checks that its caller may do to the service and the alarms what it will do itself (Application Auto
Scaling user guide, "Permissions validation for Application Auto Scaling API calls on target resources"). Resources
and condition keys of the Service Authorization Reference. Knows no targets: who keeps them registers here.
"""

from collections.abc import Callable
from typing import Any

from localaws.identity.resources import Request, Right

NAME = "application-autoscaling"
ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
PRINCIPAL = "ecs.application-autoscaling.amazonaws.com"
ON_TARGET = {"RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy"}
ALARMS = {
    "PutScalingPolicy": ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms"),
    "DeleteScalingPolicy": ("DeleteAlarms",),
}
# The ARN of the target with a resource id, '' if there is none.
arn_of: list[Callable[[str], str]] = []


def resources(request: Request, found: str) -> list[str]:
    """The scalable target; a new one has no number yet."""
    if request.document.get("ResourceARN"):
        return [request.document["ResourceARN"]]
    if request.operation not in ON_TARGET:
        return ["*"]
    resource_id = str(request.document.get("ResourceId") or "")
    known = next((arn for look in arn_of if (arn := look(resource_id))), "")
    return [known or request.arn(NAME, "scalable-target/*")]


def context(request: Request) -> dict[str, Any]:
    """The condition keys of the service."""
    names = {"service-namespace": "ServiceNamespace", "scalable-dimension": "ScalableDimension"}
    return {
        f"{NAME}:{key}": request.document[name] for key, name in names.items() if name in request.document
    }


def further(request: Request) -> list[Right]:
    """The rights in other services, and the one to make the service-linked role where it is not there yet."""
    given, operation = request.document, request.operation
    if request.service != NAME or given.get("ServiceNamespace") != "ecs":
        return []
    rights = []
    if operation == "RegisterScalableTarget":
        parts = str(given.get("ResourceId") or "").split("/")
        service = request.arn("ecs", "/".join(parts))
        cluster = request.arn("ecs", f"cluster/{parts[1] if len(parts) > 1 else ''}")
        for name in ("DescribeServices", "UpdateService"):
            rights.append(Right(f"ecs:{name}", service, {"ecs:cluster": cluster}, "ecs"))
        rights += _role(request)
    if operation == "DeleteScalingPolicy" or given.get("PolicyType") == "TargetTrackingScaling":
        alarm = request.arn("cloudwatch", f"alarm:TargetTracking-{given.get('ResourceId', '')}-*")
        for name in ALARMS.get(operation, ()):
            rights.append(Right(f"cloudwatch:{name}", alarm, {}, "monitoring"))
    return rights


def _role(request: Request) -> list[Right]:
    from ministack.services import iam

    if ROLE in iam._roles:
        return []
    arn = f"arn:aws:iam::{request.account}:role/aws-service-role/{PRINCIPAL}/{ROLE}"
    return [Right("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": PRINCIPAL}, "iam")]
