"""Alarms as ministack keeps them, their histories, and what happens when one changes its state.

Try it:  aws cloudwatch describe-alarm-history --alarm-name NAME
Every change of an alarm's state goes through `change_state`, whoever wants it. Knows no protocol and no clock.
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localaws.alarms.definitions import Refused

Alarm = dict[str, Any]
NEW = "Unchecked: Initial alarm creation"
STATES = (
    "StateValue",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
)
KEPT = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)
# Requests come on the event loop, looks on a thread of their own.
one_at_a_time = threading.RLock()
# Told of every change: (alarm, old state, new state).
on_change: list[Callable[[Alarm, str, str], None]] = []


def put(request: dict[str, Any], now: float) -> Alarm:
    """Keep a checked request as an alarm; one of that name keeps its state and history."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import cloudwatch

    name = request["AlarmName"]
    alarm: Alarm = {key: request[key] for key in KEPT if request.get(key) is not None}
    alarm = {"ActionsEnabled": True, "OKActions": [], "AlarmActions": [], "Dimensions": [], **alarm}
    alarm.setdefault("InsufficientDataActions", [])
    alarm["AlarmArn"] = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"
    alarm["AlarmConfigurationUpdatedTimestamp"] = now
    with one_at_a_time:
        if name in cloudwatch._composite_alarms:
            raise Refused(f"A composite alarm named {name} already exists.")
        before = cloudwatch._alarms.get(name)
        if before:
            alarm |= {key: before[key] for key in STATES if before.get(key) is not None}
        else:
            alarm |= {"StateValue": "INSUFFICIENT_DATA", "StateReason": NEW, "StateUpdatedTimestamp": now}
            alarm["StateTransitionedTimestamp"] = now
        cloudwatch._alarms[name] = alarm
        kind = "Update" if before else "Create"
        note(alarm, "ConfigurationUpdate", f'Alarm "{name}" {kind.lower()}d', {"type": kind}, now)
        if not before and request.get("Tags"):
            cloudwatch._resource_tags[alarm["AlarmArn"]] = {
                each["Key"]: each["Value"] for each in request["Tags"]
            }
    return alarm


def find(name: str) -> Alarm | None:
    """The metric alarm or composite alarm of a name."""
    from ministack.services import cloudwatch

    found: Alarm | None = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return found


def delete(names: list[str], now: float) -> None:
    """Delete alarms; AWS passes over names that no alarm has.

    Errors: Refused if a composite alarm needs one of them, or if several are composite.
    """
    from ministack.services import cloudwatch

    with one_at_a_time:
        composites = [name for name in dict.fromkeys(names) if name in cloudwatch._composite_alarms]
        if len(composites) > 1:
            raise Refused(
                f"Cannot delete [{len(composites)}] Composite Alarms as only one composite alarm delete is "
                f"allowed in single request"
            )
        for name in names:
            parents = cloudwatch._composite_alarms.values()
            if find(name) and any(name in cloudwatch._composite_children(parent) for parent in parents):
                raise Refused(f"Cannot delete {name} as there are composite alarm(s) depending on it.")
        for name in names:
            alarm = find(name)
            if alarm:
                note(alarm, "ConfigurationUpdate", f'Alarm "{name}" deleted', {"type": "Delete"}, now)
                cloudwatch._alarms.pop(name, None)
                cloudwatch._composite_alarms.pop(name, None)
                cloudwatch._resource_tags.pop(alarm["AlarmArn"], None)


def change_state(alarm: Alarm, state: str, reason: str, data: dict[str, Any] | None, now: float) -> None:
    """Put an alarm into a state, and tell of it: history, actions, composite alarms on it."""
    from ministack.services import cloudwatch

    with one_at_a_time:
        before, data_before = alarm["StateValue"], alarm.get("StateReasonData")
        old = {"stateValue": before, "stateReason": alarm.get("StateReason")}
        new: dict[str, Any] = {"stateValue": state, "stateReason": reason}
        if data_before:
            old["stateReasonData"] = json.loads(data_before)
        alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": now}
        alarm.pop("StateReasonData", None)
        if data is not None:
            alarm["StateReasonData"] = json.dumps(data, separators=(",", ":"))
            new["stateReasonData"] = data
        if state == before:
            return
        alarm["StateTransitionedTimestamp"] = now
        note(
            alarm,
            "StateUpdate",
            f"Alarm updated from {before} to {state}",
            {"oldState": old, "newState": new},
            now,
        )
    for told in on_change:
        told(alarm, before, state)
    cloudwatch._evaluate_parent_alarms(alarm)


def note(alarm: Alarm, kind: str, summary: str, data: dict[str, Any], now: float) -> None:
    """Add to an alarm's history."""
    from ministack.services import cloudwatch

    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "MetricAlarm" if "MetricName" in alarm else "CompositeAlarm",
            "Timestamp": day(now),
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
    )


def day(seconds: float, ending: str = "Z") -> str:
    """A moment to the millisecond, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + ending
