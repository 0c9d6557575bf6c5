"""The course's images, built for real; and images by hand, with clients that are none of ours.

The labs of this tier find these builds in the cache: what is built here is not built there.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import boto3
import by_hand_page
import pytest
from attendee import ROOT, Attendee, attendee, free_port
from docker_images import config_of, docker, make_unknown, remove_images
from test_ecr_protocol import small_disk

from localaws import daemon
from localaws.registry.uploads import RESERVE_BYTES
from workshop.aws.docker import client_that_builds

# What the README promises, Jupyter included.
LARGEST_BYTES = {"mxnet": 1.0e9, "tensorflow": 2.1e9, "serving": 0.45e9, "airflow": 0.55e9}
BUILD_SECONDS = 900  # for the first time: downloads and installs everything
COMPILERS = ("gcc", "cc", "g++", "c++", "clang", "make", "cmake", "ld", "as", "nvcc", "uv-build")
NOT_NEEDED = (*COMPILERS, "pip", "pip3", "curl", "wget", "git", "ssh", "telnet", "nc", "gdb", "strace")

every_image = pytest.mark.parametrize("image", LARGEST_BYTES)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("images"), "docker") as one:
        one.variables["DOCKER_CONFIG"] = str(
            one.folder / "docker"
        )  # no login of this machine's user is touched
        yield one
        one.run("clean", "--all", timeout_seconds=120)
    remove_images(one.port)


@pytest.fixture(scope="module")
def built(learner: Attendee) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in build(learner, *LARGEST_BYTES)}


def build(learner: Attendee, *names: str) -> list[dict[str, Any]]:
    ended = learner.run("build", *names, "--json", timeout_seconds=BUILD_SECONDS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return list(json.loads(ended.stdout))


def inside(built: dict[str, dict[str, Any]], image: str, script: str, user: str = "") -> str:
    flags = ["--user", user] if user else []
    return docker(
        "run", "--rm", "--network", "none", *flags, "--entrypoint", "sh", built[image]["uri"], "-c", script
    )


@every_image
def test_image_is_within_its_size(built: dict[str, dict[str, Any]], image: str) -> None:
    size = built[image]["size_bytes"]
    assert size == json.loads(docker("image", "inspect", built[image]["uri"]))[0]["Size"]
    assert size <= LARGEST_BYTES[image]
    told = sum(layer["size_bytes"] for layer in built[image]["layers"])
    assert told == pytest.approx(size, rel=0.01)


@every_image
def test_nothing_in_it_runs_as_root_or_becomes_root(built: dict[str, dict[str, Any]], image: str) -> None:
    assert config_of(built[image]["uri"])["User"] == "workshop"
    assert inside(built, image, "id -u; id -G") == "1000\n1000"
    assert inside(built, image, "find / -xdev -type f -perm /6000", user="root") == ""


@every_image
def test_its_user_can_change_none_of_its_programs(built: dict[str, dict[str, Any]], image: str) -> None:
    writable = "find / -xdev -path /proc -prune -o -writable -not -type l -print 2>/dev/null; true"
    places = {"/".join(line.split("/")[:2]) for line in inside(built, image, writable).splitlines()}
    assert places <= {"/home", "/tmp", "/var", "/dev", "/run"}
    programs = "find /usr /opt /etc -xdev -writable -not -type l 2>/dev/null; true"
    assert inside(built, image, programs) == ""


@every_image
def test_it_has_no_tool_that_nothing_in_it_needs(built: dict[str, dict[str, Any]], image: str) -> None:
    found = inside(
        built, image, f"for tool in {' '.join(NOT_NEEDED)}; do command -v $tool; done; true", user="root"
    )
    assert found == ""
    lists = (
        "find /var/lib/apt/lists /var/cache/apt ~root/.cache /opt/workshop/tests /opt/workshop/.git -type f"
    )
    left = inside(built, image, f"{lists} 2>/dev/null; true", user="root").splitlines()
    assert [file for file in left if not file.endswith("/lock")] == []


@every_image
def test_it_holds_no_secret(built: dict[str, dict[str, Any]], image: str) -> None:
    uri = built[image]["uri"]
    told = json.dumps(config_of(uri)["Env"]) + docker(
        "history", "--no-trunc", "--format", "{{.CreatedBy}}", uri
    )
    for word in ("TOKEN", "PASSWORD", "SECRET", "AKIA", "index-url"):
        assert word not in told
    names = r"-name .env -o -name '*.pem' -o -name 'id_*' -o -name .netrc -o -name credentials"
    assert inside(built, image, f"find /opt /home /root {names}", user="root") == ""


@pytest.mark.parametrize("image", ("mxnet", "tensorflow"))
def test_it_can_do_what_its_framework_promises(built: dict[str, dict[str, Any]], image: str) -> None:
    code = {
        "mxnet": "import mxnet as mx; print(mx.nd.ones(3).sum().asscalar())",
        "tensorflow": "import tensorflow as tf; print(tf.ones(3).numpy().sum())",
    }
    script = f'python -c "{code[image]}" 2>/dev/null; workshop jobs; jupyter kernelspec list 2>/dev/null'
    said = inside(built, image, script).splitlines()
    assert said[0] == "3.0"
    assert any("train-images" in line for line in said) and any("python3" in line for line in said)


def test_airflow_reads_its_dag_in_its_image_and_refuses_wrong_parameters(
    built: dict[str, dict[str, Any]],
) -> None:
    run = "python -m workshop.airflow.container dags test --conf '{\"num_epochs\": -1}' sentiment 2>&1; true"
    assert "param num_epochs: -1 is less than the minimum of 0" in inside(built, "airflow", run)


def test_build_without_a_change_takes_every_step_from_the_cache(
    built: dict[str, dict[str, Any]], learner: Attendee
) -> None:
    [again] = build(learner, "tensorflow")
    assert again["steps"] and all(step["cached"] for step in again["steps"])
    assert again["digest"] == built["tensorflow"]["digest"]


def test_change_of_the_code_makes_its_two_layers_anew_and_nothing_else(
    built: dict[str, dict[str, Any]], learner: Attendee
) -> None:
    module = learner.root / "src" / "workshop" / "health.py"
    module.write_text(f"{module.read_text()}# {learner.port}\n")
    [again] = build(learner, "mxnet")
    anew = [(step["instruction"].split()[0], step["why"]) for step in again["steps"] if not step["cached"]]
    assert [instruction for instruction, _ in anew] == ["COPY", "RUN"]
    assert "files that it copies" in anew[0][1] and "step before it" in anew[1][1]
    before = {layer for layer in _layers(built["mxnet"]["digest"])}
    new = [layer for layer in _layers(again["digest"]) if layer not in before]
    assert len(new) == 2 and sum(layer["size_bytes"] for layer in again["layers"][-8:]) < 20e6


def _layers(digest: str) -> list[str]:
    return list(json.loads(docker("image", "inspect", digest))[0]["RootFS"]["Layers"])


def test_bill_of_materials_tells_what_is_in_the_image_itself(
    built: dict[str, dict[str, Any]], learner: Attendee
) -> None:
    ended = learner.run("sbom", "mxnet", "--json")
    assert ended.returncode == 0, ended.stderr
    [told] = json.loads(ended.stdout)
    bill = json.loads(Path(told["path"]).read_text())
    found = {part["purl"] for part in bill["components"]}
    assert bill["specVersion"] == "1.6" and len(found) == told["packages"] > 150
    assert "pkg:pypi/mxnet@1.9.1" in found
    assert any(purl.startswith("pkg:deb/debian/libgomp1@") for purl in found)
    assert not any(purl.startswith(("pkg:pypi/pip@", "pkg:pypi/setuptools@")) for purl in found)


# By hand: Docker's own client and AWS's, as lab 2 teaches.


@pytest.fixture(scope="module")
def shell(learner: Attendee, small_image: str) -> Any:
    """Runs a line of a learner's shell after `eval "$(workshop up --export)"`."""
    prepared = learner.run("prepare", "2", timeout_seconds=120)
    assert prepared.returncode == 0, prepared.stderr
    up = learner.run("up", "--json")
    variables = {**learner.variables, **json.loads(up.stdout)["variables"]}
    variables["PATH"] = f"{ROOT / '.venvs' / 'awscli' / 'bin'}{os.pathsep}{variables['PATH']}"
    variables |= {"REGISTRY": f"127.0.0.1:{learner.port}", "SMALL": small_image}

    def run(line: str, seconds: float = 60) -> "CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-ec", line],
            env=variables,
            cwd=learner.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    for name in ("Mxnet", "Tensorflow"):
        query = f"Stacks[0].Outputs[?OutputKey=='{name}Repository'].OutputValue"
        found = run(
            f'aws cloudformation describe-stacks --stack-name workshop-storage --query "{query}" --output text'
        )
        assert found.returncode == 0, found.stderr
        variables[name.upper()] = found.stdout.strip()
    return run


