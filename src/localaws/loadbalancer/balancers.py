"""Calls on load balancers themselves.

Try it:  aws elbv2 create-load-balancer --name try --subnets SUBNET SUBNET
A load balancer is active at once and has its address for life. Its subnets and security groups are records.
Knows no listeners but those that go with it.
"""

import time
from typing import Any

from localaws.loadbalancer import addresses, attributes, records
from localaws.loadbalancer.records import Record
from localaws.loadbalancer.wire import Document, Refused, not_emulated

ZONE_ID = "Z35SXDOTRQ7X7K"  # Route 53's for load balancers of us-east-1 ("ELB endpoints" in AWS's reference)


def create(given: Document) -> Document:
    """CreateLoadBalancer; the same again gives the one that is there."""
    name = given["Name"]
    records.check_name(name, "The load balancer")
    if given.get("Type", "application") != "application":
        raise not_emulated(f"load balancers of type {given['Type']}")
    if given.get("IpAddressType", "ipv4") != "ipv4":
        raise not_emulated(f"the IP address type {given['IpAddressType']}")
    if (
        given.get("CustomerOwnedIpv4Pool")
        or given.get("IpamPools")
        or given.get("MinimumLoadBalancerCapacity")
    ):
        raise not_emulated("address pools and reserved capacity of load balancers")
    scheme = given.get("Scheme", "internet-facing")
    zones, vpc = _zones(given, scheme)
    groups = _security_groups(given.get("SecurityGroups") or [], vpc)
    there = next(
        (each for each in records.store("loadbalancer").values() if each["LoadBalancerName"] == name), None
    )
    if there:
        same = (
            there["Scheme"] == scheme
            and there["AvailabilityZones"] == zones
            and there["SecurityGroups"] == groups
        )
        if same:
            return {"LoadBalancers": [there]}
        raise Refused(
            "DuplicateLoadBalancerName",
            f"A load balancer with the same name '{name}' exists, but with different settings",
        )
    arn = records.new_arn(f"loadbalancer/app/{name}")
    taken = {each["DNSName"] for each in records.everywhere("loadbalancer")}
    record: Record = {
        "LoadBalancerArn": arn,
        "DNSName": addresses.address_for(arn, taken),
        "CanonicalHostedZoneId": ZONE_ID,
        "CreatedTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "LoadBalancerName": name,
        "Scheme": scheme,
        "VpcId": vpc,
        "State": {"Code": "active"},
        "Type": "application",
        "AvailabilityZones": zones,
        "SecurityGroups": groups,
        "IpAddressType": "ipv4",
    }
    records.store("loadbalancer")[arn] = record
    records.put_tags(arn, given.get("Tags") or [])
    return {"LoadBalancers": [record]}


