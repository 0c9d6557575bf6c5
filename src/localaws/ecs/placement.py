"""Does a task fit on an instance, and on which?

Try it:  python -m pytest tests/fast/test_ecs_placement.py
Pure: it sees what is registered, what is used and what is wanted. The words are those of RunTask's failures
(ECS developer guide, "API failure reasons").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localaws.ecs.taskcontainers import cpu_units, memory_mib, with_overrides

Definition = Mapping[str, Any]
# The container agent keeps these for SSH, Docker and itself.
RESERVED_PORTS = frozenset({22, 2375, 2376, 51678, 51679})


@dataclass(frozen=True)
class Needs:
    """What a task takes of an instance. CPU in units of 1/1024, memory in MiB; GPUs by container; network
    interfaces, one for an awsvpc task."""

    cpu: int = 0
    memory_mib: int = 0
    ports: frozenset[int] = frozenset()
    gpus: Mapping[str, int] = field(default_factory=dict)
    interfaces: int = 0

    @property
    def gpu_count(self) -> int:
        """GPUs of all containers together."""
        return sum(self.gpus.values())


def needs_of(task: Definition, overrides: Mapping[str, Any]) -> Needs:
    """What a task of this definition takes: its own figures, or the sum of its containers'."""
    containers = [with_overrides(each, overrides) for each in task["containerDefinitions"]]
    cpu = cpu_units(overrides.get("cpu") or task.get("cpu"))
    memory = memory_mib(overrides.get("memory") or task.get("memory"))
    sums = (
        sum(int(each.get("cpu") or 0) for each in containers),
        sum(int(each.get("memoryReservation") or each.get("memory") or 0) for each in containers),
    )
    return Needs(
        sums[0] if cpu is None else cpu,
        sums[1] if memory is None else memory,
        frozenset(_ports(task, containers)),
        {each["name"]: count for each in containers if (count := _gpus(each))},
        int(task.get("networkMode") == "awsvpc"),
    )


def _ports(task: Definition, containers: Iterable[Definition]) -> Iterable[int]:
    mode = task.get("networkMode") or "bridge"
    for container in containers:
        for port in container.get("portMappings") or []:
            if mode == "host":
                yield int(port["containerPort"])
            elif mode == "bridge" and port.get("hostPort"):
                yield int(port["hostPort"])


def _gpus(container: Definition) -> int:
    wanted = container.get("resourceRequirements") or []
    return sum(int(each["value"]) for each in wanted if each.get("type") == "GPU")


@dataclass
class Instance:
    """A container instance with what is free on it."""

    arn: str
    instance_id: str
    instance_type: str
    zone: str
    provider: str
    status: str
    registered: Needs
    registered_gpus: tuple[str, ...]
    free_cpu: int
    free_memory_mib: int
    free_gpus: list[str]
    used_ports: set[int]
    free_interfaces: int = 2
    running: int = 0
    pending: int = 0

    def take(self, needs: Needs, gpu_ids: Iterable[str]) -> None:
        """Account for a task that is on the instance."""
        self.free_cpu -= needs.cpu
        self.free_memory_mib -= needs.memory_mib
        self.used_ports |= needs.ports
        self.free_interfaces -= needs.interfaces
        taken = set(gpu_ids)
        self.free_gpus = [each for each in self.free_gpus if each not in taken]

    def lacks(self, needs: Needs) -> str:
        """The first resource that is short, as RunTask names it; empty if the task fits."""
        if needs.gpu_count > len(self.free_gpus):
            return "RESOURCE:GPU"
        if needs.memory_mib > self.free_memory_mib:
            return "RESOURCE:MEMORY"
        if needs.cpu > self.free_cpu:
            return "RESOURCE:CPU"
        if needs.ports & self.used_ports:
            return "RESOURCE:PORTS"
        if needs.interfaces > self.free_interfaces:
            return "RESOURCE:ENI"
        return ""


def choose(
    instances: list[Instance], needs: Needs, strategy: Iterable[Mapping[str, str]] = ()
) -> tuple[Instance | None, list[dict[str, str]]]:
    """An instance for the task, or for each why not; tasks spread unless the strategy is to binpack."""
    fitting = [each for each in instances if not each.lacks(needs)]
    if not fitting:
        return None, [{"arn": each.arn, "reason": each.lacks(needs)} for each in instances]
    first = next(iter(strategy), {})
    if first.get("type") == "binpack":
        field_name = first.get("field", "memory").lower()
        return min(
            fitting, key=lambda each: each.free_cpu if field_name == "cpu" else each.free_memory_mib
        ), []
    return min(fitting, key=lambda each: (each.running + each.pending, -each.free_memory_mib)), []


def gpu_ids_by_container(needs: Needs, instance: Instance) -> dict[str, list[str]]:
    """Hand the instance's free GPUs to the containers that want some."""
    free = list(instance.free_gpus)
    return {name: [free.pop(0) for _ in range(count)] for name, count in needs.gpus.items()}
