"""One request and its answer: from the client to a target that takes it, and back.

Try it:  python -m pytest tests/local/test_loadbalancer_proxy.py
What is tried again, so that a target can end without a request being lost:
- a connection that was not established: nothing was sent, and another target gets the request;
- a kept connection that ends before a byte of an answer, if the method is idempotent and without a body: the
  target had closed it, or was killed; in both cases a second time does no harm (RFC 9110, 9.2.2).
Anything else that was sent and not answered is a 502, as on AWS. Knows no listeners: a `Client` starts it.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from localaws.loadbalancer.proxy import answers, heads, upstream
from localaws.loadbalancer.proxy.groups import PASSED_OVER_SECONDS, Group, Target
from localaws.loadbalancer.proxy.upstream import Upstream

if TYPE_CHECKING:
    from localaws.loadbalancer.proxy.client import Client

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
MOST_HELD_BYTES = 256 * 1024  # of a body, before its target takes it
WITHOUT_BODY = frozenset({204, 304})


class Exchange:
    """Made when a request's head is there. What arrives of its body comes by `body` and `body_complete`."""

    def __init__(
        self, client: "Client", method: bytes, target: bytes, headers: heads.Headers, keep: bool
    ) -> None:
        self.client = client
        self.method, self.path, self.headers = method, target, headers
        self.keep = keep  # whether the client's connection goes on afterwards
        self.modern = True  # HTTP/1.1: takes chunks and interim answers
        self.wants_upgrade = False
        self.request_framing = heads.framing(headers)
        # Of a request without a body; else once the body is there.
        self.request_complete = not self.request_framing.chunked and self.request_framing.length in (
            None,
            b"0",
        )
        self._repeatable = self.request_complete and method in IDEMPOTENT
        self.answer_begun = self.finished = self.bodiless_answer = False
        self.is_tunnel = False
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._tried: list[Target] = []
        self._group: Group | None = None
        self._refused_with = 502
        self._answer_chunked = False
        self._out: list[bytes] = []
        self._sent_at = 0.0
        self._counted = False

    # ---- towards the target ----------------------------------------------------------------------------------

    def forward(self, group: Group | None) -> None:
        """Find a target and send the request."""
        self._group = group
        self._next_target()

    def _next_target(self) -> None:
        now = time.monotonic()
        target = self._group.choose(self._tried, now) if self._group else None
        if target is None:
            self.own(self._refused_with if self._tried else 503)
            return
        if self._group and not self._counted:  # only requests that a target was chosen for are counted
            self._counted = True
            self.client.count.requests += 1
            self.client.group_count(self._group).requests += 1
        kept = target.take_idle(now)
        if kept:
            self._attach(kept)
        else:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(target))

    async def _connect(self, target: Target) -> None:
        try:
            others = bool(self._group and self._group.has_others((*self._tried, target)))
            seconds = upstream.HASTY_SECONDS if others else upstream.CONNECT_SECONDS
            connection = await upstream.connect(target, seconds)
        except OSError as error:
            if self._group:
                self.client.group_count(self._group).connection_errors += 1
            # 504: not established in 10 s; 502: refused ("The load balancer generates an HTTP error").
            self._refused_with = 504 if isinstance(error, TimeoutError) else 502
            target.not_before = time.monotonic() + PASSED_OVER_SECONDS
            self._tried.append(target)
            if not self.finished:
                self._next_target()
            return
        finally:
            self._connecting = None
        if self.finished:
            connection.close()
        else:
            self._attach(connection)

    def _attach(self, connection: Upstream) -> None:
        self._upstream = connection
        connection.begin(self)
        if self.client.is_slow:
            connection.hold(True)
        self._sent_at = time.perf_counter()
        head = heads.to_target(
            self.method,
            self.path,
            self.headers,
            self.request_framing,
            self.client.listener.policy,
            self.client.source,
            self.wants_upgrade,
        )
        if self._held:
            connection.write(head + b"".join(self._held))
            self._held, self._held_bytes = [], 0
            self.client.hold(False)
        else:
            connection.write(head)

    def body(self, data: bytes) -> None:
        """Some of the request's body."""
        if self.request_framing.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def body_complete(self) -> None:
        if self.request_framing.chunked:
            self._send(b"0\r\n\r\n")
        self.request_complete = True
        if self.finished:
            self.client.exchange_over(self)

    def _send(self, data: bytes) -> None:
        if self._upstream:
            self._upstream.write(data)
        elif not self.finished:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > MOST_HELD_BYTES:
                self.client.hold(True)

    def tunnel(self, data: bytes) -> None:
        """Bytes of a connection that is no longer HTTP."""
        self._send(data)

    # ---- what the target answers -----------------------------------------------------------------------------

    def interim(self, status: int, phrase: bytes) -> None:
        if self.modern:
            self.client.write(b"HTTP/1.1 %d %b\r\n\r\n" % (status, phrase))

    def begin_answer(self, status: int, source: Upstream) -> bool:
        """The head of the answer; True if the connection is a tunnel from now on."""
        self.answer_begun = True
        if self._group:
            seconds = time.perf_counter() - self._sent_at
            self.client.group_count(self._group).answered(status, seconds)
        self.is_tunnel = status == upstream.SWITCHING and self.wants_upgrade
        framing = source.framing
        self.bodiless_answer = self.method == b"HEAD" or status in WITHOUT_BODY or self.is_tunnel
        if self.bodiless_answer:
            framing = heads.Framing(framing.length)
        elif framing.length is None:
            # Delimited by chunks or by its end: a client that knows chunks gets those and may go on.
            framing = heads.Framing(chunked=self.modern)
            self.keep = self.keep and self.modern
        self._answer_chunked = framing.chunked and not self.bodiless_answer
        head = heads.to_client(
            status,
            source.phrase,
            source.headers,
            framing,
            self.keep,
            self.is_tunnel,
        )
        self._out.append(head)
        if self.bodiless_answer and not self.is_tunnel:
            source.complete = True
        return self.is_tunnel

    def answer_body(self, data: bytes) -> None:
        self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._answer_chunked else data)

    def answer_bytes(self, data: bytes) -> None:
        """Of a tunnel."""
        self.client.write(data)

    def flush_answer(self) -> None:
        """Pass on what has arrived, in one piece."""
        if self._out:
            self.client.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()

    def answered(self, target_keeps: bool) -> None:
        """The answer is complete."""
        if self._answer_chunked:
            self._out.append(b"0\r\n\r\n")
        self.flush_answer()
        connection, self._upstream = self._upstream, None
        if connection:
            connection.end(target_keeps and self.request_complete)
        self._finish()

    def answer_malformed(self) -> None:
        connection, self._upstream = self._upstream, None
        if connection:
            connection.drop()
        self._lost()

    def target_lost(self, connection: Upstream) -> None:
        """The connection ended before the answer did."""
        self._upstream = None
        unanswered = connection.used and not connection.answering and not connection.target.gone
        if unanswered and self._repeatable and not self.finished:
            self._repeatable = False
            self._next_target()
        else:
            self._lost()

    def _lost(self) -> None:
        self._out.clear()
        if self.answer_begun:
            self.finished = True
            self.client.abort()  # a whole answer must not be made of half of one
        else:
            self.own(502)

    def tunnel_closed(self) -> None:
        self.finished = True
        self.client.close()

    # ---- its end ---------------------------------------------------------------------------------------------

    def own(self, status: int, answer: bytes | None = None) -> None:
        """Answer without a target; answer: of a rule, else the page for the status."""
        if self.finished:
            return
        head = self.method == b"HEAD"
        if answer is None:
            self.client.count.own_answer(status)
            answer = answers.own(status, head=head, close=not self.keep)
        self.client.write(answer)
        self._finish()

    def time_out(self) -> None:
        """Nothing has moved for the idle timeout."""
        if self.answer_begun or self.is_tunnel:
            self.finished = True
            self.client.abort()
        else:
            self.keep = self.keep and self.request_complete
            self.own(504 if self.request_complete else 408)

    def abandon(self) -> None:
        """The client has left."""
        if not self.finished:
            self.client.count.own_answer(answers.CLIENT_LEFT)
        self.finished = True
        self._let_go()

    def _let_go(self) -> None:
        connection, self._upstream = self._upstream, None
        if connection:
            connection.drop()
        if self._connecting:
            self._connecting.cancel()

    def _finish(self) -> None:
        self.finished = True
        self._held.clear()
        self._let_go()
        self.client.exchange_over(self)

    def hold_client(self, held: bool) -> None:
        self.client.hold(held)

    def hold_target(self, held: bool) -> None:
        if self._upstream:
            self._upstream.hold(held)


def redirect(status: int, location: str, head: bool, keep: bool) -> bytes:
    """A redirection's answer; as on AWS with a page that nobody reads."""
    page = f"<html>\r\n<head><title>{status}</title></head>\r\n</html>\r\n".encode()
    extra: dict[str, Any] = {"Location": location}
    return answers.answer(status, page, "text/html", extra, head=head, close=not keep)
