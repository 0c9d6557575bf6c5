"""The Dockerfiles keep the rules of the house, and say of each image what the engines read in it."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from workshop.aws import dockerfile, images
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
# Image, and the environment that the process engine runs it in.
IMAGES = {"mxnet": "mxnet", "tensorflow": "workshop"}

every_image = pytest.mark.parametrize("image", sorted(IMAGES))


def described(image, **arguments):
    path = images.dockerfile_of(image, load({}, root=ROOT))
    return dockerfile.read(path, {"IMAGE": image, **arguments})


def instructions(image):
    return described(image).instructions


def values(image, instruction):
    return [value for name, value in instructions(image) if name == instruction]


@every_image
def test_the_base_is_one_version_and_can_be_given_by_digest(image):
    assert described(image).base == "python:3.11-slim-bookworm"
    assert described(image, BASE_IMAGE="python@sha256:00").base == "python@sha256:00"
    text = described(image).path.read_text()
    assert not text.startswith("# syntax=")  # BuildKit would fetch a front end from a registry


@every_image
def test_dependencies_come_with_hashes_and_before_the_code(image):
    order = instructions(image)
    installs = [
        index for index, (name, value) in enumerate(order) if name == "RUN" and "pip install" in value
    ]
    code = [index for index, (name, value) in enumerate(order) if name == "COPY" and value.startswith("src/")]
    assert "--require-hashes" in order[installs[0]][1] and "--mount=type=cache" in order[installs[0]][1]
    assert len(installs) == 1 and installs[0] < code[0]
    assert "-r /opt/workshop/requirements/${LOCK}.txt" in order[installs[0]][1]
    assert f"requirements/{image}.txt" in described(image).sources


@every_image
def test_code_comes_last_so_that_a_change_of_it_makes_little_anew(image):
    order = [(name, value) for name, value in instructions(image) if name in dockerfile.MAKES_A_LAYER]
    last = [("COPY", "src/ /opt/workshop/src/"), ("RUN", "python -m compileall -q /opt/workshop/src")]
    assert order[-2:] == last


@every_image
def test_the_variant_for_gpus_differs_in_its_lock_alone(image):
    plain, gpu = described(image), described(image, LOCK=f"{image}-gpu")
    assert gpu.sources == [source.replace(f"/{image}.txt", f"/{image}-gpu.txt") for source in plain.sources]
    assert gpu.config == plain.config
    assert (ROOT / "requirements" / f"{image}-gpu.txt").is_file()


@every_image
def test_the_gpu_lock_has_the_same_versions_and_adds_nvidias_libraries(image):
    plain, gpu = locked(image), locked(f"{image}-gpu")
    assert "://" not in (ROOT / "requirements" / f"{image}-gpu.txt").read_text()
    shared = plain.keys() & gpu.keys()
    assert len(shared) > 80 and {name: gpu[name] for name in shared} == {name: plain[name] for name in shared}
    assert plain.keys() - gpu.keys() == {{"mxnet": "mxnet", "tensorflow": "tensorflow-cpu"}[image]}
    build_tools = {"setuptools", "wheel"}
    added = gpu.keys() - plain.keys() - build_tools - {"mxnet-cu117", "tensorflow"}
    assert added and all(name.startswith("nvidia-") for name in added)


def locked(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))


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
    labels = described(image).labels
    assert labels["workshop.image"] == image
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
    variables = {name: value for name, value in described(image).environment.items() if name != "PATH"}
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
    for source in [*described(image).sources, f"requirements/{image}-gpu.txt"]:
        name = source.rstrip("/")
        assert any(name == rule or rule.startswith(f"{name}/") for rule in back), source
    assert not any(
        fnmatch(name, rule) for name in (".git", ".venvs", ".workshop", "runs", ".env") for rule in back
    )
