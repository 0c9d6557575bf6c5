"""What tests/conftest.py skips, and what it does not."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The rules, loaded under a name of their own, on a machine whose PATH is empty and that is no CI."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("WORKSHOP_TEST_CHROMIUM", raising=False)
    spec = importlib.util.spec_from_file_location("tiers_under_test", TESTS / "conftest.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(mark: str, *options: str) -> Any:
    """A test with one mark, in a pytest run with these options."""
    config = SimpleNamespace(getoption=lambda name: name in options)
    return SimpleNamespace(config=config, get_closest_marker=lambda name: name if name == mark else None)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("browser", "no Chromium"),
        ("docker", "no Docker engine answers: there is no docker"),
        ("gpu", "no NVIDIA GPU: there is no nvidia-smi"),
        ("aws", "runs only with --aws"),
    ],
)
def test_what_a_machine_lacks_is_a_skip_that_says_so(rules: Any, mark: str, reason: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=reason):
        rules.pytest_runtest_setup(example(mark))


def test_missing_browser_is_a_failure_in_ci(rules: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="install Chromium there"):
        rules.pytest_runtest_setup(example("browser"))


def test_what_is_there_is_not_skipped(rules: Any, tmp_path: Path) -> None:
    for name in ("chromium", "docker", "nvidia-smi"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    for mark in ("browser", "docker", "gpu", "local"):
        rules.pytest_runtest_setup(example(mark))
    rules.pytest_runtest_setup(example("aws", "--aws"))


def test_engine_that_does_not_answer_is_a_skip_with_its_own_words(rules: Any, tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\necho Cannot connect to the daemon >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    with pytest.raises(pytest.skip.Exception, match="Cannot connect to the daemon"):
        rules.pytest_runtest_setup(example("docker"))
