"""The three files that a built-in algorithm takes: train, validation, test; label first, no header.

Try it:  workshop run prepare-satisfaction
Knows no S3. The validation part is split off the train file, so that the test file is looked at once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError
from workshop.ml.satisfaction import recipe as recipes
from workshop.ml.satisfaction.recipe import DECIMALS, Recipe
from workshop.ml.satisfaction.survey import FEATURES, Answers

TRAIN, VALIDATION, TEST = "train", "validation", "test"
UNLABELLED = "unlabelled"  # the test file without its labels, as a batch transform takes it
_LARGEST_LOOKED_UP = 100_000  # whole numbers up to this are written by looking them up


@dataclass(frozen=True)
class Parts:
    """What a model learns from, what it is chosen by, and what it is scored on once."""

    train: Answers
    validation: Answers
    test: Answers

    def __repr__(self) -> str:
        each = (
            f"{name} {len(part):,} ({part.satisfied_share:.1%} satisfied)"
            for name, part in self.named().items()
        )
        return ", ".join(each)

    def named(self) -> dict[str, Answers]:
        return {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}


def split(train: Answers, test: Answers, validation_share: float, seed: int) -> Parts:
    """Split a share of each class off the train file. The same seed gives the same parts, each in the file's order.

    Errors: DataError if a class has too few answers for both sides.
    """
    if not 0 < validation_share < 1:
        raise DataError(f"a share of {validation_share} can't be split off", "give a number between 0 and 1")
    random = np.random.default_rng(seed)
    is_validation = np.zeros(len(train), dtype=bool)
    for label in (0, 1):
        mine = np.flatnonzero(train.labels == label)
        count = round(validation_share * len(mine))
        if not 0 < count < len(mine):
            raise DataError(
                f"{len(mine)} answers with label {label} can't be split in two parts of which one has "
                f"{validation_share:.0%}",
                "give more answers, or another share",
            )
        is_validation[random.choice(mine, count, replace=False)] = True
    return Parts(train.part(np.flatnonzero(~is_validation)), train.part(np.flatnonzero(is_validation)), test)


def write(
    parts: Parts, recipe: Recipe, folder: Path, data: Mapping[str, Any] | None = None
) -> dict[str, Path]:
    """Write train/train.csv and so on, the test file without labels, and columns.json; return the files by name.

    data: what columns.json says of where the answers come from.
    """
    files = {recipes.FILE: _write(folder / recipes.FILE, recipes.to_json(recipe, data or {}).encode())}
    for name, part in parts.named().items():
        numbers = recipes.encode(recipe, part)
        files[name] = _write(folder / name / f"{name}.csv", csv_lines(numbers, part.labels))
        if name == TEST:
            files[UNLABELLED] = _write(folder / UNLABELLED / f"{name}.csv", csv_lines(numbers))
    return files


def csv_lines(numbers: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """CSV without a header: float (N, columns), with the labels (N,) before them if given.

    All cells of a column are looked up at once in a table of texts, then the filling between them is left out: forty
    times as fast as formatting cell by cell.
    """
    columns = [] if labels is None else [labels.astype(np.float64)]
    columns += [numbers[:, index] for index in range(numbers.shape[1])]
    pieces = []
    for column in columns:
        texts = _texts(column)
        pieces += [
            texts.view(np.uint8).reshape(len(column), -1),
            np.full((len(column), 1), ord(","), np.uint8),
        ]
    pieces[-1][:] = ord("\n")
    table = np.concatenate(pieces, axis=1).reshape(-1)
    return table[table != 0].tobytes()


def read_lines(content: bytes, where: str, labelled: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Read such a file again: numbers float64 (N, 22), labels int64 (N,), empty where it has none.

    Errors: DataError if it is no such file.
    """
    expected = len(FEATURES) + labelled
    try:
        table = np.loadtxt(
            content.decode("utf-8", "replace").splitlines(), delimiter=",", comments=None, ndmin=2
        )
        if table.shape[1] != expected:
            raise ValueError(f"it has {table.shape[1]}")
        if not np.isfinite(table).all():
            raise ValueError("not every number is one")
        if labelled and not np.isin(table[:, 0], (0, 1)).all():
            raise ValueError("its first column has other labels than 0 and 1")
    except ValueError as error:
        wanted = f"{expected} numbers a line" + (", label first" if labelled else "")
        raise DataError(
            f"{where} is no prepared file of {wanted}: {error}", "workshop run prepare-satisfaction"
        ) from None
    return table[:, int(labelled) :], table[:, : int(labelled)].reshape(-1).astype(np.int64)


def report(parts: Parts, recipe: Recipe) -> dict[str, Any]:
    """What the job keeps in metrics.json."""
    filled = {name: int(np.isnan(part.values).sum()) for name, part in parts.named().items()}
    return {
        "features": len(FEATURES),
        "answers": {name: len(part) for name, part in parts.named().items()},
        "satisfied_share": {name: round(part.satisfied_share, 4) for name, part in parts.named().items()},
        "filled_cells": filled,
        "ratings": recipe.ratings,
        "data_sha256": {name: part.sha256() for name, part in parts.named().items()},
    }


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _texts(column: np.ndarray) -> np.ndarray:
    """Each number as text, bytes padded with zeros (N,): 3, 2.8123."""
    whole = column.astype(np.int64)
    odd = np.flatnonzero((whole != column) | (whole < 0) | (whole > _LARGEST_LOOKED_UP))
    others, which = np.unique(column[odd], return_inverse=True)
    whole[odd] = 0
    known = int(whole.max(initial=0)) + 1
    whole[odd] = known + which
    table = [b"%d" % number for number in range(known)]
    # + 0.0: what rounds to nothing is 0, not -0.
    rounded = np.round(others, DECIMALS) + 0.0
    table += [f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".").encode() for number in rounded]
    return np.array(table)[whole]
