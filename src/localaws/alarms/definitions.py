"""What an alarm may be: AWS's checks of PutMetricAlarm, and by name what is not evaluated here.

Try it:  aws cloudwatch put-metric-alarm with a Period of 61
Knows requests only: what is kept of one, and in which state, is `records`' to say.
"""

import re
from collections.abc import Mapping
from typing import Any

from localaws import shapes
from localaws.alarms.documents import SERVICE
from localaws.alarms.evaluator import COMPARISONS, Rule

Request = Mapping[str, Any]
MISSING = ("breaching", "notBreaching", "ignore", "missing")
# Longest that an alarm looks back: a day, or a week where a period is an hour or more (API reference).
DAY = 86_400
PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")
# Parts of PutMetricAlarm that are not evaluated here.
LEFT_OUT = {
    "Metrics": "metric math",
    "ThresholdMetricId": "anomaly detection",
    "EvaluateLowSampleCountPercentile": "EvaluateLowSampleCountPercentile",
    "EvaluationCriteria": "PromQL alarms",
    "EvaluationWindow": "evaluation windows",
    "EvaluationInterval": "evaluation intervals",
    "WarmUpConfiguration": "warm-up periods",
}
ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
SNS = re.compile(r"arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w.-]+")
SCALING = re.compile(r"arn:aws[\w-]*:autoscaling:[\w-]+:\d{12}:scalingPolicy:[\w-]+:resource/ecs/.+")


class Refused(Exception):
    """A request that CloudWatch does not take: AWS's code and message."""

    def __init__(self, message: str, code: str = "ValidationError") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def check_form(operation: str, request: Request) -> None:
    """Raise Refused where the request is not what the call's model says."""
    problem = shapes.problem(SERVICE, operation, request)
    if problem:
        raise Refused(problem)


def check(request: Request) -> None:
    """Raise Refused for the first reason that AWS, or this emulation, would not take a metric alarm."""
    check_form("PutMetricAlarm", request)
    left_out = next((what for name, what in LEFT_OUT.items() if request.get(name)), None)
    if left_out:
        raise Refused(
            f"The local AWS does not evaluate {left_out}; help('localaws') lists what it leaves out"
        )
    for name in ("MetricName", "Namespace", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator"):
        if request.get(name) is None:
            raise Refused(f"The parameter {name} is required.", "MissingParameter")
    _check_statistic(request)
    _check_periods(request)
    if request["ComparisonOperator"] not in COMPARISONS:
        raise Refused(f"The local AWS does not evaluate anomaly detection: {request['ComparisonOperator']}")
    if request.get("TreatMissingData", "missing") not in MISSING:
        raise Refused(
            f"Option {request['TreatMissingData']} is not supported for TreatMissingData. "
            f"Supported options: [{', '.join(MISSING)}]"
        )
    check_actions(request)


def _check_statistic(request: Request) -> None:
    extended = request.get("ExtendedStatistic")
    if bool(extended) == bool(request.get("Statistic")):
        raise Refused("Exactly one of Statistic and ExtendedStatistic must be specified.")
    if extended and not PERCENTILE.fullmatch(extended):
        raise Refused(
            f"The value {extended} for parameter ExtendedStatistic is not a percentile from p0 to p100; "
            f"the local AWS evaluates no other extended statistic",
            "InvalidParameterValue",
        )


def _check_periods(request: Request) -> None:
    period, periods = request["Period"], request["EvaluationPeriods"]
    if period not in (10, 20, 30) and period % 60:
        raise Refused("Period must be 10, 20, 30 or a multiple of 60")
    longest = DAY if period < 3600 else 7 * DAY
    if period * periods > longest:
        raise Refused(
            f"Metrics cannot be checked across more than {longest} seconds: Period * EvaluationPeriods"
        )
    if (request.get("DatapointsToAlarm") or 1) > periods:
        raise Refused("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")


def check_actions(request: Request) -> None:
    """Raise Refused for an action that nothing here could do; an alarm must not only seem to act."""
    for name in ACTIONS:
        for arn in request.get(name) or []:
            if not (SNS.fullmatch(arn) or SCALING.fullmatch(arn)):
                raise Refused(
                    f"Invalid or unsupported action {arn}: alarms of the local AWS act on SNS topics and on "
                    f"scaling policies of ECS services"
                )


def rule(alarm: Mapping[str, Any]) -> Rule:
    """How an alarm is to be judged. Alarms on DynamoDB's metrics ignore missing data, whatever they say."""
    missing = alarm.get("TreatMissingData") or "missing"
    return Rule(
        alarm["EvaluationPeriods"],
        alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"],
        alarm["ComparisonOperator"],
        alarm["Threshold"],
        "ignore" if alarm["Namespace"] == "AWS/DynamoDB" else missing,
    )
