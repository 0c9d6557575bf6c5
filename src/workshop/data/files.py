"""Files that are checked, held by one run at a time, and replaced in one step.

Try it:  python -c "from workshop.data import files; print(files.sha256_of('README.md'))"
Knows nothing of networks or datasets.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from workshop.errors import BusyError

LOCK_TIMEOUT_SECONDS = 900
_POLL_SECONDS = 0.2


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file, read in pieces; remembered while its size and time of change stay."""
    status = Path(path).stat()
    return _sha256(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _sha256(path: str, _size: int, _modified_ns: int, _inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes `target` at the end, or nothing if writing failed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        yield fresh
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def locked(
    path: Path,
    on_wait: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Hold a lock that the system takes back when its holder dies, however it dies.

    Errors: BusyError that names the holder after `LOCK_TIMEOUT_SECONDS`.
    """
    with open(path, "a+", encoding="utf-8") as file:
        deadline = clock() + LOCK_TIMEOUT_SECONDS
        told = False
        while not _take(file.fileno()):
            holder = _holder(path)
            if clock() > deadline:
                raise BusyError(f"{path.parent} is held by {holder}", "wait for it to end, or end it")
            if on_wait and not told:
                on_wait(f"waiting for {holder}, which is fetching the same data")
                told = True
            sleep(_POLL_SECONDS)  # the system's lock has no wait with a time limit
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _holder(path: Path) -> str:
    text = path.read_text(encoding="utf-8").strip()
    return f"process {text}" if text else "another process"
