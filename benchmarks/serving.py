"""How many requests a second the service answers, and how fast, beside what else one could build.

Try it:  python -m benchmarks serving          (needs wrk; three minutes, and an artefact, which is trained first)
         SERVING_ARTEFACT=runs/ID/artefact python -m benchmarks serving
One run, one machine, one load tool: the service; FastAPI with `model.predict`, as published; TensorFlow at its best; an
endpoint of FastAPI that does nothing. Texts are real, and each has a word that was never seen before. Everything is
measured in turns, and of each the best turn counts: what else this machine does in between is not what is measured.
`against` is the endpoint that does nothing, or what was promised.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from workshop import labelled_texts
from workshop.errors import DataError
from workshop.ml.text import artefact

ROOT = Path(__file__).resolve().parents[1]
OTHERS = Path(__file__).with_name("_serving_others.py")
PYTHONS = {name: str(ROOT / ".venvs" / name / "bin" / "python") for name in ("serving", "workshop")}
CONNECTIONS = (1, 16, 64)
TURNS, TURN_SECONDS = 3, 3
START_SECONDS = 120
REST_SECONDS, RESTING_PERCENT = 0.3, 10
STARTS = 3
LARGEST_MIB = 120
SLOWEST_START_SECONDS = 1.0
SLOWEST_P99_MS = {1: 1.0, 16: 10.0}
MOST_TEXTS = 20_000
NAMES = {
    "ours": "the service",
    "predict": "FastAPI + model.predict",
    "batch": "FastAPI + predict_on_batch",
    "function": "FastAPI + concrete function",
    "empty": "an empty endpoint",
}
# wrk sends what this makes: a text of the file, and a word that no text had before.
REQUESTS = """
local texts, number = {}, FIRST
for line in io.lines("TEXTS") do texts[#texts + 1] = line end
local headers = {["Content-Type"] = "application/json"}
request = function()
  number = number + 1
  local text = texts[number % #texts + 1]
  return wrk.format("POST", nil, headers, '{"text": "' .. text .. " wug" .. number .. 'ly"}')
end
"""
OUTCOME = """
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"rate": %f, "p99_ms": %f, "failed": %d}\\n', summary.requests / summary.duration * 1e6,
    latency:percentile(99) / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass
class Server:
    """One of those that are compared."""

    kind: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/predict"

    def rss_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio."""
    if shutil.which("wrk") is None:
        raise DataError("this benchmark needs wrk, which is not on the path", "apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = _published(_artefact(folder), folder)
        _write_texts(folder / "texts")
        starts = [_start_seconds(models) for _ in range(STARTS)]
        with _all(models) as servers:
            found = _turns(servers, folder)
            rss = next(each for each in servers if each.kind == "ours").rss_mib()
    return [
        *_compared(found),
        _row("start to the first answer", min(starts), "s", SLOWEST_START_SECONDS),
        _row("memory of the worker, after the load", rss, "MiB", LARGEST_MIB),
    ]


def _artefact(folder: Path) -> Path:
    """What SERVING_ARTEFACT names, or one pass over the tweets: how fast it answers is no matter of how well."""
    given = os.environ.get("SERVING_ARTEFACT")
    if given:
        return artefact.check(given).folder
    command = [Path(sys.executable).with_name("workshop"), "run", "train-sentiment", "-p", "num_epochs=1"]
    subprocess.run([*command, "--output", str(folder / "run")], check=True, stdout=subprocess.DEVNULL)
    return folder / "run" / "artefact"


def _published(source: Path, folder: Path) -> Path:
    """The artefact as `workshop.aws.models` lays it out."""
    models = folder / "models"
    shutil.copytree(source, models / "versions" / "v1")
    pointer = {
        "format": 1,
        "name": artefact.NAME,
        "version": "v1",
        "published_at": "",
        "metadata_sha256": artefact.check(source).metadata_sha256,
        "metrics": {},
        "previous": None,
    }
    (models / "current.json").write_text(json.dumps(pointer))
    return models


def _write_texts(path: Path) -> None:
    """The inside of JSON strings, a line each."""
    texts = labelled_texts.find("tweets").examples.texts[:MOST_TEXTS]
    path.write_text("".join(json.dumps(" ".join(text.split()))[1:-1] + "\n" for text in texts))


def _start(kind: str, models: Path) -> Server:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    if kind == "ours":
        command = [PYTHONS["serving"], "-m", "workshop.serving"]
    else:
        command = [PYTHONS["serving" if kind == "empty" else "workshop"], str(OTHERS), kind, str(port)]
        command += [str(models / "versions" / "v1")]
    variables = {**os.environ, "MODEL_URI": str(models), "WORKSHOP_SERVING_PORT": str(port)}
    variables |= {"TF_CPP_MIN_LOG_LEVEL": "3", "ORT_DISABLE_TELEMETRY": "1"}
    return Server(kind, port, subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL))


def _wait(server: Server) -> None:
    """Until it classifies. Errors: RuntimeError if it ended, or does not within two minutes."""
    body = None if server.kind == "empty" else b'{"text": "I love it"}'
    request = urllib.request.Request(server.url, body, {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with direct.open(request, timeout=10):
                return
        except OSError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{NAMES[server.kind]} does not answer: {error}") from error
            time.sleep(0.005)


def _rest(server: Server) -> None:
    """Wait until it does nothing: what wrk gave up on is still worked on, and must not fall into another's turn."""
    process = psutil.Process(server.process.pid)
    while process.cpu_percent(REST_SECONDS) > RESTING_PERCENT:
        pass


def _end(server: Server) -> None:
    server.process.terminate()
    server.process.wait(30)


def _start_seconds(models: Path) -> float:
    """From the start of the process to the first classified text."""
    began = time.perf_counter()
    server = _start("ours", models)
    try:
        _wait(server)
        return time.perf_counter() - began
    finally:
        _end(server)


@contextmanager
def _all(models: Path) -> Iterator[list[Server]]:
    servers = [_start(kind, models) for kind in NAMES]
    try:
        for server in servers:
            _wait(server)
        yield servers
    finally:
        for server in servers:
            _end(server)


def _turns(servers: list[Server], folder: Path) -> dict[tuple[str, int], dict[str, float]]:
    """The best of all turns of each server at each number of connections."""
    best: dict[tuple[str, int], dict[str, float]] = {}
    number = 0
    for connections in CONNECTIONS:
        for _ in range(TURNS):
            for server in servers:
                turn = _turn(server, connections, folder, number)
                number += 1_000_000
                before = best.setdefault((server.kind, connections), turn)
                before["rate"] = max(before["rate"], turn["rate"])
                before["p99_ms"] = min(before["p99_ms"], turn["p99_ms"])
    return best


def _turn(server: Server, connections: int, folder: Path, number: int) -> dict[str, float]:
    """Load one server. Errors: RuntimeError if the service failed a request."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{TURN_SECONDS}s", "--timeout", "20s"]
    script = folder / "wrk.lua"
    requests = REQUESTS.replace("FIRST", str(number)).replace("TEXTS", str(folder / "texts"))
    script.write_text(OUTCOME if server.kind == "empty" else requests + OUTCOME)
    ended = subprocess.run([*words, "-s", script, server.url], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    failed = found.pop("failed")
    if server.kind == "ours" and failed:
        raise RuntimeError(f"the service failed {failed:.0f} requests at {connections} connections")
    found["rate"] = max(found["rate"], 1 / TURN_SECONDS)  # one that answered nobody: at most that
    _rest(server)
    return found


def _compared(found: dict[tuple[str, int], dict[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for connections in CONNECTIONS:
        nothing, published = found["empty", connections]["rate"], found["predict", connections]["rate"]
        ours = found["ours", connections]["rate"]
        for kind, name in NAMES.items():
            turn = found[kind, connections]
            where = f"{name}, {connections} connection{'s' * (connections > 1)}"
            rows.append(
                {
                    "name": where,
                    "value": turn["rate"],
                    "unit": "requests/s",
                    "against": f"empty {nothing:.0f}, p99 {turn['p99_ms']:.2f} ms",
                    "ratio": turn["rate"] / nothing,
                }
            )
        how_much = {"name": f"the service against model.predict, {connections}", "value": ours / published}
        rows.append(
            {**how_much, "unit": "times", "against": "100 at 1 connection", "ratio": ours / published / 100}
        )
        if connections in SLOWEST_P99_MS:
            limit = SLOWEST_P99_MS[connections]
            p99 = found["ours", connections]["p99_ms"]
            rows.append(_row(f"the service's p99, {connections}", p99, "ms", limit))
    return rows


def _row(name: str, value: float, unit: str, limit: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "against": f"allowed {limit:g}",
        "ratio": limit / value,
    }


if __name__ == "__main__":
    for row in measure():
        print(json.dumps(row))
