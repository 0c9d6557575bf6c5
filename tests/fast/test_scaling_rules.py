"""How many tasks a policy asks for: target tracking in proportion, steps as their table says."""

import pytest

from localaws.scaling import steps, tracking
from localaws.scaling.store import Refused

TARGET = 100.0


@pytest.mark.parametrize(
    ("tasks", "value", "wanted"),
    [(1, 101, 2), (1, 250, 3), (2, 300, 6), (3, 100.1, 4), (0, 50, 1)],
)
def test_out_is_in_proportion_and_rounded_up(tasks, value, wanted):
    assert tracking.out(tasks, value, TARGET) == wanted


@pytest.mark.parametrize(
    ("tasks", "value", "wanted"),
    [
        (3, 0, 2),  # by one at least
        (3, 66, 2),  # two tasks would be at 99
        (3, 67, 3),  # two would be above the target
        (1, 0, 0),  # the target's minimum says what becomes of that
        (40, 0, 36),  # by a tenth
        (40, 97, 39),
    ],
)
def test_in_is_slow_and_never_to_fewer_than_the_metric_needs(tasks, value, wanted):
    assert tracking.into(tasks, value, TARGET) == wanted


def policy(**configuration):
    return {
        "ResourceId": "service/c/s",
        "PolicyARN": "arn:p",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": TARGET, **configuration},
    }


def test_target_tracking_makes_the_two_alarms_that_aws_makes():
    label = "app/lb/50dc/targetgroup/tg/6d0e"
    made = tracking.alarms(
        policy(
            PredefinedMetricSpecification={
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": label,
            }
        ),
        {"AlarmHigh": "1", "AlarmLow": "2"},
    )
    high, low = made["AlarmHigh"], made["AlarmLow"]
    assert high["AlarmName"] == "TargetTracking-service/c/s-AlarmHigh-1"
    assert low["AlarmName"] == "TargetTracking-service/c/s-AlarmLow-2"
    assert (high["EvaluationPeriods"], high["Threshold"], high["ComparisonOperator"]) == (
        3,
        100.0,
        "GreaterThanThreshold",
    )
    assert (low["EvaluationPeriods"], low["Threshold"], low["ComparisonOperator"]) == (
        15,
        90.0,
        "LessThanThreshold",
    )
    assert {each["Name"]: each["Value"] for each in high["Dimensions"]} == {
        "LoadBalancer": "app/lb/50dc",
        "TargetGroup": "targetgroup/tg/6d0e",
    }
    assert (high["Namespace"], high["MetricName"], high["Statistic"]) == (
        "AWS/ApplicationELB",
        "RequestCountPerTarget",
        "Sum",
    )


def test_a_services_own_metrics_are_of_that_service():
    found = tracking.metric(
        "service/c/s",
        {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}},
    )
    assert found["Dimensions"] == [
        {"Name": "ClusterName", "Value": "c"},
        {"Name": "ServiceName", "Value": "s"},
    ]
    assert (found["MetricName"], found["Statistic"]) == ("CPUUtilization", "Average")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({}, "Exactly one of"),
        ({"PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisioned"}}, "not supported"),
        (
            {"PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget"}},
            "resource label is required",
        ),
        (
            {
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "ECSServiceAverageCPUUtilization",
                    "ResourceLabel": "app/a/b/targetgroup/c/d",
                }
            },
            "not allowed",
        ),
        ({"CustomizedMetricSpecification": {"Metrics": [{"Id": "m"}]}}, "metric math"),
        ({"CustomizedMetricSpecification": {"Namespace": "N", "MetricName": "M"}}, "Statistic is required"),
    ],
)
def test_a_configuration_that_can_not_be_followed_is_refused(configuration, said):
    with pytest.raises(Refused, match=said):
        tracking.check({"TargetValue": 1.0, **configuration})


def stepped(kind, *table, **more):
    """table: (lower bound, upper bound, adjustment)."""
    adjustments = [
        {
            **({} if low is None else {steps.LOWER: low}),
            **({} if high is None else {steps.UPPER: high}),
            "ScalingAdjustment": adjustment,
        }
        for low, high, adjustment in table
    ]
    return {"AdjustmentType": kind, "StepAdjustments": adjustments, **more}


# The user guide's example, "Step adjustments": an alarm at 50, ten tasks, and steps at 60 and 70.
GUIDE = stepped("PercentChangeInCapacity", (0, 10, 0), (10, 20, 10), (20, None, 30))


@pytest.mark.parametrize(
    ("tasks", "breach", "wanted"), [(10, 5, 10), (10, 10, 11), (10, 19.9, 11), (10, 20, 13), (10, 90, 13)]
)
def test_the_guides_steps_out(tasks, breach, wanted):
    assert steps.wanted(tasks, breach, GUIDE) == wanted


GUIDE_IN = stepped("PercentChangeInCapacity", (-10, 0, 0), (-20, -10, -10), (None, -20, -30))


@pytest.mark.parametrize(
    ("tasks", "breach", "wanted"), [(10, -5, 10), (10, -10, 9), (10, -20, 7), (10, -50, 7)]
)
def test_the_guides_steps_in(tasks, breach, wanted):
    assert steps.wanted(tasks, breach, GUIDE_IN) == wanted


@pytest.mark.parametrize(
    ("tasks", "percent", "least", "wanted"),
    [(10, 25, 0, 12), (4, 5, 0, 5), (10, -25, 0, 8), (4, -5, 0, 3), (4, 5, 2, 6), (0, 50, 0, 0)],
)
def test_percent_is_rounded_towards_zero_and_never_to_it(tasks, percent, least, wanted):
    given = stepped("PercentChangeInCapacity", (0, None, percent), MinAdjustmentMagnitude=least)
    assert steps.wanted(tasks, 1, given) == wanted


def test_exact_capacity_and_changes():
    assert steps.wanted(5, 1, stepped("ExactCapacity", (0, None, 2))) == 2
    assert steps.wanted(5, 1, stepped("ChangeInCapacity", (0, None, 2))) == 7
    assert steps.wanted(5, -1, stepped("ChangeInCapacity", (0, None, 2))) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (stepped("ChangeInCapacity"), "At least one StepAdjustment"),
        (stepped("ChangeInCapacity", (None, None, 1)), "must be given"),
        (stepped("ChangeInCapacity", (5, 5, 1)), "must be less"),
        (stepped("ChangeInCapacity", (0, 5, 1), (6, None, 2)), "gap or overlap"),
        (stepped("ChangeInCapacity", (0, 5, 1), (4, None, 2)), "gap or overlap"),
        (stepped("ExactCapacity", (0, None, -1)), "must not be negative"),
        (stepped("ChangeInCapacity", *((n, n + 1, 1) for n in range(21))), "at most 20"),
    ],
)
def test_steps_that_leave_something_open_are_refused(given, said):
    with pytest.raises(Refused, match=said):
        steps.check(given)
