"""Let one run at a time use a place, and say who has it to the one that comes second.

Try it:  start `workshop run 1-4` in two terminals
The lock is the kernel's own (flock): it ends with its process however that ends, so none is ever left behind.
What the file says (pid, command, since) is only for people to read.
"""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workshop.errors import BusyError

LOCK = ".lock"  # its name in the folder of a run
COURSE = "place.lock"  # in the state folder: for what changes the labs' state


@contextmanager
def hold(path: Path, command: str = "") -> Iterator[None]:
    """Hold a place while the block runs.

    Errors: BusyError with the holder's process, command and start, if another run has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened without truncation: the file still says who holds it if the lock is refused. Not inherited by
    # children (Python's default), so that a kernel that outlives us by a second does not keep the lock.
    with path.open("a+") as file:
        if not _taken(file):
            raise _busy(path)
        file.truncate(0)
        note = {"pid": os.getpid(), "command": command or _command(), "since": time.time()}
        with contextlib.suppress(OSError):  # on a full disk: the lock is the kernel's, and cleaning needs it
            os.write(file.fileno(), json.dumps(note).encode())
        try:
            yield
        finally:
            file.truncate(0)


def holder(path: Path) -> dict[str, object] | None:
    """Say who holds a place, or None if it is free."""
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(path)
    return None


def require_free(path: Path, or_else: str) -> None:
    """Return if nobody holds the place. Errors: BusyError with the holder, and `or_else` as another way."""
    if holder(path) is not None:
        busy = _busy(path)
        raise BusyError(busy.message, f"{busy.remedy}; or {or_else}")


def _taken(file: IO[str]) -> bool:
    """Take the lock; a look at it (`holder`) has it for an instant, so a refusal is tried a few times."""
    for pause_seconds in (0.02, 0.05, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(pause_seconds)
    return False


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _read(path: Path) -> dict[str, object]:
    try:
        return dict(json.loads(path.read_text()))
    except ValueError:
        return {}  # taken this instant: the holder has not written yet


def _busy(path: Path) -> BusyError:
    who = _read(path)
    since = who.get("since")
    clock = time.strftime("%H:%M:%S", time.localtime(since)) if isinstance(since, float) else "just now"
    pid = who.get("pid", "unknown")
    return BusyError(
        f"another run holds the place: process {pid}, `{who.get('command', 'workshop')}`, since {clock}",
        f"wait for it, or stop it with: kill {pid}",
    )
