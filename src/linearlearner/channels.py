"""Read the data of a channel: every file below its folder, as features and labels.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml python -m linearlearner train      (it reads train, validation and test)
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner.html: CSV without a header and with the label first,
or RecordIO-protobuf; three channels, of which only train is needed. Files are read in order of their paths and rows
as they lie there: the algorithm does not shuffle, so data must be shuffled before. All of a channel is held in memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linearlearner import csv_rows, records
from linearlearner.errors import CustomerError, RowError
from linearlearner.folders import Folders
from linearlearner.hyperparameters import BINARY, MULTICLASS, Hyperparameters

CSV, RECORDS = "text/csv", "application/x-recordio-protobuf"
NAMES = ("train", "validation", "test")
SHOWN_LABEL = "{:g}"


@dataclass(frozen=True)
class Rows:
    """features float32 (N, D); labels float32 (N,)."""

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class File:
    """A file of a channel; shown: its path as the job knows it."""

    path: Path
    shown: str
    channel: str


def check(configured: Mapping[str, Any]) -> None:
    """Refuse channels that the algorithm does not have. Errors: CustomerError."""
    failed = "Unable to initialize the algorithm. Failed to validate input data configuration."
    if "train" not in configured:
        raise CustomerError(failed, "'train' is a required property", "ValidationError")
    unknown = sorted(set(configured) - set(NAMES))
    if unknown:
        listed = ", ".join(f"'{name}'" for name in unknown)
        because = (
            f"Additional properties are not allowed ({listed} unexpected): channels are {', '.join(NAMES)}"
        )
        raise CustomerError(failed, because, "ValidationError")
    for name, channel in configured.items():
        if channel.get("TrainingInputMode", "File") == "Pipe":
            because = (
                f"channel '{name}' is in Pipe mode, and this stand-in reads File and FastFile mode alone"
            )
            raise CustomerError(failed, because, "ValidationError")
        _reader(channel)


def load(name: str, channel: Mapping[str, Any], folders: Folders, given: Hyperparameters) -> Rows:
    """The rows of one channel. Errors: CustomerError that names file, row and column."""
    read = _reader(channel)
    files = sorted(path for path in folders.channel(name).rglob("*") if path.is_file())
    parts: list[Rows] = []
    for path in files:
        if not path.stat().st_size:
            raise CustomerError(
                f"Unable to read data channel '{name}'", f"file {folders.shown(path)} is empty"
            )
        file = File(path, folders.shown(path), name)
        rows = read(file)
        if len(rows):
            _check_features(file, rows, parts[0].features.shape[1] if parts else given.feature_dim)
            _check_labels(file, rows, given)
            parts.append(rows)
    if not parts:
        raise _nothing(name, f"channel '{name}' has {len(files)} files, and no row in them")
    if len(parts) == 1:
        return parts[0]
    return Rows(
        np.concatenate([each.features for each in parts]), np.concatenate([each.labels for each in parts])
    )


def check_size(rows: Rows, mini_batch_size: int) -> None:
    """Errors: CustomerError if not one mini-batch can be filled."""
    if len(rows) < mini_batch_size:
        raise _nothing(
            "train", f"channel 'train' has {len(rows)} rows, and mini_batch_size is {mini_batch_size}"
        )


def _nothing(name: str, because: str) -> CustomerError:
    if name != "train":
        return CustomerError(f"Unable to read data channel '{name}'", because)
    return CustomerError(
        "No training data processed. Either the training channel is empty or the mini-batch size is too high. "
        "Verify that training data contains non-empty files and the mini-batch size is less than the number of "
        "records per training host.",
        because,
    )


def _reader(channel: Mapping[str, Any]) -> Callable[[File], Rows]:
    """By content type; RecordIO where none is said, as the built-in algorithms do."""
    given = channel.get("ContentType") or RECORDS
    kind, _, parameters = given.partition(";")
    name = kind.strip().lower()
    if name not in (CSV, RECORDS):
        # https://github.com/aws/sagemaker-python-sdk/issues/819
        raise CustomerError(
            f"No iterator has been registered for ContentType ('{given}', '1.0')",
            f"the algorithm reads {CSV} and {RECORDS}",
        )
    if name == CSV and parameters.replace(" ", "") not in ("", "label_size=1", "charset=utf-8"):
        raise CustomerError(
            f"No iterator has been registered for ContentType ('{given}', '1.0')",
            "the label is one column, the first",
        )
    return _read_csv if name == CSV else _read_records


def _read_csv(file: File) -> Rows:
    try:
        rows = csv_rows.parse(file.path)
    except RowError as error:
        hint = ""
        if error.row == 1 and "is not a number" in error.reason:
            hint = ": the file seems to begin with a header, and SageMaker wants none"
        raise _unparsable(file, error.row, f"{error}{hint}") from error
    if rows.size and rows.shape[1] < 2:
        raise _unparsable(file, 1, "row 1: has a label and no feature")
    return (
        Rows(np.ascontiguousarray(rows[:, 1:]), rows[:, 0].copy()) if rows.size else Rows(rows, rows[:0, 0])
    )


def _read_records(file: File) -> Rows:
    try:
        found = list(records.read(file.path.read_bytes()))
        features = records.matrix([each.features for each in found])
    except RowError as error:
        message = (
            f"Unable to read data channel '{file.channel}'. Requested content-type is '{RECORDS}'. "
            "Please verify the data matches the requested content-type."
        )
        raise CustomerError(message, f"file {file.shown}, {error}") from error
    for number, each in enumerate(found, 1):
        if each.label is None or len(each.label.values) != 1:
            raise CustomerError(
                f"Unable to read data channel '{file.channel}'",
                f"file {file.shown}, row {number}: has no single label",
            )
    labels = np.array([each.label.values[0] for each in found if each.label], dtype=np.float32)
    return Rows(features, labels)


def _unparsable(file: File, row: int, because: str) -> CustomerError:
    # AWS names the thousand rows around the place: https://github.com/aws/amazon-sagemaker-examples/issues/1017
    first = max(row - 1, 0) // 1000 * 1000 + 1
    return CustomerError(
        f"Unable to parse csv: rows {first}-{first + 999}, file {file.shown}", f"{file.path.name}, {because}"
    )


def _check_features(file: File, rows: Rows, expected: int | None) -> None:
    found = rows.features.shape[1]
    if expected is not None and found != expected:
        raise CustomerError(
            f"Unable to read data channel '{file.channel}'",
            f"file {file.shown}, row 1: has {found} features (and a label), and {expected} are expected (feature_dim)",
        )


def _check_labels(file: File, rows: Rows, given: Hyperparameters) -> None:
    """Classes are whole numbers from 0."""
    if given.predictor_type == BINARY:
        bad, allowed = (rows.labels != 0) & (rows.labels != 1), "0 or 1"
    elif given.predictor_type == MULTICLASS:
        high = (given.num_classes or 0) - 1
        bad = (rows.labels < 0) | (rows.labels > high) | (rows.labels != np.floor(rows.labels))
        allowed = f"a whole number from 0 to {high}"
    else:
        bad, allowed = ~np.isfinite(rows.labels), "a finite number"
    wrong = np.flatnonzero(bad)
    if wrong.size:
        last = rows.features[:, -1]
        hint = ""
        if given.predictor_type == BINARY and np.isin(last, (0, 1)).all():
            hint = "; the last column has nothing but 0 and 1: is the label there?"
        raise CustomerError(
            f"Invalid labels in file {file.shown}: each must be {allowed} for predictor_type '{given.predictor_type}'",
            f"row {wrong[0] + 1}, column 1: {SHOWN_LABEL.format(rows.labels[wrong[0]])} is not {allowed}{hint}",
        )
