"""The service's image, built for real, serves a model that it is given.

test_images_docker.py looks at its size, its rights and what is in it, as at every image.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_artefacts
from attendee import ROOT
from docker_images import docker
from serving_world import wait_for

from workshop.aws.docker import client_that_builds

TAG = f"localaws-test/serving-{os.getpid()}:latest"
LARGEST_WORKER_MIB = 120
BUILD_SECONDS = 600
ASK = """\
import json, sys, urllib.request
body = json.dumps({"text": sys.argv[1]}).encode()
ask = urllib.request.Request("http://127.0.0.1:8080/predict", body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(ask).read().decode())
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    import subprocess

    command = [client_that_builds(), "build", "--quiet", "-f", "docker/serving/Dockerfile", "--tag", TAG, "."]
    variables = {**os.environ, "DOCKER_BUILDKIT": "1"}
    ended = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=BUILD_SECONDS
    )
    assert ended.returncode == 0, ended.stderr
    yield TAG
    docker("image", "rm", "--force", TAG)


@pytest.fixture(scope="module")
def container(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its id: as ECS would run it, with a model and without a network."""
    folder = tmp_path_factory.mktemp("models")
    small_artefacts.publish(folder, "v1", small_artefacts.make(tmp_path_factory.mktemp("artefact")))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    options = ["--detach", "--network", "none", "--cap-drop", "ALL", "--memory", "256m", "--init"]
    mounted = ["--volume", f"{folder}:/models:ro", "--env", "MODEL_URI=/models"]
    found = docker("run", *options, *mounted, image)
    yield found
    docker("rm", "--force", found)


def inside(container: str, *command: str) -> str:
    return docker("exec", container, *command)


def health(container: str) -> str:
    return docker("inspect", "--format", "{{.State.Health.Status}}", container)


def test_it_becomes_healthy_by_its_own_check_and_classifies(container: str) -> None:
    wait_for(lambda: health(container) == "healthy", "the health check passes", 60)
    answer = json.loads(inside(container, "python", "-c", ASK, "good good"))
    assert answer["version"] == "v1" and answer["predictions"][0]["label"] == "positive"


def test_its_worker_is_within_its_memory(container: str) -> None:
    wait_for(lambda: health(container) == "healthy", "the health check passes", 60)
    script = "grep -s VmRSS /proc/[0-9]*/status | sort; grep -a -s -o 'workshop.serving[.a-z]*' /proc/[0-9]*/cmdline"
    lines = inside(container, "sh", "-c", script).splitlines()
    named = [
        line.split("/")[2] for line in lines if line.endswith(":workshop.serving")
    ]  # the init process too
    rss_kib = {line.split("/")[2]: int(line.split()[1]) for line in lines if "VmRSS" in line}
    assert 20 < max(rss_kib[process] for process in named) / 1024 < LARGEST_WORKER_MIB


def test_without_a_model_it_is_unhealthy_and_says_why(image: str, tmp_path: Path) -> None:
    soon = ("--health-interval", "1s", "--health-start-period", "1ms")  # 0 would mean the image's own
    found = docker("run", "--detach", "--network", "none", "--env", "MODEL_URI=/none", *soon, image)
    try:
        wait_for(lambda: health(found) == "unhealthy", "the health check fails", 60)
        assert "no model is published at" in docker("logs", found)
    finally:
        docker("rm", "--force", found)


def test_stopping_it_takes_a_moment_and_ends_with_0(container: str) -> None:
    began = time.monotonic()
    docker("stop", "--time", "20", container)
    assert time.monotonic() - began < 15
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
