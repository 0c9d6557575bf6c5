"""Scalable targets: which service may have from how many to how many tasks.

Try it:  aws application-autoscaling describe-scalable-targets --service-namespace ecs
Knows no metrics and no policies' contents.
"""

import secrets
from collections.abc import Callable
from typing import Any

from localaws.scaling import services
from localaws.scaling.acting import Scaler
from localaws.scaling.store import DIMENSION, NAMESPACE, Record, Refused, Store, described, invalid

SUSPENDED = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")
PRINCIPAL = "ecs.application-autoscaling.amazonaws.com"
ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
MOST_TAGS = 50


class Targets:
    """Targets, and the calls about them."""

    def __init__(self, store: Store, scaler: Scaler, clock: Callable[[], float]) -> None:
        self.store = store
        self.scaler = scaler
        self.clock = clock

    def register(self, request: Record) -> Record:
        """RegisterScalableTarget: a new one, or other bounds for one that is there."""
        resource_id = check(request)
        target = self.store.target(resource_id)
        bounds = {name: request.get(name) for name in ("MinCapacity", "MaxCapacity")}
        if target is None:
            if services.counts(resource_id) is None:
                raise invalid(f"ECS service doesn't exist: {resource_id}")
            missing = [name for name, value in bounds.items() if value is None]
            if missing:
                raise invalid(f"{' and '.join(missing)} must be given for a new scalable target")
            if len(request.get("Tags") or {}) > MOST_TAGS:
                raise invalid(f"A scalable target can have at most {MOST_TAGS} tags")
        changed = {**(target or self._new(request)), **{k: v for k, v in bounds.items() if v is not None}}
        _check_bounds(changed)
        changed["SuspendedState"] = {**changed["SuspendedState"], **(request.get("SuspendedState") or {})}
        if target is None:
            ensure_role()
        self.store.targets[resource_id] = changed
        self.scaler.keep_bounds(changed)
        return {"ScalableTargetARN": changed["ScalableTargetARN"]}

    def _new(self, request: Record) -> Record:
        from ministack.core.responses import get_account_id, get_region

        number = f"0ec5{secrets.token_hex(16)}"
        return {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": request["ResourceId"],
            "ScalableDimension": DIMENSION,
            "RoleARN": role_arn(get_account_id()),
            "CreationTime": self.clock(),
            "SuspendedState": dict.fromkeys(SUSPENDED, False),
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{get_region()}:{get_account_id()}:"
            f"scalable-target/{number}",
            "_tags": dict(request.get("Tags") or {}),
        }

    def registered(self, request: Record) -> Record:
        """The target that a request names.

        Errors: Refused if there is none.
        """
        resource_id = check(request)
        target = self.store.target(resource_id)
        if target is None:
            raise Refused("ObjectNotFoundException", f"No scalable target found for {described(resource_id)}")
        return target

    def listed(self, request: Record) -> list[Record]:
        """DescribeScalableTargets."""
        wanted = request.get("ResourceIds")
        if request.get("ScalableDimension") and not wanted:
            raise invalid("A resource ID is required with a scalable dimension")
        return [each for each in self.store.targets.values() if not wanted or each["ResourceId"] in wanted]

    def by_arn(self, request: Record) -> Record:
        """The target that a call about tags names."""
        arn = request["ResourceARN"]
        for target in self.store.targets.values():
            if target["ScalableTargetARN"] == arn:
                found: Record = target
                return found
        raise Refused("ResourceNotFoundException", f"The resource {arn} does not exist")

    def tag(self, request: Record) -> Record:
        """TagResource."""
        target = self.by_arn(request)
        tags = {**target["_tags"], **request["Tags"]}
        if len(tags) > MOST_TAGS:
            raise Refused("TooManyTagsException", f"A scalable target can have at most {MOST_TAGS} tags")
        target["_tags"] = tags
        return {}

    def untag(self, request: Record) -> Record:
        """UntagResource."""
        tags = self.by_arn(request)["_tags"]
        for key in request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def tags(self, request: Record) -> Record:
        """ListTagsForResource."""
        return {"Tags": dict(self.by_arn(request)["_tags"])}


def check(request: Record) -> str:
    """The resource id of a request about a service's tasks.

    Errors: Refused for anything else that AWS can scale, and for what is no service's id.
    """
    namespace, resource_id = request["ServiceNamespace"], request["ResourceId"]
    check_namespace(namespace)
    if request["ScalableDimension"] != DIMENSION or not services.names(resource_id)[0]:
        raise invalid("Unsupported service namespace, resource type or scalable dimension")
    return str(resource_id)


def check_namespace(namespace: str) -> None:
    """Refuse, by its name, a service that is not scaled here."""
    if namespace != NAMESPACE:
        raise invalid(
            f"The local AWS scales ECS services alone, and not {namespace}; "
            f"help('localaws') lists what it leaves out"
        )


def role_arn(account: str) -> str:
    """The service-linked role that Application Auto Scaling works with."""
    return f"arn:aws:iam::{account}:role/aws-service-role/{PRINCIPAL}/{ROLE}"


def ensure_role() -> None:
    """Make the service-linked role, which AWS does with the first target of an account."""
    import json

    from ministack.core.responses import get_account_id
    from ministack.services import iam

    if ROLE in iam._roles:
        return
    trust = {"Effect": "Allow", "Principal": {"Service": PRINCIPAL}, "Action": "sts:AssumeRole"}
    policy = "AWSApplicationAutoscalingECSServicePolicy"
    role: dict[str, Any] = {
        "RoleName": ROLE,
        "Arn": role_arn(get_account_id()),
        "RoleId": iam._gen_id("AROA"),
        "CreateDate": iam._now(),
        "Path": f"/aws-service-role/{PRINCIPAL}/",
        "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        "Description": "",
        "MaxSessionDuration": 3600,
        "AttachedPolicies": [f"arn:aws:iam::aws:policy/aws-service-role/{policy}"],
        "InlinePolicies": {},
        "Tags": [],
    }
    iam._roles[ROLE] = role


def _check_bounds(target: Record) -> None:
    if target["MinCapacity"] < 0 or target["MaxCapacity"] < 0:
        raise invalid("Minimum and maximum capacity must not be negative")
    if target["MaxCapacity"] < target["MinCapacity"]:
        raise invalid("Maximum capacity cannot be less than minimum capacity")
