"""What an alarm does when its state has changed: messages to topics, an event, and whoever registered to act.

Try it:  aws cloudwatch set-alarm-state on an alarm with a topic that a queue has subscribed to
Messages and events have the members that AWS's have (CloudWatch user guide, "Notify users on alarm changes" and
"Alarm events and EventBridge"). Knows no metrics.
"""

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from localaws.alarms import records
from localaws.alarms.definitions import SCALING, SNS
from localaws.alarms.records import Alarm

logger = logging.getLogger("localaws.alarms")
FIELDS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
CHANGED = "CloudWatch Alarm State Change"
LONGEST_SUBJECT = 100
# Who scales: (policy ARN, alarm). Alarms don't know what a policy is.
on_scaling: list[Callable[[str, Alarm], None]] = []


def act(alarm: Alarm, before: str, state: str) -> None:
    """Do what the alarm says for this state; what fails is in its history, and keeps nothing else from acting."""
    _send_event(alarm, before)
    if not alarm.get("ActionsEnabled", True):
        return
    for arn in alarm.get(FIELDS[state]) or []:
        _perform(arn, alarm, before)


def act_again(alarm: Alarm) -> None:
    """Alarms with scaling policies invoke them in every minute that they stay in a state (user guide, "Alarm
    actions")."""
    if alarm.get("ActionsEnabled", True):
        for arn in alarm.get(FIELDS[alarm["StateValue"]]) or []:
            if SCALING.fullmatch(arn):
                _perform(arn, alarm, alarm["StateValue"], noted=False)


def _perform(arn: str, alarm: Alarm, before: str, noted: bool = True) -> None:
    problem = ""
    try:
        if SNS.fullmatch(arn):
            problem = _publish(arn, alarm, before)
        else:
            for scale in on_scaling:
                scale(arn, alarm)
    except Exception as error:
        logger.exception("the action %s of alarm %s", arn, alarm["AlarmName"])
        problem = str(error)
    if noted:
        done = f"Failed to execute action {arn}. Received error: {problem}" if problem else ""
        data = {"actionState": "Failed" if problem else "Succeeded", "notificationResource": arn}
        records.note(alarm, "Action", done or f"Successfully executed action {arn}", data, time.time())


def _publish(topic: str, alarm: Alarm, before: str) -> str:
    """Send the alarm to a topic; why not, or ''."""
    import json

    from ministack.core.responses import get_region, new_uuid
    from ministack.services import sns

    if sns._topic_by_arn_any_scope(topic) is None:
        return "The topic does not exist"
    subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {region_name(get_region())}'
    sns._fanout(topic, new_uuid(), json.dumps(message(alarm, before)), subject[:LONGEST_SUBJECT])
    return ""


def message(alarm: Alarm, before: str) -> dict[str, Any]:
    """What a topic's subscribers get."""
    from ministack.core.responses import get_account_id, get_region

    said = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": records.day(
            alarm["AlarmConfigurationUpdatedTimestamp"], "+0000"
        ),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": records.day(alarm["StateUpdatedTimestamp"], "+0000"),
        "Region": region_name(get_region()),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        **{name: alarm.get(name) or [] for name in ("OKActions", "AlarmActions", "InsufficientDataActions")},
    }
    if "MetricName" in alarm:
        said["Trigger"] = _trigger(alarm)
    else:
        said["AlarmRule"] = alarm.get("AlarmRule")
    return said


def _trigger(alarm: Alarm) -> dict[str, Any]:
    percentile = alarm.get("ExtendedStatistic")
    statistic = {"StatisticType": "Statistic", "Statistic": str(alarm.get("Statistic")).upper()}
    if percentile:
        statistic = {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": percentile}
    same = ("Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold")
    return {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm["Namespace"],
        **statistic,
        "Unit": alarm.get("Unit"),
        "Dimensions": [
            {"name": each["Name"], "value": each["Value"]} for each in alarm.get("Dimensions") or []
        ],
        **{name: alarm[name] for name in same if name in alarm},
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": "",
    }


def _send_event(alarm: Alarm, before: str) -> None:
    import json

    from ministack.core.responses import get_account_id, get_region, new_uuid
    from ministack.services import eventbridge

    now = alarm["StateUpdatedTimestamp"]
    state = {
        "value": alarm["StateValue"],
        "reason": alarm["StateReason"],
        "timestamp": records.day(now, "+0000"),
    }
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    detail = {
        "alarmName": alarm["AlarmName"],
        "state": state,
        "previousState": {"value": before},
        "configuration": _configuration(alarm),
    }
    event = {
        "EventId": new_uuid(),
        "Source": "aws.cloudwatch",
        "DetailType": CHANGED,
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": now,
        "Resources": [alarm["AlarmArn"]],
        "Account": get_account_id(),
        "Region": get_region(),
    }
    try:
        eventbridge._dispatch_event(event)
    except Exception:  # a rule's target is no reason to leave the alarm's other actions undone
        logger.exception("the event of alarm %s", alarm["AlarmName"])


def _configuration(alarm: Alarm) -> dict[str, Any]:
    if "MetricName" not in alarm:
        return {"alarmRule": alarm.get("AlarmRule")}
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []}
    metric = {"namespace": alarm["Namespace"], "name": alarm["MetricName"], "dimensions": dimensions}
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    stat = {"metric": metric, "period": alarm["Period"], "stat": statistic}
    return {
        "description": alarm.get("AlarmDescription"),
        "metrics": [{"id": "m1", "metricStat": stat, "returnData": True}],
    }


@cache
def region_name(region: str) -> str:
    """A region's name as CloudWatch writes it in messages, such as "US East (N. Virginia)"."""
    from botocore.session import Session

    partitions = Session().get_data("endpoints")["partitions"]
    names = (each["regions"].get(region, {}).get("description") for each in partitions)
    return next((name for name in names if name), region)
