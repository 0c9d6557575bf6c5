"""How good a classifier is: accuracy, AUC, top-k, confusion matrix.

Try it:  python -c "from workshop.ml import metrics; print(metrics.auc([0.1, 0.9], [False, True]))"
Knows NumPy alone: probabilities and labels in, figures out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop.errors import DataError


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of the rows (N, classes) whose largest value is at their label (N,)."""
    return top_k_accuracy(probabilities, labels, 1)


def top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int = 5) -> float:
    """Share of the rows whose label is among their k largest values; of equal values the first class wins."""
    values, truth = _matching(probabilities, labels)
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return float(np.mean((order == truth[:, None]).any(axis=1)))


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count (true class, guessed class): int64 (classes, classes); the diagonal is right."""
    values, truth = _matching(probabilities, labels)
    table = np.zeros((values.shape[1], values.shape[1]), dtype=np.int64)
    np.add.at(table, (truth, values.argmax(axis=1)), 1)
    return table


def auc(scores: Any, is_positive: Any) -> float:
    """Probability that a positive has a higher score than a negative; equal scores count half.

    Computed from ranks (Mann and Whitney 1947), so time grows as N log N. 0.5 is chance, 1 is perfect.
    Errors: DataError unless both kinds are there: the value would be undefined.
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    if values.shape != positive.shape or values.ndim != 1:
        raise DataError(f"scores of shape {values.shape} do not match labels of shape {positive.shape}")
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        raise DataError(
            f"AUC compares positives with negatives, and there are {num_positive} and {num_negative}",
            "use test pictures of both kinds",
        )
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(counts)
    mean_rank = last_rank - (counts - 1) / 2  # equal scores share the mean of their ranks
    rank_sum = mean_rank[group.reshape(-1)][positive].sum()
    return float((rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def summary(probabilities: np.ndarray, labels: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """What a job reports of its test pictures; `cat_auc` where there is a class 'cat' beside others."""
    table = confusion_matrix(probabilities, labels)
    totals = table.sum(axis=1)
    report: dict[str, Any] = {
        "accuracy": accuracy(probabilities, labels),
        "num_pictures": len(labels),
        "class_accuracy": {
            name: float(table[index, index] / totals[index])
            for index, name in enumerate(classes)
            if totals[index]
        },
    }
    is_cat = np.asarray(labels) == classes.index("cat") if "cat" in classes else np.zeros(len(labels), bool)
    if 0 < is_cat.sum() < len(is_cat):
        report["cat_auc"] = auc(probabilities[:, classes.index("cat")], is_cat)
    return report


def _matching(probabilities: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(probabilities), np.asarray(labels)
    if values.ndim != 2 or truth.shape != (len(values),) or not len(values):
        raise DataError(
            f"probabilities {values.shape} do not match labels {truth.shape}; expected (N, C), (N,)"
        )
    return values, truth
