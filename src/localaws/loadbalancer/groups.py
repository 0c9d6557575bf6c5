"""Calls on target groups, and on the targets that are registered with them.

Try it:  aws elbv2 create-target-group --name try --target-type ip --port 80 --protocol HTTP --vpc-id VPC
Targets are addresses, or instances of EC2: those are records here, whose containers have their host ports on
127.0.0.1. Knows no listeners but that they may use a group.
"""

import ipaddress
import re
from typing import Any

from localaws.loadbalancer import attributes, records, targets
from localaws.loadbalancer.records import Record
from localaws.loadbalancer.wire import Document, Refused, not_emulated

_MATCHER = re.compile(r"\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*")
# CreateTargetGroup's defaults for the target types here (API reference).
DEFAULTS: Record = {
    "HealthCheckProtocol": "HTTP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckEnabled": True,
    "HealthCheckPath": "/",
    "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 5,
    "UnhealthyThresholdCount": 2,
}
SAME = ("Protocol", "Port", "VpcId", "TargetType", "ProtocolVersion", *DEFAULTS, "Matcher")


def create(given: Document) -> Document:
    """CreateTargetGroup; the same again gives the one that is there."""
    name = given["Name"]
    records.check_name(name, "The target group")
    record: Record = {
        "TargetGroupName": name,
        "Protocol": given.get("Protocol"),
        "Port": given.get("Port"),
        "VpcId": given.get("VpcId"),
        "TargetType": given.get("TargetType", "instance"),
        "ProtocolVersion": given.get("ProtocolVersion", "HTTP1"),
        "IpAddressType": given.get("IpAddressType", "ipv4"),
        "Matcher": {"HttpCode": "200"},
    }
    _refuse_what_is_not_here(record)
    record |= DEFAULTS | {key: given[key] for key in DEFAULTS if key in given}
    if given.get("Matcher"):
        record["Matcher"] = given["Matcher"]
    _check_health_check(record)
    there = next(
        (each for each in records.store("targetgroup").values() if each["TargetGroupName"] == name), None
    )
    if there:
        if all(there[key] == record[key] for key in SAME):
            return {"TargetGroups": [_shown(there)]}
        raise Refused(
            "DuplicateTargetGroupName",
            f"A target group with the same name '{name}' exists, but with different settings",
        )
    arn = records.new_arn(f"targetgroup/{name}")
    records.store("targetgroup")[arn] = {"TargetGroupArn": arn, **record}
    records.put_tags(arn, given.get("Tags") or [])
    return {"TargetGroups": [_shown(record | {"TargetGroupArn": arn})]}


def _refuse_what_is_not_here(record: Record) -> None:
    if record["TargetType"] not in ("ip", "instance"):
        raise not_emulated(f"target groups of type {record['TargetType']}")
    for key in ("Protocol", "Port", "VpcId"):
        if not record[key]:
            words = {"VpcId": "VPC ID"}.get(key, key.lower())
            raise Refused("ValidationError", f"A {words} must be specified")
    if record["Protocol"] != "HTTP":
        raise not_emulated(f"target groups of protocol {record['Protocol']}")
    if record["ProtocolVersion"] != "HTTP1":
        raise not_emulated(f"target groups of protocol version {record['ProtocolVersion']}")
    if record["IpAddressType"] != "ipv4":
        raise not_emulated(f"target groups of IP address type {record['IpAddressType']}")
    from ministack.services import ec2

    ec2._ensure_defaults_initialized()
    if record["VpcId"] not in ec2._vpcs:
        raise Refused("ValidationError", f"The VPC ID '{record['VpcId']}' is not found")


def _check_health_check(record: Record) -> None:
    if record["HealthCheckProtocol"] != "HTTP":
        raise not_emulated(f"health checks by {record['HealthCheckProtocol']}")
    if not record["HealthCheckEnabled"]:
        raise Refused(
            "InvalidConfigurationRequest",
            f"Health check enabled must be true for target groups with target type '{record['TargetType']}'",
        )
    if record["HealthCheckTimeoutSeconds"] >= record["HealthCheckIntervalSeconds"]:
        raise Refused(
            "ValidationError",
            f"Health check timeout '{record['HealthCheckTimeoutSeconds']}' must be "
            f"smaller than the interval '{record['HealthCheckIntervalSeconds']}'",
        )
    port = str(record["HealthCheckPort"])
    if port != "traffic-port" and not (port.isdecimal() and 0 < int(port) < 65536):
        raise Refused(
            "ValidationError", f"Health check port '{port}' must be 'traffic-port' or from 1 to 65535"
        )
    if not str(record["HealthCheckPath"]).startswith("/"):
        raise Refused(
            "ValidationError", f"Health check path '{record['HealthCheckPath']}' must begin with a '/'"
        )
    if not str(record["HealthCheckPath"]).isprintable() or " " in str(record["HealthCheckPath"]):
        raise Refused("ValidationError", f"Health check path '{record['HealthCheckPath']}' is not valid")
    codes = str(record["Matcher"].get("HttpCode") or "")
    if not _MATCHER.fullmatch(codes) or any(
        not 200 <= int(each) <= 499 for each in re.findall(r"\d{3}", codes)
    ):
        raise Refused(
            "ValidationError", f"Health check matcher HTTP code '{codes}' must be within '200-499' inclusive"
        )


