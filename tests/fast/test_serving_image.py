"""The service's Dockerfile and task definition keep the rules of the house, and agree with each other."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from workshop.aws import dockerfile, images, stacks, task_definitions, templates
from workshop.errors import AwsError
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
DESCRIBED = dockerfile.read(images.dockerfile_of("serving", load({}, root=ROOT)))


def values(instruction):
    return [value for name, value in DESCRIBED.instructions if name == instruction]


def container():
    [found] = task_definitions.read("sentiment", ROOT)["containerDefinitions"]
    return found


def test_it_is_an_image_of_the_course_and_none_that_jobs_run_in():
    assert "serving" in images.EVERY and "serving" not in images.IMAGES
    assert DESCRIBED.path == ROOT / "docker" / "serving" / "Dockerfile"
    with pytest.raises(AwsError, match="serving"):
        images.dockerfile_of("no-such-image", load({}, root=ROOT))


def test_dependencies_come_with_hashes_and_before_the_code_which_comes_last():
    order = [(name, value) for name, value in DESCRIBED.instructions if name in dockerfile.MAKES_A_LAYER]
    [install] = [value for name, value in order if "pip install" in value]
    assert "--require-hashes" in install and "-r /opt/workshop/requirements/serving.txt" in install
    code = ("COPY", "src/workshop/ /opt/workshop/src/workshop/")
    assert order.index(("RUN", install)) < order.index(code) and "localaws" not in str(order)
    assert DESCRIBED.base == "python:3.11-slim-bookworm"


def test_lock_holds_what_serves_and_nothing_that_trains():
    lock = (ROOT / "requirements" / "serving.txt").read_text()
    names = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    assert names >= {
        "fastapi",
        "uvicorn",
        "uvloop",
        "httptools",
        "msgspec",
        "onnxruntime",
        "boto3",
        "prometheus-client",
    }
    assert (
        not names & {"tensorflow", "tensorflow-cpu", "keras", "mxnet", "torch", "papermill"}
        and "://" not in lock
    )


def test_it_does_not_run_as_root_and_tells_nobody_what_it_does():
    assert values("USER") == ["workshop"] and DESCRIBED.user == "workshop"
    assert DESCRIBED.environment["ORT_DISABLE_TELEMETRY"] == "1"
    after = DESCRIBED.instructions[DESCRIBED.instructions.index(("USER", "workshop")) :]
    assert not [name for name, _ in after if name in ("RUN", "COPY", "ADD")]
    secret = re.compile(r"token|password|secret|key", re.IGNORECASE)
    assert [name for name in DESCRIBED.environment if secret.search(name)] == []


def test_entry_point_is_in_exec_form_and_labels_name_an_environment_that_can_be_made():
    assert DESCRIBED.entry_point == ["python", "-m", "workshop.serving"] and not DESCRIBED.command
    assert DESCRIBED.labels["workshop.image"] == DESCRIBED.labels["workshop.environment"] == "serving"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "serving" in project["optional-dependencies"]
    assert DESCRIBED.labels["org.opencontainers.image.version"] == project["version"]


def test_build_sees_what_it_copies():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    back = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    for source in DESCRIBED.sources:
        name = source.rstrip("/")
        assert any(fnmatch(name, rule) or name.startswith(f"{rule}/") for rule in back), source


def test_ecs_own_model_accepts_the_filled_definition():
    known = {
        name
        for concern in stacks.COURSE
        for name in templates.read(ROOT / "cloudformation" / f"{concern}.yaml").document["Outputs"]
    }
    here = {"AWS_REGION": "us-east-1", "Target": "local"}
    filled = task_definitions.fill(
        task_definitions.read("sentiment", ROOT), {name: f"value-of-{name}" for name in known} | here
    )
    assert task_definitions.validate(filled) == []
    assert (filled["networkMode"], filled["requiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    assert filled["taskRoleArn"] != filled["executionRoleArn"]


def test_health_check_port_and_variables_are_those_of_the_image():
    given = {each["name"]: each["value"] for each in container()["environment"]}
    assert container()["name"] == "serving"
    assert given["WORKSHOP_HEALTH"] == DESCRIBED.environment["WORKSHOP_HEALTH"] == "8080/healthz"
    assert [each["containerPort"] for each in container()["portMappings"]] == [8080]
    assert DESCRIBED.ports == ["8080/tcp"]
    check, [options] = container()["healthCheck"], values("HEALTHCHECK")
    assert check["command"] == ["CMD", *json.loads(options.split(" CMD ", 1)[1])]
    for name, flag in (("interval", "interval"), ("timeout", "timeout"), ("startPeriod", "start-period")):
        assert f"--{flag}={check[name]}s" in options
    assert f"--retries={check['retries']}" in options


def test_it_has_time_to_end_in_order():
    from_source = (ROOT / "src" / "workshop" / "serving" / "server.py").read_text()
    drain_seconds = int(re.search(r"^DRAIN_SECONDS = (\d+)$", from_source, re.MULTILINE)[1])
    assert drain_seconds + 5 < container()["stopTimeout"] <= 120
