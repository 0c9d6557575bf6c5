"""Download a file that is known by its SHA-256: resumed, retried, verified, and never half there.

Try it:  python -c "from workshop import datasets; print(datasets.fetch('squeezenet'))"
The bytes grow in NAME.part, which a later run goes on with; NAME appears only when its checksum is right.
Wrong bytes end as NAME.bad and are never used. Knows nothing of datasets; addresses that learners give go
through web.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import urllib3

from workshop.data import files
from workshop.data.reach import Reach, Unreachable
from workshop.errors import DataError

CONNECT_TIMEOUT_SECONDS = 3
READ_TIMEOUT_SECONDS = 20
ATTEMPTS = 4
MOST_ATTEMPTS = 40
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10
SPARE_BYTES = 64 * 2**20
CHUNK_BYTES = 64 * 2**10
PACE_SECONDS = 30
PACE_BYTES = 30 * 2**10
_RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)

Progress = Callable[[str, int, int], None]


class Refused(DataError):
    """The server answered, but will not give the file."""


class Mismatch(DataError):
    """The bytes are not those that were expected."""


class _Interrupted(Exception):
    """Worth another attempt. wait_seconds: what the server asked for, or None."""

    def __init__(self, why: str, wait_seconds: float | None = None) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


@dataclass
class Downloader:
    """How to download; everything that a test replaces is a field.

    on_progress(name, bytes so far, bytes in all) is called for each chunk.
    """

    reach: Reach = field(default_factory=Reach)
    on_progress: Progress | None = None
    on_wait: Callable[[str], None] | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free

    def download(self, urls: Sequence[str], target: Path, sha256: str, size_bytes: int) -> Path:
        """Bring `target` from the first address that gives the right bytes.

        Errors: Unreachable without a network; Refused if no address has it; Mismatch for wrong bytes;
        DataError for a full disk; BusyError if another run holds the download for too long.
        """
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with files.locked(target.parent / ".lock", self.on_wait, self.sleep, self.clock):
                if not target.is_file():  # else the run that held the lock has brought it
                    self._from_any(urls, target, sha256, size_bytes)
        except OSError as error:
            raise _disk_error(error, target) from error
        return target

    def _from_any(self, urls: Sequence[str], target: Path, sha256: str, size_bytes: int) -> None:
        problems: list[DataError] = []
        for url in urls:
            try:
                self._from_one(url, target, sha256, size_bytes)
                return
            except (Unreachable, Refused, Mismatch) as error:
                problems.append(error)
        for kind in (Mismatch, Refused, Unreachable):  # the most telling first
            for problem in problems:
                if isinstance(problem, kind):
                    raise problem
        raise Refused(f"{target.name} has no public address", "put it into your WORKSHOP_DATA_DIR")

    def _from_one(self, url: str, target: Path, sha256: str, size_bytes: int) -> None:
        part = target.with_name(target.name + ".part")
        resumed = part.is_file() and part.stat().st_size > 0
        self._bring(url, part, size_bytes)
        found = files.sha256_of(part)
        if found != sha256 and resumed:
            # the half may be of another version, or of another address: once more from the start
            part.unlink()
            self._bring(url, part, size_bytes)
            found = files.sha256_of(part)
        if found != sha256:
            bad = target.with_name(target.name + ".bad")
            part.replace(bad)
            raise mismatch(target.name, f"SHA-256 {found}", f"SHA-256 {sha256}", url, bad)
        part.replace(target)

    def _bring(self, url: str, part: Path, size_bytes: int) -> None:
        """Fill `part` to its size: `ATTEMPTS` in a row that bring nothing end it, or `MOST_ATTEMPTS`."""
        failures = 0
        wait_seconds = FIRST_WAIT_SECONDS
        for attempt in range(1, MOST_ATTEMPTS + 1):
            before = _size(part)
            if before == size_bytes:
                return
            try:
                self._attempt(url, part, size_bytes)
                return
            except _Interrupted as error:
                failures = 1 if _size(part) > before else failures + 1
                if failures >= ATTEMPTS or attempt == MOST_ATTEMPTS:
                    raise Refused(f"{url}: {error}, after {attempt} attempts", "try again later") from None
                self.sleep(min(error.wait_seconds or wait_seconds, LONGEST_WAIT_SECONDS))
                wait_seconds *= 2

    def _attempt(self, url: str, part: Path, size_bytes: int) -> None:
        have = _size(part)
        if have > size_bytes:
            part.unlink()
            have = 0
        self._check_space(part, size_bytes - have)
        self.reach.check(url)
        with self._open(url, have) as response:
            start = _start(response, have, part, size_bytes)
            try:
                self._copy(response, part, start, size_bytes)
            except (urllib3.exceptions.HTTPError, requests.RequestException) as error:
                raise _Interrupted(f"the connection broke ({type(error).__name__})") from error
        if _size(part) < size_bytes:
            raise _Interrupted(f"the connection ended after {_size(part)} of {size_bytes} bytes")

    def _open(self, url: str, have: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity", "User-Agent": "workshop-datasets"}
        if have:
            headers["Range"] = f"bytes={have}-"
        timeout = (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
        try:
            return requests.get(url, headers=headers, timeout=timeout, stream=True)
        except requests.ConnectionError as error:
            why = _no_connection(error)
            if why:
                raise self.reach.failed(url, why) from error
            raise _Interrupted("the connection broke before an answer") from error
        except requests.Timeout as error:
            raise _Interrupted(f"no answer within {READ_TIMEOUT_SECONDS} s") from error
        except requests.RequestException as error:
            raise Refused(f"{url}: {error}", "report the address: data/datasets.toml") from error

    def _copy(self, response: requests.Response, part: Path, start: int, size_bytes: int) -> None:
        done = start
        window_start, window_bytes = self.clock(), 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                # One byte too many is kept: it makes the checksum fail, so nothing is cut to fit.
                file.write(chunk[: size_bytes + 1 - done])
                done += len(chunk)
                window_bytes += len(chunk)
                if self.on_progress:
                    self.on_progress(part.name.removesuffix(".part"), min(done, size_bytes), size_bytes)
                if done > size_bytes:
                    return
                if self.clock() - window_start > PACE_SECONDS:
                    if window_bytes < PACE_BYTES:
                        raise _Interrupted(f"fewer than {PACE_BYTES} bytes in {PACE_SECONDS} s")
                    window_start, window_bytes = self.clock(), 0

    def _check_space(self, part: Path, missing_bytes: int) -> None:
        free = self.free_bytes(part.parent)
        if free < missing_bytes + SPARE_BYTES:
            need = (missing_bytes + SPARE_BYTES) / 2**20
            raise DataError(
                f"{part.parent} has {free / 2**20:.0f} MiB free, and {part.name} needs {need:.0f} MiB",
                "free some space, or point WORKSHOP_CACHE_DIR to a larger disk",
            )


def mismatch(name: str, found: str, expected: str, where: str, bad: Path | None) -> Mismatch:
    """The error for wrong bytes; bad: where they were moved to, None if they were left alone."""
    kept = f"; the bytes are kept as {bad} and never used" if bad else ""
    remedy = "run it again: it is fetched anew" if bad else "replace what is there, or use another copy"
    return Mismatch(f"{name} from {where} has {found}, expected {expected}{kept}", remedy)


def _start(response: requests.Response, have: int, part: Path, size_bytes: int) -> int:
    """Where this answer's bytes belong in the part: its end, or its start if the server sends all anew."""
    status = response.status_code
    if status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return have
    if status == 416:  # the half that is here is longer than what the server has
        part.unlink()
        raise _Interrupted("it has fewer bytes than came before")
    if status in _RETRIED_STATUS:
        after = response.headers.get("Retry-After", "")
        raise _Interrupted(f"it answered {status}", float(after) if after.isdigit() else None)
    if status != 200:
        raise Refused(f"{response.url} answered {status} {response.reason}", "try again later")
    if "text/html" in response.headers.get("Content-Type", ""):
        raise Refused(
            f"{response.url} answered with a web page instead of {part.stem}",
            "if the network asks you to sign in, do that first",
        )
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != size_bytes:
        raise mismatch(part.stem, f"{announced} bytes", f"{size_bytes} bytes", response.url, None)
    return 0


def _no_connection(error: requests.ConnectionError) -> str:
    """In words, why no connection came about; '' if there was one and it broke."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer within {CONNECT_TIMEOUT_SECONDS} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused"
    reason: Any = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "its name is not known"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "the connection was refused"
    return ""


def _disk_error(error: OSError, target: Path) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"the disk is full: {target.name} can't be written to {target.parent}; what came is kept",
            "free some space, then run it again: it goes on where it stopped",
        )
    return DataError(
        f"{target} can't be written: {error.strerror or error}", "set WORKSHOP_CACHE_DIR to a folder you own"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
