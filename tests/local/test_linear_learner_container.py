"""Linear Learner's stand-in as a process, by SageMaker's container contract: folders, exit codes, signals, HTTP."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest
from attendee import ROOT, free_port

PYTHON = ROOT / ".venvs" / "linear-learner" / "bin" / "python"
SECONDS = 60
CSV = {"ContentType": "text/csv", "TrainingInputMode": "File"}
HYPERPARAMETERS = {"predictor_type": "binary_classifier", "feature_dim": "3", "mini_batch_size": "100"}


def survey(count: int, seed: int) -> str:
    """Rows with the label first, which follows from two of the three features."""
    features = np.random.default_rng(seed).normal(size=(count, 3)).round(3)
    labels = (features @ [2.0, -1.0, 0.0] > 0.5).astype(int)
    return "".join(
        f"{label},{','.join(map(str, row))}\n" for label, row in zip(labels, features, strict=True)
    )


def prepare(base: Path, channels: dict[str, str], **others: str) -> Path:
    """What SageMaker lays into /opt/ml before it starts the container."""
    (base / "input" / "config").mkdir(parents=True)
    for name, content in channels.items():
        (base / "input" / "data" / name).mkdir(parents=True)
        (base / "input" / "data" / name / "data.csv").write_text(content)
    write = {
        "hyperparameters": HYPERPARAMETERS | others,
        "inputdataconfig": dict.fromkeys(channels, CSV),
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for name, document in write.items():
        (base / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
    return base


def start(base: Path, what: str, **variables: str) -> "subprocess.Popen[str]":
    environ = {"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base), **variables}
    return subprocess.Popen(
        [PYTHON, "-m", "linearlearner", what],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def train(base: Path) -> tuple[int, str]:
    process = start(base, "train")
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    channels = {"train": survey(2000, 0), "validation": survey(500, 1), "test": survey(500, 2)}
    base = prepare(tmp_path_factory.mktemp("ml"), channels)
    code, said = train(base)
    assert code == 0, said
    return base, said


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, str]:
        """Status, body and content type; a header's name with _ for -."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheader("Content-Type", "")
        finally:
            connection.close()


@contextmanager
def serving(base: Path) -> Iterator[Server]:
    port = free_port()
    process = start(base, "serve", SAGEMAKER_BIND_TO_PORT=str(port))
    server = Server(process, port)
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                assert server.ask("GET", "/ping")[0] == 200
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
                time.sleep(0.02)
        yield server
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def served(trained: tuple[Path, str]) -> Iterator[Server]:
    with serving(trained[0]) as server:
        yield server


def test_training_leaves_a_model_and_the_algorithms_lines(trained):
    base, said = trained
    assert sorted(path.name for path in (base / "model").iterdir()) == ["model.json", "weights.npz"]
    assert not (base / "output").exists()
    for line in (
        "stand-in for Linear Learner",
        "#quality_metric: host=algo-1, epoch=0, train binary_classification_cross_entropy_objective <loss>=",
        "#quality_metric: host=algo-1, epoch=0, validation binary_classification_cross_entropy_objective <loss>=",
        "#progress_metric: host=algo-1, completed ",
        "#throughput_metric: host=algo-1, train throughput=",
        "#quality_metric: host=algo-1, validation roc_auc_score <score>=",
        "#quality_metric: host=algo-1, test binary_f_1.000 <score>=",
        '#metrics {"StartTime": ',
        "Best model found for hyperparameters: ",
    ):
        assert line in said, line
    accuracy = said.partition("test binary_classification_accuracy <score>=")[2].split()[0]
    assert float(accuracy) > 0.95


def test_the_same_job_gives_the_same_model(trained, tmp_path):
    base = prepare(tmp_path, {"train": survey(2000, 0), "validation": survey(500, 1), "test": survey(500, 2)})
    assert train(base)[0] == 0
    for name in ("model.json", "weights.npz"):
        assert (base / "model" / name).read_bytes() == (trained[0] / "model" / name).read_bytes(), name


def test_without_validation_and_test_the_training_data_decides(tmp_path):
    code, said = train(prepare(tmp_path, {"train": survey(500, 0)}))
    assert code == 0 and "#quality_metric: host=algo-1, train binary_classification_accuracy <score>=" in said
    assert "Test data is not provided." in said


@pytest.mark.parametrize(
    ("content", "others", "failure"),
    [
        ("satisfied,a,b,c\n" + survey(300, 0), {}, "Unable to parse csv: rows 1-1000"),
        (survey(300, 0).replace(",", ";"), {}, "Unable to parse csv"),
        (survey(50, 0), {}, "the mini-batch size is too high"),
        (survey(300, 0), {"feature_dim": "22"}, "has 3 features (and a label), and 22 are expected"),
        (
            survey(300, 0),
            {"learnig_rate": "0.1"},
            "Additional hyperparameters are not allowed ('learnig_rate'",
        ),
        (survey(300, 0), {"predictor_type": ""}, "'' is not a valid value for 'predictor_type'"),
        ("", {}, "data.csv is empty"),
    ],
)
def test_a_customers_mistake_ends_with_its_reason_in_the_failure_file(tmp_path, content, others, failure):
    base = prepare(tmp_path, {"train": content}, **others)
    code, said = train(base)
    written = (base / "output" / "failure").read_text()
    assert code == 2 and written.startswith("ClientError: ") and failure in written
    assert "Customer Error: " in said and "Traceback" not in said
    assert not (base / "model").exists()


