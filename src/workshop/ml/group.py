"""Who learns together: this worker's place in its group, and its share of the work.

Try it:  python -c "from workshop.ml.group import Group; print(Group(rank=1, size=2).share(64))"
Knows no framework and no network: how a group's workers exchange numbers is in `exchange`, and who starts
them is not known here. Ranks count from 0; worker 0 leads: it alone keeps the results.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError, SettingsError

WORKERS = "WORKSHOP_WORKERS"
RANK = "WORKSHOP_RANK"
LINES = "workers"  # the folder below a run's where each worker notes its epochs


@dataclass(frozen=True)
class Group:
    """rank: 0 to size - 1; size: workers that learn together, 1 for one that learns alone."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.rank < self.size:
            raise SettingsError(
                f"worker {self.rank} of {self.size} does not exist: ranks are 0 to {self.size - 1}",
                f"set {WORKERS} to 1 or more and {RANK} below it",
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Group:
        """Read WORKSHOP_WORKERS and WORKSHOP_RANK; without them this worker is alone.

        Errors: SettingsError if they are no numbers, or if one of several workers has no rank.
        """
        environ = os.environ if environ is None else environ
        size = _number(environ, WORKERS, "1")
        return cls(_number(environ, RANK, "0" if size == 1 else ""), size)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    @property
    def heading(self) -> str:
        """What a line of this worker begins with: nothing where there is nobody to mix it up with."""
        return "" if self.is_alone else f"worker {self.rank} of {self.size}: "

    def share(self, count: int) -> slice:
        """This worker's part of `count` pictures: parts differ by one picture at most, and leave none out.

        Every batch is cut like that, never the data set, so all workers take equally many steps. One with a
        step more would wait for the others' numbers for ever.
        Errors: DataError if there are fewer pictures than workers.
        """
        if count < self.size:
            raise DataError(
                f"a batch of {count} pictures can't be shared by {self.size} workers",
                f"set batch_size to {self.size} or more",
            )
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


ALONE = Group()


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, shapes and values of all weights: equal only if every bit of them is."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def group_metrics(group: Group, epochs: Sequence[Mapping[str, float]], num_images: int) -> dict[str, float]:
    """What a group's metrics say beside those of one worker, which gets none; num_images: learned from an epoch."""
    if group.is_alone:
        return {}
    seconds = sum(epoch["seconds"] for epoch in epochs)
    return {
        "num_workers": group.size,
        "images_per_second": round(len(epochs) * num_images / seconds, 1),
    }


def note_epoch(run_folder: Path, group: Group, line: Mapping[str, Any]) -> None:
    """Append one line of JSON to workers/RANK.jsonl in the folder of the run."""
    path = run_folder / LINES / f"{group.rank}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise DataError(f"{path} can't be written ({error})", "make room or choose another folder") from error


def _number(environ: Mapping[str, str], name: str, default: str) -> int:
    text = environ.get(name) or default
    try:
        return int(text)
    except ValueError:
        raise SettingsError(
            f"{name} is {text!r}, expected a whole number",
            f"set {WORKERS} and {RANK} for every worker, or neither",
        ) from None
