"""An AWS CLI that would ask real AWS is told of before anybody types with it."""

import json
import shutil
from pathlib import Path

import pytest

from workshop import aws_cli, cli, doctor, local
from workshop.settings import load

RUNNING = local.daemon.Running(1, 4566, "http://127.0.0.1:4566", "process", 0.0)
OLD = "echo aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64.debian.12"


def put(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Make an `aws` of one line of shell the only one on the path."""
    (folder / "aws").write_text(f"#!{shutil.which('sh')}\n{line}\n")
    (folder / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("version", ["1.29.0", "1.46.2", "2.13.0", "2.27.20", "3.0.1"])
def test_version_that_knows_the_endpoint_is_no_problem(tmp_path, monkeypatch, version):
    put(tmp_path, monkeypatch, f"echo aws-cli/{version} Python/3.11.7 Linux/6.1 botocore/1.43.62")
    assert aws_cli.find().problem == ""


@pytest.mark.parametrize("version", ["1.2.9", "1.28.85", "2.9.19", "2.12.7"])
def test_version_that_would_ask_real_aws_is_named_with_one_that_would_not(tmp_path, monkeypatch, version):
    put(tmp_path, monkeypatch, f"echo aws-cli/{version} Python/3.8.8 >&2")  # where the first ones say it
    problem = aws_cli.find().problem
    assert f"{tmp_path}/aws, version {version} does not know AWS_ENDPOINT_URL" in problem
    assert problem.endswith("1.29 does" if version.startswith("1") else "2.13 does")


@pytest.mark.parametrize("line", ["echo something else", "exit 1"])
def test_program_that_says_no_version_is_a_problem(tmp_path, monkeypatch, line):
    put(tmp_path, monkeypatch, line)
    assert "does not say its version" in aws_cli.find().problem


def test_doctor_warns_of_an_old_one_and_is_ready_all_the_same(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, OLD)
    row = doctor._aws_cli(load({}))
    text = doctor.as_text([row])
    assert text.startswith("! aws cli") and f"fix: {aws_cli.REMEDY}" in text
    assert text.endswith("ready: workshop run all")
    assert doctor._aws_cli(load({}, target="aws")).ok  # any version asks real AWS there, as it should


def test_doctor_needs_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert aws_cli.find() is None
    assert doctor._aws_cli(load({})).ok


def test_doctors_status_is_0_with_a_warning_and_1_with_a_lack(tmp_path, monkeypatch, capsys):
    warning, lack = doctor.Row("x", False, "", needed=False), doctor.Row("y", False, "")
    for rows, status in (([warning], 0), ([warning, lack], 1)):
        monkeypatch.setattr(doctor, "examine", lambda settings, rows=rows: rows)
        assert cli.main(["doctor", "--json"]) == status
        assert json.loads(capsys.readouterr().out)[0]["needed"] is False


@pytest.mark.parametrize(("line", "warns"), [(OLD, True), ("echo aws-cli/2.27.20", False)])
def test_export_warns_on_standard_error_where_no_shell_evaluates_it(
    tmp_path, monkeypatch, capsys, line, warns
):
    put(tmp_path, monkeypatch, line)
    monkeypatch.setattr(local, "up", lambda settings: RUNNING)
    assert cli.main(["up", "--export"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("warning: ") == warns
    assert "warning" not in said.out and "AWS_ENDPOINT_URL=http://127.0.0.1:4566" in said.out


def test_export_for_fish_sets_and_erases_one_by_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local, "up", lambda settings: RUNNING)
    assert cli.main(["up", "--export", "fish"]) == 0
    erase, *sets = capsys.readouterr().out.splitlines()
    assert erase.startswith("set -e ") and "AWS_PROFILE" in erase.split()
    assert "set -gx AWS_ENDPOINT_URL http://127.0.0.1:4566" in sets
    assert all(line.startswith("set -gx ") for line in sets)
