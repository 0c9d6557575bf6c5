"""The load balancers' process without a control plane, and targets that behave as a test wants."""

import asyncio
import contextlib
import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ecs_world import wait_until

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/g/1"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/b/1"
WAIT_SECONDS = 10.0
FORWARD = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": GROUP}]}}


@dataclass
class Seen:
    """A request as a target got it."""

    head: str
    body: bytes = b""
    connection: int = 0

    @property
    def line(self) -> str:
        return self.head.split("\r\n")[0]

    def header(self, name: str) -> str:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return ""


Behaviour = Callable[["Target", Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(
    target: "Target", seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """200 with the target's name."""
    body = target.name.encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@dataclass
class Target:
    """A server on a thread. `behave` answers all requests but health checks, which get `health`; 0 is silence."""

    name: str = "a"
    behave: Behaviour = answer
    health: int = 200
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    checks: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def start(self) -> "Target":
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(WAIT_SECONDS)
        return self

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        self.loop.close()

    def stop(self) -> None:
        """As if killed: the port closes and so do all connections."""

        def end() -> None:
            self.server.close()
            for writer in list(self.open):
                writer.transport.abort()
            self.loop.call_soon(self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self._thread.join(WAIT_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                seen = Seen(head, await _body(head, reader), id(writer))
                if "ELB-HealthChecker" in head:
                    self.checks += 1
                    if not self.health:
                        await reader.read()  # until the other end gives up
                        return
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.health)
                    return
                self.seen.append(seen)
                await self.behave(self, seen, reader, writer)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open.discard(writer)
            writer.close()


@contextlib.contextmanager
def targets() -> Iterator[Callable[..., Target]]:
    """Starts targets, which end with the context."""
    started: list[Target] = []

    def start(name: str = "a", behave: Behaviour = answer, **options: Any) -> Target:
        started.append(Target(name, behave, **options).start())
        return started[-1]

    yield start
    for each in started:
        if each.loop.is_running():
            each.stop()


async def _body(head: str, reader: asyncio.StreamReader) -> bytes:
    lower = head.lower()
    if "\r\nexpect: 100-continue" in lower:
        return b""
    if "\r\ntransfer-encoding: chunked" in lower:
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    _, found, rest = lower.partition("\r\ncontent-length: ")
    return await reader.readexactly(int(rest.partition("\r\n")[0])) if found else b""


class Balancer:
    """The process, told by a test what a control plane would tell it."""

    def __init__(self) -> None:
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(128)
        self.port: int = self.listening.getsockname()[1]
        self.control, its = socket.socketpair()
        command = [sys.executable, "-m", "localaws.loadbalancer.proxy", str(its.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[its.fileno()])
        its.close()
        self.health: dict[int, tuple[str, str, str]] = {}
        self.history: list[tuple[int, str]] = []
        self.counts: list[dict[str, Any]] = []
        self._told = False
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, *targets: Target, draining: tuple[Target, ...] = (), **changes: Any) -> None:
        """changes: of the check, `rules`, `idle_seconds`, `algorithm`, `since`."""
        check = {
            "path": "/healthz",
            "port": "traffic-port",
            "interval_seconds": 0.1,
            "timeout_seconds": 0.5,
            "healthy_threshold": 2,
            "unhealthy_threshold": 2,
            "matcher": "200",
        }
        listener = {
            "balancer": BALANCER,
            "rules": changes.get("rules") or [{"Conditions": [], "Actions": [FORWARD]}],
            "policy": {"address": "127.0.0.1", "port": self.port},
            "idle_seconds": changes.get("idle_seconds", 60),
            "keep_alive_seconds": 3600,
        }
        given = [
            {
                "address": "127.0.0.1",
                "port": each.port,
                "host": "127.0.0.1",
                "draining": each in draining,
                "since": changes.get("since", 1),
            }
            for each in (*targets, *draining)
        ]
        group = {
            "algorithm": changes.get("algorithm", "round_robin"),
            "check": check | {key: value for key, value in changes.items() if key in check},
            "targets": given,
        }
        told = {"new": [] if self._told else ["l"], "listeners": {"l": listener}, "groups": {GROUP: group}}
        document = json.dumps({"configuration": told}).encode()
        sockets = [] if self._told else [self.listening.fileno()]
        socket.send_fds(self.control, [struct.pack("!I", len(document))], sockets)
        self.control.sendall(document)
        self._told = True

    def serve(self, *targets: Target, **changes: Any) -> None:
        """As `tell`, and wait until all targets are healthy."""
        self.tell(*targets, **changes)
        wait_until(lambda: all(self.state(each) == "healthy" for each in targets))

    def state(self, target: Target) -> str:
        return self.health.get(target.port, ("", "", ""))[0]

    def take(self) -> dict[str, Any]:
        """What was counted since the last time."""
        before = len(self.counts)
        document = json.dumps({"take": 0}).encode()
        self.control.sendall(struct.pack("!I", len(document)) + document)
        wait_until(lambda: len(self.counts) > before)
        return self.counts[-1]

    def _listen(self) -> None:
        with self.control.makefile("rb") as reports:
            while header := reports.read(4):
                message = json.loads(reports.read(struct.unpack("!I", header)[0]))
                if "health" in message:
                    _, _, port, *state = message["health"]
                    self.health[port] = tuple(state)
                    self.history.append((port, state[0]))
                elif "counts" in message:
                    self.counts.append(message["counts"])

    def forget(self) -> None:
        """Begin anew: no targets, nothing counted, nothing known of any."""
        self.tell()
        self.take()
        self.health.clear()
        self.history.clear()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)

    def close(self) -> None:
        self.control.shutdown(socket.SHUT_RDWR)
        self.control.close()
        self.listening.close()
        assert self.process.wait(WAIT_SECONDS) == 0


def ask(balancer: Balancer, method: str = "GET", path: str = "/", **options: Any) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10)
    try:
        connection.request(method, path, **options)
        got = connection.getresponse()
        return got.status, got.read()
    finally:
        connection.close()
