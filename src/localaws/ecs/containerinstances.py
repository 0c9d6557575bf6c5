"""The ECS calls on container instances.

Try it:  aws ecs list-container-instances --cluster CLUSTER
Knows how an instance looks in the API; what there is, `capacity` says.
"""

from collections.abc import Callable
from typing import Any

from localaws.ecs.capacity import Capacity
from localaws.ecs.placement import Instance

Request = dict[str, Any]


def install(capacity: Capacity, drained: Callable[[str], None]) -> None:
    """Answer the calls; `drained` is called with the ARN of an instance to take service tasks from."""
    from ministack.services import ecs

    ecs._ACTION_MAP["ListContainerInstances"] = lambda data: _list(capacity, data)
    ecs._ACTION_MAP["DescribeContainerInstances"] = lambda data: _describe(capacity, data)
    ecs._ACTION_MAP["UpdateContainerInstancesState"] = lambda data: _update(capacity, drained, data)


def _list(capacity: Capacity, data: Request) -> Any:
    from ministack.services import ecs

    if data.get("filter"):
        return ecs.error_response_json(
            "UnsupportedFeatureException", "filter expressions are not emulated by the local AWS", 400
        )
    cluster = _cluster(data)
    if cluster is None:
        return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    wanted = data.get("status")
    found = [each.arn for each in capacity.instances(cluster) if wanted in (None, each.status)]
    return ecs.json_response({"containerInstanceArns": found})


def _describe(capacity: Capacity, data: Request) -> Any:
    from ministack.services import ecs

    cluster = _cluster(data)
    if cluster is None:
        return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    instances, missing = _named(capacity, cluster, data)
    return ecs.json_response({"containerInstances": [shape(each) for each in instances], "failures": missing})


def _update(capacity: Capacity, drained: Callable[[str], None], data: Request) -> Any:
    from ministack.services import ecs

    cluster, status = _cluster(data), data.get("status")
    if cluster is None:
        return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
    if status not in ("ACTIVE", "DRAINING"):
        return ecs.error_response_json(
            "InvalidParameterException", "Container instance status must be one of [ACTIVE, DRAINING].", 400
        )
    instances, missing = _named(capacity, cluster, data)
    for each in instances:
        capacity.drain(each.arn, status == "DRAINING")
        each.status = status
        if status == "DRAINING":
            drained(each.arn)
    return ecs.json_response({"containerInstances": [shape(each) for each in instances], "failures": missing})


def _cluster(data: Request) -> str | None:
    from ministack.services import ecs

    name: str | None = ecs._resolve_cluster_name(data.get("cluster", "default"))
    return name if name is not None and name in ecs._clusters else None


def _named(capacity: Capacity, cluster: str, data: Request) -> tuple[list[Instance], list[dict[str, str]]]:
    by_name = {each.arn: each for each in capacity.instances(cluster)}
    by_name |= {arn.rpartition("/")[2]: each for arn, each in list(by_name.items())}
    wanted = data.get("containerInstances") or []
    missing = [{"arn": name, "reason": "MISSING"} for name in wanted if name not in by_name]
    return [by_name[name] for name in wanted if name in by_name], missing


def shape(instance: Instance) -> dict[str, Any]:
    """A container instance as DescribeContainerInstances gives it."""
    from ministack.services import ec2

    machine = ec2._instances.get(instance.instance_id) or {}
    attributes = {
        "ecs.instance-type": instance.instance_type,
        "ecs.availability-zone": instance.zone,
        "ecs.ami-id": machine.get("ImageId", ""),
        "ecs.os-type": "linux",
        "ecs.cpu-architecture": "x86_64",
    }
    registered = instance.registered
    return {
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.instance_id,
        "capacityProviderName": instance.provider,
        "version": 1,
        "versionInfo": {"agentVersion": "1.0.0", "dockerVersion": "local"},
        "status": instance.status,
        "agentConnected": True,
        "runningTasksCount": instance.running,
        "pendingTasksCount": instance.pending,
        "registeredResources": _resources(
            registered.cpu, registered.memory_mib, sorted(registered.ports), instance.registered_gpus
        ),
        "remainingResources": _resources(
            instance.free_cpu, instance.free_memory_mib, sorted(instance.used_ports), instance.free_gpus
        ),
        "attributes": [{"name": name, "value": value} for name, value in attributes.items() if value],
        "registeredAt": machine.get("LaunchTime", 0),
        "attachments": [],
        "tags": [],
    }


def _resources(cpu: int, memory_mib: int, ports: Any, gpus: Any) -> list[dict[str, Any]]:
    """Ports are those in use; an instance without a GPU has no GPU resource at all, as on AWS."""
    numbers = [("CPU", cpu), ("MEMORY", memory_mib)]
    found: list[dict[str, Any]] = [
        {"name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": value}
        for name, value in numbers
    ]
    sets: list[tuple[str, list[str]]] = [("PORTS", [str(port) for port in ports]), ("PORTS_UDP", [])]
    if gpus:
        sets.append(("GPU", list(gpus)))
    return found + [{"name": name, "type": "STRINGSET", "stringSetValue": values} for name, values in sets]
