"""The rights to start what a launch template says, which Auto Scaling asks of whoever hands it the template.

Try it:  tests/local/test_resource_rights.py -k launch
The rule: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
Which resources RunInstances is asked about: the Service Authorization Reference's page for EC2. Knows the
table's words (`Needed`); decides nothing.
"""

from collections.abc import Iterator
from typing import Any

from localaws import launchtemplates
from localaws.cloudformation.provisioning import Properties
from localaws.cloudformation.resource_rights_table import Needed, arn_of, tag_context
from localaws.identity import roles as identity_roles

# Of these RunInstances makes new ones; tags for them are set by the same call.
MADE = ("instance", "volume", "network-interface")
SPOT_ROLE = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"


def needed(properties: Properties, account: str, region: str) -> list[Needed]:
    """For an Auto Scaling group's properties; nothing if its launch template is not there."""
    from ministack.services import ec2

    wanted = properties.get("LaunchTemplate") or {}
    identifier = str(wanted.get("LaunchTemplateId", ""))
    data = launchtemplates.data(wanted)
    if identifier not in ec2._launch_templates:
        return []
    template = arn_of("ec2", f"launch-template/{identifier}", account, region)
    # Everything of such a launch carries these two keys.
    launch = {"ec2:LaunchTemplate": template, "ec2:IsLaunchTemplateResource": "true"}
    found = []
    for resource, own in _resources(data, properties, account, region):
        arn = arn_of("ec2", resource, account, region)
        found.append(Needed("ec2:RunInstances", arn, launch | own))
    tags = _resource_tags(ec2._tags.get(identifier))
    found.append(Needed("ec2:RunInstances", template, launch | tags))
    return [*found, *_tagging(data, account, region), *_roles(data, account, region)]


def _resources(
    data: dict[str, Any], properties: Properties, account: str, region: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(resource, condition keys) of everything that starting an instance touches."""
    from ministack.services import ec2

    yield f"arn:aws:ec2:{region}::image/{data.get('ImageId', '*')}", {}
    for group in data.get("SecurityGroupIds") or []:
        yield f"security-group/{group}", _resource_tags(ec2._tags.get(group))
    subnets = properties.get("VPCZoneIdentifier") or []
    for subnet in subnets.split(",") if isinstance(subnets, str) else subnets:
        yield f"subnet/{subnet}", _resource_tags(ec2._tags.get(subnet))
    for kind in MADE:
        own = tag_context(_specified(data, kind))
        yield (
            f"{kind}/*",
            own | ({"ec2:InstanceType": data.get("InstanceType")} if kind == "instance" else {}),
        )
    if _is_spot(data):
        yield "spot-instances-request/*", {}


def _tagging(data: dict[str, Any], account: str, region: str) -> Iterator[Needed]:
    for kind in MADE:
        tags = _specified(data, kind)
        if tags:
            arn = arn_of("ec2", f"{kind}/*", account, region)
            yield Needed("ec2:CreateTags", arn, tag_context(tags) | {"ec2:CreateAction": "RunInstances"})


def _roles(data: dict[str, Any], account: str, region: str) -> Iterator[Needed]:
    """The instances' role is handed to EC2; for Spot EC2 makes itself a role, in an account without one."""
    profile = data.get("IamInstanceProfile") or {}
    for role in identity_roles.roles_of_profile(profile.get("Arn") or profile.get("Name") or ""):
        yield Needed("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})
    if _is_spot(data):
        arn = arn_of("iam", SPOT_ROLE, account, region)
        yield Needed("iam:CreateServiceLinkedRole", arn, {"iam:AWSServiceName": "spot.amazonaws.com"})


def _is_spot(data: dict[str, Any]) -> bool:
    return (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"


def _specified(data: dict[str, Any], kind: str) -> list[dict[str, str]]:
    specifications = data.get("TagSpecifications") or []
    return [
        tag for each in specifications if each.get("ResourceType") == kind for tag in each.get("Tags") or []
    ]


def _resource_tags(tags: Any) -> dict[str, str]:
    return {f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags or []}
