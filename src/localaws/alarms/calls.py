"""CloudWatch's calls about alarms, in place of ministack's, which show a few of an alarm's members and check none.

Try it:  aws cloudwatch describe-alarms --alarm-names NAME
PutCompositeAlarm stays ministack's, behind a check of its actions. Knows documents, no protocols.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from localaws.alarms import definitions, documents, records
from localaws.alarms.definitions import Refused

Request = dict[str, Any]
Result = dict[str, Any]
PAGE = 50
NOT_FILTERED = ("ChildrenOfAlarmName", "ParentsOfAlarmName")


class Calls:
    """The calls, each of (request document) -> result document. clock: seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.by_name: Mapping[str, Callable[[Request], Result]] = {
            "PutMetricAlarm": self.put,
            "DescribeAlarms": self.describe,
            "DescribeAlarmsForMetric": self.describe_for_metric,
            "DescribeAlarmHistory": self.history,
            "DeleteAlarms": self.delete,
            "EnableAlarmActions": lambda request: self.enable(request, True),
            "DisableAlarmActions": lambda request: self.enable(request, False),
            "SetAlarmState": self.set_state,
        }

    def install(self) -> None:
        """Take the places of ministack's."""
        from ministack.services import cloudwatch

        places = {
            "PutMetricAlarm": "_put_metric_alarm",
            "DescribeAlarms": "_describe_alarms",
            "DescribeAlarmsForMetric": "_describe_alarms_for_metric",
            "DescribeAlarmHistory": "_describe_alarm_history",
            "DeleteAlarms": "_delete_alarms",
            "EnableAlarmActions": "_enable_alarm_actions",
            "DisableAlarmActions": "_disable_alarm_actions",
            "SetAlarmState": "_set_alarm_state",
        }
        for name, place in places.items():
            setattr(cloudwatch, place, functools.partial(self._answer, name))
        cloudwatch._put_composite_alarm = self._checking_actions(cloudwatch._put_composite_alarm)

    def _answer(
        self, name: str, params: Any, document: Any, is_cbor: bool, is_json: bool = False
    ) -> documents.Answer:
        request = documents.read(name, params, document, not (is_cbor or is_json))
        try:
            definitions.check_form(name, request)
            return documents.answer(name, self.by_name[name](request), is_cbor, is_json)
        except Refused as refused:
            return documents.refusal(refused.code, refused.message, is_cbor, is_json)

    def _checking_actions(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def put(params: Any, document: Any, is_cbor: bool, is_json: bool = False) -> Any:
            name = "PutCompositeAlarm"
            request = documents.read(name, params, document, not (is_cbor or is_json))
            try:
                definitions.check_form(name, request)
                definitions.check_actions(request)
                if request.get("ActionsSuppressor"):
                    raise Refused("The local AWS does not suppress actions of composite alarms")
            except Refused as refused:
                return documents.refusal(refused.code, refused.message, is_cbor, is_json)
            return original(params, document, is_cbor, is_json)

        return put

    def put(self, request: Request) -> Result:
        """PutMetricAlarm."""
        definitions.check(request)
        records.put(request, self.clock())
        return {}

    def describe(self, request: Request) -> Result:
        """DescribeAlarms: pages in the order of names, of both kinds together."""
        from ministack.services import cloudwatch

        for name in NOT_FILTERED:
            if request.get(name):
                raise Refused(f"The local AWS does not look for alarms by {name}")
        if request.get("AlarmNames") and request.get("AlarmNamePrefix"):
            raise Refused("AlarmNamePrefix and AlarmNames cannot be specified together", "ValidationError")
        kinds = request.get("AlarmTypes") or ["MetricAlarm"]
        stores = {"MetricAlarm": cloudwatch._alarms, "CompositeAlarm": cloudwatch._composite_alarms}
        found = [
            (alarm["AlarmName"], kind, alarm)
            for kind, store in stores.items()
            if kind in kinds
            for alarm in store.values()
            if _is_asked_for(alarm, request)
        ]
        found.sort(key=lambda each: each[:2])
        token = request.get("NextToken")
        found = [each for each in found if not token or each[0] >= token]
        most = request.get("MaxRecords") or PAGE
        result: Result = {
            f"{kind}s": [each[2] for each in found[:most] if each[1] == kind] for kind in stores
        }
        if len(found) > most:
            result["NextToken"] = found[most][0]
        return result

    def describe_for_metric(self, request: Request) -> Result:
        """DescribeAlarmsForMetric: of exactly this metric."""
        from ministack.services import cloudwatch

        wanted = {each["Name"]: each["Value"] for each in request.get("Dimensions") or []}
        same = ("Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "Unit")
        return {
            "MetricAlarms": [
                alarm
                for alarm in cloudwatch._alarms.values()
                if {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []} == wanted
                and all(alarm.get(name) == request[name] for name in same if name in request)
            ]
        }

    def history(self, request: Request) -> Result:
        """DescribeAlarmHistory; a token says how many entries of the whole history are left."""
        from ministack.services import cloudwatch

        kinds = request.get("AlarmTypes") or ["MetricAlarm"]
        from_, to = (cloudwatch._parse_ts(request.get(name)) for name in ("StartDate", "EndDate"))
        entries = list(enumerate(cloudwatch._history_entries()))
        descending = request.get("ScanBy") != "TimestampAscending"
        if descending:
            entries.reverse()
        if request.get("NextToken"):
            first = int(request["NextToken"]) if str(request["NextToken"]).isdecimal() else -1
            if not 0 <= first < len(entries):
                raise Refused(f"Invalid NextToken : {request['NextToken']}", "InvalidNextToken")
            entries = [each for each in entries if (each[0] <= first if descending else each[0] >= first)]
        found = []
        for number, entry in entries:
            at = cloudwatch._parse_ts(entry["Timestamp"])
            if (
                entry.get("AlarmType", "MetricAlarm") in kinds
                and request.get("AlarmName") in (None, entry["AlarmName"])
                and request.get("HistoryItemType") in (None, entry["HistoryItemType"])
                and (from_ is None or at >= from_)
                and (to is None or at <= to)
            ):
                found.append((number, {**entry, "Timestamp": at}))
        most = request.get("MaxRecords") or PAGE
        more = {"NextToken": str(found[most][0])} if len(found) > most else {}
        return {"AlarmHistoryItems": [entry for _, entry in found[:most]], **more}

    def delete(self, request: Request) -> Result:
        """DeleteAlarms."""
        records.delete(request["AlarmNames"], self.clock())
        return {}

    def enable(self, request: Request, enabled: bool) -> Result:
        """EnableAlarmActions and DisableAlarmActions."""
        for name in request["AlarmNames"]:
            alarm = records.find(name)
            if alarm:
                alarm["ActionsEnabled"] = enabled
                alarm["AlarmConfigurationUpdatedTimestamp"] = self.clock()
        return {}

    def set_state(self, request: Request) -> Result:
        """SetAlarmState: holds until the next look at the alarm's metric."""
        alarm = records.find(request["AlarmName"])
        if alarm is None:
            raise Refused("Alarm not found", "ResourceNotFound")
        data = None
        if request.get("StateReasonData"):
            try:
                data = json.loads(request["StateReasonData"])
            except ValueError:
                raise Refused("StateReasonData is not valid JSON", "InvalidFormat") from None
        records.change_state(alarm, request["StateValue"], request["StateReason"], data, self.clock())
        return {}


def _is_asked_for(alarm: Mapping[str, Any], request: Request) -> bool:
    names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix", "")
    action = request.get("ActionPrefix")
    actions = [each for name in definitions.ACTIONS for each in alarm.get(name) or []]
    return (
        (not names or alarm["AlarmName"] in names)
        and alarm["AlarmName"].startswith(prefix)
        and request.get("StateValue") in (None, alarm["StateValue"])
        and (not action or any(each.startswith(action) for each in actions))
    )
