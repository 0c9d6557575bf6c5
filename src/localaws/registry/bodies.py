"""Bodies of registry uploads go to disk as they come, and the services see a request without one.

Try it:  docker push 127.0.0.1:4566/REPOSITORY; the server's memory stays as it was
ministack reads every body whole: a layer of a gigabyte would take that twice in memory. What was written is in
RECEIVED for whoever answers the request, which may take it; else it is discarded with the answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from localaws.registry.uploads import RegistryFull, Spool, Uploads

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# At most this much waits in memory, and a thread is worth starting for it.
WRITE_BYTES = 1024 * 1024
FRAMING = (b"content-length", b"transfer-encoding")
_UPLOAD = re.compile(r"/v2/.+/blobs/uploads/")


@dataclass
class Body:
    """What came: a file, until somebody takes it; or why it could not be kept."""

    spool: Spool | None = None
    full: RegistryFull | None = None

    def take(self) -> Spool | None:
        """The file, None if nothing came. Errors: RegistryFull."""
        if self.full:
            raise self.full
        if not (self.spool and self.spool.size):
            return None
        spool, self.spool = self.spool, None
        return spool


RECEIVED: ContextVar[Body | None] = ContextVar("RECEIVED", default=None)


class Bodies:
    """An ASGI application in front of another. admits: whether who sends this Authorization may send layers."""

    def __init__(self, inner: Application, uploads: Uploads, admits: Callable[[str], bool]) -> None:
        self.inner = inner
        self.uploads = uploads
        self.admits = admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("PATCH", "PUT", "POST"):
            return await self.inner(scope, receive, send)
        if not _UPLOAD.match(scope["path"]):
            return await self.inner(scope, receive, send)
        sender = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        body = Body(self.uploads.spool() if self.admits(sender) else None)
        try:
            await _write(receive, body)
            headers = [each for each in scope["headers"] if each[0] not in FRAMING]
            bare = {**scope, "headers": [*headers, (b"content-length", b"0")]}
            token = RECEIVED.set(body)
            try:
                await self.inner(bare, _then_nothing(receive), send)
            finally:
                RECEIVED.reset(token)
        except ConnectionResetError:
            return  # the client went away: nobody waits for an answer
        finally:
            if body.spool:
                body.spool.discard()


async def _write(receive: Receive, body: Body) -> None:
    """Read to the end, also what has no room: a client that is cut off would try again, for a minute.

    Errors: ConnectionResetError if the client went away.
    """
    waiting, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        more = message.get("more_body", False)
        if body.spool is None:
            continue
        waiting += message.get("body") or b""
        if waiting and (len(waiting) >= WRITE_BYTES or not more):
            content, waiting = bytes(waiting), bytearray()
            try:
                await asyncio.to_thread(body.spool.write, content)
            except RegistryFull as error:
                body.spool, body.full = None, error


def _then_nothing(receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def both() -> Any:
        return waiting.pop() if waiting else await receive()

    return both
