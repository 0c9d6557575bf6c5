"""Scaling policies, and the alarms that target tracking makes for its own.

Try it:  aws application-autoscaling describe-scaling-policies --service-namespace ecs
Counts no tasks: `tracking` and `steps` do.
"""

import uuid
from collections.abc import Callable

from localaws.alarms import records
from localaws.alarms.definitions import check as check_alarm
from localaws.scaling import steps, targets, tracking
from localaws.scaling.acting import STEPS, TRACKING
from localaws.scaling.store import DIMENSION, NAMESPACE, Record, Refused, Store, described, invalid

MOST_OF_A_TARGET = 50  # quotas of Application Auto Scaling
CONFIGURATIONS = {"TargetTrackingScaling": TRACKING, "StepScaling": STEPS}


class Policies:
    """Policies, and the calls about them."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store = store
        self.clock = clock

    def put(self, request: Record) -> Record:
        """PutScalingPolicy: a new one, or other contents for the one of that name."""
        resource_id, name = targets.check(request), request["PolicyName"]
        kind, configuration = _contents(request)
        if self.store.target(resource_id) is None:
            message = f"No scalable target registered for {described(resource_id)}"
            raise Refused("ObjectNotFoundException", message)
        before = self.store.policies.get((resource_id, name))
        self._check_among_others(resource_id, name, kind, configuration, before)
        policy = {
            "PolicyARN": before["PolicyARN"] if before else _arn(resource_id, name),
            "PolicyName": name,
            "ServiceNamespace": NAMESPACE,
            "ResourceId": resource_id,
            "ScalableDimension": DIMENSION,
            "PolicyType": kind,
            CONFIGURATIONS[kind]: configuration,
            "CreationTime": before["CreationTime"] if before else self.clock(),
        }
        if kind == "TargetTrackingScaling":
            self._put_alarms(policy, before)
        self.store.policies[(resource_id, name)] = policy
        return {"PolicyARN": policy["PolicyARN"], "Alarms": alarms_of(policy)}

    def _check_among_others(
        self, resource_id: str, name: str, kind: str, configuration: Record, before: Record | None
    ) -> None:
        if before and before["PolicyType"] != kind:
            raise invalid(f"The policy type of {name} can't be changed from {before['PolicyType']} to {kind}")
        others = [each for each in self.store.policies_of(resource_id) if each["PolicyName"] != name]
        if not before and len(others) >= MOST_OF_A_TARGET:
            message = f"A scalable target can have at most {MOST_OF_A_TARGET} scaling policies"
            raise Refused("LimitExceededException", message)
        if kind == "TargetTrackingScaling":
            metric = tracking.metric(resource_id, configuration)
            if any(
                metric == tracking.metric(resource_id, each[TRACKING]) for each in others if TRACKING in each
            ):
                raise invalid(
                    "Only one TargetTrackingScaling policy for a given metric specification is allowed"
                )

    def _put_alarms(self, policy: Record, before: Record | None) -> None:
        """Both alarms, with the names of before if the policy is only changed."""
        numbers = (
            before["_numbers"] if before else {side: str(uuid.uuid4()) for side in ("AlarmHigh", "AlarmLow")}
        )
        made = tracking.alarms(policy, numbers)
        for request in made.values():
            check_alarm(request)
        for request in made.values():
            records.put(request, self.clock())
        policy["_numbers"] = numbers
        policy["_alarms"] = {side: request["AlarmName"] for side, request in made.items()}

    def delete(self, request: Record) -> Record:
        """DeleteScalingPolicy: its own alarms go with it, those of a client stay."""
        resource_id, name = targets.check(request), request["PolicyName"]
        policy = self.store.policies.get((resource_id, name))
        if policy is None:
            message = f"No scaling policy found for {described(resource_id)}, policy name: {name}"
            raise Refused("ObjectNotFoundException", message)
        self.forget(policy)
        return {}

    def forget(self, policy: Record) -> None:
        """Take a policy away."""
        self.store.policies.pop((policy["ResourceId"], policy["PolicyName"]), None)
        records.delete(list((policy.get("_alarms") or {}).values()), self.clock())

    def listed(self, request: Record) -> list[Record]:
        """DescribeScalingPolicies."""
        names, resource_id = request.get("PolicyNames"), request.get("ResourceId")
        if request.get("ScalableDimension") and not resource_id:
            raise invalid("A resource ID is required with a scalable dimension")
        return [
            {**each, "Alarms": alarms_of(each)}
            for each in self.store.policies.values()
            if (not names or each["PolicyName"] in names or each["PolicyARN"] in names)
            and resource_id in (None, each["ResourceId"])
        ]


def alarms_of(policy: Record) -> list[Record]:
    """The alarms that set a policy off."""
    from ministack.services import cloudwatch

    return [
        {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]}
        for alarm in cloudwatch._alarms.values()
        if policy["PolicyARN"] in (alarm.get("AlarmActions") or [])
    ]


def _contents(request: Record) -> tuple[str, Record]:
    kind = request.get("PolicyType", "StepScaling")
    if kind not in CONFIGURATIONS:
        raise invalid(f"The local AWS has no {kind}; help('localaws') lists what it leaves out")
    configuration = request.get(CONFIGURATIONS[kind])
    others = [
        name for name in (*CONFIGURATIONS.values(), "PredictiveScalingPolicyConfiguration") if name in request
    ]
    if not configuration or len(others) > 1:
        raise invalid(f"A policy of the type {kind} has a {CONFIGURATIONS[kind]} and no other configuration")
    (tracking if kind == "TargetTrackingScaling" else steps).check(configuration)
    return kind, configuration


def _arn(resource_id: str, name: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    start = f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{uuid.uuid4()}"
    return f"{start}:resource/{NAMESPACE}/{resource_id}:policyName/{name}"
