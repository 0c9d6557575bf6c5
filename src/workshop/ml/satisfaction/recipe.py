"""How one answer to the survey becomes the 22 numbers that a model gets: fitted on train, kept as columns.json.

Try it:  python -c "from workshop import datasets; from workshop.ml.satisfaction import recipe as r;
print(r.fit(datasets.satisfaction().train).missing)"
What is learned here is learned from the train file alone. Knows no model; applying columns.json takes ten lines in any
language (see `numbers`), so a Lambda function or a web page needs nothing of ours.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop.errors import DataError
from workshop.ml.satisfaction.survey import (
    ARRIVAL_DELAY,
    CLASSES,
    DEPARTURE_DELAY,
    FEATURES,
    LABEL,
    NAMES,
    POSITIONS,
    Answers,
    Column,
)

FORMAT = "workshop-satisfaction-columns/1"
FILE = "columns.json"
# What becomes of ratings. 0 means 'not applicable', so as a number it says less than 1, which is wrong.
AS_GIVEN, MEAN, EVIDENCE = "as-given", "mean", "evidence"
RATINGS = {
    AS_GIVEN: "0 to 5 as they are; 0, not applicable, counts as worse than 1",
    MEAN: "1 to 5 as they are; 0 becomes the mean of those who answered",
    EVIDENCE: "each of 0 to 5 becomes the logarithm of satisfied to dissatisfied passengers who gave it",
}
DECIMALS = 4  # in the files: enough for any model, and short


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make the numbers. encodings: feature to (what was said to its number), for those
    that don't stand for themselves; missing: feature to how an empty cell is filled from another one.
    """

    ratings: str
    encodings: dict[str, dict[str, float]]
    missing: dict[str, dict[str, Any]]
    means: dict[str, float]
    num_answers: int
    fitted_on: str

    def as_dict(self) -> dict[str, Any]:
        """The document columns.json: one entry a feature, in the order of the numbers."""
        return {
            "format": FORMAT,
            "label": {"name": LABEL, "encoding": {name: code for code, name in enumerate(CLASSES)}},
            "ratings": self.ratings,
            "fitted_on": {"answers": self.num_answers, "sha256": self.fitted_on},
            "columns": [self._column(column) for column in FEATURES],
        }

    def _column(self, column: Column) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": column.name, "kind": column.kind}
        if column.unit:
            entry["unit"] = column.unit
        if column.kind != "category":
            entry |= {"low": column.low, "high": column.high}
        if column.name in self.encodings:
            entry["encoding"] = self.encodings[column.name]
        if column.name in self.missing:
            entry["missing"] = self.missing[column.name]
        return {**entry, "mean": self.means[column.name]}


def fit(train: Answers, ratings: str = MEAN) -> Recipe:
    """Learn from the answers of the train file what the numbers need; ratings: a key of RATINGS.

    An empty arrival delay is filled from the same flight's departure delay by a straight line: the two go together
    (correlation 0.97), and flights without one left late more often than others, so a median (0) would be wrong.
    """
    if ratings not in RATINGS:
        raise DataError(f"there is no way '{ratings}' with ratings", f"one of {', '.join(RATINGS)}")
    encodings = {
        column.name: _encoding(column, train, ratings) for column in FEATURES if column.kind != "number"
    }
    encodings = {name: encoding for name, encoding in encodings.items() if encoding}
    recipe = Recipe(ratings, encodings, {ARRIVAL_DELAY: _delay_line(train)}, {}, len(train), train.sha256())
    means = encode(recipe, train).mean(axis=0)
    means_by_name = {name: round(float(mean), DECIMALS) for name, mean in zip(NAMES, means, strict=True)}
    return Recipe(**{**recipe.__dict__, "means": means_by_name})


def encode(recipe: Recipe, answers: Answers) -> np.ndarray:
    """The numbers of all answers: float64 (N, 22), nothing missing."""
    values = np.array(answers.values, order="F")
    for column in FEATURES:
        at = POSITIONS[column.name]
        encoding = recipe.encodings.get(column.name)
        if encoding:
            values[:, at] = _table(column, encoding)[answers.values[:, at].astype(np.int64)]
    for name, rule in recipe.missing.items():
        to = values[:, POSITIONS[name]]
        empty = np.flatnonzero(np.isnan(to))
        to[empty] = _filled(rule, values[empty, POSITIONS[rule["from"]]])
    return values


