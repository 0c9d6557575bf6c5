"""Send requests to a server from many connections at once, and keep a record of how each ended.

Try it:  workshop load http://127.0.0.1:8080/predict --connections 16 --seconds 20
A connection is kept and sends one request after another, the bodies in turn. It is opened anew when the server has
closed it between two requests, as any client does; a request that was sent and got no whole answer is a failure, and
is not sent again. For seeing what a deployment does to requests, not for records: one process of Python sends.
Knows HTTP/1.1, and nothing of AWS or of what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from workshop.errors import SettingsError

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 0.05  # after a failure: a server that is gone would fail thousands of times a second
MOST_KEPT = 1_000  # failures of which more than the number is kept
SHOWN_BYTES = 120
LINE_BYTES = 64 * 1024
NO_BODY = (204, 304)


@dataclass(frozen=True, repr=False)
class Outcome:
    """requests: that ended, well or not. failures: (seconds after the start, what) of the first thousand.

    latencies in ms, of the requests that ended well; per_second: requests that ended well in each second.
    """

    requests: int
    failed: int
    failures: list[tuple[float, str]]
    p50_ms: float
    p99_ms: float
    per_second: list[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Requests that ended well, a second."""
        return (self.requests - self.failed) / self.seconds if self.seconds else 0.0

    def __repr__(self) -> str:
        told = [
            f"{self.requests} requests in {self.seconds:.1f} s, {self.rate:.0f} a second; "
            f"half took at most {self.p50_ms:.1f} ms, 99 of 100 at most {self.p99_ms:.1f} ms; {self.failed} failed"
        ]
        return "\n".join([*told, *(f"  {count} times: {what}" for what, count in self.kinds().items())])

    def figure(self) -> Any:
        """Requests that ended well in each second, and when others failed: a figure of Matplotlib."""
        from matplotlib import pyplot

        drawn, axes = pyplot.subplots(figsize=(8, 3), layout="constrained")
        pyplot.close(drawn)  # a cell shows what it returns; pyplot would show it a second time
        axes.bar(range(1, len(self.per_second) + 1), self.per_second, width=0.9, color="tab:blue")
        axes.set(xlabel="second", ylabel="answered", title=f"{self.requests} requests, {self.failed} failed")
        for after, _ in self.failures:
            axes.axvline(after + 0.5, color="tab:red", linewidth=1)
        return drawn

    def kinds(self) -> dict[str, int]:
        """How often each kind of failure was, of those that were kept."""
        return dict(Counter(what for _, what in self.failures).most_common())


@dataclass(frozen=True)
class Target:
    """Where requests go. head: the lines before the headers that a body needs."""

    host: str
    port: int
    encryption: ssl.SSLContext | None
    head: bytes


@dataclass
class Record:
    """What has happened so far."""

    began: float
    latencies: array[float] = field(default_factory=lambda: array("d"))
    ended: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)

    def well(self, sent: float) -> None:
        """A request that was answered."""
        now = time.perf_counter()
        self.latencies.append(now - sent)
        self.ended[int(now - self.began)] += 1

    def badly(self, what: str) -> None:
        """One that was not, or not as it should."""
        after = time.perf_counter() - self.began
        self.failed[int(after)] += 1
        if len(self.failures) < MOST_KEPT:
            self.failures.append((round(after, 3), what))


def run(
    url: str,
    bodies: Sequence[bytes],
    connections: int = 16,
    seconds: float = 20.0,
    on_second: Callable[[int, int, int], None] | None = None,
) -> Outcome:
    """Load a server for a while; requests in flight at the end are awaited.

    bodies: JSON, sent by POST in turn; without any, GET is sent. on_second: told after each second which one it was,
    how many requests ended well in it and how many failed.
    Errors: SettingsError if the address or a number can't be used.
    """
    target = read(url, bodies)
    if connections < 1 or seconds <= 0:
        raise SettingsError(
            f"{connections} connections for {seconds:g} s is no load",
            "at least one connection, and some seconds",
        )
    ending = threading.Event()
    # In a thread of its own: a notebook's has an event loop already, and asyncio takes one for each thread.
    with ThreadPoolExecutor(1) as thread:
        try:
            loading = _load(target, bodies, connections, seconds, on_second, ending)
            return thread.submit(asyncio.run, loading).result()
        finally:
            ending.set()  # after Ctrl-C too: what is in flight then is the last