def _zones(given: Document, scheme: str) -> tuple[list[Record], str]:
    """The zones of subnets, and their VPC."""
    from ministack.services import ec2

    ec2._ensure_defaults_initialized()
    subnets = given.get("Subnets") or [each.get("SubnetId", "") for each in given.get("SubnetMappings") or []]
    if not subnets:
        raise Refused("ValidationError", "You must specify either subnets or an IP address type")
    for each in subnets:
        if each not in ec2._subnets:
            raise Refused("SubnetNotFound", f"The subnet ID '{each}' does not exist")
    zones = {ec2._subnets[each]["AvailabilityZone"]: each for each in subnets}
    vpcs = {ec2._subnets[each]["VpcId"] for each in subnets}
    if len(vpcs) > 1:
        raise Refused("InvalidConfigurationRequest", "All subnets must belong to the same VPC")
    if len(zones) < len(subnets):
        raise Refused(
            "InvalidConfigurationRequest",
            "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        )
    if len(zones) < 2:
        raise Refused(
            "ValidationError", "At least two subnets in two different Availability Zones must be specified"
        )
    [vpc] = vpcs
    gateways = [
        attached.get("VpcId") for each in ec2._internet_gateways.values() for attached in each["Attachments"]
    ]
    if scheme == "internet-facing" and vpc not in gateways:
        raise Refused("InvalidSubnet", f"VPC {vpc} has no internet gateway")
    return [{"ZoneName": zone, "SubnetId": subnet} for zone, subnet in sorted(zones.items())], vpc


def _security_groups(given: list[str], vpc: str) -> list[str]:
    from ministack.services import ec2

    for each in given:
        if each not in ec2._security_groups:
            raise Refused("InvalidSecurityGroup", f"The security group '{each}' does not exist")
        if ec2._security_groups[each]["VpcId"] != vpc:
            raise Refused(
                "InvalidConfigurationRequest", f"Security group '{each}' does not belong to VPC '{vpc}'"
            )
    return sorted(given) or [ec2._vpcs[vpc]["DefaultSecurityGroupId"]]


def describe(given: Document) -> Document:
    """DescribeLoadBalancers; one that is asked for and not there is an error."""
    arns, names = given.get("LoadBalancerArns") or [], given.get("Names") or []
    if arns and names:
        raise Refused(
            "ValidationError", "Load balancer names and load balancer ARNs cannot be specified together"
        )
    if arns:
        found = [records.find("loadbalancer", each) for each in arns]
        return {"LoadBalancers": found}
    by_name = {each["LoadBalancerName"]: each for each in records.store("loadbalancer").values()}
    missing = [each for each in names if each not in by_name]
    if missing:
        raise Refused("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
    return {"LoadBalancers": [by_name[each] for each in names] if names else list(by_name.values())}


def delete(given: Document) -> Document:
    """DeleteLoadBalancer, with its listeners; one that is not there is gone already."""
    arn = given["LoadBalancerArn"]
    if arn not in records.store("loadbalancer"):
        return {}
    if attributes.values(arn)["deletion_protection.enabled"] == "true":
        raise Refused(
            "OperationNotPermitted",
            f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
        )
    for listener in records.listeners_of(arn):
        for rule in records.rules_of(listener["ListenerArn"]):
            records.remove("listener-rule", rule["RuleArn"])
        records.remove("listener", listener["ListenerArn"])
    records.remove("loadbalancer", arn)
    return {}


def set_subnets(given: Document) -> Document:
    record = records.find("loadbalancer", given["LoadBalancerArn"])
    zones, vpc = _zones(given, record["Scheme"])
    if vpc != record["VpcId"]:
        raise Refused("InvalidConfigurationRequest", f"All subnets must belong to VPC '{record['VpcId']}'")
    record["AvailabilityZones"] = zones
    return {"AvailabilityZones": zones, "IpAddressType": record["IpAddressType"]}


def set_security_groups(given: Document) -> Document:
    record = records.find("loadbalancer", given["LoadBalancerArn"])
    record["SecurityGroups"] = _security_groups(given["SecurityGroups"], record["VpcId"])
    return {"SecurityGroupIds": record["SecurityGroups"]}


def set_ip_address_type(given: Document) -> Document:
    records.find("loadbalancer", given["LoadBalancerArn"])
    if given["IpAddressType"] != "ipv4":
        raise not_emulated(f"the IP address type {given['IpAddressType']}")
    return {"IpAddressType": "ipv4"}


def describe_attributes(given: Document) -> Document:
    return {
        "Attributes": attributes.listed(
            records.find("loadbalancer", given["LoadBalancerArn"])["LoadBalancerArn"]
        )
    }


def modify_attributes(given: Document) -> Document:
    arn = records.find("loadbalancer", given["LoadBalancerArn"])["LoadBalancerArn"]
    attributes.put(arn, given["Attributes"])
    return {"Attributes": attributes.listed(arn)}


CALLS: dict[str, Any] = {
    "CreateLoadBalancer": create,
    "DescribeLoadBalancers": describe,
    "DeleteLoadBalancer": delete,
    "SetSubnets": set_subnets,
    "SetSecurityGroups": set_security_groups,
    "SetIpAddressType": set_ip_address_type,
    "DescribeLoadBalancerAttributes": describe_attributes,
    "ModifyLoadBalancerAttributes": modify_attributes,
}
