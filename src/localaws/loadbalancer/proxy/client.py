"""A client's connection to a listener: requests in turn, each an `Exchange`.

Try it:  python -m pytest tests/local/test_loadbalancer_proxy.py
Parsing is llhttp's (httptools), which refuses what two parsers could read in two ways: two lengths, a length with
chunks, spaces before a colon. Limits are AWS's quotas for load balancers. Knows no targets.
"""

import asyncio
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from localaws.loadbalancer.proxy import answers
from localaws.loadbalancer.proxy.exchange import Exchange, redirect
from localaws.loadbalancer.proxy.groups import Group
from localaws.loadbalancer.proxy.routing import Asked, Fixed, Forward, Redirect

if TYPE_CHECKING:
    from localaws.loadbalancer.proxy.counts import Count
    from localaws.loadbalancer.proxy.listener import Listener

# "Quotas for your Application Load Balancers": request line, single header, whole header, in bytes.
MOST_LINE_BYTES, MOST_HEADER_BYTES, MOST_HEAD_BYTES = 16 * 1024, 16 * 1024, 64 * 1024
VERSIONS = ("1.0", "1.1")  # HTTP 505 on the troubleshooting page
ABSOLUTE = re.compile(rb"https?://([^/?#@]+)([/?].*)?", re.IGNORECASE | re.DOTALL)
NOT_ALLOWED = frozenset({b"TRACE", b"CONNECT"})  # HTTP 405 on the troubleshooting page


