"""The table of datasets: data/datasets.toml as checked objects.

Try it:  python -c "from pathlib import Path; from workshop.data import catalogue; print(catalogue.read(Path('.')))"
Knows nothing of what lies on this machine and reaches no network: it only says what should be where.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from workshop.errors import DataError

TABLE = Path("data") / "datasets.toml"


@dataclass(frozen=True)
class File:
    """One file of a dataset. `paths` are looked for in the data directory; `urls` may be empty."""

    role: str
    paths: tuple[str, ...]
    urls: tuple[str, ...] = ()
    size_bytes: int | None = None
    sha256: str = ""
    wheel_file: str = ""
    wheel_sha256: str = ""
    parent: bool = False
    is_cat: bool | None = None

    @property
    def name(self) -> str:
        return self.paths[0].rsplit("/", 1)[-1]

    @property
    def can_be_fetched(self) -> bool:
        return bool(self.urls or self.wheel_file)


@dataclass(frozen=True)
class Form:
    """One way in which a dataset comes: all of its files are needed."""

    name: str
    files: tuple[File, ...]
    note: str = ""

    @property
    def can_be_fetched(self) -> bool:
        return all(file.can_be_fetched for file in self.files)


@dataclass(frozen=True)
class Entry:
    """One dataset. sample: a kind that samples.make knows, '' for none; also: a dataset that comes along."""

    name: str
    title: str
    what: str
    home: str
    licence: str
    forms: tuple[Form, ...]
    sample: str = ""
    also: str = ""


def read(root: Path) -> dict[str, Entry]:
    """Every dataset by name; DataError says which line of the table can't be used."""
    path = root / TABLE
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise DataError(
            f"the table of datasets is missing: {path}", "export WORKSHOP_ROOT=<the folder you cloned>"
        ) from None


def entry(root: Path, name: str) -> Entry:
    """The dataset of that name; DataError names the nearest."""
    table = read(root)
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(table)}"
    raise DataError(f"there is no dataset '{name}'", hint)


@lru_cache(maxsize=4)
def _read(path: Path, _modified_ns: int) -> dict[str, Entry]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _entry(name, row) for name, row in table.items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} can't be read: {error}", f"git checkout {TABLE}") from None


def _entry(name: str, row: dict[str, Any]) -> Entry:
    forms = tuple(
        Form(form["name"], tuple(_file(file) for file in form["file"]), form.get("note", ""))
        for form in row["form"]
    )
    texts = {key: row[key] for key in ("title", "what", "home", "licence")}
    return Entry(name, forms=forms, sample=row.get("sample", ""), also=row.get("also", ""), **texts)


def _file(row: dict[str, Any]) -> File:
    sha256 = row.get("sha256", "")
    wheel = row.get("wheel", {})
    for digest in (sha256, wheel.get("sha256", "")):
        if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"'{digest}' is not a SHA-256 (64 of 0-9, a-f)")
    urls = tuple(row.get("url", ()))
    if urls and not (sha256 and row.get("size_bytes")):
        raise ValueError(f"{urls[0]} has no checksum or size: nothing is downloaded unverified")
    return File(
        role=row["role"],
        paths=tuple(row["path"]),
        urls=urls,
        size_bytes=row.get("size_bytes"),
        sha256=sha256,
        wheel_file=wheel.get("file", ""),
        wheel_sha256=wheel.get("sha256", ""),
        parent=row.get("parent", False),
        is_cat=row.get("cat"),
    )
