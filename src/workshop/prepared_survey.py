"""What `prepare-satisfaction` wrote, and a model's answers to its test file: from a folder, S3, or an endpoint.

Try it:  from workshop import prepared_survey; prepared_survey.find("runs/…/prepared")
Knows where things lie; what they mean, `workshop.ml.satisfaction` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop.aws import hosting, objects, runs
from workshop.errors import DataError, JobError
from workshop.ml.satisfaction import predictions, prepare, recipe


@dataclass(frozen=True)
class Prepared:
    """The test part. document: columns.json; numbers float64 (N, 22); labels int64 (N,), 1 for satisfied."""

    where: str
    folder: Path
    document: dict[str, Any]
    numbers: np.ndarray
    labels: np.ndarray

    @property
    def note(self) -> str:
        """One line for the reader: which data this is from."""
        said = self.document.get("data", {}).get("note", "answers of unknown origin")
        return f"{said}; {len(self.labels):,} answers to test on"


@dataclass(frozen=True)
class Answered:
    """A model's answers to the test part: scores float64 (N,), guesses int64 (N,); source: who gave them."""

    scores: np.ndarray
    guesses: np.ndarray
    source: str


def find(where: str) -> Prepared:
    """Read columns.json and test/test.csv in a folder or at an s3:// address.

    Errors: JobError if nothing is there, DataError if it is something else.
    """
    if not where:
        raise JobError(
            "no prepared survey is named", "-p prepared=RUN/prepared, of `workshop run prepare-satisfaction`"
        )
    folder = runs.bring(where)
    document = recipe.from_json(_content(folder / recipe.FILE, where).decode("utf-8", "replace"), where)
    lines = _content(folder / prepare.TEST / f"{prepare.TEST}.csv", where)
    numbers, labels = prepare.read_lines(lines, f"{where}/{prepare.TEST}/{prepare.TEST}.csv")
    return Prepared(where, folder, document, numbers, labels)


def answers(prepared: Prepared, given: str = "", endpoint: str = "") -> Answered:
    """Take the answers from a file, a folder or an s3:// address that a batch transform wrote, or ask an endpoint.

    Errors: JobError unless exactly one of the two is named; DataError if the answers are to another file.
    """
    if bool(given) == bool(endpoint):
        what = "both are" if given else "neither is"
        raise JobError(
            f"answers come from 'predictions' or from 'endpoint', and {what} given", "give one of them"
        )
    if endpoint:
        scores, guesses = hosting.predict(endpoint, prepared.numbers)
        source = f"endpoint {endpoint}"
    else:
        source, content = _answers_at(given)
        scores, guesses = predictions.parse(content, source)
    predictions.check_count(scores, len(prepared.labels), source)
    return Answered(scores, guesses, source)


def _answers_at(where: str) -> tuple[str, bytes]:
    """The answers at a place: the file itself, or the only one of a batch transform in a folder or below a prefix."""
    if where.startswith("s3://"):
        places = [entry.uri for entry in objects.list(where)]
    elif Path(where).is_dir():
        places = [str(path) for path in sorted(Path(where).rglob("*")) if path.is_file()]
    else:
        places = [where] if Path(where).is_file() else []
    found = [place for place in places if place == where or place.endswith(predictions.SUFFIX)]
    if len(found) != 1:
        there = f"{len(found)} files {predictions.SUFFIX}" if found else "no answers"
        raise DataError(
            f"there are {there} at '{where}'", f"name one file, such as test.csv{predictions.SUFFIX}"
        )
    read = objects.read_bytes if where.startswith("s3://") else _bytes
    return found[0], read(found[0])


def _bytes(path: str) -> bytes:
    return Path(path).read_bytes()


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise DataError(
            f"'{where}' has no {path.name}: it is no folder of prepared answers",
            "workshop run prepare-satisfaction",
        ) from None
