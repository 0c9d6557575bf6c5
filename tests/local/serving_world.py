"""The service as a process of its environment, on a free port, with a folder of models. Not a test."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
from attendee import ROOT, free_port

PYTHON = ROOT / ".venvs" / "serving" / "bin" / "python"
POLL_SECONDS = 0.1
JSON = {"Content-Type": "application/json"}
PREDICT = "/predict"


@dataclass
class Service:
    """A running service. port is of 127.0.0.1."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path
    temporary: Path
    _connection: HTTPConnection | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and parsed body, over a connection of its own. bytes are sent as they are, all else as JSON."""
        status, content, kind = self.raw(method, path, body, headers)
        return status, json.loads(content) if kind.startswith("application/json") else content.decode()

    def raw(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, JSON if headers is None else headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "")
        finally:
            connection.close()

    def predict(self, text: Any) -> tuple[int, Any]:
        return self.call("POST", PREDICT, {"text": text})

    def health(self) -> tuple[int, Any]:
        return self.call("GET", "/healthz")

    def version(self) -> str:
        """The version in service, '' for none."""
        try:
            return str(self.health()[1].get("version", ""))
        except OSError:
            return ""

    def metric(self, name: str) -> float:
        """A metric's value; the sum, if it has labels."""
        lines = self.call("GET", "/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def fetcher(self) -> psutil.Process:
        """Its child."""
        [child] = psutil.Process(self.process.pid).children()
        return child

    def rss_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Poll until it is true, and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def answers(service: Service) -> bool:
    """Whether this very process listens."""
    if service.process.poll() is not None:
        raise AssertionError(f"it ended with {service.process.returncode}: {service.log.read_text()}")
    ports = {each.laddr.port for each in psutil.Process(service.process.pid).net_connections("tcp")}
    return service.port in ports and service.call("GET", "/ping") == (200, {"status": "working"})


@contextmanager
def serving(model: Path | str, folder: Path, **variables: str) -> Iterator[Service]:
    """Start the service and wait until it answers, with a model or without. folder: for its log."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    port = free_port()
    given = {
        "PATH": os.environ["PATH"],
        "WORKSHOP_ROOT": str(ROOT),
        "TMPDIR": str(temporary),
        "MODEL_URI": str(model),
        "MODEL_POLL_SECONDS": str(POLL_SECONDS),
        "WORKSHOP_SERVING_PORT": str(port),
        **variables,
    }
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [PYTHON, "-m", "workshop.serving"],
            env=given,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
        )
    service = Service(process, port, log, temporary)
    try:
        wait_for(lambda: answers(service), "the service answers")
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
