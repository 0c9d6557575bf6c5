"""The agent's end of a shell session against a client that is slow, impatient, rude or gone."""

import asyncio
import contextlib
import json
import os
import struct

import pytest

from localaws.ecs import execute_channel
from localaws.ecs import execute_messages as messages
from localaws.ecs.execute import PATH, Session
from localaws.ecs.execute_messages import Message
from localaws.engine import EngineError
from workshop.aws import task_shell_messages as client


class Pipes:
    """A terminal whose command is the test: it reads what was typed and writes what is shown."""

    failure = ""

    def __init__(self) -> None:
        self.shown, self.show = os.pipe()
        self.sizes: list[tuple[int, int]] = []
        self.typed = b""
        self.closed = False
        os.set_blocking(self.shown, False)

    def fileno(self) -> int:
        return self.shown

    def read(self) -> bytes:
        return os.read(self.shown, 8192)

    def write(self, data: bytes) -> int:
        self.typed += data
        return len(data)

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def close(self) -> None:
        assert not self.closed
        self.closed = True

    def end(self) -> None:
        os.close(self.show)


class Container:
    id = "c" * 64

    def __init__(self, terminal: Pipes | EngineError) -> None:
        self.terminal = terminal

    def open_terminal(self, command: list[str]) -> Pipes:
        if isinstance(self.terminal, EngineError):
            raise self.terminal
        return self.terminal


class Peer:
    """A client as it should be, unless a test has it do otherwise."""

    def __init__(self, terminal: Pipes | EngineError) -> None:
        self.inbox: asyncio.Queue[dict] = asyncio.Queue()
        self.outbox: asyncio.Queue[dict] = asyncio.Queue()
        self.number = 0
        self.acknowledges = True
        session = Session("s", "token", ["sh"], Container(terminal), 0.0)
        self.channels = execute_channel.DataChannels(
            self._inner, lambda identifier, token: session if (identifier, token) == ("s", "token") else None
        )

    async def _inner(self, scope, receive, send) -> None:
        raise AssertionError("this was not for the channels")

    async def connect(self, token: str = "token") -> None:
        await self.inbox.put({"type": "websocket.connect"})
        await self.inbox.put({"type": "websocket.receive", "text": client.opening(token)})
        scope = {"type": "websocket", "path": PATH + "s"}
        self.served = asyncio.create_task(self.channels(scope, self.inbox.get, self.outbox.put))
        assert await self.outbox.get() == {"type": "websocket.accept"}

    async def shake_hands(self) -> None:
        request = await self.next()
        assert request.type == client.ASK_HANDSHAKE
        answer, _ = client.handshake_answer(request.document())
        await self.send(client.ANSWER_HANDSHAKE, answer)
        assert (await self.next()).type == client.END_HANDSHAKE

    async def send(self, kind: int, payload: bytes) -> None:
        await self.send_frame(client.stream(self.number, kind, payload))
        self.number += 1

    async def send_frame(self, frame: bytes) -> None:
        await self.inbox.put({"type": "websocket.receive", "bytes": frame})

    async def next(self) -> client.Frame:
        """The next frame that is no acknowledgement."""
        while True:
            event = await asyncio.wait_for(self.outbox.get(), 10)
            assert event["type"] == "websocket.send", event
            frame = client.read(event["bytes"])
            assert frame is not None
            if frame.kind == client.OUTPUT and self.acknowledges:
                await self.send_frame(client.acknowledgement(frame))
            if frame.kind != client.ACKNOWLEDGE:
                return frame

    async def leaves(self) -> None:
        await self.inbox.put({"type": "websocket.disconnect", "code": 1006})
        await asyncio.wait_for(self.served, 10)


@pytest.fixture
def terminal():
    made = Pipes()
    yield made
    os.close(made.shown)


