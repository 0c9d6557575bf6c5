"""CloudFormation types of Elastic Load Balancing: each is sent through the calls that an API client would make.

Try it:  tests/local/test_loadbalancer_stacks.py
What the service refuses fails the resource, a group that is in use among it. Updates change in place what AWS
changes in place; the rest is made anew. Properties are translated by botocore's model.
"""

from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties
from localaws.loadbalancer import calls, records
from localaws.loadbalancer.wire import Refused

PREFIX = "AWS::ElasticLoadBalancingV2::"
LISTS = ("Subnets", "SecurityGroups")
CODES = {"Duplicate": "AlreadyExists", "PriorityInUse": "AlreadyExists", "ResourceInUse": "ResourceConflict"}


def install() -> None:
    """Take the place of ministack's four types."""
    provisioning.add(f"{PREFIX}LoadBalancer", _create_balancer, _delete_balancer, _update_balancer)
    provisioning.add(f"{PREFIX}TargetGroup", _create_group, _delete_group, _update_group)
    provisioning.add(f"{PREFIX}Listener", _create_listener, _delete_listener, _update_listener)
    provisioning.add(f"{PREFIX}ListenerRule", _create_rule, _delete_rule, _update_rule)
    for name in ("LoadBalancer", "TargetGroup", "Listener", "ListenerRule"):
        provisioning.tagged(f"{PREFIX}{name}")
        provisioning.off_the_loop(f"{PREFIX}{name}")


