"""Target tracking: what a policy's metric is, its two alarms, and how many tasks keep the metric at the target.

Try it:  aws application-autoscaling put-scaling-policy --policy-type TargetTrackingScaling …
Alarms as AWS makes them (Application Auto Scaling user guide, "Target tracking scaling policies"): above the target
in 3 of 3 minutes, below nine tenths of it in 15 of 15. How fast AWS scales in it does not publish, but that it is
conservative: here it is by a tenth at a time, by one task at least. Knows no clock and sets nothing.
"""

import math
from collections.abc import Mapping

from localaws.loadbalancer import records as balancers
from localaws.scaling.services import names
from localaws.scaling.store import NAMESPACE, Record, invalid

MINUTE = 60
HIGH_PERIODS, LOW_PERIODS = 3, 15
LOW_SHARE = 0.9
IN_SHARE = 10
REQUESTS = "ALBRequestCountPerTarget"
# Predefined metric: (namespace, metric, statistic, unit).
OF_SERVICE = {
    "ECSServiceAverageCPUUtilization": ("AWS/ECS", "CPUUtilization", "Average", "Percent"),
    "ECSServiceAverageMemoryUtilization": ("AWS/ECS", "MemoryUtilization", "Average", "Percent"),
}
PREDEFINED = (*OF_SERVICE, REQUESTS)


def check(configuration: Record) -> None:
    """Raise Refused for a configuration that AWS, or this emulation, does not take."""
    predefined = configuration.get("PredefinedMetricSpecification")
    customized = configuration.get("CustomizedMetricSpecification")
    if bool(predefined) == bool(customized):
        raise invalid(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified"
        )
    if configuration["TargetValue"] <= 0:
        raise invalid("TargetValue must be greater than 0")
    for name in ("ScaleOutCooldown", "ScaleInCooldown"):
        if configuration.get(name, 0) < 0:
            raise invalid(f"{name} must not be negative")
    if predefined:
        _check_predefined(predefined)
    else:
        _check_customized(customized or {})


def _check_predefined(specification: Record) -> None:
    kind, label = specification["PredefinedMetricType"], specification.get("ResourceLabel")
    if kind not in PREDEFINED:
        raise invalid(
            f"The metric type {kind} is not supported for the service namespace {NAMESPACE} on the local AWS; "
            f"it has {', '.join(PREDEFINED)}"
        )
    if kind != REQUESTS:
        if label:
            raise invalid(f"A resource label is not allowed for the metric type {kind}")
        return
    if not label:
        raise invalid(f"A resource label is required for the metric type {kind}")
    _check_label(label)


def _check_label(label: str) -> None:
    """A label is app/NAME/ID/targetgroup/NAME/ID, of a balancer that sends requests to the group."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import alb

    balancer, group = split_label(label)
    start = f"arn:aws:elasticloadbalancing:{get_region()}:{get_account_id()}"
    if not group:
        raise invalid(
            f"The resource label {label} is not of the form app/<load balancer name>/<load balancer id>/"
            f"targetgroup/<target group name>/<target group id>"
        )
    known = alb._tgs.get(f"{start}:{group}") or {}
    if f"{start}:loadbalancer/{balancer}" not in alb._lbs or not known:
        raise invalid(f"The load balancer or the target group of the resource label {label} does not exist")
    if f"{start}:loadbalancer/{balancer}" not in balancers.balancers_using(f"{start}:{group}"):
        raise invalid(
            f"The load balancer does not route traffic to the target group (resource label {label})"
        )


def split_label(label: str) -> tuple[str, str]:
    """(app/NAME/ID, targetgroup/NAME/ID), the second empty if the label is not one."""
    parts = label.split("/")
    if len(parts) != 6 or (parts[0], parts[3]) != ("app", "targetgroup") or not all(parts):
        return label, ""
    return "/".join(parts[:3]), "/".join(parts[3:])


def _check_customized(specification: Record) -> None:
    if specification.get("Metrics"):
        raise invalid("The local AWS does not evaluate metric math in customized metrics")
    for name in ("MetricName", "Namespace", "Statistic"):
        if not specification.get(name):
            raise invalid(f"{name} is required in a CustomizedMetricSpecification")


def metric(resource_id: str, configuration: Record) -> Record:
    """The metric that a policy follows, in the words of PutMetricAlarm."""
    customized = configuration.get("CustomizedMetricSpecification")
    if customized:
        found = {name: customized[name] for name in ("Namespace", "MetricName", "Statistic")}
        unit = {"Unit": customized["Unit"]} if customized.get("Unit") else {}
        return {**found, **unit, "Dimensions": customized.get("Dimensions") or []}
    specification = configuration["PredefinedMetricSpecification"]
    if specification["PredefinedMetricType"] == REQUESTS:
        balancer, group = split_label(specification["ResourceLabel"])
        return {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "RequestCountPerTarget",
            "Statistic": "Sum",
            "Dimensions": _dimensions({"TargetGroup": group, "LoadBalancer": balancer}),
        }
    namespace, name, statistic, measured_in = OF_SERVICE[specification["PredefinedMetricType"]]
    cluster, service = names(resource_id)
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Statistic": statistic,
        "Unit": measured_in,
        "Dimensions": _dimensions({"ClusterName": cluster, "ServiceName": service}),
    }


def alarms(policy: Record, numbers: Mapping[str, str]) -> dict[str, Record]:
    """The requests of PutMetricAlarm for AlarmHigh and AlarmLow. numbers: what makes each name its own."""
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    target = float(configuration["TargetValue"])
    common = {
        **metric(policy["ResourceId"], configuration),
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
        "AlarmActions": [policy["PolicyARN"]],
        "Period": MINUTE,
    }
    sides = {
        "AlarmHigh": (HIGH_PERIODS, target, "GreaterThanThreshold"),
        "AlarmLow": (LOW_PERIODS, target * LOW_SHARE, "LessThanThreshold"),
    }
    return {
        side: {
            **common,
            "AlarmName": f"TargetTracking-{policy['ResourceId']}-{side}-{numbers[side]}",
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
        }
        for side, (periods, threshold, comparison) in sides.items()
    }


def out(base: int, value: float, target: float) -> int:
    """How many tasks bring the metric down to the target: in proportion, rounded up, and more than before."""
    return max(math.ceil(base * value / target), base + 1)


def into(current: int, value: float, target: float) -> int:
    """How many tasks are enough, not fewer than the metric needs, and not many fewer at once."""
    enough = math.ceil(current * value / target)
    return min(current, max(enough, current - max(1, current // IN_SHARE)))


def _dimensions(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in given.items()]
