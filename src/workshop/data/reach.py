"""Which hosts can't be reached, remembered for a while, so that a run without a network waits once.

Try it:  python -c "from workshop.data.reach import Reach; Reach().check('https://example.org/')"
Remembers in this process and in a small file of the cache that other runs read. Knows nothing of datasets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies

from workshop.data import addresses
from workshop.errors import DataError

LOOKUP_TIMEOUT_SECONDS = 3.0
MEMORY_SECONDS = 600


class Unreachable(DataError):
    """No network, or none that leads there."""


class Reach:
    """Asks once a host; a failure is believed for `MEMORY_SECONDS`.

    folder: where the memory is kept for other processes; None keeps it in this object.
    """

    def __init__(
        self,
        folder: Path | None = None,
        lookup: Callable[[str, int, float], object] = addresses.lookup,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = folder / "unreachable.json" if folder else None
        self._lookup = lookup
        self._clock = clock
        self._failed: dict[str, tuple[str, float]] = {}
        self._good: set[str] = set()

    def check(self, url: str) -> None:
        """Unreachable, at once or within `LOOKUP_TIMEOUT_SECONDS`, if the URL's host can't be found."""
        host, port = _first_hop(url)
        why, until = self._recall(host)
        if until > self._clock():
            raise _unreachable(host, why)
        if host in self._good:
            return
        try:
            self._lookup(host, port, LOOKUP_TIMEOUT_SECONDS)
        except addresses.LookupFailed as error:
            raise self.failed(url, str(error)) from None
        self._good.add(host)

    def failed(self, url: str, why: str) -> Unreachable:
        """Remember that the URL's host did not answer; returns the error to raise."""
        host, _ = _first_hop(url)
        self._good.discard(host)
        self._failed[host] = (why, self._clock() + MEMORY_SECONDS)
        self._write()
        return _unreachable(host, why)

    def forget(self) -> None:
        """Ask again: for a person who says that the network is back."""
        self._failed.clear()
        self._good.clear()
        if self._file:
            self._file.unlink(missing_ok=True)

    def _recall(self, host: str) -> tuple[str, float]:
        if host not in self._failed:
            self._failed |= {name: row for name, row in self._read().items() if name not in self._failed}
        return self._failed.get(host, ("", 0.0))

    def _read(self) -> dict[str, tuple[str, float]]:
        if self._file is None:
            return {}
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
            return {host: (str(row["why"]), float(row["until"])) for host, row in rows.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # a memory that can't be read costs one more look-up, nothing else

    def _write(self) -> None:
        if self._file is None:
            return
        rows = {host: {"why": why, "until": until} for host, (why, until) in self._failed.items()}
        fresh = self._file.with_suffix(".tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(rows), encoding="utf-8")
            fresh.replace(self._file)
        except OSError:
            self._file = None  # a full or read-only cache: this process still remembers


def _first_hop(url: str) -> tuple[str, int]:
    """The host that a request for this URL really connects to: its own, or the proxy's."""
    parts = urlsplit(url)
    proxy = get_environ_proxies(url).get(parts.scheme)
    if proxy:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _unreachable(host: str, why: str) -> Unreachable:
    return Unreachable(f"no network ({host}: {why})", "connect to a network, or set WORKSHOP_DATA_DIR")
