"""Auto Scaling groups that have instances, whoever made the group.

Try it:  aws autoscaling describe-auto-scaling-groups
ministack lists made-up instances for groups made through the API and none for those made by
CloudFormation; here each is an EC2 instance too, of the launch template's type, in the group's subnets. No
machine starts: the engine runs every container on this one. Which instances are busy is `capacity`'s to
say, through `is_busy`.
"""

import ipaddress
import random
from collections.abc import Callable
from typing import Any

from localaws import launchtemplates

Group = dict[str, Any]

# Called with an instance's id: scaling in takes the ones that are not busy first. `capacity` puts its own
# here.
is_busy: Callable[[str], bool] = lambda instance_id: False  # noqa: E731
# Called with each group whose instances changed.
on_change: list[Callable[[Group], None]] = []


def install() -> None:
    """Take the place of ministack's bookkeeping."""
    from ministack.services import autoscaling, ec2

    autoscaling._reconcile_instances = reconcile
    actions = autoscaling._ACTION_MAP
    actions["DeleteAutoScalingGroup"] = _deletion(actions["DeleteAutoScalingGroup"])
    actions["TerminateInstanceInAutoScalingGroup"] = _terminate_in_group
    ec2._ACTION_MAP["TerminateInstances"] = _replacing(ec2._ACTION_MAP["TerminateInstances"])


def reconcile(group: Group) -> None:
    """Start or end instances until there are as many as the group desires."""
    desired = min(max(int(group["DesiredCapacity"]), int(group["MinSize"])), int(group["MaxSize"]))
    group["DesiredCapacity"] = desired
    changed = False
    while len(group["Instances"]) > desired:
        _end(group, _first_to_go(group))
        changed = True
    while len(group["Instances"]) < desired:
        group["Instances"].append(_begin(group))
        changed = True
    if changed:
        for listener in on_change:
            listener(group)


def launch_data(group: Group) -> dict[str, Any]:
    """What the group's launch template says, in the version that the group asks for."""
    return launchtemplates.data(group.get("LaunchTemplate") or {})


def _begin(group: Group) -> dict[str, Any]:
    from ministack.services import ec2

    data = launch_data(group)
    subnets = subnet_ids(group)
    subnet = subnets[len(group["Instances"]) % len(subnets)] if subnets else ec2._DEFAULT_SUBNET_ID
    [instance] = ec2._launch_instances_internal(
        image_id=data.get("ImageId", "ami-00000000"),
        instance_type=instance_type(group),
        subnet_id=subnet,
        count=1,
        user_data=data.get("UserData", ""),
        sg_ids=data.get("SecurityGroupIds"),
        iam_profile=_profile(data),
    )
    zone = (ec2._subnets.get(subnet) or {}).get("AvailabilityZone")
    if zone:
        instance["Placement"]["AvailabilityZone"] = zone
    instance["PrivateIpAddress"] = _address_in(ec2._subnets.get(subnet) or {}) or instance["PrivateIpAddress"]
    if _is_spot(group, data):
        instance["InstanceLifecycle"] = "spot"
    _tag(group, data, instance["InstanceId"])
    return {
        "InstanceId": instance["InstanceId"],
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "ProtectedFromScaleIn": bool(group.get("NewInstancesProtectedFromScaleIn")),
        "LaunchTemplate": group.get("LaunchTemplate") or {},
        "LaunchConfigurationName": group.get("LaunchConfigurationName", ""),
    }


def instance_type(group: Group) -> str:
    """The type that the group's next instance has."""
    overrides = ((group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}).get("Overrides") or []
    override = next((item["InstanceType"] for item in overrides if item.get("InstanceType")), None)
    return str(override or launch_data(group).get("InstanceType") or "t3.micro")


