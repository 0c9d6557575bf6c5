"""CloudFormation types that ministack lacks or does only in part: the network's, and all of them together.

Try it:  aws cloudformation deploy --template-file cloudformation/network.yaml --stack-name try
Storage and containers have files of their own beside this one. What is checked before a stack is made, and
not while it is, lies in `templates`.
"""

import re
from typing import Any

from localaws.cloudformation import (
    provisioning,
    resource_rights,
    resources_ecs,
    resources_groups,
    resources_iam,
    resources_loadbalancing,
    resources_network,
    resources_oidc,
    resources_restapis,
    resources_sagemaker,
    resources_scaling,
    resources_storage,
    templates,
)
from localaws.cloudformation.provisioning import Made, Properties


def install() -> None:
    """Put every type and amendment into ministack's table."""
    for direction in ("Ingress", "Egress"):
        _add_rule_type(direction)
    provisioning.amend("AWS::EC2::VPC", _vpc_attributes)
    provisioning.amend("AWS::EC2::Subnet", _subnet_attributes)
    for name in ("SecurityGroup", "SubnetRouteTableAssociation"):
        provisioning.amend(f"AWS::EC2::{name}", lambda identifier, properties, before: {"Id": identifier})
    resources_storage.install()
    resources_ecs.install()
    resources_iam.install()
    resources_network.install()
    resources_loadbalancing.install()
    resources_oidc.install()
    resources_scaling.install()
    resources_groups.install()
    resources_restapis.install()
    resources_sagemaker.install()
    templates.enforce_capabilities()
    resource_rights.guard()


def _add_rule_type(direction: str) -> None:
    """AWS::EC2::SecurityGroupIngress and …Egress: rules that refer to each other's groups need to stand
    alone."""

    def create(logical_id: str, properties: Properties, stack_name: str) -> Made:
        answer = provisioning.ec2(f"AuthorizeSecurityGroup{direction}", _flat_rule(properties))
        found = re.search(r"<securityGroupRuleId>(sgr-[0-9a-f]+)<", answer)
        rule_id = found.group(1) if found else logical_id
        return rule_id, {"Id": rule_id}

    def delete(physical_id: str, properties: Properties) -> None:
        from ministack.services import ec2

        if properties["GroupId"] in ec2._security_groups:
            provisioning.ec2(f"RevokeSecurityGroup{direction}", _flat_rule(properties))

    def update(
        physical_id: str, before: Properties, after: Properties, stack_name: str, logical_id: str
    ) -> Made:
        made = create(logical_id, after, stack_name)
        delete(physical_id, before)
        return made

    provisioning.add(f"AWS::EC2::SecurityGroup{direction}", create, delete, update)


def _flat_rule(properties: Properties) -> dict[str, str]:
    """One rule in the flat form of EC2's query API."""
    rule = {"GroupId": str(properties["GroupId"])}
    start = "IpPermissions.1."
    for name in ("IpProtocol", "FromPort", "ToPort"):
        if name in properties:
            rule[start + name] = str(properties[name])
    places = {
        "CidrIp": "IpRanges.1.CidrIp",
        "CidrIpv6": "Ipv6Ranges.1.CidrIpv6",
        "SourcePrefixListId": "PrefixListIds.1.PrefixListId",
        "DestinationPrefixListId": "PrefixListIds.1.PrefixListId",
        "SourceSecurityGroupId": "Groups.1.GroupId",
        "DestinationSecurityGroupId": "Groups.1.GroupId",
    }
    for name, place in places.items():
        if name in properties:
            rule[start + place] = str(properties[name])
            if properties.get("Description"):
                rule[start + place.rpartition(".")[0] + ".Description"] = str(properties["Description"])
    return rule


def _vpc_attributes(vpc_id: str, properties: Properties, before: Properties) -> dict[str, Any]:
    from ministack.services import ec2

    return {"CidrBlock": ec2._vpcs[vpc_id]["CidrBlock"], "CidrBlockAssociations": [], "Ipv6CidrBlocks": []}


def _subnet_attributes(subnet_id: str, properties: Properties, before: Properties) -> dict[str, Any]:
    from ministack.services import ec2

    subnet = ec2._subnets[subnet_id]
    return {name: subnet[name] for name in ("CidrBlock", "AvailabilityZone", "VpcId") if name in subnet}
