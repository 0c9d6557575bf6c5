"""The clock of alarms: when they are looked at, over which periods, how long points are kept. Nothing waits."""

import pytest

from localaws.alarms import datapoints, documents, retention
from localaws.alarms.watch import Watch

NAME = "load"
ALARM = {
    "AlarmName": NAME,
    "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:load",
    "Namespace": "N",
    "MetricName": "M",
    "Dimensions": [{"Name": "A", "Value": "1"}],
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "StateValue": "INSUFFICIENT_DATA",
    "StateReason": "",
    "AlarmConfigurationUpdatedTimestamp": 1.0,
}


class World:
    """A store, an alarm, a clock that a test sets."""

    def __init__(self, metric_seconds: float) -> None:
        self.now = 6000.0
        self.metric_seconds = metric_seconds
        self.watch = Watch(metric_seconds, lambda: self.now)
        self.alarm: dict = {}

    def put(self, value: float, at: float | None = None, dimension: str = "1", unit: str = "None") -> None:
        from localaws import metrics

        minute = metrics.minute_of(self.now if at is None else at, self.metric_seconds)
        metrics.put("N", "M", {"A": dimension}, minute, value, unit=unit)

    def after(self, minutes: float) -> str:
        self.now += minutes * self.metric_seconds
        self.watch.look()
        return str(self.alarm["StateValue"])


@pytest.fixture(params=[60.0, 5.0], ids=["as on AWS", "twelve times as fast"])
def world(request, monkeypatch):
    from ministack.core.responses import AccountRegionScopedDict
    from ministack.services import cloudwatch

    for name in ("_metrics", "_alarms", "_composite_alarms", "_alarm_history"):
        monkeypatch.setattr(cloudwatch, name, AccountRegionScopedDict())
    monkeypatch.setattr("localaws.alarms.records.on_change", [])
    made = World(request.param)
    made.alarm = dict(ALARM)
    cloudwatch._alarms[NAME] = made.alarm
    return made


def test_three_minutes_of_data_set_an_alarm_off_however_long_a_minute_is(world):
    states = []
    for _ in range(4):
        world.put(15)
        states.append(world.after(1.0 + 0.25 * (not states)))
    assert states == ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "ALARM", "ALARM"]


def test_a_minute_that_is_not_over_does_not_count(world):
    for _ in range(3):
        world.put(15)
        world.after(1.25 if world.now == 6000.0 else 1.0)
    assert world.alarm["StateValue"] == "ALARM"
    world.put(0)  # in the minute that runs
    assert world.after(0.5) == "ALARM"
    assert world.after(0.5) == "OK"


def test_an_alarm_sees_its_own_dimensions_and_unit_alone(world):
    world.alarm |= {"EvaluationPeriods": 1, "Unit": "Count"}
    world.put(99, dimension="2")
    world.put(99, unit="Seconds")
    assert world.after(1.25) == "INSUFFICIENT_DATA"
    world.put(99, unit="Count")
    assert world.after(1) == "ALARM"


def test_silence_ends_an_alarm_when_nothing_is_left_in_its_range(world):
    for _ in range(3):
        world.put(15)
        world.after(1.25 if world.now == 6000.0 else 1.0)
    states = [world.after(1) for _ in range(5)]
    assert states == ["ALARM"] * 4 + ["INSUFFICIENT_DATA"]


def test_a_longer_period_slides_from_minute_to_minute(world):
    world.alarm |= {"Period": 300, "EvaluationPeriods": 1, "Statistic": "Sum", "Threshold": 40.0}
    states = []
    for _ in range(6):
        world.put(10)
        states.append(world.after(1.0 + 0.25 * (not states)))
    assert states == ["OK"] * 4 + ["ALARM"] * 2


def test_an_alarm_is_looked_at_once_a_minute_and_at_once_when_it_is_changed(world):
    world.put(15)
    world.after(1.25)
    judged = []
    world.watch.judge = lambda alarm, end, now: judged.append(now)
    world.after(0.25)
    assert judged == []
    world.alarm["AlarmConfigurationUpdatedTimestamp"] = 2.0
    world.after(0.25)
    assert len(judged) == 1
    world.after(1)
    assert len(judged) == 2


def test_ten_seconds_are_a_period_too(world):
    world.alarm |= {"Period": 10, "EvaluationPeriods": 1}
    length = datapoints.seconds_of(10, world.metric_seconds)
    from localaws import metrics

    metrics.put("N", "M", {"A": "1"}, 6000.0 + length, 15.0)
    assert world.after(0) == "INSUFFICIENT_DATA"
    world.now = 6000.0 + 2 * length + 0.2 * world.metric_seconds + 0.01
    world.watch.look()
    assert world.alarm["StateValue"] == "ALARM"


def points(*times):
    return [{"Timestamp": at, "Value": at, "Unit": "None", "Dimensions": {}} for at in times]


def test_old_points_become_one_a_minute_and_very_old_ones_go():
    kept = points(0.0, 1_000_000.0, 1_000_005.0, 1_000_061.0, 1_299_990.0)
    retention.thin(kept, 1_300_000.0, 900.0)
    assert [each["Timestamp"] for each in kept] == [1_000_000.0, 1_000_061.0, 1_299_990.0]
    assert kept[0]["_stat"] == {
        "SampleCount": 2.0,
        "Sum": 2_000_005.0,
        "Minimum": 1_000_000.0,
        "Maximum": 1_000_005.0,
    }
    again = list(kept)
    retention.thin(kept, 1_300_000.0, 900.0)
    assert kept == again


def test_a_form_is_read_into_the_document_that_the_other_protocols_send():
    form = {
        "AlarmName": ["a"],
        "Period": ["60"],
        "Threshold": ["1.5"],
        "ActionsEnabled": ["false"],
        "Dimensions.member.1.Name": ["D"],
        "Dimensions.member.1.Value": ["v"],
        "AlarmActions.member.1": ["arn"],
    }
    assert documents.read("PutMetricAlarm", form, {}, is_form=True) == {
        "AlarmName": "a",
        "Period": 60,
        "Threshold": 1.5,
        "ActionsEnabled": False,
        "Dimensions": [{"Name": "D", "Value": "v"}],
        "AlarmActions": ["arn"],
    }


def test_a_form_is_answered_with_all_that_the_model_has_and_nothing_of_ours():
    shown = {**ALARM, "_note": "ours", "StateUpdatedTimestamp": 0.5}
    status, _, body = documents.answer("DescribeAlarms", {"MetricAlarms": [shown]}, False, False)
    text = body.decode()
    assert status == 200
    assert "<Dimensions><member><Name>A</Name><Value>1</Value></member></Dimensions>" in text
    assert "<StateUpdatedTimestamp>1970-01-01T00:00:00.500Z</StateUpdatedTimestamp>" in text
    assert "ours" not in text
