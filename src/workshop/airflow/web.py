"""Airflow's web UI for those who want to look: server, scheduler and DAG processor on this machine's loopback address.

Try it:  workshop airflow
A password of its own for each start, told once. The programs, and whatever they start, end with this one. The triggerer
is left out: no DAG here defers. Knows nothing of what the DAGs do.
"""

import contextlib
import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil

from workshop import children, dags, local
from workshop.airflow import home as airflow_home
from workshop.errors import WorkshopError
from workshop.jupyter_lab import LOOPBACK, free_port
from workshop.settings import Settings

USER = "learner"
PROGRAMS = {
    # The first answers the tasks too, so the others wait for it. Without --skip-serve-logs, a server of logs would
    # listen on every address of the machine; the UI reads the files themselves.
    "api-server": ("api-server", "--host", LOOPBACK, "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
START_SECONDS = 120
END_SECONDS = 20.0
LOOK_SECONDS = 0.5
RENEW_SECONDS = 45 * 60  # the role's credentials last an hour
PR_SET_CHILD_SUBREAPER = 36
CREDENTIALS, PASSWORDS = "aws-credentials", "passwords.json"


def serve(settings: Settings, first_port: int, open_browser: bool) -> int:
    """Run the web UI until it is stopped, or until one of its programs ends; returns the exit status."""
    from workshop.aws import dag_start

    if settings.target == "local":
        print(f"local AWS at {local.up(settings).endpoint}", flush=True)
    home = airflow_home.prepare(settings)
    dags.upload("tweets", settings)
    renewed = time.monotonic()
    started = dag_start.make_ready_for_all(dags.ROLE)
    port, password = free_port(first_port), secrets.token_urlsafe(16)
    variables = airflow_home.variables(settings, {}, started.endpoint)
    variables = {**_without_keys(variables), **_options(home, port)}
    write_private(home / CREDENTIALS, credentials_file(started.credentials))
    write_private(home / PASSWORDS, json.dumps({USER: password}))
    with _ended_together(home), contextlib.ExitStack() as logs:
        running: dict[str, subprocess.Popen[bytes]] = {}
        for name, command in PROGRAMS.items():
            log = logs.enter_context(_log(home, name))
            arguments = [*command, "--port", str(port)] if name == "api-server" else command
            program = [str(airflow_home.program(settings)), *arguments]
            running[name] = children.start(program, variables, log, home)
            if name == "api-server":
                _wait_until_ready(running[name], port, home)
        address = f"http://{LOOPBACK}:{port}/dags/sentiment"
        print(f"Airflow: {address}\nuser {USER}, password {password}\nCtrl-C ends it", flush=True)
        if open_browser and sys.stdout.isatty():
            webbrowser.open(address)
        while True:
            ended = _first_to_end(running, renewed + RENEW_SECONDS - time.monotonic())
            if ended:
                code = running[ended].returncode
                raise WorkshopError(f"Airflow's {ended} ended with {code}", f"read {home}/logs/{ended}.log")
            renewed = time.monotonic()
            fresh = dag_start.make_ready_for_all(dags.ROLE).credentials
            write_private(home / CREDENTIALS, credentials_file(fresh))


def _options(home: Path, port: int) -> dict[str, str]:
    """What the three programs must agree on, and who may log in."""
    options = {
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__BASE_URL": f"http://{LOOPBACK}:{port}",
        "CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "API__SECRET_KEY": secrets.token_hex(32),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / PASSWORDS),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "LOGGING__WORKER_LOG_SERVER_PORT": "0",
    }
    spelled = {f"AIRFLOW__{name}": value for name, value in options.items()}
    return {**spelled, "AWS_SHARED_CREDENTIALS_FILE": str(home / CREDENTIALS)}


def _without_keys(variables: Mapping[str, str]) -> dict[str, str]:
    """Keys among the variables would win over the file, and can't be renewed."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name: value for name, value in variables.items() if name not in keys}


def credentials_file(given: Mapping[str, str]) -> str:
    return "[default]\n" + "".join(f"{name.lower()} = {value}\n" for name, value in given.items())


def write_private(path: Path, content: str) -> None:
    """Write a file in one step that nobody else on this machine may read."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(content)
    partial.replace(path)


@contextmanager
def _ended_together(home: Path) -> Iterator[None]:
    """End every program that was started in the block, and what these started, however they did it."""
    if sys.platform == "linux":
        # What loses its parent becomes our child, so that it can still be found.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    before = psutil.Process().children()  # the local AWS, if we started it: its tasks are no business of ours
    try:
        yield
    finally:
        end_descendants(before)
        for name in (CREDENTIALS, PASSWORDS):
            (home / name).unlink(missing_ok=True)


def end_descendants(spared: list[psutil.Process], seconds: float = END_SECONDS) -> None:
    """End every process below this one but some: politely, so that a task stops its ECS task, and then not."""
    polite_until = time.monotonic() + seconds
    while alive := _descendants(spared):
        left = polite_until - time.monotonic()
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGTERM if left > 0 else signal.SIGKILL)
        psutil.wait_procs(alive, timeout=max(1.0, left))


def _descendants(spared: list[psutil.Process]) -> list[psutil.Process]:
    """Those that live; one that has ended and was left to us is taken note of."""
    found = []
    for child in psutil.Process().children():
        if child in spared:
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)
            else:
                found += [child, *child.children(recursive=True)]
    return found


def _first_to_end(running: Mapping[str, "subprocess.Popen[bytes]"], seconds: float) -> str:
    """The name of the first program that ends within the time; '' if none does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended = [name for name, process in running.items() if process.poll() is not None]
        if ended:
            return ended[0]
        time.sleep(LOOK_SECONDS)
    return ""


@contextmanager
def _log(home: Path, name: str) -> Iterator[IO[bytes]]:
    (home / "logs").mkdir(exist_ok=True)
    with (home / "logs" / f"{name}.log").open("wb") as file:
        yield file


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, home: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between us and loopback
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise WorkshopError(
                f"Airflow's api-server ended with {process.returncode}", f"read {home}/logs/api-server.log"
            )
        health = f"http://{LOOPBACK}:{port}/api/v2/monitor/health"
        with contextlib.suppress(urllib.error.URLError, OSError), opener.open(health, timeout=5):
            return
        time.sleep(0.2)
    raise WorkshopError(
        f"Airflow did not answer within {START_SECONDS} s", f"read {home}/logs/api-server.log"
    )
