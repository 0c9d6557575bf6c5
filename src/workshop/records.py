"""Keep what is known about a run in run.json: what was asked, how it stands, what it gave.

Try it:  cat runs/*/run.json
Written in one step each time, so a killed run leaves the last whole record. Knows nothing of notebooks or
AWS.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workshop.errors import WorkshopError

FILE = "run.json"


class Record:
    """A run's folder with its run.json; `kind` is 'job' or 'labs'."""

    def __init__(self, folder: Path, kind: str, **values: Any) -> None:
        self.folder = folder
        self._values: dict[str, Any] = {"kind": kind, **values}

    @property
    def id(self) -> str:
        return self.folder.name

    def get(self, key: str, default: Any = "") -> Any:
        return self._values.get(key, default)

    def set(self, **values: Any) -> None:
        """Change values and write the record."""
        self._values.update(values)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / FILE, self._values)

    @classmethod
    def open(cls, folder: Path) -> "Record":
        """Read a run's record; WorkshopError if the folder holds none."""
        try:
            values = json.loads((folder / FILE).read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise WorkshopError(
                f"there is no run '{folder.name}' in {folder.parent}", f"ls {folder.parent}"
            ) from None
        except ValueError as error:  # a full disk can leave a record that is none
            raise WorkshopError(
                f"{folder / FILE} is damaged ({error}): that run can't be resumed",
                "run it again without --resume",
            ) from None
        return cls(folder, **values)

    @classmethod
    def all(cls, runs_dir: Path, kind: str) -> Iterator["Record"]:
        """Read every run of a kind, newest first (a run's name begins with its time)."""
        for path in sorted(runs_dir.glob(f"*/{FILE}"), key=lambda path: path.parent.name, reverse=True):
            try:
                record = cls.open(path.parent)
            except WorkshopError:
                continue
            if record.get("kind") == kind:
                yield record


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one step: a reader sees the old file or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(content, indent=1, sort_keys=True, default=str) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
