"""Labs 1 to 4 with every task a container: real images, built, pushed, pulled and run, and nothing left behind."""

import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attendee import Attendee, attendee
from docker_images import docker, network_is_left, remove_images

from workshop.data import drawings

RUN_SECONDS = 900  # building both images for the first time takes half of it
GROUP = 4  # lab 4's scheduler, server and two workers


class Seen:
    """What was there at some moment while the labs ran."""

    def __init__(self, owner: Path) -> None:
        self.images: set[str] = set()
        self.most_interfaces = 0
        self._filter = f"label=localaws.owner={owner}"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Seen":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            containers = self.now()
            self.images.update(image for image, _ in containers)
            interfaces = [name for _, name in containers if name.startswith("ecs-interface-")]
            self.most_interfaces = max(self.most_interfaces, len(interfaces))

    def now(self) -> list[tuple[str, str]]:
        """Image and name of every container of the learner's."""
        listed = docker("ps", "--all", "--filter", self._filter, "--format", "{{.Image}} {{.Names}}")
        return [(image, name) for image, name in map(str.split, listed.splitlines())]


def lay_out_data(folder: Path, given: Path | None) -> Path:
    """A data directory with what was given, and the drawings in place of CIFAR-10: a fifth as many to learn from.

    What is shown here is the engine; the other tiers learn from what was given.
    """
    for name in ("catvnoncat", "photos", "pretrained"):
        if given and (given / name).is_dir():
            shutil.copytree(given / name, folder / name)
    with zipfile.ZipFile(drawings.write_zip(folder / "drawings.zip")) as archive:
        archive.extractall(folder / "cifar10")
    return folder


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    folder = tmp_path_factory.mktemp("docker")
    with attendee(folder, "docker") as one:
        given = one.variables.get("WORKSHOP_DATA_DIR")
        one.variables["WORKSHOP_DATA_DIR"] = str(
            lay_out_data(folder / "data", Path(given) if given else None)
        )
        yield one
    remove_images(one.port)


@pytest.fixture(scope="module")
def seen(learner: Attendee) -> Seen:
    return Seen(learner.state / "localaws" / "engine")


@pytest.fixture(scope="module")
def ran(learner: Attendee, seen: Seen) -> "CompletedProcess[str]":
    with seen:
        return learner.run("run", "1-4", timeout_seconds=RUN_SECONDS)


def test_labs_pass_with_docker(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads((learner.state / "localaws.json").read_text())["engine"] == "docker"


def test_tasks_were_containers_of_both_images(ran: "CompletedProcess[str]", seen: Seen) -> None:
    repositories = {image.partition("@")[0].rpartition("/")[2] for image in seen.images}
    assert any("mxnet" in name for name in repositories) and any(
        "tensorflow" in name for name in repositories
    )


def test_each_member_of_the_group_had_an_address_of_its_own(ran: "CompletedProcess[str]", seen: Seen) -> None:
    assert seen.most_interfaces == GROUP


def test_images_are_within_their_size(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    limits_mb = {"mxnet": 1000, "tensorflow": 2100}
    form = '{"name": "{{.Repository}}", "size": "{{.Size}}"}'
    listed = docker(
        "images", "--filter", f"reference=127.0.0.1:{learner.port}/*", "--format", form
    ).splitlines()
    for row in map(json.loads, listed):
        for name, limit in limits_mb.items():
            if name in row["name"]:
                assert _megabytes(row["size"]) <= limit, row


def _megabytes(text: str) -> float:
    return float(text[:-2]) * {"MB": 1, "GB": 1000}[text[-2:]]


def test_nothing_is_left_running_after_down(
    ran: "CompletedProcess[str]", learner: Attendee, seen: Seen
) -> None:
    assert learner.run("down").returncode == 0
    assert seen.now() == []
    assert not network_is_left()
