"""Carry requests until the control socket closes: `python -m localaws.loadbalancer.proxy FD`.

Try it:  aws elbv2 create-listener …, then look at the processes
Each message on the socket is four bytes of length and a JSON document. From the control plane:
{"configuration": …}, with a listening socket for each of "new", and {"take": MINUTE}. To it: {"ready": true},
{"health": […]}, {"counts": …, "minute": MINUTE}. Documented by `localaws.loadbalancer.configuration`.
"""

import asyncio
import contextlib
import json
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any

from localaws.loadbalancer.proxy.checks import Checks
from localaws.loadbalancer.proxy.counts import Counts
from localaws.loadbalancer.proxy.groups import Group, Target
from localaws.loadbalancer.proxy.listener import Listener

LOOK_SECONDS = 1.0
MOST_SOCKETS = 64  # in one message
PIECE_BYTES = 64 * 1024


class Proxy:
    """Everything that this process carries."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._counts = Counts()
        self._groups: dict[str, Group] = {}
        self._listeners: dict[str, Listener] = {}
        self._checks = Checks(self._health_changed)
        self._received = b""
        self._sockets: deque[int] = deque()
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_send: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        self._loop.add_reader(self.control, self._receive)
        self._send({"ready": True})
        tasks = [self._loop.create_task(each()) for each in (self._obey, self._sending, self._look)]
        for task in tasks:
            task.add_done_callback(lambda done: self.ended.set())
        await self.ended.wait()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                raise outcome

    # ---- the control socket ----------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            data, sockets, _, _ = socket.recv_fds(self.control, PIECE_BYTES, MOST_SOCKETS)
        except BlockingIOError:
            return
        except OSError:
            data, sockets = b"", []
        self._sockets.extend(sockets)
        if not data:  # the control plane has ended, or wants this process to
            self._loop.remove_reader(self.control)
            self.ended.set()
            return
        self._received += data
        while len(self._received) >= 4:
            (length,) = struct.unpack_from("!I", self._received)
            if len(self._received) < 4 + length:
                break
            self._messages.put_nowait(json.loads(self._received[4 : 4 + length]))
            self._received = self._received[4 + length :]

    def _send(self, message: dict[str, Any]) -> None:
        self._to_send.put_nowait(message)

    async def _sending(self) -> None:
        while True:
            document = json.dumps(await self._to_send.get()).encode()
            await self._loop.sock_sendall(self.control, struct.pack("!I", len(document)) + document)

    def _health_changed(self, group: Group, target: Target, reason: str, description: str) -> None:
        self._send({"health": [group.arn, target.address, target.port, target.state, reason, description]})

    # ---- what it is told -------------------------------------------------------------------------------------

    async def _obey(self) -> None:
        while True:
            message = await self._messages.get()
            if "configuration" in message:
                await self._configure(message["configuration"])
            elif "take" in message:
                self._send({"counts": self._counts.take(), "minute": message["take"]})

    async def _configure(self, given: dict[str, Any]) -> None:
        for arn, described in given["groups"].items():
            group = self._groups.setdefault(arn, Group(arn))
            group.update(described["targets"], described["algorithm"])
            self._checks.update(group, described["check"])
        for arn in [each for each in self._groups if each not in given["groups"]]:
            group = self._groups.pop(arn)
            group.update([], "")
        self._checks.forget()
        opened = []
        for key in given["new"]:
            listening = socket.socket(fileno=self._sockets.popleft())
            listening.setblocking(False)
            self._listeners[key] = Listener(listening, self._groups, self._counts)
            opened.append(key)
        for key in [each for each in self._listeners if each not in given["listeners"]]:
            self._listeners.pop(key).close()
        for key, described in given["listeners"].items():
            self._listeners[key].update(described)
        for key in opened:
            await self._listeners[key].open()

    async def _look(self) -> None:
        """End idle connections, of clients and to targets."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for listener in list(self._listeners.values()):
                listener.look()
            now = time.monotonic()
            for group in list(self._groups.values()):
                for target in group.targets.values():
                    target.close_stale(now)


async def _main(control: socket.socket) -> None:
    await Proxy(control).run()


if __name__ == "__main__":
    import uvloop

    # Ctrl-C in the terminal is for whoever started the server; this process ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own_end = socket.socket(fileno=int(sys.argv[1]))
    own_end.setblocking(False)
    with contextlib.suppress(BrokenPipeError):
        uvloop.run(_main(own_end))