class Refused(Exception):
    """A request that gets this status and nothing more."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Client(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, listener: "Listener") -> None:
        self.listener = listener
        self.transport: Any = None
        self.source = ""
        self.last_moved = self.began = time.monotonic()
        self._parser: Any = None
        self._current: Exchange | None = None  # whose answer the client gets now
        self._reading: Exchange | None = None  # whose body is arriving
        self._newest: Exchange | None = None
        self._waiting: deque[tuple[Exchange, Any]] = deque()
        self._ending = self._starting = False
        self.is_slow = False  # does not take what is written to it
        self._is_held = False  # its body's taker is slower than it
        self._target, self._headers, self._head_bytes = b"", list[tuple[bytes, bytes]](), 0
        self._got_on, self._unused_bytes = False, 0

    @property
    def count(self) -> "Count":
        return self.listener.count()

    def group_count(self, group: Group) -> "Count":
        return self.listener.group_count(group)

    # ---- asyncio's protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        address = transport.get_extra_info("peername") or ("", 0)
        self.source = f"{address[0]}:{address[1]}" if self.listener.policy.client_port else str(address[0])
        self._parser = httptools.HttpRequestParser(self)
        self.listener.clients.add(self)

    def data_received(self, data: bytes) -> None:
        self.last_moved = time.monotonic()
        if self._current is not None and self._current.is_tunnel:
            self._current.tunnel(data)
            return
        while data and not self._ending:
            data = self._parse(data)

    def _parse(self, data: bytes) -> bytes:
        """Take in what has come; what is left of it stands behind a request for another protocol."""
        self._got_on = False
        try:
            self._parser.feed_data(data)
            # The parser keeps a field until it is whole, and tells nobody how much it has.
            self._unused_bytes = 0 if self._got_on else self._unused_bytes + len(data)
            if self._unused_bytes > MOST_LINE_BYTES + MOST_HEAD_BYTES:
                self._refuse(400)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser, self._unused_bytes = httptools.HttpRequestParser(self), 0
            rest = data[upgrade.args[0] :]
            # Before the target has agreed to another protocol, it would take these bytes for a request.
            if not (rest and self._newest is not None and self._newest.wants_upgrade):
                return rest
            self._refuse(400)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refused):
                raise
            self._refuse(cause.status)
        except httptools.HttpParserError:
            self._refuse(400)
        return b""

    def connection_lost(self, error: Exception | None) -> None:
        self.listener.clients.discard(self)
        self._ending = True
        if self._current:
            self._current.abandon()
        for exchange, _ in self._waiting:
            exchange.finished = True
        self._waiting.clear()

    def pause_writing(self) -> None:
        self.is_slow = True
        if self._current:
            self._current.hold_target(True)
        self._read_or_wait()

    def resume_writing(self) -> None:
        self.is_slow = False
        if self._current:
            self._current.hold_target(False)
        self._read_or_wait()

    # ---- for the exchange ------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.last_moved = time.monotonic()
        if not self.transport.is_closing():
            self.transport.write(data)

    def hold(self, held: bool) -> None:
        """Stop or go on reading: whoever takes the request's body is slower than the client."""
        self._is_held = held
        self._read_or_wait()

    def _read_or_wait(self) -> None:
        """Read on, unless what came before has yet to be taken: a body, requests, or answers to them."""
        if self.transport.is_closing():
            return
        is_tunnel = self._current is not None and self._current.is_tunnel
        unread = self.is_slow and self._reading is None and not is_tunnel
        wait = self._is_held or unread or bool(self._waiting)
        (self.transport.pause_reading if wait else self.transport.resume_reading)()

    def close(self) -> None:
        self._ending = True
        self.transport.close()

    def abort(self) -> None:
        self._ending = True
        self.transport.abort()

    def exchange_over(self, exchange: Exchange) -> None:
        """The answer is out; the next request is begun once this one's body is in."""
        if exchange is not self._current or self.transport.is_closing():
            return
        self._is_held = False
        expired = self.last_moved - self.began > self.listener.keep_alive_seconds
        if not exchange.keep or expired or self._ending:
            self.close()
        elif exchange.request_complete:
            self._current = None
            self._start_waiting()
        self._read_or_wait()

    def _start_waiting(self) -> None:
        """The next request, and more while they are answered at once."""
        if self._starting:
            return
        self._starting = True
        try:
            while self._waiting and self._current is None:
                self._start(*self._waiting.popleft())
        finally:
            self._starting = False

    def time_out(self, now: float) -> None:
        """Look whether nothing has moved for too long."""
        if now - self.last_moved < self.listener.idle_seconds:
            return
        if self._current and not self._current.finished:
            self._current.time_out()
        elif self._head_bytes:
            self._refuse(408)
        else:
            self.close()

    def _refuse(self, status: int) -> None:
        """Answer and end: what follows can't be understood, or is not wanted."""
        self._ending = True
        current = self._current
        if current and not current.finished:
            if self._reading is None:  # what can't be understood came after it: its answer is the last
                current.keep = False
                return
            current.keep = False
            if current.answer_begun:
                self.abort()
            else:
                current.own(status)
        elif not self.transport.is_closing():
            self.count.own_answer(status)
            self.write(answers.own(status, close=True))
        self.close()

    # ---- httptools' callbacks --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target, self._headers, self._head_bytes = b"", [], 1

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > MOST_LINE_BYTES:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        size = len(name) + len(value)
        self._head_bytes += size
        if size > MOST_HEADER_BYTES or self._head_bytes > MOST_HEAD_BYTES:
            raise Refused(400)

    def on_headers_complete(self) -> None:
        parser = self._parser
        method, version = parser.get_method(), parser.get_http_version()
        if method in NOT_ALLOWED:
            raise Refused(405)
        if version not in VERSIONS:
            raise Refused(505)
        # What follows in this message are trailers, which are no header fields.
        headers, self._headers, self._head_bytes, self._got_on = self._headers, [], 0, True
        hosts = [value for name, value in headers if len(name) == 4 and name.lower() == b"host"]
        host = hosts[0] if hosts else b""
        if len(hosts) > 1 or (version == "1.1" and not host):
            raise Refused(400)
        target = self._target
        if target[:1] != b"/" and target != b"*":
            host, target, headers = _in_origin_form(target, headers)
        exchange = Exchange(self, method, target, headers, bool(parser.should_keep_alive()))
        exchange.modern = version == "1.1"
        if parser.should_upgrade():
            self._upgrade(exchange)
        self._reading = self._newest = exchange
        if self._current is None:
            self._start(exchange, host)
        else:
            self._waiting.append((exchange, host))
            self._read_or_wait()

    def _upgrade(self, exchange: Exchange) -> None:
        """WebSockets pass; other upgrades are left out, as a server may do that does not know them."""
        protocol = next((value for name, value in exchange.headers if name.lower() == b"upgrade"), b"")
        exchange.wants_upgrade = protocol.lower() == b"websocket"
        if exchange.request_framing.chunked or exchange.request_framing.length not in (None, b"0"):
            raise Refused(400)  # the parser would take the body for the next request

    def on_body(self, body: bytes) -> None:
        self._got_on = True
        if self._reading:
            self._reading.body(body)

    def on_message_complete(self) -> None:
        self._got_on, self._head_bytes = True, 0
        reading, self._reading = self._reading, None
        if reading:
            reading.body_complete()
        if self.is_slow:
            self._read_or_wait()

    def _start(self, exchange: Exchange, host: bytes) -> None:
        self._current = exchange
        listener = self.listener
        if listener.only_group is not None:
            exchange.forward(listener.only_group)
            return
        asked = Asked(
            exchange.method.decode("latin-1"),
            exchange.path.decode("latin-1"),
            host.decode("latin-1"),
            exchange.headers,
            self.source.rpartition(":")[0] or self.source,
        )
        action = listener.rules.action(asked)
        head, keep = exchange.method == b"HEAD", exchange.keep
        if isinstance(action, Forward):
            exchange.forward(listener.groups.get(action.choose()))
        elif isinstance(action, Fixed):
            page = answers.answer(action.status, action.body, action.content_type, head=head, close=not keep)
            exchange.own(action.status, page)
        elif isinstance(action, Redirect):
            self.count.own_answer(action.status)
            location = action.location(asked, listener.policy.port)
            exchange.own(action.status, redirect(action.status, location, head, keep))


def _in_origin_form(
    target: bytes, headers: list[tuple[bytes, bytes]]
) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """(host, path and query, header fields) of a request for a whole address, whose host then counts (RFC 9112,
    3.2.2): rules and target are to see the same path.
    """
    found = ABSOLUTE.fullmatch(target)
    if not found:
        raise Refused(400)
    host, path = found[1], found[2] or b""
    others = [(name, value) for name, value in headers if name.lower() != b"host"]
    return host, path if path.startswith(b"/") else b"/" + path, [(b"Host", host), *others]
