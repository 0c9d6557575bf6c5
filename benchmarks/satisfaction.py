"""The passengers' survey: how fast it is prepared, and how well four models tell who is satisfied, on the real files.

Try it:  WORKSHOP_DATA_DIR=~/data python -m benchmarks satisfaction
Preparation reads the zip, checks, cleans, encodes and writes the files of all 129,880 answers; beside it what one would
write with pandas, which checks nothing. Times are the least of several runs; imports are not in them. Models learn from
the train part, were chosen by the validation part, and see the test file once.
"""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from workshop import datasets
from workshop.data import surveys
from workshop.ml.satisfaction import boosting, measures, predictions, prepare, recipe, survey
from workshop.settings import load

PREPARED_IN_SECONDS, TRAINED_IN_SECONDS = 1.0, 15.0  # at most, on two cores
TARGETS = {"Linear Learner's stand-in": 0.873, "gradient boosting": 0.962}  # accuracy
RUNS = 10
SEED, VALIDATION_SHARE = 10, 0.1
START_SECONDS = 30.0
BATCH_ROWS = 1000

Scored = tuple[np.ndarray, np.ndarray, float]  # scores, guesses, seconds of training


def ours(archive: Path, folder: Path, ratings: str = recipe.MEAN) -> prepare.Parts:
    """What the job prepare-satisfaction does, without its pictures."""
    answers = surveys.read_zip(archive)
    parts = prepare.split(answers.train, answers.test, VALIDATION_SHARE, SEED)
    prepare.write(parts, recipe.fit(parts.train, ratings), folder)
    return parts


def with_pandas(archive: Path, folder: Path) -> None:
    """The obvious version: no check of any cell, the same files."""
    import zipfile

    import pandas as pd
    from sklearn.model_selection import train_test_split

    with zipfile.ZipFile(archive) as opened:
        members = {Path(name).name: name for name in opened.namelist()}
        train, test = (pd.read_csv(opened.open(members[f"{name}.csv"])) for name in ("train", "test"))
    train, validation = train_test_split(
        train, test_size=VALIDATION_SHARE, stratify=train[survey.LABEL], random_state=SEED
    )
    left, came = survey.DEPARTURE_DELAY, survey.ARRIVAL_DELAY
    both = train[train[came].notna()]
    slope, intercept = np.polyfit(both[left], both[came], 1)
    means = {name: train[name][train[name] > 0].mean() for name in survey.RATINGS}
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        part = part.drop(columns=["Unnamed: 0", "id"])
        part[came] = part[came].fillna(intercept + slope * part[left])
        for column in survey.FEATURES:
            if column.kind == "category":
                part[column.name] = part[column.name].map(
                    {word: code for code, word in enumerate(column.categories)}
                )
        part = part.replace({rating: {0: mean} for rating, mean in means.items()})
        part.insert(0, "label", (part.pop(survey.LABEL) == survey.CLASSES[1]).astype(int))
        (folder / name).mkdir(parents=True, exist_ok=True)
        part.round(4).to_csv(folder / name / f"{name}.csv", header=False, index=False)


def logistic(folder: Path) -> Scored:
    """Plain logistic regression of scikit-learn's on standardised numbers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers, labels = _read(folder, prepare.TRAIN)
    began = time.perf_counter()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(numbers, labels)
    seconds = time.perf_counter() - began
    scores = model.predict_proba(_read(folder, prepare.TEST)[0])[:, 1]
    return scores, (scores >= 0.5).astype(np.int64), seconds


def boosted(folder: Path) -> Scored:
    found = boosting.train(*_read(folder, prepare.TRAIN), seed=SEED)
    return *found.predict(_read(folder, prepare.TEST)[0]), found.seconds


def stand_in(folder: Path) -> Scored:
    """docker/linear-learner as a process, by SageMaker's own contract: files below a base folder, then HTTP.

    Its time has everything in it: starting Python, reading the files, choosing the best of several models.
    """
    with tempfile.TemporaryDirectory() as base:
        environment = _lay_out(Path(base), folder)
        began = time.perf_counter()
        subprocess.run([*_linear_learner(), "train"], env=environment, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        with _serving(environment) as ask:
            lines = (
                (folder / prepare.UNLABELLED / f"{prepare.TEST}.csv").read_bytes().splitlines(keepends=True)
            )
            batches = [
                b"".join(lines[start : start + BATCH_ROWS]) for start in range(0, len(lines), BATCH_ROWS)
            ]
            scores, guesses = predictions.parse(b"".join(ask(batch) for batch in batches), "the stand-in")
    return scores, guesses, seconds


def measure() -> list[dict]:
    """`against` is what the course promises, or pandas' time."""
    found = datasets.find(datasets.SURVEY)
    if found.is_sample or "answers" not in found.files:
        print(f"{found.note}: the real file is not here, nothing is measured")
        return []
    archive = found.files["answers"]
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        rows = _preparation(archive, folder)
        for ratings in (recipe.AS_GIVEN, recipe.MEAN, recipe.EVIDENCE):
            place = folder / ratings
            parts = ours(archive, place, ratings)
            models: dict[str, Callable[[Path], Scored]] = {
                "logistic regression": logistic,
                "Linear Learner's stand-in": stand_in,
            }
            if ratings == recipe.MEAN:
                models["gradient boosting"] = boosted
            for name, model in models.items():
                target = TARGETS.get(name) if ratings == recipe.MEAN else None  # promised of the job as it is
                rows += _scored(f"{name}, ratings {ratings}", model(place), parts.test.labels, target)
    return rows


