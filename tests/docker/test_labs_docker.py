"""Labs 1 to 3 with every task a container: real images, built, pushed, pulled and run, and nothing left behind.

Lab 4's trainings take minutes more and show nothing else of the engine.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attendee import Attendee, attendee
from docker_images import docker, remove_images

RUN_SECONDS = 900  # building both images for the first time takes half of it


class Seen:
    """The containers that were there at some moment while the labs ran, by their image."""

    def __init__(self, owner: Path) -> None:
        self.images: set[str] = set()
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
            self.images.update(self.now())

    def now(self) -> list[str]:
        return docker("ps", "--all", "--filter", self._filter, "--format", "{{.Image}}").split()


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("docker"), "docker") as one:
        yield one
    remove_images(one.port)


@pytest.fixture(scope="module")
def seen(learner: Attendee) -> Seen:
    return Seen(learner.state / "localaws" / "engine")


@pytest.fixture(scope="module")
def ran(learner: Attendee, seen: Seen) -> "CompletedProcess[str]":
    with seen:
        return learner.run("run", "1-3", timeout_seconds=RUN_SECONDS)


def test_labs_pass_with_docker(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads((learner.state / "localaws.json").read_text())["engine"] == "docker"


def test_tasks_were_containers_of_both_images(ran: "CompletedProcess[str]", seen: Seen) -> None:
    repositories = {image.partition("@")[0].rpartition("/")[2] for image in seen.images}
    assert any("mxnet" in name for name in repositories) and any(
        "tensorflow" in name for name in repositories
    )


def test_images_are_within_their_size(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    limits_mb = {"mxnet": 1100, "tensorflow": 2100}
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
    assert "localaws" not in docker("network", "ls", "--format", "{{.Name}}").split()
