"""What is registered with a target group, and how healthy it is.

Try it:  aws elbv2 describe-target-health --target-group-arn ARN
A target is an address and a port; a group may hold one address with several ports. Knows nothing of who
registers: a client by RegisterTargets, or ECS for a service.
"""

import time
from typing import NamedTuple

from localaws.errors import LocalAwsError
from localaws.loadbalancer import attributes, records
from localaws.loadbalancer.records import Record

# Reasons and descriptions as DescribeTargetHealth gives them (API reference, TargetHealth).
REGISTERING = ("Elb.RegistrationInProgress", "Target registration is in progress")
DRAINING = ("Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_REGISTERED = ("Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE = ("Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
UNTIL, SINCE = "_draining_until", "_registered_at"

# What the health checks last found: by group, address and port; state, reason, description.
checked: dict[tuple[str, str, int], tuple[str, str, str]] = {}


class Health(NamedTuple):
    """One target's health, in the words of DescribeTargetHealth; reason and description are empty if healthy."""

    address: str
    port: int
    state: str  # initial, healthy, unhealthy, draining, unused
    reason: str
    description: str


class NoTargetGroup(LocalAwsError):
    """The target group is not there (any more)."""


def register(target_group_arn: str, address: str, port: int) -> None:
    """Add a target; one that is there stays as it is, and one that is draining is registered anew.

    Errors: NoTargetGroup.
    """
    with records.changing:
        group = _group(target_group_arn)
        registered = records.targets_of(target_group_arn)
        known = [each for each in registered if _is(each, address, port)]
        if known and UNTIL not in known[0]:
            return
        registered[:] = [each for each in registered if each not in known]
        registered.append({"Id": address, "Port": port, SINCE: time.time()})
        checked.pop((group["TargetGroupArn"], address, port), None)
    records.changed()


def deregister(target_group_arn: str, address: str, port: int) -> None:
    """Give a target no new requests. It is draining until the group's deregistration delay is over, and then gone.

    Errors: NoTargetGroup. A target that is not there is none.
    """
    with records.changing:
        _group(target_group_arn)
        delay = float(attributes.values(target_group_arn)["deregistration_delay.timeout_seconds"])
        for each in records.targets_of(target_group_arn):
            if _is(each, address, port):
                each.setdefault(UNTIL, time.time() + delay)
    records.changed()


def health(target_group_arn: str) -> list[Health]:
    """Every target that is registered, or draining.

    Errors: NoTargetGroup.
    """
    with records.changing:
        _group(target_group_arn)
        forget_drained(target_group_arn)
        with records.scope(target_group_arn):
            in_use = bool(records.balancers_using(target_group_arn))
        return [_health(target_group_arn, each, in_use) for each in records.targets_of(target_group_arn)]


def _health(arn: str, target: Record, in_use: bool) -> Health:
    address, port = target["Id"], target["Port"]
    if UNTIL in target:
        return Health(address, port, "draining", *DRAINING)
    if not in_use:
        return Health(address, port, "unused", *NOT_IN_USE)
    return Health(address, port, *checked.get((arn, address, port), ("initial", *REGISTERING)))


def forget_drained(target_group_arn: str) -> float | None:
    """Take away targets whose deregistration delay is over; when the next one's is, or None."""
    registered = records.targets_of(target_group_arn)
    now = time.time()
    for each in [each for each in registered if each.get(UNTIL, now + 1) <= now]:
        registered.remove(each)
        checked.pop((target_group_arn, each["Id"], each["Port"]), None)
    return min((each[UNTIL] for each in registered if UNTIL in each), default=None)


def forget(target_group_arn: str) -> None:
    """The group is gone."""
    for key in [each for each in checked if each[0] == target_group_arn]:
        checked.pop(key, None)


def _is(target: Record, address: str, port: int) -> bool:
    return (target["Id"], target["Port"]) == (address, port)


def _group(arn: str) -> Record:
    if records.kind_of(arn) == "targetgroup":
        with records.scope(arn):
            group: Record | None = records.store("targetgroup").get(arn)
        if group is not None:
            return group
    raise NoTargetGroup(f"there is no target group {arn}", "aws elbv2 describe-target-groups")
