"""Task definitions that are refused, and what becomes of those that are not."""

from pathlib import Path
from typing import Any

import pytest

from localaws.ecs import taskcontainers, taskdefinitions
from localaws.engine import CannotCreate, CannotPull, ContainerSpec, Image, Volume
from localaws.engine.container import stop_signal
from localaws.engine.images import parse
from localaws.engine.surroundings import arguments, prepare_folder, variables


def container(**more: Any) -> dict[str, Any]:
    return {"name": "app", "image": "i", "memory": 128, **more}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            {"containerDefinitions": [container(memory=None)]},
            "At least one of 'memory' or 'memoryReservation'",
        ),
        ({"containerDefinitions": [container(memory=4)]}, "at least 6"),
        ({"containerDefinitions": [container(memoryReservation=256)]}, "must not exceed"),
        ({"containerDefinitions": [container(), container()]}, "unique"),
        ({"containerDefinitions": [container(essential=False)]}, "essential container"),
        (
            {"containerDefinitions": [container(mountPoints=[{"sourceVolume": "v", "containerPath": "/x"}])]},
            "Unknown volume 'v'",
        ),
        (
            {
                "networkMode": "awsvpc",
                "containerDefinitions": [container(portMappings=[{"containerPort": 80, "hostPort": 8080}])],
            },
            "must match",
        ),
        ({"containerDefinitions": [container(logConfiguration={"logDriver": "awslogs"})]}, "awslogs-group"),
        ({"requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container()]}, "'cpu'"),
    ],
)
def test_definition_that_aws_refuses_is_refused(task: dict[str, Any], expected: str) -> None:
    assert expected in " ".join(taskdefinitions.invalid(task))


def test_good_definition_passes() -> None:
    task = {"containerDefinitions": [container()], "volumes": []}
    assert not list(taskdefinitions.invalid(task)) and not list(taskdefinitions.not_emulated(task))


@pytest.mark.parametrize(
    "task",
    [
        {"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]},
        {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}},
        {"placementConstraints": [{"type": "memberOf", "expression": "x"}]},
        {"containerDefinitions": [container(logConfiguration={"logDriver": "splunk"})]},
        {"volumes": [{"name": "v", "dockerVolumeConfiguration": {"driver": "nfs"}}]},
        {"containerDefinitions": [container(portMappings=[{"containerPort": 53, "protocol": "udp"}])]},
        {"containerDefinitions": [container(restartPolicy={"enabled": True})]},
    ],
)
def test_what_is_not_emulated_is_refused_by_its_name(task: dict[str, Any]) -> None:
    [reason] = taskdefinitions.not_emulated(task)
    assert reason.partition(":")[0] in taskdefinitions.NOT_EMULATED


def test_overrides_win_over_the_definition_and_keep_the_rest() -> None:
    definition = container(
        environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], command=["old"]
    )
    given = {"name": "app", "environment": [{"name": "B", "value": "3"}], "command": ["new"], "cpu": 5}
    merged = taskcontainers.with_overrides(definition, {"containerOverrides": [given]})
    assert {pair["name"]: pair["value"] for pair in merged["environment"]} == {"A": "1", "B": "3"}
    assert (merged["command"], merged["cpu"], merged["memory"]) == (["new"], 5, 128)


@pytest.mark.parametrize(
    ("definition", "limit"),
    [
        (container(), 128),
        (container(memory=None), 1024),
        (container(memory=None, memoryReservation=64), None),
    ],
)
def test_hard_limit_is_the_containers_or_the_tasks(definition: dict[str, Any], limit: int | None) -> None:
    spec = taskcontainers.specification(
        definition, {"memory": "1 GB"}, Image("i", "d", {}), {"A": "1"}, (), None, (), "arn"
    )
    assert (spec.memory_mib, spec.stop_timeout_seconds, spec.network) == (limit, 30, "bridge")


@pytest.mark.parametrize(
    ("entry_point", "command", "expected"),
    [
        (None, None, ["entry", "default"]),
        (None, ["given"], ["entry", "given"]),
        (["other"], None, ["other"]),
        (["other"], ["given"], ["other", "given"]),
    ],
)
def test_entry_point_and_command_join_as_in_docker(
    entry_point: list[str] | None, command: list[str] | None, expected: list[str]
) -> None:
    config = {"Entrypoint": ["entry"], "Cmd": ["default"]}
    assert arguments(ContainerSpec("a", "i", config, command, entry_point)) == expected


def test_image_without_a_command_is_refused() -> None:
    with pytest.raises(CannotCreate, match="No command specified"):
        arguments(ContainerSpec("a", "i"))


def test_environment_is_the_images_then_passed_on_then_the_tasks(tmp_path: Path) -> None:
    spec = ContainerSpec(
        "a", "i", {"Env": ["A=image", "B=image", "C=image", "PATH=/image"]}, environment={"C": "task"}
    )
    found = variables(spec, tmp_path, Path("/venv"), "127.9.9.9", {"B": "server", "C": "server"})
    assert (found["A"], found["B"], found["C"]) == ("image", "server", "task")
    assert found["PATH"] == "/venv/bin:/image"
    assert found["WORKSHOP_BIND_ADDRESS"] == "127.9.9.9"
    assert found["HOME"] == str(tmp_path / "home")


def test_volume_is_a_link_under_the_working_directory(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "made", "/srv/in/data")
    prepare_folder(ContainerSpec("a", "i", {"WorkingDir": "/srv"}, volumes=(volume,)), tmp_path / "c")
    assert (tmp_path / "c/work/in/data").resolve() == (tmp_path / "made").resolve()


@pytest.mark.parametrize("path", ["/data", "/srv", "/srv/../data"])
def test_volume_elsewhere_is_refused_with_a_place_that_works(tmp_path: Path, path: str) -> None:
    spec = ContainerSpec("a", "i", {"WorkingDir": "/srv"}, volumes=(Volume(tmp_path, path),))
    with pytest.raises(CannotCreate, match="not under the working directory /srv"):
        prepare_folder(spec, tmp_path / "c")


@pytest.mark.parametrize(
    ("reference", "repository", "wanted"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:1", "a/b", "1"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a", "a", "latest"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a@sha256:1", "a", "sha256:1"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1@sha256:1", "a", "sha256:1"),
    ],
)
def test_image_references_are_read(reference: str, repository: str, wanted: str) -> None:
    found = parse(reference)
    assert (found.repository, found.wanted, found.region) == (repository, wanted, "eu-west-1")


@pytest.mark.parametrize("reference", ["busybox", "docker.io/library/busybox:1", "public.ecr.aws/x/y"])
def test_images_of_other_registries_are_refused(reference: str) -> None:
    with pytest.raises(CannotPull, match="own registry"):
        parse(reference)


@pytest.mark.parametrize(("name", "number"), [(None, 15), ("SIGINT", 2), ("INT", 2), ("9", 9)])
def test_stop_signal_is_read_by_name_or_number(name: str | None, number: int) -> None:
    assert stop_signal(name) == number
