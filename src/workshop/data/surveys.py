"""The survey of airline passengers from a zip or two CSV files, checked cell by cell.

Try it:  python -c "from workshop import datasets; print(datasets.satisfaction().test)"
Every problem of a file is told with its line and column. Knows nothing of where files come from, nor of learning.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workshop.data import cells
from workshop.data.texts import LARGEST_BYTES, FormatError
from workshop.errors import DataError
from workshop.ml.satisfaction import survey
from workshop.ml.satisfaction.survey import Answers

COLUMNS = (survey.INDEX, survey.ID, *survey.NAMES, survey.LABEL)
_REMEDY = "mend these lines, or fetch the data anew: workshop data"


class Surveys(NamedTuple):
    """Answers to learn from, and answers to score on."""

    train: Answers
    test: Answers


def read_zip(path: Path) -> Surveys:
    """Read train.csv and test.csv out of a zip file, in whatever folder they lie there.

    Errors: FormatError if it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            train, test = (_member(archive, path, name) for name in ("train.csv", "test.csv"))
            return _together(
                (archive.read(train), f"{path.name}: {train.filename}"),
                (archive.read(test), f"{path.name}: {test.filename}"),
            )
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} can't be read as a zip file: {error}", "fetch it anew: workshop data"
        ) from error


def read_files(train: Path, test: Path) -> Surveys:
    """Read the two CSV files. Errors: DataError if one can't be read, FormatError if it is no such table."""
    try:
        return _together((train.read_bytes(), str(train)), (test.read_bytes(), str(test)))
    except OSError as error:
        raise DataError(
            f"{error.filename} can't be read: {error.strerror}", "check the path and its rights"
        ) from error


def parse(content: bytes, where: str) -> Answers:
    """Read one table of answers; columns are found by their names, in any order.

    Errors: FormatError that names the columns missing or unknown, or each wrong cell with its line.
    """
    table = cells.read(content, where)
    _check_columns(table.names, where)
    values = np.empty((len(table), len(survey.FEATURES)), order="F")
    for at, column in enumerate(survey.FEATURES):
        if column.kind == "category":
            values[:, at] = table.category(column.name, column.categories)
        else:
            values[:, at] = table.number(column.name, column.low, column.high, column.may_be_missing)
    table.number(survey.INDEX)
    ids, labels = table.number(survey.ID), table.category(survey.LABEL, survey.CLASSES)
    if not table.problems:  # else what isn't there would be called a repetition
        table.repeated(survey.ID, ids)
    table.check(_REMEDY)
    return Answers(values, labels, ids.astype(np.int64))


def _together(train: tuple[bytes, str], test: tuple[bytes, str]) -> Surveys:
    found = Surveys(parse(*train), parse(*test))
    both = np.intersect1d(found.train.ids, found.test.ids, assume_unique=True)
    if len(both):
        named = ", ".join(str(each) for each in both[:5]) + (", …" if len(both) > 5 else "")
        raise FormatError(
            f"{test[1]}: {len(both):,} of its passengers are in {train[1]} too (id {named})",
            "take them out of one: a model must not be scored on what it learned from",
        )
    return found


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename.rsplit("/", 1)[-1] == name]
    if len(found) != 1:
        raise FormatError(
            f"{path} holds {len(found)} files {name}, expected one", "fetch it anew: workshop data"
        )
    if found[0].file_size > LARGEST_BYTES:
        raise FormatError(f"{path}: {name} has more than {LARGEST_BYTES / 1e6:.0f} MB", "give a part of it")
    return found[0]


def _check_columns(names: tuple[str, ...], where: str) -> None:
    missing = [repr(name) for name in COLUMNS if name not in names]
    unknown = [repr(name) for name in names if name not in COLUMNS]
    twice = sorted({repr(name) for name in names if names.count(name) > 1})
    told = [
        f"{what} {', '.join(which[:5])}{' and others' if len(which) > 5 else ''}"
        for what, which in (("lacks", missing), ("has the unknown", unknown), ("has twice", twice))
        if which
    ]
    if not set(names) & set(COLUMNS[1:]):  # the first column has no name, as an empty cell has none
        told = [f"is no header but {','.join(names)[:40]}…"]
    if told:
        raise FormatError(
            f"{where}: its first line {' and '.join(told)}",
            f"it must name the {len(COLUMNS)} columns: '', {', '.join(COLUMNS[1:4])}, …, {COLUMNS[-1]}",
        )
