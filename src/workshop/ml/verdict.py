"""From probabilities to words: the five likeliest classes, and cat or not.

Try it:  python -c "from workshop.ml import verdict; print(verdict.judge([0.2, 0.8], 'ab', [1]).words)"
Knows no network: it is given one row of probabilities and which classes are cats.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from workshop.errors import DataError


@dataclass(frozen=True)
class Verdict:
    """top: (class name, probability), likeliest first; cat_probability: sum over the classes of cats.

    is_cat: the cats together are likelier than any other class, or than a threshold where one is given.
    """

    top: list[tuple[str, float]]
    cat_probability: float
    is_cat: bool

    @property
    def words(self) -> str:
        return "cat" if self.is_cat else "not a cat"

    def lines(self) -> list[str]:
        """The verdict as a log shows it."""
        rows = [f"{'CAT' if self.is_cat else 'NOT A CAT'}  (cats together {self.cat_probability:.1%})"]
        return rows + [f"  {probability:6.1%}  {name}" for name, probability in self.top]


def judge(
    probabilities: np.ndarray,
    classes: Sequence[str],
    cat_classes: Collection[int],
    k: int = 5,
    threshold: float | None = None,
) -> Verdict:
    """Judge one picture by its probabilities (classes,); threshold: of the network, see its metadata."""
    row = np.asarray(probabilities, dtype=np.float64)
    if row.shape != (len(classes),):
        raise DataError(f"probabilities of shape {row.shape} do not match {len(classes)} classes")
    best = np.argsort(-row, kind="stable")[:k]
    cats = np.isin(np.arange(len(row)), list(cat_classes))
    cat_probability, other = float(row[cats].sum()), float(row[~cats].max(initial=0.0))
    top = [(classes[index], float(row[index])) for index in best]
    return Verdict(top, cat_probability, cat_probability > (other if threshold is None else threshold))


def judge_all(
    probabilities: np.ndarray,
    classes: Sequence[str],
    cat_classes: Collection[int],
    k: int = 5,
    threshold: float | None = None,
) -> list[Verdict]:
    return [judge(row, classes, cat_classes, k, threshold) for row in probabilities]
