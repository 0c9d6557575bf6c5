"""Fetch a small file from a URL that somebody else chose: bounded in bytes, time, redirects and destination.

Try it:  python -c "from workshop.data import web; print(len(web.fetch('https://example.org/')))"
A name is looked up once, its address judged and then connected to, so that it can't change in between.
Uses no proxy. Knows nothing of pictures; large files with known checksums go through download.py.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from workshop.data import addresses
from workshop.data.addresses import Address
from workshop.errors import DataError

LARGEST_BYTES = 20 * 10**6
CONNECT_TIMEOUT_SECONDS = 5.0
TOTAL_TIMEOUT_SECONDS = 20.0
MOST_REDIRECTS = 3
_CHUNK_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Limits:
    """What one fetch may cost, and whether it may reach loopback and private addresses."""

    largest_bytes: int = LARGEST_BYTES
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    total_timeout_seconds: float = TOTAL_TIMEOUT_SECONDS
    allow_private: bool = False


def fetch(url: str, limits: Limits | None = None) -> bytes:
    """The body that the URL answers with.

    Errors: DataError for any address, status, size or delay that is not allowed; it names the URL without its
    query, which may hold a signature.
    """
    limits = limits or Limits()
    deadline = time.monotonic() + limits.total_timeout_seconds
    for _ in range(MOST_REDIRECTS + 1):
        answer = _get(url, limits, deadline)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer.target)
    raise DataError(
        f"{shown(url)} is the end of more than {MOST_REDIRECTS} redirects", "give the address it ends at"
    )


def shown(url: str) -> str:
    """The URL as it may be printed: without user, password, query and fragment, and not too long."""
    parts = urlsplit(url)
    text = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return text if len(text) <= 120 else text[:117] + "..."


@dataclass(frozen=True)
class _Redirect:
    target: str


def _get(url: str, limits: Limits, deadline: float) -> bytes | _Redirect:
    parts, port = _parse(url)
    address = _allowed_address(parts.hostname or "", port, url, limits)
    timeout_seconds = min(limits.connect_timeout_seconds, _left(deadline, url))
    connection = _Connection(parts, port, address, timeout_seconds, deadline)
    try:
        with _ended_at(deadline, connection):
            connection.request("GET", _request_target(parts), headers=_headers(parts))
            response = connection.getresponse()
            if 300 <= response.status < 400 and response.getheader("Location"):
                return _Redirect(response.getheader("Location") or "")
            body = _body(response, url, limits)
        if time.monotonic() >= deadline:  # cut off by us, which looks like an end
            raise _too_slow(url, limits)
        return body
    except TimeoutError as error:
        raise _too_slow(url, limits) from error
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline:
            raise _too_slow(url, limits) from error
        raise DataError(
            f"{shown(url)} can't be read: {_why(error)}", "check the address and the network"
        ) from error
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, url: str, limits: Limits) -> bytes:
    if response.status != 200:
        raise DataError(
            f"{shown(url)} answered {response.status} {response.reason}".rstrip(), "check the address"
        )
    announced = response.getheader("Content-Length") or ""
    if announced.isdigit() and int(announced) > limits.largest_bytes:
        raise _too_large(url, limits)
    body = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > limits.largest_bytes:
            raise _too_large(url, limits)
    if announced.isdigit() and len(body) < int(announced):
        raise OSError(f"it ended after {len(body)} of {announced} bytes")
    return bytes(body)


def _parse(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise DataError(
            f"'{url[:120]}' is not an address: {error}", "give an http or https address"
        ) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DataError(
            f"'{shown(url)}' is not an http or https address", "give one that begins with https://"
        )
    return parts, port


def _allowed_address(host: str, port: int, url: str, limits: Limits) -> Address:
    """The first address of the host, if all of them are allowed."""
    try:
        found = addresses.lookup(host, port, limits.connect_timeout_seconds)
    except addresses.LookupFailed as error:
        raise DataError(
            f"{shown(url)} can't be reached: {host}: {error}", "check the address and the network"
        ) from None
    for address in found:
        why = addresses.refusal(address, limits.allow_private)
        if why:
            raise DataError(
                f"{shown(url)} leads to {address}, {why}", "give the address of a public web server"
            )
    return found[0]


def _request_target(parts: SplitResult) -> str:
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    return f"{target}?{query}" if query else target


def _headers(parts: SplitResult) -> dict[str, str]:
    host = parts.netloc.rpartition("@")[2]
    return {"Host": host, "Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "workshop-inputs"}


class _Connection(http.client.HTTPConnection):
    """HTTP or HTTPS to an address that was already judged, under the name that the URL gives."""

    def __init__(
        self, parts: SplitResult, port: int, address: Address, timeout_seconds: float, deadline: float
    ) -> None:
        super().__init__(parts.hostname or "", port, timeout=timeout_seconds)
        self._address = address
        self._secure = parts.scheme == "https"
        self._deadline = deadline
        # http.client lets go of `sock` while a body is still read, so it is kept here for `interrupt`.
        self._held: socket.socket | None = None

    def connect(self) -> None:
        self._held = self.sock = socket.create_connection((str(self._address), self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            secured = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self._held = self.sock = secured
            secured.do_handshake()
        self.sock.settimeout(max(0.01, self._deadline - time.monotonic()))

    def interrupt(self) -> None:
        """End what waits on the connection, from another thread."""
        if self._held is not None:
            try:
                self._held.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself


@contextmanager
def _ended_at(deadline: float, connection: _Connection) -> Iterator[None]:
    """A socket's timeout counts from its last byte: a server that drips would hold us for ever."""
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _left(deadline: float, url: str) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise DataError(f"{shown(url)} took too long", "try again")
    return left


def _too_slow(url: str, limits: Limits) -> DataError:
    seconds = f"{limits.connect_timeout_seconds:g} s to connect, {limits.total_timeout_seconds:g} s in all"
    return DataError(f"{shown(url)} took too long (allowed: {seconds})", "try again, or download it yourself")


def _too_large(url: str, limits: Limits) -> DataError:
    return DataError(
        f"{shown(url)} is larger than {limits.largest_bytes / 1e6:g} MB", "give a smaller picture"
    )


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
