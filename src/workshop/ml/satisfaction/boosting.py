"""Gradient boosting: hundreds of small decision trees, each mending what those before it got wrong.

Try it:  python -c "from workshop.ml.satisfaction import boosting; help(boosting.train)"
A linear model gives each question one weight for everyone. Trees ask one question after another, so that wifi may count
for those who travel at leisure and boarding for those on business.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop.errors import DataError

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

# Chosen by the accuracy on the validation part (0.966, scikit-learn's defaults 0.964). The test file had no say in it.
PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 300,  # trees at most
    "max_leaf_nodes": 63,
    "l2_regularization": 1.0,
    "early_stopping": True,  # on a tenth that scikit-learn splits off what it is given
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
}
# OpenMP's threads wait for each other by spinning, which on a busy machine takes thirty times as long as one alone; on
# an idle one with two cores, two take 1.2 s and one 2.0 s for the real survey.
THREADS = 1


@dataclass(frozen=True)
class Boosted:
    """Trees that were trained. seconds: how long that took."""

    model: HistGradientBoostingClassifier
    seconds: float

    @property
    def num_trees(self) -> int:
        return int(self.model.n_iter_)

    def predict(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores float64 (N,), the probability of label 1, and labels int64 (N,), as an endpoint answers."""
        with _few_threads():
            scores = self.model.predict_proba(numbers)[:, 1]
        return scores, (scores >= 0.5).astype(np.int64)


def train(numbers: np.ndarray, labels: np.ndarray, seed: int = 10, **parameters: Any) -> Boosted:
    """Train on numbers float64 (N, 22) and labels (N,); parameters replace those of PARAMETERS.

    The same seed and numbers give the same trees. Errors: DataError if only one class is there.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(np.unique(labels)) < 2:
        raise DataError("there is one class alone to learn from", "give answers of both classes")
    began = time.monotonic()
    model = HistGradientBoostingClassifier(random_state=seed, **{**PARAMETERS, **parameters})
    with _few_threads():
        model.fit(numbers, labels)
    return Boosted(model, time.monotonic() - began)


def importances(boosted: Boosted, numbers: np.ndarray, labels: np.ndarray, seed: int = 10) -> np.ndarray:
    """How much accuracy is lost if the answers to a question are dealt out anew: float64 (22,), one a feature."""
    random = np.random.default_rng(seed)
    whole = float((boosted.predict(numbers)[1] == labels).mean())
    lost = np.zeros(numbers.shape[1])
    for index in range(numbers.shape[1]):
        shuffled = numbers.copy()
        shuffled[:, index] = random.permutation(shuffled[:, index])
        lost[index] = whole - float((boosted.predict(shuffled)[1] == labels).mean())
    return lost


def _few_threads() -> AbstractContextManager[Any]:
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    limits: AbstractContextManager[Any] = threadpool_limits(THREADS, user_api="openmp")
    return limits
