"""The fetcher: looks for the published model, brings it here, verifies it, and offers it to the service.

Try it:  python -m workshop.serving.fetcher --model s3://bucket/sentiment --poll-seconds 10 --folder /tmp/models
A process of its own, so that the one that answers requests need not hold boto3. What it finds it says on
standard output, a line of JSON each; the service answers an offer on its standard input, and when that ends,
so does the fetcher: it does not outlive the service. Knows nothing of how a model is loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workshop.aws import model_folder, models
from workshop.errors import AwsError, WorkshopError

# A refused version is tried again after a while: what was damaged on its way may have been mended.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30.0, 300.0
LONGEST_REASON = 1000  # characters: metadata may hold anything, and the service reads lines

Event = dict[str, Any]


class Fetcher:
    """One look after another at what is published.

    tell: takes an event. verdict: waits for the service's answer to an offer, '' if the model is now in service,
    else why it is not. serving: version and SHA-256 of the metadata in service.
    """

    def __init__(
        self,
        model: str,
        connect: Callable[[], Any],
        folder: Path,
        tell: Callable[[Event], None],
        verdict: Callable[[], str],
        serving: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.serving = serving
        self._model, self._connect, self._folder = model, connect, folder
        self._tell, self._verdict, self._clock = tell, verdict, clock
        self._s3: Any = None
        self._refused: dict[tuple[str, str], tuple[float, float]] = {}  # when to try again, and the pause

    def look(self) -> None:
        """Compare what is published with what is in service, and bring what is newer."""
        try:
            self._s3 = self._s3 or self._connect()
            pointer = models.current(self._model, self._s3)
            if pointer is None:
                reason = f"no model is published at {self._model}: there is no {models.CURRENT}"
                self._tell(_event("problem", reason, "run the DAG: it publishes what it has trained"))
            elif _identity(pointer) == self.serving:
                self._refused.clear()
                self._tell({"event": "current", "version": pointer.version})
            elif not self._bring(pointer, is_current=True) and self.serving is None and pointer.previous:
                self._bring_previous(pointer.previous)
        except WorkshopError as error:
            self._tell(_event("problem", error.message, error.remedy))

    def _bring_previous(self, version: str) -> None:
        earlier = models.published(self._model, version, self._s3)
        if earlier is None:
            reason = f"version {version}, the one before, has no record at {self._model}"
            self._tell(_event("problem", reason, "publish a model again"))
        else:
            self._bring(earlier, is_current=False)

    def _bring(self, pointer: models.Pointer, is_current: bool) -> bool:
        """Fetch, verify and offer one version. False if it is refused, now or a short while ago."""
        identity = _identity(pointer)
        again, pause = self._refused.get(identity, (0.0, FIRST_PAUSE_SECONDS / 2))
        if self._clock() < again:
            return False
        folder = self._folder / pointer.version
        try:
            reason, remedy = self._verified(pointer, folder), "publish a version that is whole"
            if not reason:
                self._tell(_offer(pointer, folder, is_current))
                reason, remedy = self._verdict(), "publish a version that this service can read"
        except AwsError as error:
            # Also what S3 denies of a version, when the pointer to it could be read: to a role that may not list the
            # bucket, a file that is missing is one that it may not read.
            reason, remedy = error.message, error.remedy
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a loaded model is in memory
        if not reason:
            self.serving = identity
            return True
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._refused[identity] = (self._clock() + pause, pause)
        self._tell(_event("refused", reason, remedy) | {"version": pointer.version})
        return False

    def _verified(self, pointer: models.Pointer, folder: Path) -> str:
        """Write the version's files once their checksums are right; says what is wrong with its metadata."""
        content = models.read_artefact(models.address_of(self._model, pointer.version), self._s3)
        found = hashlib.sha256(content[models.METADATA]).hexdigest()
        if found != pointer.metadata_sha256:
            wanted = pointer.metadata_sha256
            return f"{models.METADATA} has SHA-256 {found[:12]}…, and {models.CURRENT} says {wanted[:12]}…"
        folder.mkdir(parents=True, exist_ok=True)
        for name, held in content.items():
            (folder / name).write_bytes(held)
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Look until standard input ends."""
    parser = argparse.ArgumentParser(
        prog="workshop.serving.fetcher", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--model", required=True, help="s3://bucket/name, or a folder")
    parser.add_argument("--poll-seconds", type=float, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where fetched files go, for an instant")
    parser.add_argument(
        "--serving", nargs=2, metavar=("VERSION", "SHA256"), help="what is in service already"
    )
    given = parser.parse_args(arguments)
    answers: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_hear, args=(answers, given.folder), daemon=True).start()
    is_s3 = given.model.startswith("s3://")
    fetcher = Fetcher(
        given.model if is_s3 else model_folder.ADDRESS,
        _s3 if is_s3 else lambda: model_folder.FolderClient(Path(given.model)),
        given.folder,
        lambda event: print(json.dumps(event), flush=True),
        answers.get,
        tuple(given.serving) if given.serving else None,
    )
    pause = (
        threading.Event()
    )  # never set: a wait on it is a sleep that the end of input ends with the process
    while True:
        fetcher.look()
        pause.wait(given.poll_seconds)


def _hear(answers: queue.Queue[str], folder: Path) -> None:
    """Pass the service's answers on; when it is gone, leave nothing behind, not even a process."""
    for line in sys.stdin:
        answers.put(json.loads(line)["refused"])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _s3() -> Any:
    from workshop.aws import session  # boto3, which a folder needs not

    return session.connect().client("s3")


def _identity(pointer: models.Pointer) -> tuple[str, str]:
    return pointer.version, pointer.metadata_sha256


def _offer(pointer: models.Pointer, folder: Path, is_current: bool) -> Event:
    identity = {"version": pointer.version, "metadata_sha256": pointer.metadata_sha256}
    return {"event": "fetched", "folder": str(folder), "is_current": is_current, **identity}


def _event(event: str, reason: str, fix: str) -> Event:
    return {"event": event, "reason": reason[:LONGEST_REASON], "fix": fix}


if __name__ == "__main__":
    sys.exit(main())
