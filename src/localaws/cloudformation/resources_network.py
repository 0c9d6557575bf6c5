"""CloudFormation types of a private subnet's way out: elastic addresses and NAT gateways.

Try it:  tests/local/test_service_stacks.py -k private
ministack has the calls and lacks the types. Both are records, as all of the network is: no packet is translated.
What AWS refuses is refused: a gateway in a subnet or with an address that is not there, and the release of an
address that a gateway holds (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReleaseAddress.html).
"""

import re
from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties


def install() -> None:
    """Put the two types into ministack's table."""
    provisioning.add("AWS::EC2::EIP", _create_address, _delete_address, _retag)
    provisioning.add("AWS::EC2::NatGateway", _create_gateway, _delete_gateway, _retag)
    for name in ("EIP", "NatGateway"):
        provisioning.tagged(f"AWS::EC2::{name}")


def _create_address(logical_id: str, properties: Properties, stack_name: str) -> Made:
    """`Ref` of an address is the address itself, as on AWS; what calls need is its AllocationId."""
    answer = provisioning.ec2("AllocateAddress", {"Domain": "vpc", **_tags("elastic-ip", properties)})
    public, allocation = _one("publicIp", answer), _one("allocationId", answer)
    return public, {"PublicIp": public, "AllocationId": allocation}


def _delete_address(public_ip: str, properties: Properties) -> None:
    from ministack.services import ec2

    for allocation in [key for key, each in ec2._addresses.items() if each["PublicIp"] == public_ip]:
        holders = [
            name
            for name, gateway in ec2._nat_gateways.items()
            if gateway["AllocationId"] == allocation and gateway["State"] != "deleted"
        ]
        if holders:
            raise provisioning.failed(
                f"Address {public_ip} is in use by {holders[0]}.", "InvalidIPAddress.InUse"
            )
        provisioning.ec2("ReleaseAddress", {"AllocationId": allocation})


def _create_gateway(logical_id: str, properties: Properties, stack_name: str) -> Made:
    from ministack.services import ec2

    subnet, allocation = properties.get("SubnetId", ""), properties.get("AllocationId", "")
    if subnet not in ec2._subnets:
        raise provisioning.failed(f"The subnet ID '{subnet}' does not exist", "InvalidSubnetID.NotFound")
    is_public = properties.get("ConnectivityType", "public") == "public"
    if is_public and allocation not in ec2._addresses:
        message = f"The allocation ID '{allocation}' does not exist"
        raise provisioning.failed(message, "InvalidAllocationID.NotFound")
    given = {
        name: str(properties[name])
        for name in ("SubnetId", "AllocationId", "ConnectivityType")
        if properties.get(name)
    }
    answer = provisioning.ec2("CreateNatGateway", {**given, **_tags("natgateway", properties)})
    gateway = _one("natGatewayId", answer)
    return gateway, {"NatGatewayId": gateway}


def _delete_gateway(gateway: str, properties: Properties) -> None:
    from ministack.services import ec2

    if ec2._nat_gateways.get(gateway, {"State": "deleted"})["State"] != "deleted":
        provisioning.ec2("DeleteNatGateway", {"NatGatewayId": gateway})


def _retag(physical_id: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    """Only tags change in place; for all else the resource's schema says that it is replaced."""
    from ministack.services import ec2

    found = [key for key, each in ec2._addresses.items() if each["PublicIp"] == physical_id]
    identifier = found[0] if found else physical_id
    gone = {tag["Key"] for tag in before.get("Tags") or []} - {tag["Key"] for tag in after.get("Tags") or []}
    for action, tags in (
        ("DeleteTags", [{"Key": key} for key in sorted(gone)]),
        ("CreateTags", after.get("Tags")),
    ):
        if tags:
            provisioning.ec2(action, {"ResourceId.1": identifier, **_flat("", tags)})
    if found:
        return physical_id, {"PublicIp": physical_id, "AllocationId": identifier}
    return physical_id, {"NatGatewayId": physical_id}


def _tags(kind: str, properties: Properties) -> dict[str, str]:
    tags = properties.get("Tags") or []
    start = "TagSpecification.1."
    return {start + "ResourceType": kind, **_flat(start, tags)} if tags else {}


def _flat(start: str, tags: list[dict[str, Any]]) -> dict[str, str]:
    """Tags in the flat form of EC2's query API."""
    return {
        f"{start}Tag.{number}.{name}": str(tag[name])
        for number, tag in enumerate(tags, 1)
        for name in ("Key", "Value")
        if name in tag
    }


def _one(element: str, answer: str) -> str:
    found = re.search(rf"<{element}>([^<]+)<", answer)
    assert found, answer
    return found.group(1)
