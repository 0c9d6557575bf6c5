"""Which alarms a request to CloudWatch is about, and what it carries, in any of the three protocols.

Try it:  aws cloudwatch put-metric-alarm with a policy that names other alarms
Resource types, ARNs and condition keys of the Service Authorization Reference, "Amazon CloudWatch". Knows no alarms.
"""

import io
import re
from typing import Any

from localaws.identity import members
from localaws.identity.resources import Request

ALARM_CALLS = {
    "DeleteAlarms",
    "DescribeAlarmHistory",
    "DescribeAlarms",
    "DisableAlarmActions",
    "EnableAlarmActions",
    "PutCompositeAlarm",
    "PutMetricAlarm",
    "SetAlarmState",
}
_NAMES = re.compile(r"AlarmNames\.member\.\d+")
_ACTIONS = re.compile(r"(?:OKActions|AlarmActions|InsufficientDataActions)\.member\.\d+")


def resources(request: Request, found: str) -> list[str]:
    """The alarms that a call names; all of them where it names none; found, where it is about none."""
    if request.operation.endswith("ForResource") or request.operation in ("TagResource", "UntagResource"):
        return [str(_member(request, "ResourceARN") or found)]
    if request.operation not in ALARM_CALLS:
        return ["*"]
    names = [_member(request, "AlarmName")] if _member(request, "AlarmName") else _members(request, _NAMES)
    return [request.arn("cloudwatch", f"alarm:{name}") for name in names or ["*"]]


def context(request: Request) -> dict[str, Any]:
    """cloudwatch:namespace of data, cloudwatch:AlarmActions of alarms."""
    if request.operation == "PutMetricData":
        namespace = _member(request, "Namespace")
        return {"cloudwatch:namespace": namespace} if namespace else {}
    if request.operation in ("PutMetricAlarm", "PutCompositeAlarm"):
        actions = _members(request, _ACTIONS)
        return {"cloudwatch:AlarmActions": actions} if actions else {}
    return {}


def _document(request: Request) -> dict[str, Any]:
    document = request.document or _in_cbor(request.body)
    return members.known(request.service, request.operation, document)


def _member(request: Request, name: str) -> Any:
    return request.param(name) or _document(request).get(name)


def _members(request: Request, pattern: re.Pattern[str]) -> list[str]:
    """All items of the lists whose form names the pattern matches."""
    in_form = [request.param(name) for name in request.params if pattern.fullmatch(name)]
    lists = [
        value
        for name, value in _document(request).items()
        if isinstance(value, list) and pattern.fullmatch(f"{name}.member.1")
    ]
    return in_form + [str(item) for value in lists for item in value]


def _in_cbor(body: bytes) -> dict[str, Any]:
    from botocore.parsers import BaseCBORParser

    try:
        buffered: Any = io.BufferedReader(io.BytesIO(body))  # type: ignore[arg-type]
        document = BaseCBORParser().parse_data_item(buffered)
    except Exception:  # another encoding, which the service itself will refuse
        return {}
    return document if isinstance(document, dict) else {}
