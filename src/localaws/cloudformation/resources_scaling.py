"""CloudFormation types of alarms and of Application Auto Scaling, through the calls that an API client would make.

Try it:  python -m pytest tests/local/test_scaling.py -k stack
Knows how properties are spelled; what they may say, the services themselves check.
"""

import json
import time
from typing import Any

from localaws.alarms import definitions, records
from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties, failed, physical_name, request
from localaws.scaling import hooks as scaling
from localaws.scaling.calls import SERVICE

LONGEST_NAME = 255
NOT_FOUND = "ObjectNotFoundException"


def install() -> None:
    """Put the types into ministack's table."""
    provisioning.add("AWS::CloudWatch::Alarm", _create_alarm, _delete_alarm, _update_alarm)
    target, policy = (
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
    )
    provisioning.add(target, _create_target, _delete_target, _update_target)
    provisioning.add(policy, _create_policy, _delete_policy, _update_policy)
    provisioning.off_the_loop(target, policy)


def _create_alarm(logical_id: str, properties: Properties, stack_name: str) -> Made:
    return _put_alarm(
        properties.get("AlarmName") or physical_name(stack_name, logical_id, LONGEST_NAME), properties
    )


def _update_alarm(name: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    """Another name is another alarm; CloudFormation takes the old one away."""
    made_up = physical_name(stack_name, logical_id, LONGEST_NAME) if before.get("AlarmName") else name
    made = _put_alarm(after.get("AlarmName") or made_up, after)
    from ministack.services import cloudwatch

    cloudwatch.cloudformation_set_metric_alarm_tags(made[0], after.get("Tags") or [])
    return made


def _put_alarm(name: str, properties: Properties) -> Made:
    if properties.get("ActionConfiguration"):
        raise failed(
            "The local AWS does not configure actions of alarms (ActionConfiguration)", "InvalidRequest"
        )
    given = {**request("PutMetricAlarm", properties, "cloudwatch"), "AlarmName": name}
    try:
        definitions.check(given)
        return name, {"Arn": records.put(given, time.time())["AlarmArn"]}
    except definitions.Refused as refused:
        raise failed(refused.message, "InvalidRequest") from refused


def _delete_alarm(name: str, properties: Properties) -> None:
    try:
        records.delete([name], time.time())
    except definitions.Refused as refused:
        raise failed(refused.message, "InvalidRequest") from refused


def _create_target(logical_id: str, properties: Properties, stack_name: str) -> Made:
    if properties.get("ScheduledActions"):
        raise failed("The local AWS has no scheduled actions", "InvalidRequest")
    tags = {each["Key"]: str(each.get("Value", "")) for each in properties.get("Tags") or []}
    given = request("RegisterScalableTarget", {**properties, "Tags": tags}, SERVICE)
    _call("RegisterScalableTarget", given)
    identifier = "|".join((given["ResourceId"], given["ScalableDimension"], given["ServiceNamespace"]))
    return identifier, {"Id": identifier}


def _update_target(
    identifier: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    made = _create_target(logical_id, after, stack_name)
    if made[0] == identifier and before.get("Tags") != after.get("Tags"):
        described = _call(
            "DescribeScalableTargets", {"ServiceNamespace": "ecs", "ResourceIds": [after["ResourceId"]]}
        )
        arn = described["ScalableTargets"][0]["ScalableTargetARN"]
        wanted = {each["Key"]: str(each.get("Value", "")) for each in after.get("Tags") or []}
        gone = [each["Key"] for each in before.get("Tags") or [] if each["Key"] not in wanted]
        _call("UntagResource", {"ResourceARN": arn, "TagKeys": gone})
        _call("TagResource", {"ResourceARN": arn, "Tags": wanted})
    return made


def _delete_target(identifier: str, properties: Properties) -> None:
    resource_id, dimension, namespace = identifier.split("|")
    given = {"ResourceId": resource_id, "ScalableDimension": dimension, "ServiceNamespace": namespace}
    _call("DeregisterScalableTarget", given, allowed=NOT_FOUND)


def _create_policy(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = request("PutScalingPolicy", properties, SERVICE) | _target_of(properties)
    arn = _call("PutScalingPolicy", given)["PolicyARN"]
    return arn, {"Arn": arn}


def _update_policy(arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    return _create_policy(logical_id, after, stack_name)


def _delete_policy(arn: str, properties: Properties) -> None:
    given = {"PolicyName": properties["PolicyName"], **_target_of(properties)}
    _call("DeleteScalingPolicy", given, allowed=NOT_FOUND)


def _target_of(properties: Properties) -> dict[str, str]:
    """The target that a policy names, by its id or by its three parts."""
    names = ("ResourceId", "ScalableDimension", "ServiceNamespace")
    if properties.get("ScalingTargetId"):
        return dict(zip(names, str(properties["ScalingTargetId"]).split("|"), strict=True))
    return {name: str(properties[name]) for name in names if name in properties}


def _call(operation: str, given: dict[str, Any], allowed: str = "") -> dict[str, Any]:
    status, body = scaling.answer(operation, given)
    answer: dict[str, Any] = json.loads(body)
    if status >= 400 and answer["__type"] != allowed:
        raise failed(answer["Message"], "InvalidRequest" if status == 400 else "GeneralServiceException")
    return answer
