"""Application Auto Scaling's requests, by botocore's model of the service: which call, is it well formed, what of its
answer the model has.

Try it:  aws application-autoscaling put-scheduled-action   (refused, by name)
JSON 1.1 with the target AnyScaleFrontendService. Knows no rules of scaling.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from localaws import shapes
from localaws.scaling import targets as scaling_targets
from localaws.scaling.policies import Policies
from localaws.scaling.store import Record, Refused, Store, one_at_a_time
from localaws.scaling.targets import Targets

SERVICE = "application-autoscaling"
TARGET_PREFIX = "AnyScaleFrontendService"
JSON = "application/x-amz-json-1.1"
Answer = tuple[int, dict[str, str], bytes]
# Lists: the member that is cut, and how long a page is at most and by default (API reference).
PAGES = {
    "DescribeScalableTargets": ("ScalableTargets", 50),
    "DescribeScalingPolicies": ("ScalingPolicies", 10),
    "DescribeScalingActivities": ("ScalingActivities", 50),
}
LEFT_OUT = {
    "PutScheduledAction": "scheduled actions",
    "DeleteScheduledAction": "scheduled actions",
    "GetPredictiveScalingForecast": "predictive scaling",
}


class Calls:
    """The calls, each of (request) -> answer, both as documents."""

    def __init__(self, store: Store, targets: Targets, policies: Policies) -> None:
        self.store = store
        self.targets = targets
        self.policies = policies
        self.by_name: Mapping[str, Callable[[Record], Record]] = {
            "RegisterScalableTarget": targets.register,
            "DeregisterScalableTarget": self.deregister,
            "DescribeScalableTargets": lambda request: {"ScalableTargets": targets.listed(request)},
            "PutScalingPolicy": policies.put,
            "DeleteScalingPolicy": policies.delete,
            "DescribeScalingPolicies": lambda request: {"ScalingPolicies": policies.listed(request)},
            "DescribeScalingActivities": self.activities,
            "DescribeScheduledActions": lambda request: {"ScheduledActions": []},  # none can be made
            "TagResource": targets.tag,
            "UntagResource": targets.untag,
            "ListTagsForResource": targets.tags,
        }

    async def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any
    ) -> Answer:
        """What ministack calls for a request to this service."""
        name = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return _error("SerializationException", "the body is not JSON")
        return self.answer(name, request)

    def answer(self, name: str, request: Any) -> Answer:
        """Make a call; also for callers in this process."""
        if name in LEFT_OUT:
            message = f"the local AWS has no {LEFT_OUT[name]}; help('localaws') lists what it leaves out"
            return _error("UnsupportedOperation", message, 501)
        if name not in self.by_name:
            return _error("UnknownOperationException", f"{SERVICE} has no operation {name}")
        try:
            with one_at_a_time:
                problem = shapes.problem(SERVICE, name, request)
                if problem:
                    raise Refused("ValidationException", problem)
                if "ServiceNamespace" in request:
                    scaling_targets.check_namespace(request["ServiceNamespace"])
                result = _page(name, request, self.by_name[name](request))
                shape = shapes.model(SERVICE).operation_model(name).output_shape
                return 200, {"Content-Type": JSON}, json.dumps(shapes.known(result, shape)).encode()
        except Refused as refused:
            return _error(refused.code, refused.message)

    def deregister(self, request: Record) -> Record:
        """DeregisterScalableTarget: its policies and their alarms go with it, its activities stay."""
        target = self.targets.registered(request)
        for policy in self.store.policies_of(target["ResourceId"]):
            self.policies.forget(policy)
        self.store.targets.pop(target["ResourceId"], None)
        return {}

    def activities(self, request: Record) -> Record:
        """DescribeScalingActivities: newest first."""
        resource_id = request.get("ResourceId")
        if request.get("ScalableDimension") and not resource_id:
            raise Refused("ValidationException", "A resource ID is required with a scalable dimension")
        found = [
            each
            for key, several in self.store.activities.items()
            if resource_id in (None, key)
            for each in several
            if request.get("IncludeNotScaledActivities") or "NotScaledReasons" not in each
        ]
        return {"ScalingActivities": sorted(found, key=lambda each: each["StartTime"], reverse=True)}


def _page(name: str, request: Record, result: Record) -> Record:
    """A part of a list; a token is how many came before."""
    if name not in PAGES:
        return result
    member, longest = PAGES[name]
    size, token = request.get("MaxResults", longest), request.get("NextToken") or "0"
    if not 1 <= size <= longest:
        raise Refused("ValidationException", f"MaxResults must be between 1 and {longest}, not {size}")
    if not token.isdecimal() or int(token) > len(result[member]):
        raise Refused("InvalidNextTokenException", f"The next token {token} is not valid")
    end = int(token) + size
    more = {"NextToken": str(end)} if end < len(result[member]) else {}
    return {member: result[member][int(token) : end], **more}


def _error(code: str, message: str, status: int = 400) -> Answer:
    body = json.dumps({"__type": code, "Message": message})
    return status, {"Content-Type": JSON, "x-amzn-errortype": code}, body.encode()
