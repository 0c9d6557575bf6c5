"""Step scaling: which step an alarm's breach falls into, and how many tasks it gives.

Try it:  aws application-autoscaling put-scaling-policy --policy-type StepScaling …
Rules and rounding of the Application Auto Scaling user guide, "How step scaling works". Knows no clock, sets nothing.
"""

import itertools
import math

from localaws.scaling.store import Record, invalid

MOST_STEPS = 20
LOWER, UPPER = "MetricIntervalLowerBound", "MetricIntervalUpperBound"


def check(configuration: Record) -> None:
    """Raise Refused where steps leave a gap, overlap or are missing."""
    if not configuration.get("AdjustmentType"):
        raise invalid("AdjustmentType is required for a StepScaling policy")
    steps = configuration.get("StepAdjustments") or []
    if not steps:
        raise invalid("At least one StepAdjustment must be specified.")
    if len(steps) > MOST_STEPS:
        raise invalid(f"You can specify at most {MOST_STEPS} StepAdjustments")
    if configuration.get("Cooldown", 0) < 0:
        raise invalid("Cooldown must not be negative")
    for step in steps:
        _check_step(step, configuration["AdjustmentType"])
    ordered = sorted(steps, key=_lower)
    for before, after in itertools.pairwise(ordered):
        if _upper(before) != _lower(after):
            raise invalid("StepAdjustment intervals can't have a gap or overlap")


def _check_step(step: Record, kind: str) -> None:
    if step.get(LOWER) is None and step.get(UPPER) is None:
        raise invalid("MetricIntervalLowerBound or MetricIntervalUpperBound must be given, or both")
    if _lower(step) >= _upper(step):
        raise invalid("MetricIntervalLowerBound must be less than MetricIntervalUpperBound")
    if kind == "ExactCapacity" and step["ScalingAdjustment"] < 0:
        raise invalid("ScalingAdjustment must not be negative for ExactCapacity")


def wanted(base: int, breach: float, configuration: Record) -> int | None:
    """How many tasks a breach asks for; None if it falls into no step.

    breach: the metric's value less the alarm's threshold.
    """
    for step in configuration["StepAdjustments"]:
        # Above the threshold a step includes its lower bound, below it its upper one.
        above = _lower(step) <= breach < _upper(step)
        below = _lower(step) < breach <= _upper(step)
        if above if breach >= 0 else below:
            return _adjusted(base, step["ScalingAdjustment"], configuration)
    return None


def _adjusted(base: int, adjustment: int, configuration: Record) -> int:
    kind = configuration["AdjustmentType"]
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return base + adjustment
    change = base * adjustment / 100
    # Towards zero, but never to it.
    whole = math.copysign(max(1, math.floor(abs(change))), change) if change else 0
    least = configuration.get("MinAdjustmentMagnitude") or 0
    if least and adjustment:
        whole = math.copysign(max(abs(whole), least), adjustment)
    return base + int(whole)


def _lower(step: Record) -> float:
    bound = step.get(LOWER)
    return -math.inf if bound is None else float(bound)


def _upper(step: Record) -> float:
    bound = step.get(UPPER)
    return math.inf if bound is None else float(bound)
