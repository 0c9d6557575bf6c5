"""Container instances of a cluster: those of the Auto Scaling groups that its capacity providers name.

Try it:  aws ecs describe-container-instances --cluster CLUSTER --container-instances ID
Each instance registers what its type has, GPUs only as far as this machine has some, and every task takes
its part of it. Managed scaling raises a group's desired capacity for a task that waits; it never lowers it
here.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localaws.ecs import groups, instance_types
from localaws.ecs.agent import Agents
from localaws.ecs.placement import RESERVED_PORTS, Instance, Needs, choose, gpu_ids_by_container

Task = dict[str, Any]
Failure = dict[str, str]
DRAINING = "_draining"  # in a cluster's record: ARNs; what begins with an underscore is never shown
UNKNOWN_TYPE = instance_types.Resources(2, 1024)  # t3.micro's; a type that isn't in the table


class Capacity:
    """Finds instances and places tasks; all calls within a request's account and region."""

    def __init__(self, gpus_here: Callable[[], tuple[str, ...]] = instance_types.gpus_here) -> None:
        self._agents = Agents()
        self.lock = threading.RLock()  # held from the choice of an instance until the task counts on it
        self._gpus_here = gpus_here

    def instances(self, cluster: str) -> list[Instance]:
        """The cluster's container instances with what is free on each."""
        from ministack.services import ecs

        record = ecs._clusters.get(cluster)
        if not record:
            return []
        gpus = list(self._gpus_here())
        found = []
        for provider in record.get("capacityProviders") or []:
            for member, instance_type in _members(provider):
                if self._agents.registers(record["clusterArn"], member["InstanceId"], _arn(record, member)):
                    found.append(self._register(record, provider, member, instance_type, gpus))
        by_arn = {each.arn: each for each in found}
        for task in ecs._tasks.values():
            instance = by_arn.get(task.get("containerInstanceArn", ""))
            if instance and task["lastStatus"] != "STOPPED":
                _account(instance, task)
        return found

    def count(self, cluster: str) -> int:
        """How many container instances the cluster has."""
        from ministack.services import ecs

        record = ecs._clusters.get(cluster) or {}
        members = [
            each for provider in record.get("capacityProviders") or [] for each, _ in _members(provider)
        ]
        joined = (
            self._agents.registers(record["clusterArn"], each["InstanceId"], _arn(record, each))
            for each in members
        )
        return sum(joined)

    def _register(
        self,
        cluster: Mapping[str, Any],
        provider: str,
        member: Mapping[str, Any],
        instance_type: str,
        gpus: list[str],
    ) -> Instance:
        has = instance_types.resources(instance_type) or UNKNOWN_TYPE
        own = [gpus.pop(0) for _ in range(min(has.gpus, len(gpus)))]
        instance_id, cluster_arn = member["InstanceId"], cluster["clusterArn"]
        arn = _arn({"clusterArn": cluster_arn}, member)
        cpu, memory = has.vcpus * 1024, int(has.memory_mib * instance_types.REGISTERED_SHARE)
        return Instance(
            arn=arn,
            instance_id=instance_id,
            instance_type=instance_type,
            zone=member.get("AvailabilityZone", ""),
            provider=provider,
            status="DRAINING" if arn in cluster.get(DRAINING, ()) else "ACTIVE",
            registered=Needs(cpu, memory, RESERVED_PORTS),
            registered_gpus=tuple(own),
            free_cpu=cpu,
            free_memory_mib=memory,
            free_gpus=own,
            used_ports=set(RESERVED_PORTS),
            free_interfaces=instance_types.interfaces_for_tasks(instance_type),
        )

    def drain(self, arn: str, draining: bool) -> None:
        """Take an instance out of placement, or back into it; the cluster's record keeps which, also over a
        restart of the server."""
        from ministack.services import ecs

        record = ecs._clusters[arn.split("/")[-2]]
        others = [each for each in record.get(DRAINING, ()) if each != arn]
        record[DRAINING] = [*others, arn] if draining else others

    def is_busy(self, instance_id: str) -> bool:
        """Whether a task is on the instance, in any account and region."""
        from ministack.services import ecs

        return any(
            task.get("_instance_id") == instance_id and task["lastStatus"] != "STOPPED"
            for _, task in ecs._tasks.all_items()
        )

    def try_place(
        self, cluster: str, needs: Needs, provider: str | None, wishes: Mapping[str, Any]
    ) -> tuple[Instance | None, list[Failure]]:
        """An instance for a task, or for each instance why not."""
        candidates = [
            each
            for each in self.instances(cluster)
            if each.status == "ACTIVE" and provider in (None, each.provider)
        ]
        constraints = {each.get("type") for each in wishes.get("placementConstraints") or []}
        if "distinctInstance" in constraints:
            free = [each for each in candidates if not self._has_sibling(each, wishes)]
            if candidates and not free:
                return None, [{"arn": each.arn, "reason": "ATTRIBUTE"} for each in candidates]
            candidates = free
        return choose(candidates, needs, wishes.get("placementStrategy") or [])

    def _has_sibling(self, instance: Instance, wishes: Mapping[str, Any]) -> bool:
        from ministack.services import ecs

        return any(
            task.get("containerInstanceArn") == instance.arn
            and task["lastStatus"] != "STOPPED"
            and task.get("_wishes", {}).get("taskDefinition") == wishes.get("taskDefinition")
            for task in ecs._tasks.values()
        )

    def may_wait(self, cluster: str, needs: Needs, provider: str | None) -> bool:
        """Whether another instance of the provider's group would help, were there one."""
        if provider is None or not _scaling(provider):
            return False
        group = _group(provider)
        if not group:
            return False
        has = instance_types.resources(groups.instance_type(group)) or UNKNOWN_TYPE
        return (
            needs.gpu_count <= min(has.gpus, len(self._gpus_here()))
            and needs.cpu <= has.vcpus * 1024
            and needs.memory_mib <= int(has.memory_mib * instance_types.REGISTERED_SHARE)
            and not needs.ports & RESERVED_PORTS
        )

    def scale_out(self, provider: str) -> bool:
        """Ask the provider's group for one more instance; False when it is at its maximum."""
        from ministack.services import autoscaling

        group = _group(provider)
        if not group or int(group["DesiredCapacity"]) >= int(group["MaxSize"]):
            return False
        autoscaling._set_desired_capacity(
            {
                "AutoScalingGroupName": [group["AutoScalingGroupName"]],
                "DesiredCapacity": [str(int(group["DesiredCapacity"]) + 1)],
            }
        )
        return True


