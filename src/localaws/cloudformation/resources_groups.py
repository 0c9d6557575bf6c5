"""CloudFormation's Auto Scaling groups: they have instances too, mixed ones as well.

Try it:  tests/local/test_localaws_resources.py -k group
Knows how a template spells a group; instances begin and end in `ecs.groups`.
"""

from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Properties
from localaws.ecs import groups

TYPE = "AWS::AutoScaling::AutoScalingGroup"


def install() -> None:
    """Amend the type in ministack's table."""
    provisioning.amend(TYPE, _made)
    entry = provisioning.table()[TYPE]
    delete = entry["delete"]

    def empty_and_delete(name: str, *arguments: Any) -> Any:
        groups.empty(name)
        return delete(name, *arguments)

    entry["delete"] = empty_and_delete


def _made(name: str, properties: Properties, before: Properties) -> None:
    from ministack.services import autoscaling
    from ministack.services.cloudformation import provisioners

    group = autoscaling._asgs[name]
    mixed = properties.get("MixedInstancesPolicy")
    if mixed:
        group["MixedInstancesPolicy"] = mixed
        group["LaunchTemplate"] = provisioners._asg_launch_template(
            mixed["LaunchTemplate"]["LaunchTemplateSpecification"]
        )
    if "AvailabilityZones" not in properties and (zones := _zones(group)):
        group["AvailabilityZones"] = zones
    if "DesiredCapacity" not in properties and before:
        # AWS leaves the capacity that a scaling policy has set when the template names none.
        group["DesiredCapacity"] = max(len(group["Instances"]), int(group["MinSize"]))
    groups.reconcile(group)


def _zones(group: groups.Group) -> list[str]:
    """The zones of the group's subnets; ministack would name the region's first alone."""
    from ministack.services import ec2

    subnets = [ec2._subnets.get(name) or {} for name in groups.subnet_ids(group)]
    return sorted({subnet["AvailabilityZone"] for subnet in subnets if "AvailabilityZone" in subnet})