def read(url: str, bodies: Sequence[bytes] = ()) -> Target:
    """Take an address apart. Errors: SettingsError if it is none of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise SettingsError(
            f"'{url}' is no address: {error}", "as in http://127.0.0.1:8080/predict"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"'{url}' is no address of HTTP", "as in http://127.0.0.1:8080/predict")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = f"{'POST' if bodies else 'GET'} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
    encryption = ssl.create_default_context() if parts.scheme == "https" else None
    return Target(parts.hostname, port, encryption, head.encode())


async def _load(
    target: Target,
    bodies: Sequence[bytes],
    connections: int,
    seconds: float,
    on_second: Callable[[int, int, int], None] | None,
    ending: threading.Event,
) -> Outcome:
    record = Record(time.perf_counter())
    requests = cycle([_request(target, body) for body in bodies] or [target.head + b"\r\n"])
    until = record.began + seconds
    tasks = [
        asyncio.create_task(_Connection(target, record, ending).send_until(until, requests))
        for _ in range(connections)
    ]
    telling = asyncio.create_task(_tell(record, on_second)) if on_second else None
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in [*tasks, *([telling] if telling else [])]:
            task.cancel()
    whole = range(int(seconds))
    ordered = sorted(record.latencies)
    return Outcome(
        requests=len(ordered) + record.failed.total(),
        failed=record.failed.total(),
        failures=record.failures,
        p50_ms=_percentile_ms(ordered, 0.50),
        p99_ms=_percentile_ms(ordered, 0.99),
        per_second=[record.ended[second] for second in whole],
        seconds=time.perf_counter() - record.began,
    )


class _Connection:
    """One client: what it keeps from one request to the next is its connection."""

    def __init__(self, target: Target, record: Record, ending: threading.Event) -> None:
        self._target, self._record, self._ending = target, record, ending
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send_until(self, until: float, requests: cycle[bytes]) -> None:
        try:
            while time.perf_counter() < until and not self._ending.is_set():
                problem = await self._send(next(requests))
                if problem:
                    self._record.badly(problem)
                    self._close()
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._close()

    async def _send(self, request: bytes) -> str:
        """Send one request and read its answer; says what went wrong, or ''."""
        where = "while connecting"
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await self._open()
                sent, where = time.perf_counter(), "before the answer"
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                where = "in the middle of the answer"
                status, body, is_kept = await _answer(head, reader)
        except TimeoutError:
            return f"no answer within {ANSWER_SECONDS:g} s ({where})"
        except asyncio.IncompleteReadError as error:
            return f"closed {'in the middle of the answer' if error.partial else where}"
        except (OSError, asyncio.LimitOverrunError, ValueError) as error:
            return f"{getattr(error, 'strerror', None) or error or type(error).__name__} {where}".lower()
        if not is_kept:
            self._close()
        if not 200 <= status < 300:
            return f"{status} {body[:SHOWN_BYTES].decode(errors='replace').strip()}".strip()
        self._record.well(sent)
        return ""

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection that there is, unless the server has closed it, or a new one."""
        if self._reader is None or self._writer is None or self._reader.at_eof() or self._writer.is_closing():
            self._close()
            self._reader, self._writer = await asyncio.open_connection(
                self._target.host, self._target.port, ssl=self._target.encryption, limit=LINE_BYTES
            )
        return self._reader, self._writer

    def _close(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._reader = self._writer = None


async def _answer(head: bytes, reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Read the body that belongs to a head: (status, body, whether the connection is kept)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ", 2)[1])
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    is_kept = headers.get("connection", "").lower() != "close" and first.startswith("HTTP/1.1")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return status, await _chunks(reader), is_kept
    if "content-length" in headers:
        return status, await reader.readexactly(int(headers["content-length"])), is_kept
    if status in NO_BODY:
        return status, b"", is_kept
    return status, await reader.read(), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while (await reader.readline()).strip():  # trailers
        pass
    return body


async def _tell(record: Record, on_second: Callable[[int, int, int], None]) -> None:
    second = 0
    while True:
        await asyncio.sleep(max(0.0, record.began + second + 1 - time.perf_counter()))
        on_second(second, record.ended[second], record.failed[second])
        second += 1


def _request(target: Target, body: bytes) -> bytes:
    return target.head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _percentile_ms(ordered: Sequence[float], share: float) -> float:
    """The latency that this share of the requests stayed within; 0 without any."""
    return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 3) if ordered else 0.0
