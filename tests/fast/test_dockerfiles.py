"""The Dockerfiles keep the rules of the house, and say of each image what the engines read in it."""

import json
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[2]
# Image, and the environment that the process engine runs it in.
IMAGES = {"mxnet": "mxnet", "tensorflow": "workshop"}

every_image = pytest.mark.parametrize("image", sorted(IMAGES))


def parse(image):
    return DockerfileParser(path=str(ROOT / "docker" / image / "Dockerfile"))


def instructions(image):
    return [
        (each["instruction"], each["value"])
        for each in parse(image).structure
        if each["instruction"] != "COMMENT"
    ]


def values(image, instruction):
    return [value for name, value in instructions(image) if name == instruction]


def copied(image):
    """What the build takes from the repository."""
    return [source for value in values(image, "COPY") for source in shlex.split(value)[:-1]]


@every_image
def test_the_base_is_one_version_and_can_be_given_by_digest(image):
    parser = parse(image)
    assert parser.baseimage == "python:3.11-slim-bookworm"
    assert values(image, "FROM") == ["${BASE_IMAGE}"]
    assert not parser.content.startswith("# syntax=")  # BuildKit would fetch a front end from a registry


@every_image
def test_dependencies_come_with_hashes_and_before_the_code(image):
    order = instructions(image)
    installs = [
        index for index, (name, value) in enumerate(order) if name == "RUN" and "pip install" in value
    ]
    code = [index for index, (name, value) in enumerate(order) if name == "COPY" and value.startswith("src/")]
    assert "--require-hashes" in order[installs[0]][1] and "--mount=type=cache" in order[installs[0]][1]
    assert installs[0] < code[0] < installs[1]
    ours = order[installs[1]][1]
    assert all(flag in ours for flag in ("--no-deps", "--no-build-isolation", "--no-index"))
    lock = f"requirements/{image}.txt"
    assert lock in copied(image) and f"/opt/workshop/{lock}" in order[installs[0]][1]


@every_image
def test_the_lock_holds_the_build_backend_and_what_every_job_needs(image):
    lock = (ROOT / "requirements" / f"{image}.txt").read_text()
    names = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    assert names >= {"uv-build", "boto3", "papermill", "ipykernel", "jupyter-server", "matplotlib"}
    assert image in names or f"{image}-cpu" in names
    assert not names & {"ministack", "cfn-lint", "pytest"}
    assert "://" not in lock


@every_image
def test_it_does_not_run_as_root(image):
    order = instructions(image)
    users = [value for name, value in order if name == "USER"]
    assert users == ["workshop"]
    after = [name for name, _ in order[order.index(("USER", "workshop")) :]]
    assert "RUN" not in after and "COPY" not in after


@every_image
def test_entry_point_and_command_are_in_exec_form(image):
    assert json.loads(values(image, "ENTRYPOINT")[-1]) == ["workshop"]
    assert json.loads(values(image, "CMD")[-1]) == ["--help"]


@every_image
def test_the_label_names_an_environment_that_can_be_made(image):
    labels = parse(image).labels
    assert labels["workshop.environment"] == IMAGES[image]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert IMAGES[image] in project["optional-dependencies"]
    assert labels["org.opencontainers.image.version"] == project["version"]


@every_image
def test_the_two_servers_ports_are_exposed(image):
    assert values(image, "EXPOSE") == ["8888 8080"]


@every_image
@pytest.mark.parametrize("family", ["jupyter", "secondary"])
def test_the_health_check_is_repeated_in_the_task_definition(image, family):
    (value,) = values(image, "HEALTHCHECK")
    flags, command = value.split(" CMD ", 1)
    seconds = {
        name: int(found) for name, found in re.findall(r"--(interval|timeout|start-period)=(\d+)s", flags)
    }
    definition = json.loads((ROOT / "task-definitions" / f"{family}.json").read_text())
    check = definition["containerDefinitions"][0]["healthCheck"]
    assert check["command"] == ["CMD", *json.loads(command)]
    assert (check["interval"], check["timeout"], check["startPeriod"]) == (
        seconds["interval"],
        seconds["timeout"],
        seconds["start-period"],
    )
    assert f"--retries={check['retries']}" in flags


@every_image
def test_folders_in_its_variables_are_its_own(image):
    """The process engine sets the same variables on a learner's machine: none may mean a folder of theirs."""
    variables = parse(image).envs
    folders = {name: value for name, value in variables.items() if name.endswith(("_DIR", "_ROOT"))}
    assert folders.pop("WORKSHOP_ROOT") == "/opt/workshop"  # replaced by the process engine
    assert [value for value in folders.values() if Path(value).is_absolute() or (ROOT / value).exists()] == []
    secret = re.compile(r"token|password|secret|key", re.IGNORECASE)
    assert [name for name in variables if secret.search(name)] == []


@every_image
def test_the_build_sees_what_it_copies_and_nothing_secret(image):
    rules = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#"
    ]
    assert rules[0] == "*"
    back = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    for source in copied(image):
        name = source.rstrip("/")
        assert any(name == rule or rule.startswith(f"{name}/") for rule in back), source
    assert not any(
        fnmatch(name, rule) for name in (".git", ".venvs", ".workshop", "runs", ".env") for rule in back
    )
