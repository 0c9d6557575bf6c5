"""Unpack tar archives that strangers made: files, folders and links stay inside, and the disk is not filled.

Try it:  python -m pytest tests/fast/test_unpacking.py
Python's own filter "data" can be led outside by chains of links in versions before 3.11.13 (CVE-2025-4517). Here
nothing is written or linked through a link, so that what a name says is where it lies. Knows no S3 and no containers.
"""

import gzip
import io
import os
import posixpath
import tarfile
import zlib
from pathlib import Path

GIB = 1024**3
MOST_BYTES = 30 * GIB  # what AWS's instances for hosting have as their disk by default
MOST_ENTRIES = 100_000
LEFT_FREE_BYTES = GIB
LARGEST_READ = (
    1024 * 1024
)  # an entry's attributes in pax's format are read as a whole, as large as they claim to be
MOST_BLOCKS = 4 * MOST_ENTRIES  # of headers


class Harmful(tarfile.FilterError):
    """An entry that would lie outside, is no file, or is one too many."""

    def __init__(self, entry: tarfile.TarInfo, why: str) -> None:
        self.tarinfo = entry
        Exception.__init__(self, f"{entry.name[:200]!r} {why}")


class Checks:
    """A filter for one archive. drops: entries that are not harmless are left out, rather than refused; too much is
    refused always."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, drops: bool = False) -> None:
        disk = os.statvfs(folder)
        self._left = min(most_bytes, max(disk.f_bavail * disk.f_frsize - LEFT_FREE_BYTES, 0))
        self._entries = 0
        self._drops = drops

    def __call__(self, entry: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        self._entries += 1
        self._left -= max(entry.size, 0)
        if self._left < 0 or self._entries > MOST_ENTRIES:
            raise Harmful(entry, "is more than the disk may hold")
        try:
            return self._harmless(tarfile.data_filter(entry, folder), Path(folder))
        except tarfile.FilterError:
            if self._drops:
                return None
            raise

    def _harmless(self, entry: tarfile.TarInfo, folder: Path) -> tarfile.TarInfo:
        if ".." in entry.name.split("/") or _is_link_on_the_way(folder, entry.name):
            raise Harmful(entry, "leads through a link")
        if entry.issym() and not _stays_inside(posixpath.normpath(entry.name), entry.linkname):
            raise Harmful(entry, "is a link to outside of the archive")
        if entry.islnk() and (
            ".." in entry.linkname.split("/")
            or _is_link_on_the_way(folder, entry.linkname)
            or not (folder / entry.linkname).is_file()
        ):
            raise Harmful(entry, "is a link to what is no file of the archive")
        return entry


def _is_link_on_the_way(folder: Path, name: str) -> bool:
    """Whether the file itself, or a folder above it, is a symbolic link by now."""
    place = folder
    for part in name.split("/"):
        place /= part
        if place.is_symlink():
            return True
    return False


def _stays_inside(name: str, target: str) -> bool:
    """Whether a symbolic link leads up no further than to the archive's top, and then down alone: a `..` after a name
    might follow another link."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    return not target.startswith("/") and up <= name.count("/") and ".." not in parts[up:]


def unpack(packed: Path, folder: Path, most_bytes: int = MOST_BYTES) -> None:
    """Unpack a .tar.gz into a folder.

    Errors: tarfile.TarError and OSError, for what is none, or is harmful.
    """
    try:
        with gzip.open(packed) as content, tarfile.open(fileobj=_Measured(content), mode="r:") as tar:
            tar.extractall(folder, filter=Checks(folder, most_bytes))
    except (EOFError, ValueError, RecursionError, zlib.error) as error:
        raise tarfile.ReadError(str(error)) from error


class _Measured(io.RawIOBase):
    """An archive whose headers fit into memory, however large they claim to be."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._blocks = 0

    def read(self, size: int = -1) -> bytes:
        self._blocks += size == tarfile.BLOCKSIZE
        if not 0 <= size <= LARGEST_READ or self._blocks > MOST_BLOCKS:
            raise tarfile.ReadError("the headers are too large")
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()
