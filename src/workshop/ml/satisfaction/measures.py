"""How well the satisfied are told from the others: accuracy, AUC, precision, recall, F1, curves.

Try it:  python -c "from workshop.ml.satisfaction import measures as m; print(m.report([.9, .2], [1, 0], [1, 0]))"
Knows NumPy alone: scores, the model's guesses and the truth in, figures out. Satisfied, label 1, is the positive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop.ml import metrics
from workshop.ml.satisfaction.survey import SHORT_CLASSES
from workshop.ml.sentiment_metrics import LEAST_PROBABILITY, Table

BINS = 10  # of the calibration


def report(scores: Any, guesses: Any, labels: Any) -> dict[str, Any]:
    """What a job reports. scores: probability of label 1 (N,); guesses: by the model's threshold (N,); labels: truth.

    calibration_error is the mean distance, over answers, between what a score says and how often it came true.
    """
    chances, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    table = confusion(guesses, truth)
    (true_no, false_yes), (false_no, true_yes) = table.tolist()
    of_truth = np.where(truth == 1, chances, 1 - chances)
    return {
        "accuracy": _share(true_no + true_yes, len(truth)),
        "auc": metrics.auc(chances, truth == 1),
        "precision": _share(true_yes, true_yes + false_yes),
        "recall": _share(true_yes, true_yes + false_no),
        "f1": _share(2 * true_yes, 2 * true_yes + false_yes + false_no),
        "loss": float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean()),
        "calibration_error": _calibration_error(chances, truth),
        "answers": len(truth),
        # The accuracy of whoever always answers the commoner class.
        "largest_class_share": max(
            _share(int(truth.sum()), len(truth)), _share(int((1 - truth).sum()), len(truth))
        ),
        "confusion": table.tolist(),
    }


def confusion(guesses: Any, labels: Any) -> np.ndarray:
    """Count (true class, guessed class): int64 (2, 2)."""
    return metrics.confusion_matrix(np.eye(2)[np.asarray(guesses, dtype=np.int64)], np.asarray(labels))


def roc(scores: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """The curve of receiver operating characteristic: share of false alarms and of hits, one point a threshold."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    order = np.argsort(-values, kind="stable")
    # Equal scores are one threshold: only the last of them is a point.
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits, alarms = np.cumsum(truth[order])[last], np.cumsum(1 - truth[order])[last]
    return (
        np.concatenate(([0.0], alarms / max(1, int(alarms[-1])))),
        np.concatenate(([0.0], hits / max(1, int(hits[-1])))),
    )


def calibration(scores: Any, labels: Any) -> list[dict[str, float]]:
    """For each tenth of the scores that has answers: mean score, share satisfied, answers."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    return [
        {
            "score": float(values[mine].mean()),
            "satisfied": float(truth[mine].mean()),
            "answers": int(mine.sum()),
        }
        for mine in (bins == index for index in range(BINS))
        if mine.any()
    ]


def table(found: dict[str, Any]) -> Table:
    """Show what `report` says, with what each figure means."""
    meanings = {
        "accuracy": "share of the answers guessed rightly",
        "auc": "chance that a satisfied passenger scores higher than another; 0.5 is guessing",
        "precision": f"share of those called {SHORT_CLASSES[1]} who are",
        "recall": f"share of the {SHORT_CLASSES[1]} who are found",
        "f1": "the two above in one",
        "loss": "cross-entropy (nats an answer)",
        "calibration_error": "how far a score is from how often it comes true",
        "largest_class_share": "accuracy of always giving the commoner answer",
    }
    return Table(
        ("figure", "value", "meaning"),
        tuple((name, f"{found[name]:.3f}", why) for name, why in meanings.items()),
    )


def _calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    rows = calibration(scores, labels)
    return float(sum(abs(row["score"] - row["satisfied"]) * row["answers"] for row in rows) / len(scores))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