def numbers(document: Mapping[str, Any], answer: Mapping[str, Any]) -> list[float]:
    """The 22 numbers of one answer by the document columns.json.

    answer: feature to what was said: a category's name, a number, None for a missing one that may be missing.
    Errors: DataError with everything that is wrong with it.
    """
    problems = wrong_with(document, answer)
    if problems:
        raise DataError(f"the answer can't be used: {'; '.join(problems)}", "mend it and ask again")
    found: dict[str, float] = {}
    for column in document["columns"]:
        said = answer.get(column["name"])
        if said is None:
            rule = column["missing"]
            found[column["name"]] = float(_filled(rule, found[rule["from"]]))
        else:
            found[column["name"]] = float(column.get("encoding", {}).get(_key(said), said))
    return list(found.values())


def wrong_with(document: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with one answer, in the order of the features; empty if it can be used."""
    names = [column["name"] for column in document["columns"]]
    problems = [problem for column in document["columns"] if (problem := _wrong(column, answer))]
    for name in answer:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            problems.append(
                f"there is no question '{name}'" + (f": did you mean '{near[0]}'?" if near else "")
            )
    return problems


def to_json(recipe: Recipe, data: Mapping[str, Any]) -> str:
    """The document as text; data: where the answers come from."""
    return json.dumps({**recipe.as_dict(), "data": dict(data)}, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str, where: str = FILE) -> dict[str, Any]:
    """Read the document columns.json. Errors: DataError if it is another one."""
    try:
        document = json.loads(text)
        found = (document["format"], tuple(column["name"] for column in document["columns"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where} is no description of columns: {error}", "workshop run prepare-satisfaction"
        ) from None
    if found != (FORMAT, NAMES):
        raise DataError(
            f"{where} describes other columns than this survey's", "workshop run prepare-satisfaction"
        )
    return dict(document)


def _encoding(column: Column, train: Answers, ratings: str) -> dict[str, float]:
    """What was said to its number; empty where ratings stand for themselves."""
    if column.kind == "category":
        return {name: code for code, name in enumerate(column.categories)}
    given = train.column(column.name)
    if ratings == MEAN:
        answered = given[given > 0]
        return {"0": round(float(answered.mean()), DECIMALS)} if len(answered) else {}
    if ratings == EVIDENCE:
        return {str(rating): _evidence(train.labels[given == rating]) for rating in range(column.high + 1)}
    return {}


def _evidence(labels: np.ndarray) -> float:
    """ln(satisfied / dissatisfied) with one of each added, so that a rating that nobody gave says nothing."""
    satisfied = int(labels.sum())
    return round(float(np.log((satisfied + 1) / (len(labels) - satisfied + 1))), DECIMALS)


def _delay_line(train: Answers) -> dict[str, Any]:
    """The straight line of least squares from departure delay to arrival delay, over flights that have both."""
    left, came = train.column(DEPARTURE_DELAY), train.column(ARRIVAL_DELAY)
    both = ~np.isnan(came)
    left, came = left[both], came[both]
    spread = float(((left - left.mean()) ** 2).sum()) if len(left) else 0.0
    slope = float(((left - left.mean()) * (came - came.mean())).sum()) / spread if spread else 0.0
    intercept = float(came.mean() - slope * left.mean()) if len(left) else 0.0
    return {"from": DEPARTURE_DELAY, "slope": round(slope, DECIMALS), "intercept": round(intercept, DECIMALS)}


def _filled(rule: Mapping[str, Any], other: Any) -> Any:
    return np.round(rule["intercept"] + rule["slope"] * other, DECIMALS)


def _table(column: Column, encoding: Mapping[str, float]) -> np.ndarray:
    """The number of each code: (categories,) or (ratings,)."""
    if column.kind == "category":
        return np.array([encoding[name] for name in column.categories], dtype=np.float64)
    return np.array(
        [encoding.get(str(rating), rating) for rating in range(column.high + 1)], dtype=np.float64
    )


def _wrong(column: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    name, said = column["name"], answer.get(column["name"])
    if said is None:
        return "" if name in answer and "missing" in column else f"'{name}' is missing"
    if column["kind"] == "category":
        known = list(column["encoding"])
        return "" if said in known else f"'{name}' is {said!r}, expected one of {', '.join(known)}"
    if isinstance(said, bool) or not isinstance(said, int | float):
        return f"'{name}' is {said!r}, expected a number"
    if not column["low"] <= said <= column["high"]:
        return f"'{name}' is {said}, expected {column['low']} to {column['high']}"
    if column["kind"] == "rating" and said != int(said):
        return f"'{name}' is {said}, expected a whole number"
    return ""


def _key(said: Any) -> str:
    return said if isinstance(said, str) else str(int(said)) if said == int(said) else str(said)
