"""Where a training run stands, saved after each epoch so that a killed run goes on from there.

Try it:  ls runs/*/checkpoints/state.npz
Knows no framework: a state is named arrays and one JSON header, in one npz file without pickle, so half a
state can't exist. The file is written beside its place, then renamed, which a file system does at once.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError

FILE = "state.npz"
HEADER = "header"


@dataclass(frozen=True)
class SavedState:
    """weights and optimiser: named arrays; header: settings and the history so far, plain JSON values."""

    weights: dict[str, np.ndarray]
    optimiser: dict[str, np.ndarray]
    header: dict


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Write named arrays to `path` so that a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes files that only their owner may read
        Path(temporary).replace(path)
    except OSError as error:
        raise DataError(f"{path} can't be written ({error})", "make room or choose another folder") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays, never running code from the file.

    Errors: DataError if the file is missing, cut short, or holds anything but plain arrays.
    """
    try:
        return parse_npz(path.read_bytes(), path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing", "train again, or name the folder that holds it") from error
    except OSError as error:
        raise DataError(f"{path} can't be read ({error})", "name another folder") from error


def parse_npz(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """Take apart what a file of named arrays holds; path: what an error calls it."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(
            f"{path} is not a readable npz file ({error})", "remove it and train again"
        ) from error


def write(folder: Path, state: SavedState) -> None:
    arrays = {f"weights/{name}": value for name, value in state.weights.items()}
    arrays |= {f"optimiser/{name}": value for name, value in state.optimiser.items()}
    write_npz(folder / FILE, arrays | {HEADER: np.array(json.dumps(state.header))})


def read(folder: Path) -> SavedState | None:
    """Read the state in a folder, or None where no epoch has been saved yet."""
    return parse(content(folder), folder)


def content(folder: Path) -> bytes:
    """The file of a state as it is, to be sent to others; empty where no epoch has been saved yet."""
    path = folder / FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DataError(f"{path} can't be read ({error})", "name another folder") from error


def parse(content: bytes, folder: Path) -> SavedState | None:
    """Read a state from its file's content; folder: what an error calls it."""
    if not content:
        return None
    arrays = parse_npz(content, folder / FILE)
    try:
        header = json.loads(str(arrays[HEADER]))
    except (KeyError, ValueError) as error:
        raise DataError(f"{folder / FILE} is not a saved state", "remove it and train again") from error
    parts: dict[str, dict[str, np.ndarray]] = {"weights": {}, "optimiser": {}}
    for name, value in arrays.items():
        kind, _, rest = name.partition("/")
        if kind in parts:
            parts[kind][rest] = value
    return SavedState(parts["weights"], parts["optimiser"], header)
