"""What a Linear Learner endpoint or a batch transform answered, as scores and labels.

Try it:  workshop run evaluate-satisfaction -p prepared=RUN/prepared -p predictions=test.csv.out
Knows the answers' format alone: JSON, JSON Lines, or one JSON document after another, which is what a batch transform
makes of several requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from workshop.errors import DataError

SUFFIX = ".out"  # a batch transform names its answers after its input


def parse(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 (N,), the probability of label 1, and labels int64 (N,), by the model's own threshold.

    Errors: DataError that says at which answer the file is no answer.
    """
    scores: list[float] = []
    labels: list[int] = []
    for each in _entries(_documents(content.decode("utf-8", "replace"), where), where):
        score, label = _pair(each, len(scores) + 1, where)
        scores.append(score)
        labels.append(label)
    if not scores:
        raise DataError(f"{where} holds no answers", "give the file that a batch transform wrote")
    return np.array(scores, dtype=np.float64), np.array(labels, dtype=np.int64)


def check_count(scores: np.ndarray, expected: int, where: str) -> None:
    """Errors: DataError if there are not as many answers as questions."""
    if len(scores) != expected:
        raise DataError(
            f"{where} has {len(scores):,} answers, and the test file {expected:,} lines",
            "give the answers to this very file",
        )


def _documents(text: str, where: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            document, at = decoder.raw_decode(text, at)
        except ValueError as error:
            line = text.count("\n", 0, at) + 1
            raise DataError(
                f"{where}, line {line}: {text[at : at + 40]!r} is no JSON ({error})",
                "ask for application/json or application/jsonlines",
            ) from None
        yield document


def _entries(documents: Iterator[Any], where: str) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, dict) and isinstance(document.get("predictions"), list):
            yield from document["predictions"]
        else:
            yield document


def _pair(entry: Any, number: int, where: str) -> tuple[float, int]:
    try:
        score, label = float(entry["score"]), int(entry["predicted_label"])
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{where}, answer {number}: {json.dumps(entry)[:80]} has no score and predicted_label",
            "give answers of a Linear Learner with predictor_type binary_classifier",
        ) from None
    if not 0 <= score <= 1 or label not in (0, 1):
        raise DataError(
            f"{where}, answer {number}: score {score:g}, label {label}; expected 0 to 1, and 0 or 1",
            "give answers of a Linear Learner with predictor_type binary_classifier",
        )
    return score, label
