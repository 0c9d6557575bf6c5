"""Find the score from which an example counts as positive, by a criterion.

Try it:  python -c "from linearlearner.thresholds import best; help(best)"
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html: binary_classifier_model_selection_criteria.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linearlearner.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Counts:
    """For every threshold that could be chosen: true and false positives; and how many positives, negatives are."""

    hits: np.ndarray
    misses: np.ndarray
    positives: int
    negatives: int

    @property
    def precision(self) -> np.ndarray:
        return self.hits / np.maximum(self.hits + self.misses, 1)

    @property
    def recall(self) -> np.ndarray:
        return self.hits / max(self.positives, 1)


def best(scores: np.ndarray, labels: np.ndarray, given: Hyperparameters) -> tuple[float, float]:
    """The threshold that serves the criterion best, and the criterion's value there. Scores, labels: (N,)."""
    order = np.argsort(-scores, kind="stable")
    ordered, truth = scores[order].astype(np.float64), labels[order] == 1
    # A border lies only between two different scores; before the first one nothing is positive.
    borders = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1, [len(ordered)]])
    hits = np.concatenate([[0], np.cumsum(truth)])[borders]
    positives = int(truth.sum())
    counts = Counts(hits, borders - hits, positives, len(truth) - positives)
    values = CRITERIA[given.criteria](counts, given)
    chosen = int(np.argmax(values))
    return _between(ordered, int(borders[chosen])), float(values[chosen])


def _between(ordered: np.ndarray, border: int) -> float:
    """A threshold that lets the first `border` scores through."""
    if border == 0:
        return float(np.nextafter(np.float32(ordered[0]), np.float32(np.inf)))
    if border == len(ordered):
        return float(ordered[-1])
    middle = np.float32((ordered[border - 1] + ordered[border]) / 2)
    return float(middle) if middle > ordered[border] else float(ordered[border - 1])


def _accuracy(counts: Counts, given: Hyperparameters) -> np.ndarray:
    return (counts.hits + counts.negatives - counts.misses) / max(counts.positives + counts.negatives, 1)


def f_beta(precision: np.ndarray, recall: np.ndarray, beta: float) -> np.ndarray:
    """The F score, 0 where both are 0."""
    below = beta**2 * precision + recall
    return np.asarray((1 + beta**2) * precision * recall / np.where(below > 0, below, 1))


def _f_beta(counts: Counts, given: Hyperparameters) -> np.ndarray:
    return f_beta(counts.precision, counts.recall, given.f_beta)


def _precision_at_recall(counts: Counts, given: Hyperparameters) -> np.ndarray:
    return _at_least(counts.recall, given.target_recall, counts.precision)


def _recall_at_precision(counts: Counts, given: Hyperparameters) -> np.ndarray:
    return _at_least(counts.precision, given.target_precision, counts.recall)


def _at_least(held: np.ndarray, target: float, value: np.ndarray) -> np.ndarray:
    """The value where the target is held; where it is nowhere, how far off it is, below every value."""
    return np.where(held >= target, value, held - target - 1)


CRITERIA: dict[str, Callable[[Counts, Hyperparameters], np.ndarray]] = {
    "accuracy": _accuracy,
    "f_beta": _f_beta,
    "precision_at_target_recall": _precision_at_recall,
    "recall_at_target_precision": _recall_at_precision,
}
"""loss_function is none of them: it leaves the threshold where the loss puts it."""
