"""Carry TCP connections from a port of this machine to another address.

Try it:  python -m pytest tests/local/test_engine_process.py -k port
Knows nothing of containers. One thread with one event loop serves all ports of a forwarder.
"""

import asyncio
import contextlib
import ipaddress
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 256 * 1024
T = TypeVar("T")


class Forwarder:
    """Listens on ports of one address, each leading to one address and port.

    peers: the network whose members alone are served. An address of a bridge can be reached from outside of
    it by whoever routes packets to this machine, so there a forwarder looks at who calls.
    """

    def __init__(self, listen: str = LOOPBACK, peers: ipaddress.IPv4Network | None = None) -> None:
        self._listen_address = listen
        self._peers = peers
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: dict[int, asyncio.Server] = {}

    def open(self, port: int, address: str, target_port: int) -> int:
        """Listen on `port` (0: a free one) and return it; raises OSError when it is taken."""
        return self._run(self._listen(port, address, target_port))

    def close(self, port: int) -> None:
        """Stop listening; connections that are open end with their container."""
        self._run(self._unlisten(port))

    def _may_call(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        return self._peers is None or (bool(peer) and ipaddress.IPv4Address(peer[0]) in self._peers)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="port-forwarder", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _listen(self, port: int, address: str, target_port: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._may_call(writer):
                await _join(reader, writer, address, target_port)
            else:
                writer.close()

        server = await asyncio.start_server(serve, self._listen_address, port)
        chosen: int = server.sockets[0].getsockname()[1]
        self._servers[chosen] = server
        return chosen

    async def _unlisten(self, port: int) -> None:
        server = self._servers.pop(port, None)
        if server:
            server.close()


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, target_port: int
) -> None:
    """Copy both ways until both sides have said all."""
    try:
        to_reader, to_writer = await asyncio.open_connection(address, target_port)
    except OSError:
        # Nobody listens yet: the caller sees its connection closed, as with a published Docker port.
        writer.close()
        return
    await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
    to_writer.close()
    writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        return
    writer.close()
