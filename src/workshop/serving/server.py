"""Serve the application: one worker with uvloop and httptools, which ends in order.

Try it:  MODEL_URI=<folder> .venvs/serving/bin/python -m workshop.serving
SIGTERM: no new connection is accepted, requests in flight are answered, the fetcher ends, exit status 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from workshop.serving import application
from workshop.serving.configuration import Configuration
from workshop.serving.connection import Connection
from workshop.serving.in_service import InService
from workshop.serving.model_feed import ModelFeed
from workshop.serving.predictor import Predictor, runtime

# Longer than the load balancer keeps an idle connection (60 s), or it would send into one that is just being closed:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#connection-idle-timeout
KEEP_ALIVE_SECONDS = 75
FAREWELL_SECONDS = 1.0
DRAIN_SECONDS = 20
BACKLOG = 2048
COLLECT_AFTER = (
    10_000,
    20,
    20,
)  # requests leave few cycles behind; Python's 700 looks for them at every tenth one


class DrainingServer(uvicorn.Server):
    """Tells clients to go before it closes their connections.

    uvicorn closes, at the signal, every connection that is between two requests; the next request may be on its way
    in it already, and would be lost. So for a moment each answer says `Connection: close`, and is the last one.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        until = time.monotonic() + FAREWELL_SECONDS
        while state.connections and time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(FAREWELL_SECONDS / 20)
        await super().shutdown(sockets)


def serve(configuration: Configuration, feed: ModelFeed) -> int:
    """Serve until SIGTERM or SIGINT. Returns: 0."""
    runtime()  # imported while the model is on its way
    gc.set_threshold(*COLLECT_AFTER)
    in_service = InService(Predictor.load)

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        hearing = asyncio.create_task(feed.run(in_service))
        try:
            yield
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing
            await asyncio.to_thread(feed.close)

    server = DrainingServer(
        uvicorn.Config(
            application.make(in_service, background),
            host=configuration.address,
            port=configuration.port,
            loop="uvloop",
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            backlog=BACKLOG,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # Now, and once more afterwards: uvicorn raises the signal that ended it again, which would end us with it.
        signal.signal(number, server.handle_exit)
    server.run()
    return 0
