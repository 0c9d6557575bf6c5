"""The labs with every task a container: real images built, pushed, pulled and run, and nothing left behind."""

import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from attendee import Attendee, attendee, kill, wait_until
from docker_images import docker, network_is_left, remove_images

from workshop.data import drawings

RUN_SECONDS = 1800  # building the images for the first time takes half of it
GROUP = 4  # lab 4's scheduler, server and two workers
MOST_OF_THE_SERVICE = 3  # lab 6's, under load
LARGEST_MB = {"mxnet": 1000, "tensorflow": 2100, "serving": 450}
LARGEST_ALGORITHM_MB = 300
ALGORITHM = "localaws/linear-learner:latest"  # what the local AWS builds by itself for lab 8
# What lab 6's service and lab 8's endpoint leave up: kinds of containers, as their names say.
UP = ["interface", "serving", "workshop"]
RETURN_SECONDS = 90
UNITS = {"MB": 1, "GB": 1000}


class Seen:
    """What was there at some moment while the labs ran. started: image and name of every container."""

    def __init__(self, owner: Path) -> None:
        self.started: list[tuple[str, str]] = []
        self.most_members = self.most_serving = 0
        self._filter = f"label=localaws.owner={owner}"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Seen":
        # Some are there for less than a second: Docker tells of each.
        form = "{{.Actor.Attributes.image}} {{.Actor.Attributes.name}}"
        command = ["docker", "events", "--filter", self._filter, "--filter", "event=start", "--format", form]
        self._events = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        self._events.terminate()
        lines, _ = self._events.communicate()
        self.started = [(image, name) for image, name in map(str.split, lines.splitlines())]

    def _watch(self) -> None:
        while not self._done.wait(0.5):
            containers = self.now()
            serving, interfaces = count(containers, "serving"), count(containers, "interface")
            self.most_serving = max(self.most_serving, serving)
            self.most_members = max(self.most_members, interfaces - serving)

    def now(self) -> list[tuple[str, str]]:
        """Image and name of every container of the learner's."""
        listed = docker("ps", "--all", "--filter", self._filter, "--format", "{{.Image}} {{.Names}}")
        return [(image, name) for image, name in map(str.split, listed.splitlines())]

    def kinds(self) -> list[str]:
        """Container definitions, or what else is first in the name, of what is there now."""
        return sorted(name.split("-")[1] for _, name in self.now())


def count(containers: list[tuple[str, str]], kind: str) -> int:
    """How many there are of a container definition; each awsvpc task has an `interface` as well."""
    return sum(name.startswith(f"ecs-{kind}-") for _, name in containers)


def lay_out_data(folder: Path, given: Path | None) -> Path:
    """A data directory with what was given, and the drawings in place of CIFAR-10: a fifth as many to learn from.

    No texts: their files are known by their checksums, so there is no half of them, and labs 5 and 6 take the
    sentences that the course brings. What is shown here is the engine; the other tiers learn from what was given.
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
    subprocess.run(["docker", "image", "rm", ALGORITHM], capture_output=True)  # not if somebody else's is up


@pytest.fixture(scope="module")
def seen(learner: Attendee) -> Seen:
    return Seen(learner.state / "localaws" / "engine")


@pytest.fixture(scope="module")
def ran(learner: Attendee, seen: Seen) -> "CompletedProcess[str]":
    with seen:
        return learner.run("run", "all", timeout_seconds=RUN_SECONDS)


def test_labs_pass_with_docker(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads((learner.state / "localaws.json").read_text())["engine"] == "docker"


def test_tasks_were_containers_of_every_image(ran: "CompletedProcess[str]", seen: Seen) -> None:
    repositories = {repository(image) for image, _ in seen.started}
    assert [name for name in LARGEST_MB if not any(name in each for each in repositories)] == []


def repository(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2]


def test_what_sagemaker_ran_were_containers_of_the_algorithm_and_of_the_courses_own_image(
    ran: "CompletedProcess[str]", seen: Seen
) -> None:
    jobs = [image for image, name in seen.started if name.startswith("ecs-algo-1-")]
    hosted = [image for image, name in seen.started if "-AllTraffic-" in name]
    assert jobs.count(ALGORITHM) == len(jobs) - 1 == 2
    assert any("mxnet" in repository(image) for image in jobs)
    assert hosted == [ALGORITHM, ALGORITHM]


def test_each_member_of_the_group_had_an_address_of_its_own(ran: "CompletedProcess[str]", seen: Seen) -> None:
    assert seen.most_members == GROUP


def test_service_grew_with_its_load_to_so_many_containers_and_shrank_to_one(
    ran: "CompletedProcess[str]", seen: Seen
) -> None:
    assert seen.most_serving >= MOST_OF_THE_SERVICE
    wait_until(lambda: count(seen.now(), "serving") == 1, RETURN_SECONDS)


def test_jobs_have_left_nothing_and_one_endpoint_is_up(ran: "CompletedProcess[str]", seen: Seen) -> None:
    wait_until(lambda: seen.kinds() == UP, RETURN_SECONDS, lambda: str(seen.now()))
    [(image, name)] = [each for each in seen.now() if "-AllTraffic-" in each[1]]
    assert image == ALGORITHM
    inspected = json.loads(docker("inspect", name))[0]
    assert inspected["Config"]["User"] not in ("", "root", "0")
    assert not [place for place in inspected["NetworkSettings"]["Ports"].values() if place]


def test_images_are_within_their_size(ran: "CompletedProcess[str]", learner: Attendee) -> None:
    form, own = '{"name": "{{.Repository}}", "size": "{{.Size}}"}', f"127.0.0.1:{learner.port}/*"
    rows = [
        json.loads(line)
        for line in docker("images", "--filter", f"reference={own}", "--format", form).splitlines()
    ]
    for name, limit in LARGEST_MB.items():
        sizes = [_megabytes(row["size"]) for row in rows if name in row["name"]]
        assert sizes and max(sizes) <= limit, rows
    assert _megabytes(docker("images", "--format", "{{.Size}}", ALGORITHM)) <= LARGEST_ALGORITHM_MB


def _megabytes(text: str) -> float:
    return float(text[:-2]) * UNITS[text[-2:]]


def test_service_and_endpoint_return_after_the_local_aws_was_killed_and_no_container_is_left_of_before(
    ran: "CompletedProcess[str]", learner: Attendee, seen: Seen
) -> None:
    before = {name for _, name in seen.now()}
    kill(learner.local_aws_pid())
    wait_until(lambda: seen.now() == [], RETURN_SECONDS)
    up = learner.run("up")
    assert up.returncode == 0, up.stderr
    asked = wait_until(lambda: _answer(learner), RETURN_SECONDS, lambda: learner.run("status").stdout)
    assert json.loads(asked)["predictions"]
    wait_until(lambda: learner.run("check", "8").returncode == 0, RETURN_SECONDS)
    assert seen.kinds() == UP
    assert before.isdisjoint(name for _, name in seen.now())


def _answer(learner: Attendee) -> str:
    ended = learner.run("ask", "what a lovely day", "--json")
    return ended.stdout if ended.returncode == 0 else ""


def test_nothing_is_left_running_after_down(
    ran: "CompletedProcess[str]", learner: Attendee, seen: Seen
) -> None:
    assert learner.run("down").returncode == 0
    assert seen.now() == []
    assert not network_is_left()