def _call(operation: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return calls.call(operation, given)
    except Refused as refused:
        code = next(
            (value for start, value in CODES.items() if refused.code.startswith(start)), "InvalidRequest"
        )
        if refused.code.endswith("NotFound"):
            code = "NotFound"
        message = f"{refused.message} (Service: ElasticLoadBalancingV2, Status Code: 400)"
        raise provisioning.failed(message, code) from refused


def _request(operation: str, properties: Properties) -> dict[str, Any]:
    # A parameter of a list type may arrive as the text that it was given in.
    lists = {name: properties[name].split(",") for name in LISTS if isinstance(properties.get(name), str)}
    return provisioning.request(operation, {**properties, **lists}, "elbv2")


def _attributes(properties: Properties, name: str) -> list[dict[str, str]]:
    return [
        {"Key": each["Key"], "Value": _text(each.get("Value", ""))} for each in properties.get(name) or []
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _retag(arn: str, before: Properties, after: Properties) -> None:
    wanted = {tag["Key"]: str(tag.get("Value", "")) for tag in after.get("Tags") or []}
    gone = [tag["Key"] for tag in before.get("Tags") or [] if tag["Key"] not in wanted]
    if gone:
        _call("RemoveTags", {"ResourceArns": [arn], "TagKeys": gone})
    if wanted:
        tags = [{"Key": key, "Value": value} for key, value in wanted.items()]
        _call("AddTags", {"ResourceArns": [arn], "Tags": tags})


def _new_name(given: dict[str, Any], stack_name: str, logical_id: str) -> None:
    """A name for what has none, as AWS makes it up."""
    given.setdefault("Name", provisioning.physical_name(stack_name, logical_id, 32).strip("-"))


# ---- load balancers ------------------------------------------------------------------------------------------


def _create_balancer(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = _request("CreateLoadBalancer", properties)
    _new_name(given, stack_name, logical_id)
    if _find("DescribeLoadBalancers", "LoadBalancers", given["Name"]):
        raise provisioning.failed(f"{given['Name']} already exists", "AlreadyExists")
    [balancer] = _call("CreateLoadBalancer", given)["LoadBalancers"]
    _put_balancer_attributes(balancer["LoadBalancerArn"], properties)
    return _balancer_made(balancer)


def _find(operation: str, key: str, name: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = calls.call(operation, {"Names": [name]})[key]
    except Refused:
        return []
    return found


def _put_balancer_attributes(arn: str, properties: Properties) -> None:
    given = _attributes(properties, "LoadBalancerAttributes")
    if given:
        try:
            _call("ModifyLoadBalancerAttributes", {"LoadBalancerArn": arn, "Attributes": given})
        except provisioning.ResourceFailed:
            if not properties.get("_kept"):
                _call("DeleteLoadBalancer", {"LoadBalancerArn": arn})
            raise


def _balancer_made(balancer: dict[str, Any]) -> Made:
    arn = balancer["LoadBalancerArn"]
    return arn, {
        "LoadBalancerArn": arn,
        "LoadBalancerName": balancer["LoadBalancerName"],
        "LoadBalancerFullName": records.full_name(arn),
        "DNSName": balancer["DNSName"],
        "CanonicalHostedZoneID": balancer["CanonicalHostedZoneId"],
        "SecurityGroups": balancer["SecurityGroups"],
    }


def _update_balancer(
    arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    given = _request("CreateLoadBalancer", after)
    for name, operation in (("Subnets", "SetSubnets"), ("SecurityGroups", "SetSecurityGroups")):
        if after.get(name) != before.get(name) and name in given:
            _call(operation, {"LoadBalancerArn": arn, name: given[name]})
    if after.get("SubnetMappings") != before.get("SubnetMappings") and given.get("SubnetMappings"):
        _call("SetSubnets", {"LoadBalancerArn": arn, "SubnetMappings": given["SubnetMappings"]})
    _put_balancer_attributes(arn, {**after, "_kept": True})
    _retag(arn, before, after)
    [balancer] = _call("DescribeLoadBalancers", {"LoadBalancerArns": [arn]})["LoadBalancers"]
    return _balancer_made(balancer)


def _delete_balancer(arn: str, properties: Properties) -> None:
    _call("DeleteLoadBalancer", {"LoadBalancerArn": arn})


# ---- target groups -------------------------------------------------------------------------------------------


def _create_group(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = _request("CreateTargetGroup", properties)
    _new_name(given, stack_name, logical_id)
    if _find("DescribeTargetGroups", "TargetGroups", given["Name"]):
        raise provisioning.failed(f"{given['Name']} already exists", "AlreadyExists")
    [group] = _call("CreateTargetGroup", given)["TargetGroups"]
    arn = group["TargetGroupArn"]
    try:
        _put_group_attributes(arn, properties)
        wanted = _request("RegisterTargets", properties).get("Targets")
        if wanted:
            _call("RegisterTargets", {"TargetGroupArn": arn, "Targets": wanted})
    except provisioning.ResourceFailed:
        _call("DeleteTargetGroup", {"TargetGroupArn": arn})
        raise
    return _group_made(group)


def _put_group_attributes(arn: str, properties: Properties) -> None:
    given = _attributes(properties, "TargetGroupAttributes")
    if given:
        _call("ModifyTargetGroupAttributes", {"TargetGroupArn": arn, "Attributes": given})


def _group_made(group: dict[str, Any]) -> Made:
    arn = group["TargetGroupArn"]
    return arn, {
        "TargetGroupArn": arn,
        "TargetGroupName": group["TargetGroupName"],
        "TargetGroupFullName": records.full_name(arn),
        "LoadBalancerArns": group["LoadBalancerArns"],
    }


def _update_group(arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    _call("ModifyTargetGroup", {**_request("ModifyTargetGroup", after), "TargetGroupArn": arn})
    _put_group_attributes(arn, after)
    wanted = _request("RegisterTargets", after).get("Targets") or []
    gone = [each for each in _request("RegisterTargets", before).get("Targets") or [] if each not in wanted]
    if gone:
        _call("DeregisterTargets", {"TargetGroupArn": arn, "Targets": gone})
    if wanted:
        _call("RegisterTargets", {"TargetGroupArn": arn, "Targets": wanted})
    _retag(arn, before, after)
    [group] = _call("DescribeTargetGroups", {"TargetGroupArns": [arn]})["TargetGroups"]
    return _group_made(group)


def _delete_group(arn: str, properties: Properties) -> None:
    _call("DeleteTargetGroup", {"TargetGroupArn": arn})


# ---- listeners and rules -------------------------------------------------------------------------------------


def _create_listener(logical_id: str, properties: Properties, stack_name: str) -> Made:
    [listener] = _call("CreateListener", _request("CreateListener", properties))["Listeners"]
    arn = listener["ListenerArn"]
    _put_listener_attributes(arn, properties)
    return arn, {"ListenerArn": arn}


def _put_listener_attributes(arn: str, properties: Properties) -> None:
    given = _attributes(properties, "ListenerAttributes")
    if given:
        _call("ModifyListenerAttributes", {"ListenerArn": arn, "Attributes": given})


def _update_listener(
    arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
) -> Made:
    if before.get("LoadBalancerArn") != after.get("LoadBalancerArn"):
        return _replaced(_create_listener(logical_id, after, stack_name), _delete_listener, arn, before)
    _call("ModifyListener", {**_request("ModifyListener", after), "ListenerArn": arn})
    _put_listener_attributes(arn, after)
    _retag(arn, before, after)
    return arn, {"ListenerArn": arn}


def _replaced(made: Made, delete: Any, arn: str, before: Properties) -> Made:
    """Have the former one deleted when CloudFormation cleans up."""
    from ministack.services.cloudformation import provisioners

    provisioners._delete_predecessor(delete, arn, before)
    return made


def _delete_listener(arn: str, properties: Properties) -> None:
    if arn in records.store("listener"):  # else it went with its load balancer
        _call("DeleteListener", {"ListenerArn": arn})


def _create_rule(logical_id: str, properties: Properties, stack_name: str) -> Made:
    [rule] = _call("CreateRule", _request("CreateRule", properties))["Rules"]
    return rule["RuleArn"], {"RuleArn": rule["RuleArn"], "IsDefault": False}


def _update_rule(arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    if before.get("ListenerArn") != after.get("ListenerArn"):
        return _replaced(_create_rule(logical_id, after, stack_name), _delete_rule, arn, before)
    _call("ModifyRule", {**_request("ModifyRule", after), "RuleArn": arn})
    if str(before.get("Priority")) != str(after.get("Priority")):
        wanted = [{"RuleArn": arn, "Priority": int(after["Priority"])}]
        _call("SetRulePriorities", {"RulePriorities": wanted})
    _retag(arn, before, after)
    return arn, {"RuleArn": arn, "IsDefault": False}


def _delete_rule(arn: str, properties: Properties) -> None:
    if arn in records.store("listener-rule"):
        _call("DeleteRule", {"RuleArn": arn})
