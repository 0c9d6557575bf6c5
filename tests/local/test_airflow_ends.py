"""However Airflow is ended, nothing of it is left: no process, no ECS task, no open port, no password."""

import json
import re
import signal
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow_world import World, airflow_world
from attendee import WORKSHOP, free_port

from workshop.airflow import home as airflow_home
from workshop.settings import load

pytestmark = [
    pytest.mark.skipif(
        not (load().root / ".venvs" / airflow_home.ENVIRONMENT).is_dir(),
        reason="the environment airflow is not made",
    ),
    pytest.mark.timeout(400),
]
LONGEST_SECONDS = 180


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with airflow_world(tmp_path_factory.mktemp("world")) as made:
        made.data("tweets")  # there already, so that nobody looks for the real ones
        yield made


@contextmanager
def started(world: World, log: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            [WORKSHOP, *arguments],
            env=world.variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for each in airflow_processes(world):
            each.kill()


def airflow_processes(world: World) -> list[psutil.Process]:
    """Every process of this world's Airflow, by its folder: some rename themselves, and lose their variables so."""
    home, found = str(airflow_home.folder(world.settings)), []
    for each in psutil.process_iter():
        try:
            if each.cwd() == home and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition: Callable[[], Any], what: str, log: Path | None = None) -> Any:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"waited for {what}\n{log.read_text()[-3000:] if log else ''}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_ended_ends_its_ecs_task_and_publishes_nothing(world, tmp_path, number, code):
    log, run = tmp_path / "log", f"ended-{code % 256}"
    arguments = ("dag", "sentiment", "-p", f"dataset={world.data('slow')}", "-p", f"run={run}")
    with started(world, log, *arguments) as process:
        wait_for(lambda: "epoch 1/100" in log.read_text(), "the task's first line", log)
        assert len(world.running_tasks()) == 1
        process.send_signal(number)
        assert process.wait(60) == code
        wait_for(lambda: not airflow_processes(world), "Airflow to end", log)
        wait_for(lambda: not world.running_tasks(), "the ECS task to end", log)
    assert world.keys("ModelBucket") == []
    if number == signal.SIGINT:
        record = json.loads((world.settings.runs_dir / run / "run.json").read_text())
        assert (record["status"], record["state"], record["published"]) == ("interrupted", "failed", "")
        states = {task["name"]: task["state"] for task in record["tasks"]}
        assert (states["validate_data"], states["train"], states["gate"]) == ("success", "failed", "not run")


def test_the_web_ui_runs_the_dag_on_loopback_alone_and_leaves_nothing(world, tmp_path):
    log, port, home = tmp_path / "log", free_port(), airflow_home.folder(world.settings)
    with started(world, log, "airflow", "--airflow-port", str(port)) as process:
        wait_for(lambda: "Ctrl-C ends it" in log.read_text() or process.poll() is not None, "the UI", log)
        assert process.poll() is None, log.read_text()
        user, password = re.search(r"user (\S+), password (\S+)", log.read_text()).groups()
        for name in ("passwords.json", "aws-credentials"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
        call = Caller(port, user, password)
        run = trigger(call, {"dataset": world.data("good"), "threshold": 0.5})
        train = f"{run}/taskInstances/train"
        wait_for(lambda: call(train)["state"] in ("success", "failed"), "the training's end", log)
        assert call(train)["state"] == "success"
        assert listening(world) == {("127.0.0.1", port)}
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert airflow_processes(world) == []
        wait_for(lambda: not world.running_tasks(), "the ECS task to end", log)
    assert not (home / "passwords.json").exists()
    assert not (home / "aws-credentials").exists()


def trigger(call: "Caller", conf: dict[str, Any]) -> str:
    """Start a run once the DAG processor has read the DAG; its address in the API."""
    dags = wait_for(lambda: call("/api/v2/dags")["dags"], "the DAG to be read")
    assert [dag["dag_id"] for dag in dags] == ["sentiment"]
    made = call("/api/v2/dags/sentiment/dagRuns", {"logical_date": None, "conf": conf})
    return f"/api/v2/dags/sentiment/dagRuns/{made['dag_run_id'].replace('+', '%2B')}"


def listening(world: World) -> set[tuple[str, int]]:
    found = set()
    for each in airflow_processes(world):
        for socket in each.net_connections("inet"):
            if socket.status == psutil.CONN_LISTEN:
                found.add((socket.laddr.ip, socket.laddr.port))
    return found


class Caller:
    """Airflow's REST API as a person who has logged in."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.base, self.headers = f"http://127.0.0.1:{port}", {"Content-Type": "application/json"}
        token = self("/auth/token", {"username": user, "password": password})["access_token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, self.headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
