"""What the services hold, written down while they run, so that even `kill -9` loses no more than about a
second.

Try it:  workshop up; kill -9 $(jq .pid .workshop/localaws.json); workshop up
ministack reads its services' states when it starts; it would write them only when it stops. Here they are
written after every change, into a folder that one rename of a link puts in place: a reader sees all of one
moment or all of another. S3 objects are ministack's to write, and it does so at once. Knows no service: it
asks ministack for the states and keeps its format.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from localaws.errors import StateDamaged

logger = logging.getLogger("localaws")

INTERVAL_SECONDS = 1.0
# What a request starts may go on after its answer (a task ends, a function logs): look again this long after.
AFTERMATH_SECONDS = (2.0, 6.0, 20.0)


class Snapshots:
    """Takes snapshots of all services into folder/snapshot-N, which the link folder/snapshot points at."""

    def __init__(self, folder: Path, is_busy: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder
        self.link = folder / "snapshot"
        self.is_busy = is_busy
        self._changed = asyncio.Event()
        self._digests: dict[str, str] = {}
        self._writing: asyncio.Future[bool] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last_change = time.monotonic()
        self._seconds_taken = 0.0

    def changed(self) -> None:
        """Say that something may have changed; from any thread."""
        self._last_change = time.monotonic()
        if self._loop is not None and not self._changed.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has closed: the last snapshot is ministack's
                self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Take a snapshot after each change, at most one a second, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._next_look())
            self._changed.clear()
            began = time.monotonic()
            try:
                await self.take()
            except Exception:
                logger.exception("a snapshot failed; the next change tries again")
            self._seconds_taken = time.monotonic() - began
            # A large state is copied on the event loop: never give it more than a tenth of the time.
            await asyncio.sleep(max(INTERVAL_SECONDS - self._seconds_taken, 9 * self._seconds_taken))

    def _next_look(self) -> float | None:
        if self.is_busy():
            return INTERVAL_SECONDS
        since = time.monotonic() - self._last_change
        return next((later - since for later in AFTERMATH_SECONDS if later > since), None)

    async def take(self) -> bool:
        """Write what differs from the last snapshot; False if nothing does."""
        if self._writing:  # left at work by a caller that was cancelled: two would write the same folder
            await asyncio.wait([self._writing])
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, _states()))
        return await asyncio.shield(self._writing)

    def _write(self, states: dict[str, Any]) -> bool:
        """states: those of the services that are loaded; one that is not keeps its last document."""
        documents = {name: _document(name, state) for name, state in states.items() if not is_empty(state)}
        digests = {name: hashlib.sha1(text.encode()).hexdigest() for name, text in documents.items()}
        before = self.link.resolve() if self.link.is_symlink() else None
        old = {path.stem for path in before.glob("*.json")} if before else set()
        gone = (old & set(states)) - set(documents)
        if not gone and all(self._digests.get(name) == digest for name, digest in digests.items()):
            return False
        after = self.folder / f"snapshot-{int(before.name.rpartition('-')[2]) + 1 if before else 1}"
        shutil.rmtree(after, ignore_errors=True)
        after.mkdir(parents=True)
        for name in (old | set(documents)) - gone:
            unchanged = name not in documents or self._digests.get(name) == digests[name]
            if before and unchanged and name in old:
                os.link(before / f"{name}.json", after / f"{name}.json")
            else:
                (after / f"{name}.json").write_text(documents[name])
        self._point_at(after)
        self._digests = digests
        if before:
            shutil.rmtree(before, ignore_errors=True)
        return True

    def _point_at(self, after: Path) -> None:
        beside = self.folder / "snapshot.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(after.name)
        beside.replace(self.link)


def restore(folder: Path) -> bool:
    """Put the last snapshot where ministack reads it as it starts; False if there is none.

    Errors: StateDamaged: ministack would take a damaged document for an empty service, and overwrite it.
    """
    services, link = folder / "services", folder / "snapshot"
    services.mkdir(parents=True, exist_ok=True)
    for left in services.glob("*.json"):
        left.unlink()
    if not link.is_symlink() and not link.exists():
        return False
    current = link.resolve()
    if not current.is_dir():
        raise _damaged(link, "it leads to no folder", folder)
    for document in current.glob("*.json"):
        try:
            json.loads(document.read_bytes())
        except ValueError as error:
            raise _damaged(document, str(error), folder) from error
        shutil.copy(document, services / document.name)
    for other in folder.glob("snapshot-*"):
        if other.resolve() != current:
            shutil.rmtree(other, ignore_errors=True)
    return True


def _damaged(path: Path, why: str, folder: Path) -> StateDamaged:
    return StateDamaged(
        f"what the local AWS held can't be read: {path} is damaged ({why}), and is left as it is",
        f"put the file back, or begin with nothing: rm -r {folder}",
    )


def take_over(emulated: Collection[str]) -> None:
    """Have ministack read states at its start, of the emulated services, and not write them at its end.

    Two writers could disagree; and services that nobody can reach have states too, of defaults.
    """
    import ministack.app

    ministack.app.save_all = lambda services: None
    modules = {"ecs_metadata"}
    for name, service in ministack.app.SERVICE_REGISTRY.items():
        if name in emulated:
            modules.update((service["module"], *service.get("sub_modules", ())))
    for key, module in list(ministack.app._state_map.items()):
        if module not in modules:
            del ministack.app._state_map[key]


def is_empty(state: Any) -> bool:
    """Whether a state holds nothing. To restore an empty one would cost its service's import, at every
    start."""
    inner = getattr(state, "_data", state)
    if isinstance(inner, dict):
        return all(is_empty(value) for value in inner.values())
    if isinstance(inner, (list, tuple, set)):
        return not inner
    return inner in (None, "", 0, False)


def _states() -> dict[str, Any]:
    """Each loaded service's state, copied. On the event loop, so that no request changes it meanwhile; a
    thread
    of a service still may, and then the copy is made again."""
    import ministack.app

    states = {}
    for name, get_state in ministack.app._build_persistence_save_dict().items():
        for attempt in range(5):
            try:
                state = get_state()
                break
            except RuntimeError:
                if attempt == 4:
                    raise
        if state is not None:
            states[name] = state
    return states


def _document(name: str, state: Any) -> str:
    from ministack.core import persistence

    version = persistence._state_format_version(name)
    return json.dumps({"__ministack_format__": version, "payload": state}, default=persistence._json_default)
