"""Every verb has help with an example; errors are two lines and a status; flags reach everything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from course_copy import small_course, variables

from workshop import cli, jupyter_lab, local
from workshop.commands import options
from workshop.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
VERBS = sorted(cli.parser()._subparsers._group_actions[0].choices)  # argparse has no public way
EXPECTED = {
    "check",
    "clean",
    "data",
    "doctor",
    "down",
    "jobs",
    "lab",
    "notebooks",
    "prepare",
    "run",
    "settings",
    "shell",
}
EXPECTED |= {"status", "up", "jupyter", "secondary", "primary", "build", "push", "sbom"}
EXPECTED |= {"dag", "airflow"}
EXPECTED |= {"deploy", "ask", "load"}


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    """A small course that the command finds by its variables, and nothing of this machine's."""
    for name in list(os.environ):
        if name.startswith(("WORKSHOP_", "AWS_")):
            monkeypatch.delenv(name)
    made = small_course(tmp_path)
    for name, value in variables(made).items():
        monkeypatch.setenv(name, value)
    return made


def test_every_verb_of_the_course_is_there():
    assert set(VERBS) == EXPECTED


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb.split(), "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "example:" in text
    example = (
        text.partition("example:")[2].strip().splitlines()[0].removeprefix('eval "$(').removesuffix(')"')
    )
    for command in example.split(" && "):
        assert cli.parser().parse_args(command.split()[1:]).call


def test_wrong_usage_is_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["fly"])
    assert ended.value.code == 2


def test_an_expected_error_is_two_lines_and_status_1(settings, capsys):
    assert cli.main(["run", "count-picture"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: there is no job 'count-picture'")
    assert "\n  fix: workshop jobs" in error
    assert "Traceback" not in error


def test_flags_of_jobs_are_refused_for_labs(settings, capsys):
    assert cli.main(["run", "1", "--on", "ecs"]) == 1
    assert "are for jobs" in capsys.readouterr().err


def test_a_full_disk_is_an_expected_error(settings, capsys, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/runs/x")

    monkeypatch.setattr("workshop.jobs.load", full)
    assert cli.main(["run", "count-pictures"]) == 1
    assert "the disk is full at /runs/x" in capsys.readouterr().err


def test_an_interruption_is_status_130(settings, capsys, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workshop.jobs.load", interrupted)
    assert cli.main(["run", "count-pictures"]) == 130


def test_an_unexpected_error_keeps_its_traceback(settings, monkeypatch):
    monkeypatch.setattr("workshop.jobs.load", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", "count-pictures"])


@pytest.mark.parametrize("line", [["--profile", "full", "settings"], ["settings", "--profile", "full"]])
def test_settings_may_stand_before_or_after_the_verb(settings, capsys, line):
    assert cli.main([*line, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["profile"]["value"], rows["profile"]["from"]) == ("full", "--profile")
    assert rows["root"]["value"] == str(settings.root)


def test_flags_reach_what_the_command_calls_and_are_taken_back(settings, monkeypatch):
    arguments = cli.parser().parse_args(["status", "--target", "aws", "--port", "5000"])
    monkeypatch.setenv("WORKSHOP_PORT", "4000")
    with options.adopted(arguments):
        assert (os.environ["WORKSHOP_TARGET"], os.environ["WORKSHOP_PORT"]) == ("aws", "5000")
    assert os.environ["WORKSHOP_PORT"] == "4000"


def test_a_bad_setting_is_an_expected_error(settings, capsys):
    assert cli.main(["settings", "--profile", "fast"]) == 1
    assert "expected one of quick, full" in capsys.readouterr().err


def test_jobs_lists_parameters_as_text_and_json(settings, capsys):
    assert cli.main(["jobs"]) == 0
    assert "num_pictures  3" in capsys.readouterr().out
    assert cli.main(["jobs", "count-pictures", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"]["scale"]["type"] == "float"


def test_a_jobs_last_line_is_its_metrics(settings, capsys):
    assert cli.main(["run", "count-pictures", "-p", "num_pictures=2"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["pictures"] == 2.0


def test_notebooks_names_what_is_not_canonical(settings, capsys):
    assert cli.main(["notebooks"]) == 0
    path = settings.root / "labs" / "01-first.ipynb"
    path.write_text(path.read_text().replace(" ", "  ", 1))
    assert cli.main(["notebooks", "--check"]) == 1
    assert "not canonical: labs/01-first.ipynb" in capsys.readouterr().out
    assert cli.main(["notebooks", "--fix"]) == 0
    assert cli.main(["notebooks"]) == 0


def test_status_without_local_aws_says_what_to_do(settings, capsys):
    assert cli.main(["status"]) == 0
    assert "not running (workshop up)" in capsys.readouterr().out
    assert cli.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["local_aws"] is None


@pytest.mark.parametrize("line", [["clean"], ["clean", "2", "--all"]])
def test_clean_wants_a_lab_or_all(settings, capsys, line):
    assert cli.main(line) == 1
    assert "--all" in capsys.readouterr().err


def test_export_quotes_and_takes_profiles_away():
    running = local.daemon.Running(1, 4566, "http://127.0.0.1:4566", "process", 0.0)
    script = local.export(running, "us-east-1; rm x") + "\nenv"
    before = {"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "t", "PATH": os.environ["PATH"]}
    shell = subprocess.run(["sh", "-c", script], env=before, capture_output=True, text=True, check=True)
    after = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert after["AWS_REGION"] == "us-east-1; rm x"
    assert after["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (after["AWS_ACCESS_KEY_ID"], after["AWS_SECRET_ACCESS_KEY"]) == ("local", "local")
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(after)


def test_the_command_starts_quickly_without_loading_frameworks_or_boto3():
    heavy = ("boto3", "tensorflow", "papermill", "matplotlib", "numpy", "ministack", "IPython", "rich")
    code = f"import sys, workshop.cli; workshop.cli.parser(); print(sorted(set({heavy}) & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_jupyterlab_is_on_loopback_with_its_token_out_of_sight(tmp_path):
    line = " ".join(jupyter_lab.command(tmp_path, 8888))
    assert "--ServerApp.ip=127.0.0.1" in line
    assert "token" not in line


def test_busy_ports_are_passed_over(tmp_path):
    import socket

    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert jupyter_lab.free_port(port) != port