def _preparation(archive: Path, folder: Path) -> list[dict]:
    own, others = _least(
        lambda: ours(archive, folder / "ours"), lambda: with_pandas(archive, folder / "pandas")
    )
    return [
        _row("preparation of 129,880 answers", own, "s", PREPARED_IN_SECONDS),
        _row("the same with pandas, unchecked", others, "s", None),
        {"name": "as fast as pandas", "value": others / own, "unit": "times", "against": None, "ratio": None},
    ]


def _scored(name: str, found: Scored, labels: np.ndarray, target: float | None) -> list[dict]:
    scores, guesses, seconds = found
    report = measures.report(scores, guesses, labels)
    return [
        _row(f"{name}: accuracy", report["accuracy"], "share", target),
        _row(f"{name}: AUC", report["auc"], "AUC", None),
        _row(f"{name}: F1", report["f1"], "F1", None),
        _row(f"{name}: training", seconds, "s", TRAINED_IN_SECONDS if target else None),
    ]


def _lay_out(base: Path, folder: Path) -> dict[str, str]:
    """What SageMaker puts below /opt/ml before it starts a training."""
    channels = (prepare.TRAIN, prepare.VALIDATION)
    channel = {
        "ContentType": "text/csv",
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
    }
    documents = {
        "hyperparameters": {"predictor_type": "binary_classifier", "feature_dim": str(len(survey.FEATURES))},
        "inputdataconfig": {name: channel for name in channels},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"},
    }
    (base / "input" / "config").mkdir(parents=True)
    for name, document in documents.items():
        (base / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
    (base / "input" / "data").mkdir()
    for name in channels:
        (base / "input" / "data" / name).symlink_to(folder / name)
    for name in ("model", "output"):
        (base / name).mkdir()
    return {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[Callable[[bytes], bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    where = {"SAGEMAKER_BIND_TO_PORT": str(port), "WORKSHOP_BIND_ADDRESS": "127.0.0.1"}
    server = subprocess.Popen([*_linear_learner(), "serve"], env={**environment, **where})
    try:
        _until_it_answers(f"{address}/ping", server)
        yield lambda body: _post(f"{address}/invocations", body)
    finally:
        server.terminate()
        server.wait(timeout=START_SECONDS)


def _until_it_answers(address: str, server: subprocess.Popen) -> None:
    ends = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < ends:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{address} does not answer (exit code {server.poll()})")


def _post(address: str, body: bytes) -> bytes:
    headers = {"Content-Type": "text/csv", "Accept": "application/jsonlines"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        return answer.read() + b"\n"


def _linear_learner() -> list[str]:
    return [str(load().root / ".venvs" / "linear-learner" / "bin" / "python"), "-m", "linearlearner"]


def _read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    path = folder / name / f"{name}.csv"
    return prepare.read_lines(path.read_bytes(), str(path))


def _least(*runs: Callable[[], object]) -> list[float]:
    """The least time of each, measured in turns, so that other work on the machine is in the way of all."""
    times: list[list[float]] = []
    for _ in range(RUNS):
        times.append([])
        for run in runs:
            began = time.perf_counter()
            run()
            times[-1].append(time.perf_counter() - began)
    return [min(each) for each in zip(*times, strict=True)]


def _row(name: str, value: float, unit: str, target: float | None) -> dict:
    better = None if target is None else target / value if unit == "s" else value / target
    return {"name": name, "value": value, "unit": unit, "against": target, "ratio": better}
