"""How long Linear Learner's stand-in trains on the real survey, how well, and how many rows a second it answers.

Try it:  python -m benchmarks linear_learner          (half a minute; with WORKSHOP_DATA_DIR on the real survey)
One run, one machine: the stand-in as SageMaker starts it, with 32 models; scikit-learn's LogisticRegression on the same
rows, in a process of its own as well. Rows are asked for over HTTP on one connection, one by one and 1,000 in a CSV.
`against` is scikit-learn, or what was promised.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venvs" / "linear-learner" / "bin" / "python"
CHANNELS = ("train", "validation", "test")
TURNS = 3
SINGLE_ROWS, BATCHES, BATCH_ROWS = 3000, 200, 1000
START_SECONDS = 30
LONGEST_TRAINING_SECONDS = 15
LEAST_ACCURACY = 0.873
LEAST_ROWS_A_SECOND = {1: 1_000, BATCH_ROWS: 100_000}
BESIDE = """
import json, sys, time, numpy as np
began = time.perf_counter()
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
train, held_out, test = (np.loadtxt(f"{sys.argv[1]}/{name}/{name}.csv", delimiter=",", dtype=np.float32)
                         for name in ("train", "validation", "test"))
train = np.concatenate([train, held_out])
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train[:, 1:], train[:, 0])
scores = model.predict_proba(test[:, 1:])[:, 1]
found = {"seconds": time.perf_counter() - began, "accuracy": float(((scores >= 0.5) == test[:, 0]).mean())}
print(json.dumps(found | {"area": float(roc_auc_score(test[:, 0], scores))}))
"""


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio."""
    with tempfile.TemporaryDirectory() as name:
        data = _data(Path(name))
        base = _base(Path(name) / "ml", data)
        count = sum(1 for each in CHANNELS[:2] for _ in (data / each / f"{each}.csv").open())
        seconds, memory_mib = zip(*(_train(base) for _ in range(TURNS)), strict=True)
        beside = [_beside(data) for _ in range(TURNS)]
        metrics = json.loads((base / "model" / "model.json").read_text())["metrics"]["test"]
        with _serving(base) as (server, connection):
            lines = (data / "test" / "test.csv").read_bytes().splitlines()
            rows = [line.partition(b",")[2] for line in lines]
            rates = {
                count: max(_rate(connection, rows, count) for _ in range(TURNS)) for count in (1, BATCH_ROWS)
            }
            serving_mib = psutil.Process(server.pid).memory_info().rss / 2**20
    theirs = min(each["seconds"] for each in beside)
    accuracy, area = metrics["binary_classification_accuracy"], metrics["roc_auc_score"]
    return [
        _row(
            f"training on {count} rows, 32 models",
            min(seconds),
            "s",
            f"scikit-learn {theirs:.2f}",
            theirs / min(seconds),
        ),
        _row(
            "the same",
            min(seconds),
            "s",
            f"allowed {LONGEST_TRAINING_SECONDS}",
            LONGEST_TRAINING_SECONDS / min(seconds),
        ),
        _row("most memory in training", max(memory_mib), "MiB"),
        _row(
            "accuracy on the test file",
            accuracy,
            "",
            f"scikit-learn {beside[0]['accuracy']:.4f}",
            accuracy / LEAST_ACCURACY,
        ),
        _row(
            "area under the ROC curve",
            area,
            "",
            f"scikit-learn {beside[0]['area']:.4f}",
            area / beside[0]["area"],
        ),
        *(
            _row(
                f"answers, {rows} a request",
                rate,
                "rows/s",
                f"needed {LEAST_ROWS_A_SECOND[rows]}",
                rate / LEAST_ROWS_A_SECOND[rows],
            )
            for rows, rate in rates.items()
        ),
        _row("memory of the server, after the load", serving_mib, "MiB"),
    ]


def _data(folder: Path) -> Path:
    """The three files, as the course's own job prepares them."""
    command = [Path(sys.executable).with_name("workshop"), "run", "prepare-satisfaction"]
    output = folder / "prepared"
    subprocess.run([*command, "--output", str(output)], check=True, stdout=subprocess.DEVNULL)
    return next(path.parent.parent for path in output.rglob("train.csv"))


def _base(base: Path, data: Path) -> Path:
    """The folder that stands for /opt/ml."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (base / "input" / "data").mkdir()
    for name in CHANNELS:
        (base / "input" / "data" / name).symlink_to((data / name).resolve())
    given = {"predictor_type": "binary_classifier", "feature_dim": "22"}
    (config / "hyperparameters.json").write_text(json.dumps(given))
    (config / "inputdataconfig.json").write_text(
        json.dumps({name: {"ContentType": "text/csv"} for name in CHANNELS})
    )
    return base


def _command(what: str, base: Path, **variables: str) -> "subprocess.Popen[bytes]":
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(base), **variables}
    return subprocess.Popen([PYTHON, "-m", "linearlearner", what], env=environ, stdout=subprocess.DEVNULL)


def _train(base: Path) -> tuple[float, float]:
    """From the start of the process to its end: seconds, and the most memory in MiB. Errors: RuntimeError."""
    began = time.perf_counter()
    process = _command("train", base)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((base / "output" / "failure").read_text())
    return time.perf_counter() - began, used.ru_maxrss / 1024


def _beside(data: Path) -> dict[str, float]:
    said = subprocess.run(
        [sys.executable, "-c", BESIDE, str(data)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(said.stdout)
    return found


@contextmanager
def _serving(base: Path) -> "Iterator[tuple[subprocess.Popen[bytes], HTTPConnection]]":
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = _command("serve", base, SAGEMAKER_BIND_TO_PORT=str(port))
    try:
        deadline = time.monotonic() + START_SECONDS
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        while True:
            try:
                connection.request("GET", "/ping")
                connection.getresponse().read()
                break
            except OSError as error:
                connection.close()
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"it does not answer: {error}") from error
                time.sleep(0.01)
        yield process, connection
        connection.close()
    finally:
        process.terminate()
        process.wait(10)


def _rate(connection: HTTPConnection, rows: list[bytes], count: int) -> float:
    """Rows a second on one connection, of so many rows a request. Errors: RuntimeError if one is not answered."""
    requests = SINGLE_ROWS if count == 1 else BATCHES
    bodies = [b"\n".join(rows[start : start + count]) for start in range(0, len(rows) - count, count)][
        :requests
    ]
    headers = {"Content-Type": "text/csv", "Accept": "application/json"}
    answers = []
    began = time.perf_counter()
    for number in range(requests):
        connection.request("POST", "/invocations", bodies[number % len(bodies)], headers)
        answer = connection.getresponse()
        answers.append((answer.status, answer.read()))
    seconds = time.perf_counter() - began
    for status, content in answers:
        if status != 200 or len(json.loads(content)["predictions"]) != count:
            raise RuntimeError(f"{status} {content[:200]!r}")
    return requests * count / seconds


def _row(name: str, value: float, unit: str, against: str = "", ratio: float | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


if __name__ == "__main__":
    for row in measure():
        print(json.dumps(row))
