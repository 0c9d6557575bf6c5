"""What is done when an alarm sets off a policy: how many tasks, within which bounds, and not too soon.

Try it:  aws application-autoscaling describe-scaling-activities --service-namespace ecs
Cooldowns, suspension and several policies as in the Application Auto Scaling user guide ("Target tracking scaling
policies", "Step scaling policies"): out at once and by the largest answer, in only if every policy agrees. Knows
alarms and metrics through `alarms`, services through `services`.
"""

from collections.abc import Callable
from typing import Any

from localaws.alarms import datapoints, records
from localaws.alarms.evaluator import FURTHER_PERIODS
from localaws.alarms.records import Alarm
from localaws.scaling import services, steps, tracking
from localaws.scaling.activities import Activities, event
from localaws.scaling.store import Record, Store, one_at_a_time

DEFAULT_COOLDOWN = 300  # of ECS services (API reference, TargetTrackingScalingPolicyConfiguration)
TRACKING, STEPS = "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration"
GONE = "the service does not exist or is not active"
AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}


class Scaler:
    """Sets services to what policies ask for. metric_seconds: how long CloudWatch's minute is."""

    def __init__(
        self, store: Store, activities: Activities, metric_seconds: float, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self.activities = activities
        self.metric_seconds = metric_seconds
        self.clock = clock

    def act(self, policy_arn: str, alarm: Alarm) -> None:
        """An alarm has gone off, or is still on, with this policy as its action."""
        with one_at_a_time:
            policy = self.store.policy_by_arn(policy_arn)
            target = self.store.target(policy["ResourceId"]) if policy else None
            if policy is None or target is None:
                raise LookupError("No scaling policy found")
            cause = f"monitor alarm {alarm['AlarmName']} in state {alarm['StateValue']} triggered policy "
            cause += policy["PolicyName"]
            counts = services.counts(policy["ResourceId"])
            if counts is None:
                self.activities.failed(policy["ResourceId"], target["MinCapacity"], cause, GONE, self.clock())
            elif TRACKING in policy:
                self._track(policy, target, alarm, counts.desired, cause)
            else:
                self._step(policy, target, alarm, counts.desired, cause)

    def keep_bounds(self, target: Record) -> None:
        """Move a service at once that has fewer or more tasks than its target now allows."""
        counts = services.counts(target["ResourceId"])
        if counts is None:
            return
        if counts.desired < target["MinCapacity"]:
            cause = f"minimum capacity was set to {target['MinCapacity']}"
            self._set(target, counts.desired, target["MinCapacity"], cause)
        elif counts.desired > target["MaxCapacity"]:
            cause = f"maximum capacity was set to {target['MaxCapacity']}"
            self._set(target, counts.desired, target["MaxCapacity"], cause)

    def _track(self, policy: Record, target: Record, alarm: Alarm, current: int, cause: str) -> None:
        configuration = policy[TRACKING]
        if alarm["AlarmName"] == policy["_alarms"]["AlarmLow"]:
            self._track_in(policy, target, current, cause)
            return
        value = self._value(alarm, 1)
        if value is not None:
            wanted = tracking.out(self._base(target, current), value, configuration["TargetValue"])
            self._out(target, current, wanted, configuration.get("ScaleOutCooldown"), cause)

    def _track_in(self, policy: Record, target: Record, current: int, cause: str) -> None:
        """In only where all policies that may are ready to, and to what the most demanding of them asks for."""
        wanted = []
        for each in self.store.policies_of(target["ResourceId"]):
            configuration = each.get(TRACKING)
            if not configuration or (configuration.get("DisableScaleIn") and each is not policy):
                continue
            low = records.find(each["_alarms"]["AlarmLow"])
            value = self._value(low, 1) if low and low["StateValue"] == "ALARM" else None
            if value is None or configuration.get("DisableScaleIn"):
                return
            wanted.append(tracking.into(current, value, configuration["TargetValue"]))
        self._in(target, current, max(wanted), policy[TRACKING].get("ScaleInCooldown"), cause)

    def _step(self, policy: Record, target: Record, alarm: Alarm, current: int, cause: str) -> None:
        configuration = policy[STEPS]
        aggregation = AGGREGATIONS[configuration.get("MetricAggregationType", "Average")]
        value = self._value(alarm, alarm["EvaluationPeriods"], aggregation)
        if value is None:
            return
        breach, cooldown = value - alarm["Threshold"], configuration.get("Cooldown")
        wanted = steps.wanted(current, breach, configuration)
        if wanted is not None and wanted > current:
            further = steps.wanted(self._base(target, current), breach, configuration)
            self._out(target, current, further or current, cooldown, cause)
        elif wanted is not None:
            self._in(target, current, wanted, cooldown, cause)

    def _out(self, target: Record, current: int, wanted: int, cooldown: int | None, cause: str) -> None:
        if _is_suspended(target, "DynamicScalingOutSuspended"):
            return
        bounded = max(min(wanted, target["MaxCapacity"]), target["MinCapacity"])
        if bounded > current:
            base = self._base(target, current)
            if self._set(target, current, bounded, cause):
                target["_out"] = {"base": base, "until": self._after(cooldown)}
                # Nothing of a cooldown after scaling in keeps a service from more tasks.
                target.pop("_in", None)
        elif current >= target["MaxCapacity"]:
            self._not_scaled(target, cause, {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": current})

    def _in(self, target: Record, current: int, wanted: int, cooldown: int | None, cause: str) -> None:
        if _is_suspended(target, "DynamicScalingInSuspended"):
            return
        if self.clock() < (target.get("_in") or {}).get("until", 0):
            return
        bounded = min(max(wanted, target["MinCapacity"]), target["MaxCapacity"])
        if bounded < current:
            if self._set(target, current, bounded, cause):
                target["_in"] = {"until": self._after(cooldown)}
        elif current <= target["MinCapacity"]:
            self._not_scaled(target, cause, {"Code": "AlreadyAtMinCapacity", "MinCapacity": current})
        else:
            self._not_scaled(target, cause, {"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": current})

    def _set(self, target: Record, before: int, after: int, cause: str) -> bool:
        resource_id, now = target["ResourceId"], self.clock()
        problem = services.set_desired(resource_id, after)
        if problem:
            self.activities.failed(resource_id, after, cause, problem, now)
            return False
        activity = self.activities.begun(resource_id, after, cause, now)
        if before < after == target["MaxCapacity"]:
            activity["_event"] = event(target, before, after)
        return True

    def _not_scaled(self, target: Record, cause: str, reason: Record) -> None:
        self.activities.not_scaled(target["ResourceId"], cause, reason, self.clock())

    def _base(self, target: Record, current: int) -> int:
        """What a further scaling out counts from: in a cooldown, the tasks from before, for the new ones have not
        had time to take their share."""
        last = target.get("_out") or {}
        return min(current, int(last["base"])) if self.clock() < last.get("until", 0) else current

    def _after(self, cooldown: int | None) -> float:
        seconds = DEFAULT_COOLDOWN if cooldown is None else cooldown
        return self.clock() + datapoints.seconds_of(seconds, self.metric_seconds)

    def _value(
        self, alarm: Alarm, count: int, together: Callable[[list[float]], float] = max
    ) -> float | None:
        """The alarm's metric in the newest `count` periods that have data."""
        end = datapoints.last_end(self.clock(), alarm["Period"], self.metric_seconds)
        periods: list[Any] = datapoints.read(
            alarm, end, alarm["EvaluationPeriods"] + FURTHER_PERIODS, self.metric_seconds
        )
        values = [each.value for each in periods if each is not None][-count:]
        return together(values) if values else None


def _is_suspended(target: Record, name: str) -> bool:
    return bool((target.get("SuspendedState") or {}).get(name))
