"""The Airflow image keeps the rules of the house, and hands over to Airflow in its own folder."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from workshop.airflow import container as airflow_container
from workshop.airflow import home as airflow_home
from workshop.aws import dockerfile, images
from workshop.settings import load

ROOT = Path(__file__).resolve().parents[2]
DESCRIBED = dockerfile.read(images.dockerfile_of("airflow", load({}, root=ROOT)))


def values(instruction):
    return [value for name, value in DESCRIBED.instructions if name == instruction]


def test_it_is_an_image_of_the_course_and_none_that_jobs_run_in():
    assert "airflow" in images.EVERY and "airflow" not in images.IMAGES
    assert DESCRIBED.labels["workshop.image"] == DESCRIBED.labels["workshop.environment"] == "airflow"
    assert DESCRIBED.base == "python:3.11-slim-bookworm"


def test_dependencies_come_with_hashes_and_before_the_code():
    order = [(name, value) for name, value in DESCRIBED.instructions if name in dockerfile.MAKES_A_LAYER]
    [install] = [value for name, value in order if "pip install" in value]
    assert "--require-hashes" in install and "-r /opt/workshop/requirements/airflow.txt" in install
    assert order.index(("RUN", install)) < order.index(("COPY", "src/workshop/ /opt/workshop/src/workshop/"))


def test_it_does_not_run_as_root_holds_no_secret_and_tells_nobody_what_it_does():
    assert values("USER") == ["workshop"] and DESCRIBED.user == "workshop"
    after = DESCRIBED.instructions[DESCRIBED.instructions.index(("USER", "workshop")) :]
    assert not [name for name, _ in after if name in ("RUN", "COPY", "ADD")]
    secret = re.compile(r"token|password|secret|key", re.IGNORECASE)
    assert [name for name in DESCRIBED.environment if secret.search(name)] == []
    assert (DESCRIBED.environment["DO_NOT_TRACK"], DESCRIBED.environment["SCARF_ANALYTICS"]) == ("1", "false")


def test_the_build_sees_what_it_copies():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    back = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
    for source in DESCRIBED.sources:
        name = source.rstrip("/")
        assert any(fnmatch(name, rule) or name.startswith(f"{rule}/") for rule in back), source


def test_it_becomes_airflow_with_a_database_of_its_own(tmp_path, monkeypatch):
    assert DESCRIBED.entry_point == ["python", "-m", "workshop.airflow.container"]
    monkeypatch.setenv("WORKSHOP_STATE_DIR", str(tmp_path))
    settings = load()
    home = airflow_home.folder(settings)
    home.mkdir()
    (home / airflow_home.MADE_FOR).write_text("made")
    monkeypatch.setattr(airflow_home, "program", lambda settings: Path("/opt/airflow"))
    monkeypatch.setattr(airflow_home, "_fingerprint", lambda settings, airflow: "made")
    became = []
    with pytest.raises(AssertionError, match="not replaced"):
        airflow_container.main(["version"], lambda *given: became.append(given))
    [(program, arguments, variables)] = became
    assert (program, arguments) == ("/opt/airflow", ["/opt/airflow", "version"])
    assert variables["AIRFLOW_HOME"] == str(home)
    assert variables["PATH"] == os.environ["PATH"]