def assign(task: Task, needs: Needs, instance: Instance) -> None:
    """Write into the task's record where it is; from now on it counts there."""
    gpus = gpu_ids_by_container(needs, instance)
    task["containerInstanceArn"] = instance.arn
    task["capacityProviderName"] = task.get("capacityProviderName") or None
    task["availabilityZone"] = instance.zone or task.get("availabilityZone")
    task["_instance_id"] = instance.instance_id
    task["_needs"] = {
        "cpu": needs.cpu,
        "memory": needs.memory_mib,
        "ports": sorted(needs.ports),
        "interfaces": needs.interfaces,
    }
    for container in task["containers"]:
        if container["name"] in gpus:
            container["gpuIds"] = gpus[container["name"]]


def _arn(cluster: Mapping[str, Any], member: Mapping[str, Any]) -> str:
    """The container instance's ARN, the same whenever it is asked for."""
    cluster_arn = str(cluster["clusterArn"])
    name = hashlib.md5(f"{cluster_arn}/{member['InstanceId']}".encode(), usedforsecurity=False).hexdigest()
    return cluster_arn.replace(":cluster/", ":container-instance/") + "/" + name


def _account(instance: Instance, task: Task) -> None:
    taken = task.get("_needs") or {}
    ports, interfaces = frozenset(taken.get("ports", ())), taken.get("interfaces", 0)
    needs = Needs(taken.get("cpu", 0), taken.get("memory", 0), ports, interfaces=interfaces)
    instance.take(needs, [each for container in task["containers"] for each in container.get("gpuIds") or []])
    if task["lastStatus"] == "RUNNING":
        instance.running += 1
    elif task["desiredStatus"] != "STOPPED":
        instance.pending += 1


def _members(provider: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The instances in service of a provider's group, each with its type."""
    from ministack.services import ec2

    group = _group(provider)
    for member in group["Instances"] if group else []:
        if member["LifecycleState"] == "InService":
            instance = ec2._instances.get(member["InstanceId"]) or {}
            yield member, str(instance.get("InstanceType") or "")


def _group(provider: str) -> dict[str, Any] | None:
    from ministack.services import autoscaling, ecs

    record = ecs._capacity_providers.get(ecs._resolve_capacity_provider_name(provider) or "") or {}
    arn = (record.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn", "")
    group: dict[str, Any] | None = autoscaling._asgs.get(arn.rpartition("/")[2])
    return group


def _scaling(provider: str) -> bool:
    from ministack.services import ecs

    record = ecs._capacity_providers.get(ecs._resolve_capacity_provider_name(provider) or "") or {}
    scaling = (record.get("autoScalingGroupProvider") or {}).get("managedScaling") or {}
    return scaling.get("status") == "ENABLED"
