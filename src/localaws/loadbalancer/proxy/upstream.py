"""A connection to a target: one request at a time, its answer passed on as it comes, kept for the next.

Try it:  python -m pytest tests/local/test_loadbalancer_proxy.py
Knows no rules and no clients: it tells an `Exchange` what arrives.
"""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import httptools

from localaws.loadbalancer.proxy import heads
from localaws.loadbalancer.proxy.groups import Target

if TYPE_CHECKING:
    from localaws.loadbalancer.proxy.exchange import Exchange

# Where another target could be asked instead: on one machine a connection takes less than a millisecond, and an
# address that is gone (a container's) is reported as such only after some seconds.
HASTY_SECONDS = 0.5
CONNECT_SECONDS = 10.0  # "the connection timeout expired (10 seconds)", troubleshooting page, HTTP 504
MOST_HEAD_BYTES = 32 * 1024  # "Quotas for your Application Load Balancers": entire response header
SWITCHING = 101


class Unwanted(Exception):
    """An answer that is not passed on."""


async def connect(target: Target, seconds: float) -> "Upstream":
    """A new connection. Errors: OSError, TimeoutError among them."""
    loop = asyncio.get_running_loop()
    opening = loop.create_connection(lambda: Upstream(target), target.host, target.port)
    _, upstream = await asyncio.wait_for(opening, seconds)
    return upstream


class Upstream(asyncio.Protocol):
    """One connection. `exchange` is whose request it carries; None while it is idle."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.exchange: Exchange | None = None
        self.used = False  # has carried a request before
        self.idle_since = 0.0
        self.closed = False
        self.transport: Any = None
        self._parser: Any = None
        self._tunnel = False
        self._waiting_interim = False
        self._reset()

    def _reset(self) -> None:
        self.headers: heads.Headers = []
        self.phrase = b""
        self.framing = heads.Framing()
        self.answering = False
        self.complete = False
        self._head_bytes = 0
        self._keeps = False

    # ---- for the exchange ------------------------------------------------------------------------------------

    def begin(self, exchange: "Exchange") -> None:
        """Carry this exchange's request; its bytes come by `write`."""
        self.exchange = exchange
        self._reset()
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self.target.in_flight += 1
        self.target.busy.add(self)

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.transport.write(data)

    def end(self, keep: bool) -> None:
        """The exchange is over: keep the connection for another one, or close it."""
        self._leave()
        target = self.target
        if keep and not (self.closed or target.draining or target.gone or self.transport.is_closing()):
            self.used = True
            self.idle_since = time.monotonic()
            self.transport.resume_reading()
            target.idle.append(self)
        else:
            self.close()

    def close(self) -> None:
        if self.transport is not None and not self.closed:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None and not self.closed:
            self.transport.abort()

    def drop(self) -> None:
        """The client has left: nobody wants the answer."""
        self._leave()
        self.abort()

    def hold(self, held: bool) -> None:
        """Stop or go on reading: the client is slower than the target."""
        if not self.transport.is_closing():
            (self.transport.pause_reading if held else self.transport.resume_reading)()

    def _leave(self) -> None:
        if self.exchange is not None:
            self.exchange = None
            self.target.in_flight -= 1
            self.target.busy.discard(self)

    # ---- asyncio's protocol ----------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:  # bytes that nobody asked for
            self.close()
            return
        if self._tunnel:
            exchange.answer_bytes(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._tunnel:  # nobody asked for another protocol
                self._malformed(exchange)
                return
            exchange.flush_answer()
            exchange.answer_bytes(data[upgrade.args[0] :])
            return
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, Unwanted):
                raise
            self._malformed(exchange)
            return
        except httptools.HttpParserError:
            self._malformed(exchange)
            return
        exchange.flush_answer()
        if self.complete and self.exchange is exchange:
            exchange.answered(self._may_be_kept())

    def _malformed(self, exchange: "Exchange") -> None:
        self._parser = None
        if self.exchange is exchange:
            if self.complete:  # the answer was whole, what came after it was none
                exchange.flush_answer()
                exchange.answered(False)
            else:
                exchange.answer_malformed()
        self.abort()

    def _may_be_kept(self) -> bool:
        keep = self._parser is not None and self._keeps
        if self.exchange and self.exchange.bodiless_answer:
            self._parser = None  # it still expects the body that the length promises
        return keep

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        exchange = self.exchange
        with contextlib.suppress(ValueError):
            self.target.idle.remove(self)
        if exchange is None:
            return
        until_end = self.framing.length is None and not self.framing.chunked
        self._leave()
        if self._tunnel:
            exchange.tunnel_closed()
        elif self.answering and until_end and error is None:
            exchange.answered(False)
        else:
            exchange.target_lost(self)

    def pause_writing(self) -> None:
        if self.exchange:
            self.exchange.hold_client(True)

    def resume_writing(self) -> None:
        if self.exchange:
            self.exchange.hold_client(False)

    # ---- httptools' callbacks --------------------------------------------------------------------------------

    def on_status(self, phrase: bytes) -> None:
        self.phrase += phrase
        self._head_bytes += len(phrase)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise Unwanted("its status line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise Unwanted("its header is too long")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.exchange is None or self.complete:
            raise Unwanted("nobody asked for it")
        status = self._parser.get_status_code()
        self.framing = heads.framing(self.headers)
        if status < 200 and status != SWITCHING:
            self.exchange.interim(status, self.phrase)
            self._waiting_interim = True
            return
        self.answering = True
        self._keeps = bool(
            self._parser.should_keep_alive()
        )  # the parser forgets it when the message is complete
        self._tunnel = self.exchange.begin_answer(status, self)

    def on_body(self, body: bytes) -> None:
        if self.exchange is not None and not self.exchange.bodiless_answer:
            self.exchange.answer_body(body)

    def on_message_complete(self) -> None:
        if self._waiting_interim:
            self._waiting_interim = False
            self._reset()
        elif not self._tunnel:
            self.complete = True
