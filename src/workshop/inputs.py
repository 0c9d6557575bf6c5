"""Pictures that somebody gives: a path, a file:// or http(s) address, or bytes, all with limits.

Try it:  python -c "from workshop import inputs; print(inputs.open_picture('cat.jpg').shape)"
Other schemes, such as s3://, are read by a function that the caller passes in. Knows nothing of AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import numpy as np

from workshop import settings
from workshop.data import decoding, web
from workshop.errors import DataError, WorkshopError

LARGEST_BYTES = web.LARGEST_BYTES
SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

Where = str | Path | bytes
Fetch = Callable[[str], bytes]


@dataclass(frozen=True)
class Picture:
    """A picture with the name and the place that it was asked for by. image: uint8 RGB (height, width, 3)."""

    name: str
    where: str
    image: np.ndarray


@dataclass(frozen=True)
class Opened:
    """What could be opened, and the errors of what could not, each in the order given."""

    pictures: list[Picture] = field(default_factory=list)
    problems: list[DataError] = field(default_factory=list)


def open_picture(
    where: Where,
    *,
    fetch: Fetch | None = None,
    allow_private: bool | None = None,
    largest_side: int | None = decoding.RETURNED_SIDE,
    limits: web.Limits | None = None,
) -> np.ndarray:
    """One picture as uint8 RGB (height, width, 3), upright.

    fetch: reads the bytes of an address whose scheme is not ours. allow_private: whether loopback and private
    addresses may be read; None means if the target is local. Pictures above `largest_side` come scaled down.
    Errors: DataError that names the picture, what was found and what was expected.
    """
    name = name_of(where)
    content = _content(where, fetch, limits or _limits(allow_private))
    if len(content) > LARGEST_BYTES:
        raise _too_large(name, len(content))
    return decoding.decode(content, name, largest_side)


def open_pictures(
    where: Where | Iterable[Where],
    *,
    on_error: Literal["raise", "report"] = "raise",
    fetch: Fetch | None = None,
    allow_private: bool | None = None,
) -> Opened:
    """Several pictures: a list, a folder (its picture files by name), or text with commas between the places.

    Every bad one is found before anything is raised; with on_error='report' the good ones are returned beside
    the errors. Errors: DataError if there is no picture at all.
    """
    opened = Opened()
    for place in places(where):
        try:
            image = open_picture(place, fetch=fetch, allow_private=allow_private)
        except DataError as error:
            opened.problems.append(error)
        else:
            opened.pictures.append(Picture(name_of(place), _text(place), image))
    if opened.problems and (on_error == "raise" or not opened.pictures):
        raise _all_of(opened.problems)
    return opened


def places(where: Where | Iterable[Where]) -> list[Where]:
    """The single places in a list, a folder or a text with commas; DataError if there are none."""
    if isinstance(where, bytes):
        return [where]
    if not isinstance(where, str | Path):
        return [single for each in where for single in places(each)] or _nothing("the list")
    if not _SCHEME.match(str(where)) and Path(where).expanduser().is_dir():
        folder = Path(where).expanduser()
        found = sorted(path for path in folder.iterdir() if _is_picture_file(path))
        return list(found) or _nothing(f"the folder {folder}")
    if isinstance(where, Path) or Path(where).exists():
        return [where]
    return [part.strip() for part in where.split(",") if part.strip()] or _nothing("the text")


def name_of(where: Where) -> str:
    """A short name for people: the last part of the path, without a query."""
    if isinstance(where, bytes):
        return "the picture"
    text = str(where)
    if _SCHEME.match(text):
        text = unquote(urlsplit(text).path).rstrip("/") or web.shown(text)
    return text.replace("\\", "/").rsplit("/", 1)[-1] or "the picture"


def _content(where: Where, fetch: Fetch | None, limits: web.Limits) -> bytes:
    if isinstance(where, bytes):
        return where
    text = str(where).strip()
    if not text:
        raise DataError("no picture is named", "give a path or an address")
    scheme = _SCHEME.match(text)
    if isinstance(where, Path) or not scheme:
        return _read(Path(where).expanduser())
    kind = scheme.group(1).lower()
    if kind in ("http", "https"):
        return web.fetch(text, limits)
    if kind == "file":
        return _read(_file_path(text))
    if fetch is None:
        raise DataError(
            f"{web.shown(text)}: addresses with {kind}:// can't be read here", "give a path or https://"
        )
    try:
        return fetch(text)
    except WorkshopError as error:  # of another family, such as AWS's: one bad place among good ones
        raise DataError(f"{web.shown(text)}: {error.message}", error.remedy) from error


def _file_path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise DataError(f"{url} names another machine ({parts.netloc})", "write file:///folder/picture.jpg")
    return Path(url2pathname(parts.path))


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder, not a picture", "name a file in it")
        if not path.is_file():
            why = "is not an ordinary file" if path.exists() else "does not exist"
            raise DataError(f"{path} {why}", f"check the path; relative ones count from {Path.cwd()}")
        if path.stat().st_size > LARGEST_BYTES:
            raise _too_large(path.name, path.stat().st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{str(path)[:200]} can't be read: {error}", "check the path and its rights"
        ) from error


def _limits(allow_private: bool | None) -> web.Limits:
    if allow_private is None:
        allow_private = settings.load().target == "local"
    return web.Limits(allow_private=allow_private)


def _is_picture_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _text(where: Where) -> str:
    return "" if isinstance(where, bytes) else str(where)


def _too_large(name: str, size_bytes: int) -> DataError:
    return DataError(
        f"{name} has {size_bytes / 1e6:.1f} MB; at most {LARGEST_BYTES / 1e6:.0f} MB are read",
        "scale it down",
    )


def _nothing(where: str) -> list[Where]:
    raise DataError(f"{where} holds no pictures", f"expected files such as {', '.join(sorted(SUFFIXES)[:4])}")


def _all_of(problems: list[DataError]) -> DataError:
    if len(problems) == 1:
        return problems[0]
    lines = "\n  ".join(problem.message for problem in problems)
    return DataError(f"{len(problems)} pictures can't be used:\n  {lines}", problems[0].remedy)