def _is_spot(group: Group, data: dict[str, Any]) -> bool:
    distribution = (group.get("MixedInstancesPolicy") or {}).get("InstancesDistribution") or {}
    above = distribution.get("OnDemandPercentageAboveBaseCapacity")
    mixed = above is not None and int(above) == 0 and not int(distribution.get("OnDemandBaseCapacity") or 0)
    return mixed or (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot"


def _profile(data: dict[str, Any]) -> dict[str, Any] | None:
    from ministack.services import ec2

    given = data.get("IamInstanceProfile") or {}
    if not given:
        return None
    profile, _ = ec2._resolve_iam_instance_profile(
        iam_arn=given.get("Arn", ""), iam_name=given.get("Name", ""), allow_missing=True
    )
    return dict(profile) if profile else None


def _address_in(subnet: dict[str, Any]) -> str | None:
    """An address in the subnet's range; AWS keeps the first four and the last."""
    if "CidrBlock" not in subnet:
        return None
    network = ipaddress.ip_network(subnet["CidrBlock"])
    return str(network[random.randrange(4, network.num_addresses - 1)])


def _tag(group: Group, data: dict[str, Any], instance_id: str) -> None:
    from ministack.services import ec2

    tags = {"aws:autoscaling:groupName": group["AutoScalingGroupName"]}
    for specification in data.get("TagSpecifications") or []:
        if specification.get("ResourceType") == "instance":
            tags |= {tag["Key"]: str(tag.get("Value", "")) for tag in specification.get("Tags") or []}
    tags |= {tag["Key"]: tag["Value"] for tag in group.get("Tags") or [] if tag.get("PropagateAtLaunch")}
    ec2._tags[instance_id] = [{"Key": key, "Value": value} for key, value in tags.items()]


def _first_to_go(group: Group) -> dict[str, Any]:
    """The newest instance of those neither protected nor busy, else of those not protected, else of all.

    A capacity above what is desired must go, protected or not, because a deleted group leaves nothing behind.
    """
    instances: list[dict[str, Any]] = list(reversed(group["Instances"]))
    open_to_it = [item for item in instances if not item["ProtectedFromScaleIn"]]
    idle = [item for item in open_to_it or instances if not is_busy(item["InstanceId"])]
    return (idle or open_to_it or instances)[0]


def _end(group: Group, member: dict[str, Any]) -> None:
    from ministack.services import ec2

    group["Instances"].remove(member)
    instance = ec2._instances.get(member["InstanceId"])
    if instance:
        instance["State"] = {"Code": 48, "Name": "terminated"}
        for mapping in instance.get("BlockDeviceMappings") or []:
            ec2._volumes.pop(mapping.get("Ebs", {}).get("VolumeId"), None)


def empty(name: str) -> None:
    """End all instances of a group, if there is one of that name."""
    from ministack.services import autoscaling

    group = autoscaling._asgs.get(name)
    if group:
        group |= {"MinSize": 0, "DesiredCapacity": 0}
        reconcile(group)


def subnet_ids(group: Group) -> list[str]:
    """The subnets that its instances are spread over."""
    return [name.strip() for name in (group.get("VPCZoneIdentifier") or "").split(",") if name.strip()]


def _deletion(original: Callable[..., Any]) -> Callable[..., Any]:
    """AWS keeps a group that still has instances unless ForceDelete is given."""

    def delete(parameters: dict[str, Any]) -> Any:
        from ministack.services import autoscaling

        name = autoscaling._p(parameters, "AutoScalingGroupName")
        group = autoscaling._asgs.get(name)
        if not group:
            return autoscaling._error(
                "ValidationError", f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"
            )
        if group["Instances"] and autoscaling._p(parameters, "ForceDelete") != "true":
            return autoscaling._error(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance "
                "request(s) still in the group.",
            )
        empty(name)
        return original(parameters)

    return delete


def _terminate_in_group(parameters: dict[str, Any]) -> Any:
    from ministack.services import autoscaling

    instance_id = autoscaling._p(parameters, "InstanceId")
    fewer = autoscaling._p(parameters, "ShouldDecrementDesiredCapacity") == "true"
    for group in autoscaling._asgs.values():
        for member in group["Instances"]:
            if member["InstanceId"] == instance_id:
                _end(group, member)
                group["DesiredCapacity"] -= int(fewer)
                reconcile(group)
                return autoscaling._xml(200, "TerminateInstanceInAutoScalingGroupResponse", "")
    return autoscaling._error(
        "ValidationError", f"Instance Id not found - No managed instance found for {instance_id}"
    )


def _replacing(original: Callable[..., Any]) -> Callable[..., Any]:
    """An instance ended from outside is replaced, as a group's health check does within a minute."""

    def terminate(parameters: dict[str, Any]) -> Any:
        from ministack.services import autoscaling, ec2

        answer = original(parameters)
        if answer[0] < 400:
            ended = set(ec2._parse_member_list(parameters, "InstanceId"))
            for group in autoscaling._asgs.values():
                gone = [member for member in group["Instances"] if member["InstanceId"] in ended]
                for member in gone:
                    group["Instances"].remove(member)
                if gone:
                    reconcile(group)
        return answer

    return terminate