def _shown(record: Record) -> Record:
    arn = record["TargetGroupArn"]
    return {**record, "LoadBalancerArns": records.balancers_using(arn)}


def describe(given: Document) -> Document:
    arns, names = given.get("TargetGroupArns") or [], given.get("Names") or []
    if arns:
        return {"TargetGroups": [_shown(records.find("targetgroup", each)) for each in arns]}
    everything = list(records.store("targetgroup").values())
    if names:
        by_name = {each["TargetGroupName"]: each for each in everything}
        if any(each not in by_name for each in names):
            raise Refused("TargetGroupNotFound", "One or more target groups not found")
        return {"TargetGroups": [_shown(by_name[each]) for each in names]}
    shown = [_shown(each) for each in everything]
    if given.get("LoadBalancerArn"):
        arn = records.find("loadbalancer", given["LoadBalancerArn"])["LoadBalancerArn"]
        shown = [each for each in shown if arn in each["LoadBalancerArns"]]
    return {"TargetGroups": shown}


def modify(given: Document) -> Document:
    """ModifyTargetGroup: its health check."""
    record = records.find("targetgroup", given["TargetGroupArn"])
    after = record | {key: given[key] for key in (*DEFAULTS, "Matcher") if key in given}
    _check_health_check(after)
    record |= after
    return {"TargetGroups": [_shown(record)]}


def delete(given: Document) -> Document:
    arn = given["TargetGroupArn"]
    if records.balancers_using(arn):
        raise Refused("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    records.remove("targetgroup", arn)
    targets.forget(arn)
    return {}


def describe_attributes(given: Document) -> Document:
    return {
        "Attributes": attributes.listed(
            records.find("targetgroup", given["TargetGroupArn"])["TargetGroupArn"]
        )
    }


def modify_attributes(given: Document) -> Document:
    arn = records.find("targetgroup", given["TargetGroupArn"])["TargetGroupArn"]
    attributes.put(arn, given["Attributes"])
    return {"Attributes": attributes.listed(arn)}


def register(given: Document) -> Document:
    group = records.find("targetgroup", given["TargetGroupArn"])
    for target in given["Targets"]:
        _check_target(group, target)
    for target in given["Targets"]:
        targets.register(group["TargetGroupArn"], target["Id"], target.get("Port") or group["Port"])
    return {}


def _check_target(group: Record, target: Record) -> None:
    from ministack.services import ec2

    identifier = target["Id"]
    if group["TargetType"] == "instance":
        if identifier not in ec2._instances:
            raise Refused("InvalidTarget", f"The following targets are not valid instances: '{identifier}'")
        return
    try:
        ipaddress.IPv4Address(identifier)
    except ValueError as error:
        raise Refused(
            "ValidationError", f"The IP address '{identifier}' is not a valid IPv4 address"
        ) from error


def deregister(given: Document) -> Document:
    """A target without a port is meant at the group's port; one that is not there is no error (API reference)."""
    group = records.find("targetgroup", given["TargetGroupArn"])
    for target in given["Targets"]:
        targets.deregister(group["TargetGroupArn"], target["Id"], target.get("Port") or group["Port"])
    return {}


def describe_health(given: Document) -> Document:
    """DescribeTargetHealth: all targets, or those that are asked for, `unused` if they are not there."""
    group = records.find("targetgroup", given["TargetGroupArn"])
    known = targets.health(group["TargetGroupArn"])
    wanted = given.get("Targets")
    if wanted:
        found = []
        for each in wanted:
            port = each.get("Port") or group["Port"]
            same = [target for target in known if (target.address, target.port) == (each["Id"], port)]
            found += same or [targets.Health(each["Id"], port, "unused", *targets.NOT_REGISTERED)]
        known = found
    return {"TargetHealthDescriptions": [_described(group, each) for each in known]}


def _described(group: Record, target: targets.Health) -> Record:
    port = group["HealthCheckPort"]
    state: Record = {"State": target.state}
    if target.reason:
        state |= {"Reason": target.reason, "Description": target.description}
    return {
        "Target": {"Id": target.address, "Port": target.port},
        "HealthCheckPort": str(target.port if port == "traffic-port" else port),
        "TargetHealth": state,
    }


CALLS: dict[str, Any] = {
    "CreateTargetGroup": create,
    "DescribeTargetGroups": describe,
    "ModifyTargetGroup": modify,
    "DeleteTargetGroup": delete,
    "DescribeTargetGroupAttributes": describe_attributes,
    "ModifyTargetGroupAttributes": modify_attributes,
    "RegisterTargets": register,
    "DeregisterTargets": deregister,
    "DescribeTargetHealth": describe_health,
}
