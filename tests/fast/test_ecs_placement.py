"""What a task needs and whether an instance has it."""

from typing import Any

import pytest

from localaws.ecs import instance_types
from localaws.ecs.placement import Instance, Needs, choose, gpu_ids_by_container, needs_of


def instance(name: str = "i", **more: Any) -> Instance:
    values: dict[str, Any] = {
        "arn": name,
        "instance_id": name,
        "instance_type": "m5.large",
        "zone": "a",
        "provider": "p",
        "status": "ACTIVE",
        "registered": Needs(2048, 8000),
        "registered_gpus": (),
        "free_cpu": 2048,
        "free_memory_mib": 8000,
        "free_gpus": [],
        "used_ports": {22},
    }
    return Instance(**values | more)


def container(**more: Any) -> dict[str, Any]:
    return {"name": "app", "image": "x", **more}


@pytest.mark.parametrize(
    ("task", "overrides", "expected"),
    [
        ({"containerDefinitions": [container(cpu=256, memory=512)] * 2}, {}, Needs(512, 1024)),
        ({"containerDefinitions": [container(memory=512, memoryReservation=128)]}, {}, Needs(0, 128)),
        (
            {"containerDefinitions": [container(memory=9)], "cpu": "1 vCPU", "memory": "2 GB"},
            {},
            Needs(1024, 2048),
        ),
        (
            {"containerDefinitions": [container(memory=512)]},
            {"containerOverrides": [{"name": "app", "memory": 64, "cpu": 10}]},
            Needs(10, 64),
        ),
    ],
)
def test_needs_are_the_tasks_own_or_the_sum_of_its_containers(
    task: dict[str, Any], overrides: dict[str, Any], expected: Needs
) -> None:
    assert needs_of(task, overrides) == expected


def test_ports_and_gpus_are_counted() -> None:
    definition = container(
        memory=1,
        portMappings=[{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 0}],
        resourceRequirements=[{"type": "GPU", "value": "2"}],
    )
    needs = needs_of({"containerDefinitions": [definition]}, {})
    assert (needs.ports, needs.gpu_count) == (frozenset({8080}), 2)
    vpc = needs_of({"containerDefinitions": [definition], "networkMode": "awsvpc"}, {})
    assert (vpc.ports, vpc.interfaces, needs.interfaces) == (frozenset(), 1, 0)


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (Needs(2048, 8000), ""),
        (Needs(2049, 1), "RESOURCE:CPU"),
        (Needs(1, 8001), "RESOURCE:MEMORY"),
        (Needs(ports=frozenset({22})), "RESOURCE:PORTS"),
        (Needs(interfaces=3), "RESOURCE:ENI"),
        (Needs(9999, 99999, gpus={"app": 1}), "RESOURCE:GPU"),
    ],
)
def test_missing_resource_is_named(needs: Needs, reason: str) -> None:
    assert instance().lacks(needs) == reason


def test_tasks_spread_unless_told_to_binpack() -> None:
    busy, idle = instance("busy", running=2, free_memory_mib=1000), instance("idle")
    assert choose([busy, idle], Needs(1, 1))[0] is idle
    assert choose([busy, idle], Needs(1, 1), [{"type": "binpack", "field": "memory"}])[0] is busy


def test_no_fit_gives_a_reason_for_every_instance() -> None:
    found, failures = choose([instance("a"), instance("b", free_cpu=0)], Needs(5000, 1))
    assert found is None
    assert failures == [{"arn": "a", "reason": "RESOURCE:CPU"}, {"arn": "b", "reason": "RESOURCE:CPU"}]


def test_gpus_are_handed_out_once() -> None:
    here = instance(free_gpus=["g1", "g2", "g3"])
    needs = Needs(gpus={"a": 1, "b": 2})
    given = gpu_ids_by_container(needs, here)
    assert given == {"a": ["g1"], "b": ["g2", "g3"]}
    here.take(needs, ["g1", "g2", "g3"])
    assert here.lacks(Needs(gpus={"c": 1})) == "RESOURCE:GPU"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("g4dn.xlarge", (4, 16, 1)),
        ("g4dn.12xlarge", (48, 192, 4)),
        ("g5.2xlarge", (8, 32, 1)),
        ("g6.xlarge", (4, 16, 1)),
        ("m5.large", (2, 8, 0)),
        ("c5.xlarge", (4, 8, 0)),
        ("t3.medium", (2, 4, 0)),
    ],
)
def test_instance_types_have_what_aws_says(name: str, expected: tuple[int, int, int]) -> None:
    found = instance_types.resources(name)
    assert found and (found.vcpus, found.memory_mib // 1024, found.gpus) == expected


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("c5.large", 2), ("m6i.xlarge", 3), ("t3.xlarge", 3), ("g4dn.xlarge", 2), ("g5.xlarge", 3)],
)
def test_instance_takes_as_many_awsvpc_tasks_as_it_has_interfaces_beside_its_own(
    name: str, tasks: int
) -> None:
    assert instance_types.interfaces_for_tasks(name) == tasks


def test_unknown_instance_type_is_not_guessed() -> None:
    assert instance_types.resources("x9.huge") is None
