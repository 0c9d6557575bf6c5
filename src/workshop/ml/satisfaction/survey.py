"""The survey of airline passengers: its columns, what may stand in them, and answers as they were given.

Try it:  python -c "from workshop.ml.satisfaction import survey; print(survey.FEATURES[3])"
Knows neither files nor how a model wants its numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from workshop.ml.sentiment_metrics import Table

INDEX, ID, LABEL = "", "id", "satisfaction"  # INDEX: the first column has no name
CLASSES = ("neutral or dissatisfied", "satisfied")  # label 0, label 1
SHORT_CLASSES = ("dissatisfied", "satisfied")  # where there is little room


@dataclass(frozen=True)
class Column:
    """One feature. categories: in the order of their codes 0, 1, 2; low, high: of numbers and ratings, both allowed."""

    name: str
    kind: Literal["category", "rating", "number"]
    categories: tuple[str, ...] = ()
    low: int = 0
    high: int = 5
    unit: str = ""
    may_be_missing: bool = False


DEPARTURE_DELAY, ARRIVAL_DELAY = "Departure Delay in Minutes", "Arrival Delay in Minutes"
_MOST_MINUTES = 20_160  # two weeks: more is no delay
_RATINGS = (
    "Inflight wifi service",
    "Departure/Arrival time convenient",
    "Ease of Online booking",
    "Gate location",
    "Food and drink",
    "Online boarding",
    "Seat comfort",
    "Inflight entertainment",
    "On-board service",
    "Leg room service",
    "Baggage handling",
    "Checkin service",
    "Inflight service",
    "Cleanliness",
)
# In the file's order, which is the order of the numbers that a model gets.
FEATURES = (
    Column("Gender", "category", ("Female", "Male")),
    Column("Customer Type", "category", ("disloyal Customer", "Loyal Customer")),
    Column("Age", "number", low=1, high=120, unit="years"),
    Column("Type of Travel", "category", ("Personal Travel", "Business travel")),
    Column("Class", "category", ("Eco", "Eco Plus", "Business")),
    Column("Flight Distance", "number", low=1, high=20_000),
    *(Column(name, "rating", unit="0 for not applicable, or 1 to 5") for name in _RATINGS),
    Column(DEPARTURE_DELAY, "number", high=_MOST_MINUTES, unit="minutes"),
    Column(ARRIVAL_DELAY, "number", high=_MOST_MINUTES, unit="minutes", may_be_missing=True),
)
NAMES = tuple(column.name for column in FEATURES)
POSITIONS = {name: index for index, name in enumerate(NAMES)}
RATINGS = _RATINGS


@dataclass(frozen=True)
class Answers:
    """Answers as given. Shapes: values float64 (N, 22), a category as its code, a missing number as NaN;
    labels int64 (N,), 1 for satisfied; ids int64 (N,).
    """

    values: np.ndarray
    labels: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        missing = int(np.isnan(self.values).sum())
        return f"{len(self):,} answers, {self.satisfied_share:.1%} satisfied, {missing:,} empty cells"

    @property
    def satisfied_share(self) -> float:
        return float(self.labels.mean())

    def column(self, name: str) -> np.ndarray:
        """The values of a feature (N,)."""
        return self.values[:, POSITIONS[name]]

    def part(self, indices: Sequence[int] | np.ndarray) -> Answers:
        return Answers(self.values[indices], self.labels[indices], self.ids[indices])

    def answer(self, index: int) -> dict[str, Any]:
        """One passenger's answers by the survey's words; None where nothing was said."""
        return {column.name: said(column, self.values[index, at]) for at, column in enumerate(FEATURES)}

    def table(self, count: int = 5) -> Table:
        """Show the first answers on their sides: a line a question, a column a passenger."""
        shown = [
            {**self.answer(index), LABEL: CLASSES[self.labels[index]]}
            for index in range(min(count, len(self)))
        ]
        rows = [(name, *(str(one[name]) for one in shown)) for name in (*NAMES, LABEL)]
        return Table(("question", *(f"id {self.ids[index]}" for index in range(len(shown)))), tuple(rows))

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self.ids, self.labels, self.values):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def sha256(self) -> str:
        """Fingerprint of the answers in their order: the same for the same answers, whatever file held them."""
        return self._fingerprint


def said(column: Column, value: float) -> str | int | float | None:
    """The survey's word for a value: a category's name, a number, None for nothing."""
    if np.isnan(value):
        return None
    if column.kind == "category":
        return column.categories[int(value)]
    return int(value) if value == int(value) else float(value)
