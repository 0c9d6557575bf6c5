"""The elastic network interface of an awsvpc task, as ECS and EC2 show it, and what AWS asks for before.

Try it:  aws ecs describe-tasks --cluster CLUSTER --tasks TASK --query 'tasks[].attachments'
Documented in the ECS developer guide, "Task networking with the awsvpc network mode". The address is the one
that the engine gave, so it lies outside of the subnet; everything else here is a record.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from localaws.ecs.taskrecord import TaskRecord

Request = Mapping[str, Any]
MISSING = "Network Configuration must be provided when networkMode 'awsvpc' is specified."
NOT_FOR_THIS_MODE = "Network Configuration is not valid for the given networkMode of this task definition."
NO_PUBLIC_ADDRESS = "Assign public IP is not supported for this launch type."
ONE_VPC = "subnets and security groups must all be of the same VPC."
MOST = {"subnets": 16, "securityGroups": 5}


def problem(definition: Request, data: Request, on_fargate: bool) -> str:
    """What AWS refuses of a request's networkConfiguration; empty if nothing."""
    given = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if definition.get("networkMode") != "awsvpc":
        return NOT_FOR_THIS_MODE if given else ""
    if not given:
        return MISSING
    if not given.get("subnets"):
        return "subnets can not be empty."
    for name, most in MOST.items():
        if len(given.get(name) or []) > most:
            return f"{name} can have at most {most} items."
    if given.get("assignPublicIp") == "ENABLED" and not on_fargate:
        return NO_PUBLIC_ADDRESS
    return _unknown(given)


def _unknown(given: Request) -> str:
    from ministack.services import ec2

    ec2._ensure_defaults_initialized()
    vpcs = set()
    for name, kind, code, store in (
        (
            "subnets",
            "subnet",
            "The subnet ID '{}' does not exist (ErrorCode: InvalidSubnetID.NotFound)",
            ec2._subnets,
        ),
        (
            "securityGroups",
            "security group",
            "The security group '{}' does not exist (ErrorCode: InvalidGroup.NotFound)",
            ec2._security_groups,
        ),
    ):
        for identifier in given.get(name) or []:
            if identifier not in store:
                return f"Error retrieving {kind} information for [{identifier}]: {code.format(identifier)}"
            vpcs.add(store[identifier]["VpcId"])
    return ONE_VPC if len(vpcs) > 1 else ""


def promise(task: dict[str, Any], data: Request) -> None:
    """The attachment that RunTask answers with: its subnet is known, its address is not yet."""
    from ministack.core.responses import new_uuid
    from ministack.services import ec2

    given = (data.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if not given or task.get("_network_mode") != "awsvpc":
        return
    subnet = given["subnets"][0]
    task["availabilityZone"] = ec2._subnets[subnet]["AvailabilityZone"]
    task["_security_groups"] = list(given.get("securityGroups") or [])
    task["attachments"] = [
        {
            "id": new_uuid(),
            "type": "ElasticNetworkInterface",
            "status": "PRECREATED",
            "details": [{"name": "subnetId", "value": subnet}],
        }
    ]


def attach(record: TaskRecord, address: str) -> None:
    """The interface is there and has this address."""
    from ministack.core.responses import request_scope
    from ministack.services import ec2

    identifier = f"eni-{hashlib.sha256(record.arn.encode()).hexdigest()[:17]}"
    [attachment] = record.task["attachments"]
    subnet = attachment["details"][0]["value"]
    with request_scope(record.account, record.region):
        ec2._network_interfaces[identifier] = _interface(
            identifier, address, subnet, attachment["id"], record
        )
    details = {
        "subnetId": subnet,
        "networkInterfaceId": identifier,
        "macAddress": mac(address),
        "privateDnsName": dns(address, record.region),
        "privateIPv4Address": address,
    }
    shown = [{"name": name, "value": value} for name, value in details.items()]
    record.change(attachments=[attachment | {"status": "ATTACHED", "details": shown}], _container_ip=address)


def _interface(
    identifier: str, address: str, subnet: str, attachment: str, record: TaskRecord
) -> dict[str, Any]:
    """EC2's record of it: what DescribeNetworkInterfaces answers."""
    from ministack.services import ec2

    where = ec2._subnets.get(subnet) or {}
    groups = record.task.get("_security_groups") or [ec2._vpcs[where["VpcId"]]["DefaultSecurityGroupId"]]
    return {
        "NetworkInterfaceId": identifier,
        "SubnetId": subnet,
        "VpcId": where.get("VpcId", ""),
        "AvailabilityZone": where.get("AvailabilityZone", ""),
        "Description": f"arn:aws:ecs:{record.region}:{record.account}:attachment/{attachment}",
        "OwnerId": record.account,
        "Status": "in-use",
        "PrivateIpAddress": address,
        "InterfaceType": "interface",
        "SourceDestCheck": True,
        "MacAddress": mac(address),
        "Groups": [
            {"GroupId": each, "GroupName": (ec2._security_groups.get(each) or {}).get("GroupName", each)}
            for each in groups
        ],
        "Attachment": None,
    }


def detach(record: TaskRecord) -> None:
    """The interface is gone; the task's record still tells which one it was."""
    from ministack.core.responses import request_scope
    from ministack.services import ec2

    attachments = [each | {"status": "DELETED"} for each in record.task.get("attachments") or []]
    if attachments:
        details = {each["name"]: each["value"] for each in attachments[0]["details"]}
        with request_scope(record.account, record.region):
            ec2._network_interfaces.pop(details.get("networkInterfaceId", ""), None)
        record.change(attachments=attachments)


def mac(address: str) -> str:
    """The address that Docker gives an interface with this IPv4 address."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def domain(region: str) -> str:
    """Where EC2 keeps private DNS names ("Amazon EC2 instance hostnames and domains" in its user guide)."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def dns(address: str, region: str) -> str:
    """The private DNS name that EC2 gives an interface with this address."""
    return f"ip-{address.replace('.', '-')}.{domain(region)}"
