"""What doctor says of the environments: each that `make setup` makes, because each lab needs its own."""

from pathlib import Path

import pytest

from workshop import doctor
from workshop.settings import load

MADE = ("workshop", "mxnet", "serving", "linear-learner", "airflow")


def make(root: Path, name: str) -> None:
    python = root / ".venvs" / name / "bin/python"
    python.parent.mkdir(parents=True)
    python.touch()


@pytest.mark.parametrize("lost", MADE)
def test_environment_that_is_not_made_is_named(tmp_path: Path, lost: str) -> None:
    for name in MADE:
        if name != lost:
            make(tmp_path, name)
    row = doctor._environments(load({}, root=tmp_path))
    assert (row.ok, row.found, row.fix) == (False, f"missing: {lost}", "make setup")


def test_all_that_are_made_are_named(tmp_path: Path) -> None:
    for name in MADE:
        make(tmp_path, name)
    row = doctor._environments(load({}, root=tmp_path))
    assert row.ok and row.found == ", ".join(MADE)