def test_image_is_logged_in_for_pushed_pulled_and_run_by_hand(shell: Any, learner: Attendee) -> None:
    login = "aws ecr get-login-password | docker login --username AWS --password-stdin $REGISTRY"
    logged_in = shell(login)
    assert "Login Succeeded" in logged_in.stdout, logged_in.stderr
    ended = shell(
        "mkdir -p by-hand; printf 'FROM %s\\nENV BY=hand\\n' $SMALL > by-hand/Dockerfile\n"
        "docker build --quiet --tag mine by-hand; docker tag mine $REGISTRY/$MXNET:v1\n"
        "docker push --quiet $REGISTRY/$MXNET:v1\n"
        "docker image rm $REGISTRY/$MXNET:v1 mine > /dev/null\n"
        "docker pull --quiet $REGISTRY/$MXNET:v1\n"
        "docker run --rm $REGISTRY/$MXNET:v1 'import os; print(os.environ[\"BY\"])'\n"
        "aws ecr describe-images --repository-name $MXNET --query 'imageDetails[].imageTags[]' --output text\n",
        seconds=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["hand", "v1"]


def test_layers_that_the_registry_has_are_not_pushed_again(shell: Any) -> None:
    again = shell("docker push $REGISTRY/$MXNET:v1")
    assert "Layer already exists" in again.stdout and "Pushed" not in again.stdout, again.stderr
    other = shell(
        "docker tag $REGISTRY/$MXNET:v1 $REGISTRY/$TENSORFLOW:v1; docker push $REGISTRY/$TENSORFLOW:v1"
    )
    assert other.returncode == 0 and "Pushed" not in other.stdout, other.stdout + other.stderr


def test_page_by_hand_builds_and_pushes_an_image_as_it_says(
    built: dict[str, dict[str, Any]], shell: Any, learner: Attendee
) -> None:
    every = by_hand_page.blocks()
    first = [each for each in every if each.heading == every[0].heading or each.heading.startswith("Lab 1")]
    with_docker = [each for each in every if each.heading == by_hand_page.WITH_DOCKER]
    client = Path(client_that_builds()).parent
    said = by_hand_page.typed([*first, *with_docker], learner, client)[-1].printed
    assert "Login Succeeded" in said and re.search(r"^by-hand: digest: sha256:", said, re.M), said
    assert "Status: Downloaded newer image" in said or "Status: Image is up to date" in said
    assert "/by-hand" not in docker("images", "--format", "{{.Repository}}/{{.Tag}}")


@contextmanager
def registry(folder: Path, **options: Any) -> Iterator[Callable[[str], "CompletedProcess[str]"]]:
    """A registry of its own with one repository, logged in to; what it gives pushes an image there."""
    folder.mkdir(exist_ok=True)
    running = daemon.start(folder / "state", free_port(), engine="process", **options)
    try:
        ecr = boto3.Session("local", "local", region_name="us-east-1").client(
            "ecr", endpoint_url=running.endpoint
        )
        ecr.create_repository(repositoryName="jobs")
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        host = running.endpoint.partition("://")[2]
        (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": token}}}))

        def push(image: str) -> "CompletedProcess[str]":
            command = ["docker", "--config", str(folder), "push", f"{host}/jobs"]
            docker("tag", image, f"{host}/jobs")
            return subprocess.run(command, capture_output=True, text=True, timeout=120)

        yield push
        remove_images(running.port)
    finally:
        daemon.stop(folder / "state")


@pytest.fixture(scope="module")
def large_image() -> Iterator[str]:
    tag = f"localaws-test/large-{os.getpid()}"
    make_unknown(tag, 32 * 2**20)
    yield tag
    docker("image", "rm", "--force", tag)


def test_registry_that_begins_with_nothing_is_not_sent_a_large_layer_that_this_machine_has_had(
    tmp_path: Path, large_image: str
) -> None:
    said = []
    for place in ("one", "other"):
        with registry(tmp_path / place, layer_cache=tmp_path / "cache") as push:
            pushed = push(large_image)
            assert pushed.returncode == 0, pushed.stderr
            said.append(pushed.stdout)
    assert "Layer already exists" not in said[0]
    assert "Layer already exists" in said[1]


def test_push_into_a_full_registry_fails_at_once_with_a_remedy(tmp_path: Path, large_image: str) -> None:
    with small_disk(tmp_path / "disk", RESERVE_BYTES + 16 * 2**20) as disk, registry(disk) as push:
        ended = push(large_image)
        assert ended.returncode == 1
        assert "denied: the local registry is full" in ended.stderr, ended.stdout + ended.stderr
        assert list((disk / "state" / "localaws" / "uploads").iterdir()) == []


def test_cleaning_takes_what_was_built_out_of_docker_and_keeps_the_cache(
    built: dict[str, dict[str, Any]], learner: Attendee
) -> None:
    # As the local AWS names what it builds by itself; of one a container is made.
    idle, used = (f"localaws/test-{name}-{learner.port}:latest" for name in ("idle", "used"))
    for name in (idle, used):
        container = docker("create", built["serving"]["uri"])
        docker("commit", container, name)
        docker("rm", container)
    container = docker("create", used)
    ended = learner.run("clean", "--all", timeout_seconds=120)
    assert ended.returncode == 0 and "names of images from Docker" in ended.stdout, (
        ended.stdout + ended.stderr
    )
    form = "{{.Repository}}:{{.Tag}}"
    left = docker("images", "--filter", "label=workshop.image", "--format", form).splitlines()
    assert [name for name in left if name.startswith((f"127.0.0.1:{learner.port}/workshop", "<none>"))] == []
    assert (idle in left, used in left) == (False, True)
    docker("rm", container)
    docker("image", "rm", used)
    assert all(step["cached"] for step in build(learner, "mxnet")[0]["steps"])
