"""Is there room for several tasks at once? Said before any of them starts.

Try it:  workshop run train-images-mxnet --workers 8 --on ecs
ECS places tasks one by one, so a group that is too large for the cluster would start in part and then wait for
ever. What there is: what the instances have free, and the instances that the Auto Scaling group may still add.
Knows nothing of what the tasks are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workshop.aws import stacks, task_definitions, task_failures
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError

Amounts = Mapping[str, float]
KINDS = ("CPU", "MEMORY", "GPU")


def needs(family: str, size: str, resources: Mapping[str, int], aws: Aws) -> dict[str, float]:
    """CPU units, MiB and GPUs of a task of this family, with overrides of its cpu and memory."""
    definition = task_definitions.with_size(task_definitions.read(family, aws.settings.root), size)
    given = {"CPU": resources.get("cpu"), "MEMORY": resources.get("memory")}
    return task_failures.wanted(definition) | {
        kind: float(value) for kind, value in given.items() if value is not None
    }


def require(wanted: Sequence[Amounts], aws: Aws) -> None:
    """Return if all these tasks fit at once. Errors: AwsError with what they ask for and what there is.

    A cluster without any instance tells nothing of what its instances would have: there nothing is refused.
    """
    outputs = stacks.outputs(None, aws)
    free, whole = _instances(outputs["ClusterName"], aws)
    if not whole:
        return
    more = max(0, _most(outputs.get("AutoScalingGroupName", ""), aws) - len(free))
    if not fits(wanted, [*free, *([whole] * more)]):
        asked = ", ".join(_told(kind, sum(each[kind] for each in wanted)) for kind in KINDS[:2])
        there = "; ".join(", ".join(_told(kind, each[kind]) for kind in KINDS[:2]) for each in free)
        raise AwsError(
            f"{len(wanted)} tasks do not fit into cluster '{outputs['ClusterName']}' together: they ask for "
            f"{asked} in all; free there: {there}; it may add {more} instances "
            f"of {', '.join(_told(kind, whole[kind]) for kind in KINDS[:2])}",
            "give fewer --workers, stop what runs there, or raise MaxInstances of the cluster stack",
        )


def fits(wanted: Sequence[Amounts], free: Sequence[Amounts]) -> bool:
    """Whether the tasks can be placed side by side: the largest first, each where it first fits."""
    left = [dict(each) for each in free]
    for task in sorted(wanted, key=lambda each: (each["GPU"], each["MEMORY"]), reverse=True):
        place = next((each for each in left if all(each[kind] >= task[kind] for kind in KINDS)), None)
        if place is None:
            return False
        for kind in KINDS:
            place[kind] -= task[kind]
    return True


def _instances(cluster: str, aws: Aws) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What each instance has free, and what the largest has when it is empty."""
    instances = task_failures.instances(cluster, aws)
    free = [task_failures.amounts(each.get("remainingResources", [])) for each in instances]
    whole = [task_failures.amounts(each.get("registeredResources", [])) for each in instances]
    return free, max(whole, key=lambda each: each["MEMORY"], default={})


def _most(group: str, aws: Aws) -> int:
    """How many instances the Auto Scaling group may have; 0 where that can't be known."""
    if not group:
        return 0
    with explained(f"look at the Auto Scaling group {group}"):
        answer: Any = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return max((int(each["MaxSize"]) for each in answer["AutoScalingGroups"]), default=0)


def _told(kind: str, amount: float) -> str:
    return f"{amount:g} {task_failures.UNITS[kind]}"
