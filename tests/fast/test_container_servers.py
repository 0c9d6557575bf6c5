"""The servers that a container may run: who may reach them, how they end, and that the health check tells."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from workshop import health, jupyter_server, secondary
from workshop.errors import SettingsError

ADDRESS = "127.0.0.1"
TOKEN = "0123456789abcdef0123"


@pytest.fixture
def server():
    """A secondary on a free port, with facts that the test knows."""
    running = secondary.serve(ADDRESS, 0, {"framework": "mxnet 1.9.1", "device": "cpu", "task": "t"})
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def get(server, path):
    with urllib.request.urlopen(f"http://{ADDRESS}:{server.server_port}{path}", timeout=5) as answer:
        return json.load(answer)


def environ(port, path="health"):
    return {"WORKSHOP_HEALTH": f"{port}/{path}", "WORKSHOP_BIND_ADDRESS": ADDRESS}


def test_the_secondary_says_which_container_it_is(server):
    assert get(server, "/") == {"framework": "mxnet 1.9.1", "device": "cpu", "task": "t"}
    assert get(server, "/health") == {"status": "working"}


def test_an_unknown_path_is_404_and_names_those_there_are(server):
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(server, "/predict")
    assert refused.value.code == 404
    assert json.load(refused.value)["paths"] == ["/", "/health"]


def test_what_is_not_http_is_answered_and_the_server_goes_on(server):
    with socket.create_connection((ADDRESS, server.server_port), timeout=5) as caller:
        caller.sendall(b"what is this\r\n\r\n")
        assert b"400" in caller.recv(1024)
    assert get(server, "/health") == {"status": "working"}


def test_a_port_that_is_taken_is_refused_with_its_number(server):
    with pytest.raises(SettingsError, match=str(server.server_port)):
        secondary.serve(ADDRESS, server.server_port, {})


def test_the_secondary_names_the_framework_without_importing_it():
    before = set(sys.modules)
    assert secondary.framework().split()[0] in ("tensorflow", "mxnet", "none")
    assert not {"tensorflow", "mxnet"} & (set(sys.modules) - before)


def test_outside_ecs_there_is_no_task_and_a_silent_metadata_address_is_said_aloud(capsys):
    assert secondary.describe({})["task"] == ""
    assert secondary.describe({"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:1/v4/x"})["task"] == ""
    assert "did not answer" in capsys.readouterr().err


def test_the_secondary_ends_with_0_when_it_is_told_to():
    command = [sys.executable, "-m", "workshop.secondary", "--port", "0"]
    variables = {**os.environ, "WORKSHOP_BIND_ADDRESS": ADDRESS}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        assert "listens on 127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_container_that_answers_is_healthy(server):
    assert health.problem(environ(server.server_port)) == ""


def test_a_container_that_answers_wrongly_or_not_at_all_is_not(server):
    assert "404" in health.problem(environ(server.server_port, "nothing"))
    assert "refused" in health.problem(environ(1))
    assert health.problem({"WORKSHOP_HEALTH": "eighty/health"}) != ""


def test_a_container_without_a_server_is_healthy_while_it_runs():
    assert health.problem({}) == ""


def test_a_container_that_has_its_own_network_is_asked_at_loopback(server):
    inside = {"WORKSHOP_BIND_ADDRESS": "0.0.0.0"}
    dockerfile = Path(__file__).parents[2] / "docker" / "jobs" / "Dockerfile"
    assert "\nENV WORKSHOP_BIND_ADDRESS=0.0.0.0\n" in dockerfile.read_text()
    assert health.bind_address(inside) == "0.0.0.0"
    assert health.problem({"WORKSHOP_HEALTH": f"{server.server_port}/health", **inside}) == ""


def test_the_health_check_imports_the_standard_library_alone():
    code = (
        "import sys, workshop.health as h; print([m for m in ('boto3', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("token", ["", "short", "123456789012345"])
def test_jupyter_does_not_start_without_a_token_worth_the_name(token, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_TOKEN", token)
    with pytest.raises(SettingsError, match="JUPYTER_TOKEN"):
        jupyter_server.main([], become=lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_not_in_the_command_line_that_every_process_may_read(tmp_path):
    command = jupyter_server.command({"JUPYTER_TOKEN": TOKEN}, tmp_path)
    assert TOKEN not in " ".join(command)


def test_jupyter_listens_where_the_container_is(tmp_path):
    command = jupyter_server.command(
        {"JUPYTER_TOKEN": TOKEN, "WORKSHOP_BIND_ADDRESS": "127.0.1.7"}, tmp_path, 9
    )
    assert "--ServerApp.ip=127.0.1.7" in command and "--ServerApp.port=9" in command


def test_what_is_tried_by_hand_is_not_open_to_the_network(tmp_path):
    assert health.bind_address({}) == "127.0.0.1"
    assert "--ServerApp.ip=127.0.0.1" in jupyter_server.command({"JUPYTER_TOKEN": TOKEN}, tmp_path)


def test_jupyter_works_on_copies_of_the_notebooks(tmp_path, monkeypatch):
    course, here = tmp_path / "course", tmp_path / "container"
    (course / "notebooks").mkdir(parents=True)
    here.mkdir()
    (course / "notebooks" / "classify.ipynb").write_text("{}")
    monkeypatch.chdir(here)
    monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
    monkeypatch.setenv("WORKSHOP_ROOT", str(course))
    became = []

    def become(path, command, variables):
        became.append((path, command, variables))
        raise SystemExit

    with pytest.raises(SystemExit):
        jupyter_server.main(["--port", "9"], become=become)
    (here / "notebooks" / "classify.ipynb").write_text("changed")
    assert (course / "notebooks" / "classify.ipynb").read_text() == "{}"
    ((path, command, variables),) = became
    assert path == sys.executable and f"--ServerApp.root_dir={here / 'notebooks'}" in command
    folders = [
        value for name, value in variables.items() if name.startswith("JUPYTER_") and name.endswith("_DIR")
    ]
    assert len(folders) == 3 and all(value.startswith(str(here)) for value in folders)
    # A container that is started again keeps what was done in it.
    assert jupyter_server.own_copy(str(course), here) == here / "notebooks"
    assert (here / "notebooks" / "classify.ipynb").read_text() == "changed"