def test_a_mistake_of_ours_is_told_apart(tmp_path):
    base = prepare(tmp_path, {"train": survey(300, 0)})
    (base / "model").write_text("a file is where the folder should be")
    code, said = train(base)
    assert code == 1 and (base / "output" / "failure").read_text().startswith("AlgorithmError: ")
    assert "Traceback" in said


def test_sigterm_ends_training_in_order_with_the_model_so_far(tmp_path):
    endless = {"epochs": "1000000", "early_stopping_patience": "2000000"}
    base = prepare(tmp_path, {"train": survey(500, 0), "validation": survey(200, 1)}, **endless)
    process = start(base, "train")
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            if "#progress_metric" in line:
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stdout.read()
        assert process.wait(10) == 0 and "Told to stop" in rest
    finally:
        watchdog.cancel()
        process.stdout.close()
    assert "validation binary_classification_accuracy <score>=" in rest
    with serving(base) as server:
        assert server.ask("POST", "/invocations", b"1,2,3", Content_Type="text/csv")[0] == 200


def test_an_endpoint_answers_rows_in_every_format(served):
    body = b"3,-3,0\n-3,3,0\n"
    status, content, kind = served.ask("POST", "/invocations", body, Content_Type="text/csv")
    assert (status, kind) == (200, "application/json")
    first, second = json.loads(content)["predictions"]
    assert (first["predicted_label"], second["predicted_label"]) == (1, 0)
    assert first["score"] > 0.9 and second["score"] < 0.1
    asked = {"Content_Type": "text/csv", "Accept": "application/jsonlines"}
    status, content, kind = served.ask("POST", "/invocations", body, **asked)
    assert [json.loads(line) for line in content.splitlines()] == [first, second]
    document = json.dumps({"instances": [{"features": [3, -3, 0]}]}).encode()
    assert json.loads(served.ask("POST", "/invocations", document, Content_Type="application/json")[1]) == {
        "predictions": [first]
    }


def test_a_batch_of_ten_thousand_rows_is_answered_row_by_row(served):
    body = "".join(line.partition(",")[2] + "\n" for line in survey(10_000, 5).splitlines()).encode()
    asked = {"Content_Type": "text/csv", "Accept": "application/jsonlines"}
    status, content, _ = served.ask("POST", "/invocations", body, **asked)
    truth = [int(line[0]) for line in survey(10_000, 5).splitlines()]
    said = [json.loads(line)["predicted_label"] for line in content.splitlines()]
    assert status == 200 and np.mean(np.array(said) == truth) > 0.95


def test_batch_transform_is_told_how_to_ask(served):
    status, content, kind = served.ask("GET", "/execution-parameters")
    found = json.loads(content)
    assert (status, kind) == (200, "application/json") and found["BatchStrategy"] == "MULTI_RECORD"
    assert found["MaxPayloadInMB"] >= 1 and found["MaxConcurrentTransforms"] >= 1


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "said"),
    [
        ("POST", "/invocations", b"1,2", "text/csv", 400, "row 1 has 2 features, and the model has 3"),
        ("POST", "/invocations", b"", "text/csv", 400, "the body is empty"),
        ("POST", "/invocations", b"1,2,x", "text/csv", 400, "'x' is not a number"),
        ("POST", "/invocations", b"1,2,nan", "text/csv", 400, "not a finite"),
        ("POST", "/invocations", b"1,2,3", "text/plain", 415, "'text/plain' not supported"),
        ("GET", "/invocations", None, "text/csv", 405, "is for POST"),
        ("GET", "/models", None, "text/csv", 404, "there is no /models"),
    ],
)
def test_a_bad_request_has_its_status_and_reason(served, method, path, body, kind, status, said):
    found, content, _ = served.ask(method, path, body, Content_Type=kind)
    assert found == status and said in content.decode()


def test_sigterm_ends_serving_at_once_even_with_a_connection_open(trained):
    with serving(trained[0]) as server:
        idle = HTTPConnection("127.0.0.1", server.port, timeout=10)
        idle.request("GET", "/ping")
        idle.getresponse().read()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 3
        idle.close()


def test_without_a_model_it_does_not_serve_and_says_why(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_algo-1").touch()
    process = start(tmp_path, "serve", SAGEMAKER_BIND_TO_PORT=str(free_port()))
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1 and "AWS's own Linear Learner" in said and "Traceback" not in said