def test_command_is_shown_typed_to_resized_and_ended(terminal):
    async def play() -> None:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        await peer.send(client.SIZE, client.size(132, 43))
        await peer.send(client.DATA, b"ls\r")
        os.write(terminal.show, b"hello")
        frame = await peer.next()
        assert (frame.type, frame.payload) == (client.DATA, b"hello")
        terminal.end()
        closed = await peer.next()
        assert closed.kind == client.CLOSED and closed.document()["Output"] == ""
        await asyncio.wait_for(peer.served, 10)

    asyncio.run(play())
    assert (terminal.sizes, terminal.typed, terminal.closed) == ([(132, 43)], b"ls\r", True)


def test_wrong_token_is_turned_away_before_anything_starts(terminal):
    async def play() -> dict:
        peer = Peer(terminal)
        await peer.connect("another")
        await peer.served
        return await peer.outbox.get()

    assert asyncio.run(play()) == {"type": "websocket.close", "code": 1008, "reason": "invalid token"}


def test_message_that_nobody_acknowledges_is_sent_again(terminal, monkeypatch):
    monkeypatch.setattr(execute_channel, "RESEND_SECONDS", 0.05)

    async def play() -> None:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        peer.acknowledges = False
        os.write(terminal.show, b"once")
        first, again = await peer.next(), await peer.next()
        assert (first.number, first.payload) == (again.number, again.payload) == (2, b"once")
        await peer.leaves()

    asyncio.run(play())
    terminal.end()


def test_client_that_acknowledges_nothing_is_not_flooded(terminal):
    async def play() -> int:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        peer.acknowledges = False
        sent = 0
        for _ in range(execute_channel.WINDOW + 10):
            os.write(terminal.show, b"x")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(peer.next(), 0.1)
                sent += 1
        await peer.leaves()
        return sent

    assert asyncio.run(play()) == execute_channel.WINDOW
    terminal.end()


def test_message_that_was_sent_twice_is_typed_once(terminal):
    async def play() -> None:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        frame = client.stream(1, client.DATA, b"a")
        for each in (frame, frame, client.stream(2, client.DATA, b"b")):
            await peer.send_frame(each)
        terminal_has = asyncio.create_task(_typed(terminal, b"ab"))
        await asyncio.wait_for(terminal_has, 10)
        await peer.leaves()

    asyncio.run(play())
    terminal.end()
    assert terminal.typed == b"ab"


async def _typed(terminal: Pipes, expected: bytes) -> None:
    while len(terminal.typed) < len(expected):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("rude", [b"", b"no frame", Message("input_stream_data", b"x").pack()[:-1] + b"y"])
def test_bytes_that_are_no_frame_end_the_session_and_the_command(terminal, rude):
    async def play() -> client.Frame:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        await peer.send(client.DATA, b"x")
        await _typed(terminal, b"x")
        await peer.send_frame(rude)
        return await peer.next()

    assert asyncio.run(play()).kind == client.CLOSED
    terminal.end()
    assert terminal.closed


def test_client_that_ends_the_session_ends_the_command(terminal):
    async def play() -> client.Frame:
        peer = Peer(terminal)
        await peer.connect()
        await peer.shake_hands()
        await peer.send(client.DATA, b"x")
        await _typed(terminal, b"x")
        await peer.send(client.FLAG, struct.pack(">I", 2))
        return await peer.next()

    assert asyncio.run(play()).kind == client.CLOSED
    terminal.end()
    assert terminal.closed


def test_command_that_can_not_be_started_is_told_in_the_last_message():
    async def play() -> client.Frame:
        peer = Peer(EngineError("sh: No such file or directory"))
        await peer.connect()
        await peer.shake_hands()
        return await peer.next()

    assert asyncio.run(play()).document()["Output"] == "sh: No such file or directory"


def test_client_that_refuses_the_handshake_gets_no_command(terminal):
    async def play() -> client.Frame:
        peer = Peer(terminal)
        await peer.connect()
        await peer.next()
        await peer.send(client.ANSWER_HANDSHAKE, json.dumps({"Errors": ["no"]}).encode())
        return await peer.next()

    assert "refused" in asyncio.run(play()).document()["Output"]
    terminal.end()
    assert not terminal.closed and messages.HANDSHAKE_COMPLETE
