"""What Docker is told of a container, without Docker."""

from pathlib import Path
from typing import Any

import pytest

from localaws.ecs.taskcontainers import isolation_of
from localaws.engine import CannotCreate, ContainerSpec, Isolation, PortMapping, Volume
from localaws.engine.dockeroptions import create_options, network_mode, volume_name

COURSE = {
    "Labels": {"workshop.environment": "mxnet"},
    "Env": ["WORKSHOP_CACHE_DIR=kept"],
    "WorkingDir": "/home/w",
}


def options(spec: ContainerSpec, **passed_on: str) -> dict[str, Any]:
    return create_options(spec, "/state/engine", passed_on)


def mounts(spec: ContainerSpec, **passed_on: str) -> dict[str, Any]:
    return {each["Target"]: each for each in options(spec, **passed_on).get("mounts", [])}


def test_ports_are_published_on_loopback_and_none_on_every_address() -> None:
    made = options(ContainerSpec("a", "i", ports=(PortMapping(80), PortMapping(81, 8081))))
    assert made["ports"] == {"80/tcp": ("127.0.0.1", None), "81/tcp": ("127.0.0.1", 8081)}


def test_ports_of_an_awsvpc_task_are_not_published() -> None:
    assert "ports" not in options(ContainerSpec("a", "i", ports=(PortMapping(80),), network="awsvpc"))


def test_memory_limit_leaves_no_swap() -> None:
    made = options(ContainerSpec("a", "i", memory_mib=64, cpu_units=1))
    assert (made["mem_limit"], made["memswap_limit"], made["cpu_shares"]) == ("64m", "64m", 2)


def test_container_is_labelled_as_its_servers_whatever_the_task_says() -> None:
    assert options(ContainerSpec("a", "i", labels={"localaws.owner": "me"}))["labels"] == {
        "localaws.owner": "/state/engine"
    }


def test_image_health_check_and_the_learners_proxies_are_left_out() -> None:
    made = options(ContainerSpec("a", "i"))
    assert made["healthcheck"] == {"test": ["NONE"]} and made["use_config_proxy"] is False


def test_task_definitions_words_become_dockers() -> None:
    definition = {
        "readonlyRootFilesystem": True,
        "ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}],
        "linuxParameters": {
            "initProcessEnabled": True,
            "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
            "sharedMemorySize": 128,
            "tmpfs": [{"containerPath": "/fast", "size": 16, "mountOptions": ["noexec"]}],
        },
    }
    made = options(ContainerSpec("a", "i", isolation=isolation_of(definition)))
    assert made["init"] and made["read_only"]
    assert (made["cap_drop"], made["cap_add"], made["shm_size"]) == (["ALL"], ["CHOWN"], "128m")
    assert made["tmpfs"] == {"/fast": "size=16m,noexec"}
    assert made["ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]


def test_privileged_container_and_host_network_are_refused_by_name() -> None:
    with pytest.raises(CannotCreate, match="privileged"):
        options(ContainerSpec("a", "i", isolation=Isolation(privileged=True)))
    with pytest.raises(CannotCreate, match="network mode host"):
        network_mode(ContainerSpec("a", "i", network="host"))


def test_volume_of_a_task_is_dockers_and_a_host_path_is_that_folder(tmp_path: Path) -> None:
    own, host = tmp_path / "tasks" / "id" / "scratch", tmp_path / "made"
    found = mounts(
        ContainerSpec("a", "i", volumes=(Volume(own, "/scratch", scope="task"), Volume(host, "/host", True)))
    )
    assert (found["/scratch"]["Type"], found["/scratch"]["Source"]) == (
        "volume",
        volume_name(own, "/state/engine"),
    )
    assert (found["/host"]["Source"], found["/host"]["ReadOnly"]) == (str(host), True)
    assert host.is_dir() and not own.exists()


def test_data_and_downloads_are_mounted_read_only_into_the_courses_images(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    downloads = tmp_path / "cache" / "datasets"
    (downloads / "cifar10").mkdir(parents=True)
    (downloads / "cifar10" / "pictures.zip").touch()
    given = {"WORKSHOP_DATA_DIR": str(tmp_path / "data"), "WORKSHOP_CACHE_DIR": str(tmp_path / "cache")}
    found = mounts(ContainerSpec("a", "i", COURSE), **given)
    assert set(found) == {"/mnt/workshop/data", "/home/w/kept/datasets/cifar10"}
    assert all(each["ReadOnly"] for each in found.values())
    seen = options(ContainerSpec("a", "i", COURSE), **given)["environment"]
    assert seen == {"WORKSHOP_DATA_DIR": "/mnt/workshop/data", "WORKSHOP_LOCAL_AWS": "1"}


@pytest.mark.parametrize("left", ([], [".lock"], [".lock", "words.zip.part"], [".lock", "words.zip.bad"]))
def test_data_that_were_only_looked_for_are_left_to_the_container(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "cache" / "datasets" / "stopwords"
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).touch()
    assert mounts(ContainerSpec("a", "i", COURSE), WORKSHOP_CACHE_DIR=str(tmp_path / "cache")) == {}


def test_other_images_get_no_folder_of_this_machine(tmp_path: Path) -> None:
    spec = ContainerSpec("a", "i", {"Env": ["WORKSHOP_CACHE_DIR=kept"]})
    assert mounts(spec, WORKSHOP_DATA_DIR=str(tmp_path)) == {}
    assert options(spec, WORKSHOP_DATA_DIR=str(tmp_path))["environment"] == {"WORKSHOP_LOCAL_AWS": "1"}


def test_data_directory_that_is_not_there_is_told_to_the_container_as_it_is(tmp_path: Path) -> None:
    spec = ContainerSpec("a", "i", COURSE)
    assert mounts(spec, WORKSHOP_DATA_DIR=str(tmp_path / "absent")) == {}
