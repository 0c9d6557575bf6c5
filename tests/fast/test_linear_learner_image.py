"""The image of Linear Learner's stand-in keeps the rules of the house, and the local AWS is told about it."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from workshop import built_in_algorithms
from workshop.aws import dockerfile, images
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "linearlearner"
DESCRIBED = dockerfile.read(ROOT / "docker" / "linear-learner" / "Dockerfile")


def values(instruction):
    return [value for name, value in DESCRIBED.instructions if name == instruction]


def test_it_is_no_image_that_a_learner_builds_or_pushes():
    assert "linear-learner" not in images.EVERY


def test_dependencies_come_with_hashes_and_before_the_code_which_comes_last():
    order = [(name, value) for name, value in DESCRIBED.instructions if name in dockerfile.MAKES_A_LAYER]
    [install] = [value for name, value in order if "pip install" in value]
    assert "--require-hashes" in install and "-r /opt/workshop/requirements/linear-learner.txt" in install
    code = ("COPY", "src/linearlearner/ /opt/workshop/src/linearlearner/")
    assert order.index(("RUN", install)) < order.index(code)
    assert "localaws" not in str(order) and "src/workshop" not in str(order)
    assert DESCRIBED.base == "python:3.11-slim-bookworm"
    assert not DESCRIBED.path.read_text().startswith("# syntax=")


def test_its_lock_holds_no_aws_and_no_framework():
    lock = (ROOT / "requirements" / "linear-learner.txt").read_text()
    names = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
    assert names >= {"numpy", "uvicorn", "uvloop", "httptools"} and "://" not in lock
    assert not names & {"boto3", "tensorflow", "mxnet", "scikit-learn", "pandas"}


def test_it_does_not_run_as_root_and_may_write_what_the_contract_asks_for():
    assert values("USER") == ["workshop"]
    after = DESCRIBED.instructions[DESCRIBED.instructions.index(("USER", "workshop")) :]
    assert not [name for name, _ in after if name in ("RUN", "COPY", "ADD")]
    assert "-o workshop -g workshop /opt/ml /opt/ml/model /opt/ml/output" in values("RUN")[0]
    secret = re.compile(r"token|password|secret|key", re.IGNORECASE)
    assert [name for name in DESCRIBED.environment if secret.search(name)] == []


def test_entry_point_takes_sagemakers_word_and_labels_name_an_environment_that_can_be_made():
    assert DESCRIBED.entry_point == ["python", "-m", "linearlearner"] and not DESCRIBED.command
    assert DESCRIBED.labels["workshop.image"] == DESCRIBED.labels["workshop.environment"] == "linear-learner"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "linear-learner" in project["optional-dependencies"]
    assert DESCRIBED.labels["org.opencontainers.image.version"] == project["version"]
    assert DESCRIBED.ports == ["8080/tcp"] and DESCRIBED.environment["WORKSHOP_BIND_ADDRESS"] == "0.0.0.0"


def test_the_build_sees_what_it_copies():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    back = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    for source in DESCRIBED.sources:
        name = source.rstrip("/")
        assert any(name == rule or name.startswith(f"{rule}/") or fnmatch(name, rule) for rule in back), (
            source
        )


def test_the_local_aws_is_told_how_to_run_it(tmp_path):
    settings = load({"WORKSHOP_STATE_DIR": str(tmp_path)}, root=ROOT)
    [(name, path)] = built_in_algorithms.written(settings).items()
    found = json.loads(path.read_text())
    assert name == found["name"] == "linear-learner" and path.is_relative_to(tmp_path)
    assert found["config"] == DESCRIBED.config
    assert Path(found["dockerfile"]).is_file() and Path(found["context"]) == ROOT


def test_the_package_stands_on_numpy_and_uvicorn_alone():
    names = {
        name.partition(".")[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names - set(sys.stdlib_module_names) == {"linearlearner", "numpy", "uvicorn"}


def test_it_explains_itself():
    said = subprocess.run(
        [sys.executable, "-m", "linearlearner", "--help"], capture_output=True, text=True, check=True
    )
    assert "train" in said.stdout and "serve" in said.stdout


def test_nobody_else_imports_it():
    """It stands for a program of AWS's: what runs beside it talks to it as to AWS's."""
    others = [path for path in (ROOT / "src").rglob("*.py") if not path.is_relative_to(PACKAGE)]
    imports = re.compile(r"^\s*(from|import)\s+linearlearner\b", re.MULTILINE)
    assert others and [path.name for path in others if imports.search(path.read_text())] == []
