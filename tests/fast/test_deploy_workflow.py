"""The deploy workflow: valid, clean to its linter, without keys, and running commands that there are."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workshop import cli

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / ".github" / "workflows" / "deploy.yml"
BIN = Path(sys.executable).parent


def workflow() -> dict[Any, Any]:
    return dict(yaml.safe_load(PATH.read_text()))


def job() -> dict[str, Any]:
    [only] = workflow()["jobs"].values()
    return dict(only)


def schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "zizmor", "--offline", "--pedantic", "--no-progress", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_workflow_is_what_github_takes() -> None:
    found = schema(PATH)
    assert found.returncode == 0, found.stdout


def test_the_linter_finds_nothing() -> None:
    found = lint(PATH)
    assert found.returncode == 0, found.stdout
    assert "ignored" not in found.stdout and "suppressed" not in found.stdout


@pytest.mark.parametrize(
    ("before", "after", "finds"),
    [
        ("          persist-credentials: false", "          fetch-depth: 1", "artipacked"),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8  # v5.0.0", "@v5", "unpinned-uses"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_the_linter_would_find_a_breach(tmp_path: Path, before: str, after: str, finds: str) -> None:
    broken = tmp_path / ".github" / "workflows" / "deploy.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(PATH.read_text().replace(before, after))
    found = lint(broken)
    assert found.returncode != 0 and finds in found.stdout + found.stderr


def test_the_schema_would_find_a_misspelled_key(tmp_path: Path) -> None:
    broken = tmp_path / "deploy.yml"
    broken.write_text(PATH.read_text().replace("timeout-minutes", "timeout-minute"))
    assert schema(broken).returncode != 0


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    uses = re.findall(r"uses: (\S+)(.*)", PATH.read_text())
    assert len(uses) == 3
    for action, comment in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment), action


def test_no_key_is_used_and_only_what_is_needed_may_be_done() -> None:
    text = PATH.read_text()
    assert "secrets." not in text and "access-key" not in text
    assert workflow()["permissions"] == {}
    assert job()["permissions"] == {"contents": "read", "id-token": "write"}


def test_it_deploys_the_branch_main_alone_in_the_environment_that_the_role_trusts() -> None:
    from workshop.aws import templates

    role = templates.read("deploy-role", ROOT)
    assert job()["environment"] == role.values["GitHubEnvironment"]
    assert workflow()[True]["push"]["branches"] == ["main"]  # YAML reads `on` as true
    assert "github.ref == 'refs/heads/main'" in job()["if"]


def test_its_commands_are_verbs_of_ours_with_flags_that_they_have() -> None:
    ours = [step["run"] for step in job()["steps"] if "workshop.cli" in step.get("run", "")]
    verbs = [cli.parser().parse_args(shlex.split(line)[3:]).call.__name__ for line in ours]
    assert verbs == ["_build", "_push", "_deploy", "_ask"]


def test_what_it_watches_is_there() -> None:
    for pattern in workflow()[True]["push"]["paths"]:
        assert list(ROOT.glob(pattern)), pattern
