"""The client's end of a shell session against an agent that is slow, disorderly, demanding or silent."""

import base64
import contextlib
import hashlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from localaws.ecs import execute_messages as messages
from localaws.ecs.execute_messages import Message
from workshop.aws import task_shell_channel
from workshop.aws.task_shell_channel import Channel, Closed
from workshop.errors import AwsError

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
BINARY, TEXT = 0x82, 0x81


class Agent:
    """A WebSocket server for one client that says what a test has it say."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}/v1/data-channel/s"
        self.token = ""
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        try:
            self.peer, _ = self._listening.accept()
        except OSError:  # no client came
            return
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.peer.recv(4096)
        lines = [line for line in request.decode().split("\r\n") if ": " in line]
        key = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}[
            "sec-websocket-key"
        ]
        accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
        self.peer.sendall(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self.token = json.loads(self.hears())["TokenValue"]
        self.connected.set()

    def says(self, message: Message) -> None:
        frame = message.pack()
        self.peer.sendall(bytes((BINARY, 126)) + struct.pack(">H", len(frame)) + frame)

    def shows(self, number: int, data: bytes) -> None:
        self.says(Message(messages.OUTPUT_STREAM, data, messages.DATA, number))

    def hears(self) -> bytes:
        """The payload of the client's next frame."""
        first, length = self._exactly(2)
        size = length & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._exactly(2))[0]
        mask = self._exactly(4)
        assert first in (BINARY, TEXT)
        return bytes(byte ^ mask[n % 4] for n, byte in enumerate(self._exactly(size)))

    def hears_stream(self) -> Message:
        """The client's next message that is no acknowledgement."""
        while (message := messages.unpack(self.hears())).kind == messages.ACKNOWLEDGE:
            continue
        return message

    def shakes_hands(self, *actions: str) -> Message:
        asked = [{"ActionType": each, "ActionParameters": {}} for each in (actions or ("SessionType",))]
        request = json.dumps({"AgentVersion": "3.0", "RequestedClientActions": asked}).encode()
        self.says(Message(messages.OUTPUT_STREAM, request, messages.HANDSHAKE_REQUEST, 0))
        answer = self.hears_stream()
        self.says(Message(messages.OUTPUT_STREAM, b"{}", messages.HANDSHAKE_COMPLETE, 1))
        return answer

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.peer.recv(size - len(data))
            assert more, "the client has left"
            data += more
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        with contextlib.suppress(AttributeError):
            self.peer.close()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    # This agent never says that the session is closed, and every client would wait for it.
    monkeypatch.setattr(task_shell_channel, "LEAVING_SECONDS", 0.05)
    made = Agent()
    yield made
    made.close()


@contextlib.contextmanager
def opened(agent: Agent) -> Iterator[Channel]:
    with Channel(agent.url, "the token", direct=True) as channel:
        assert agent.connected.wait(10)
        yield channel


def taken(channel: Channel, wanted: int) -> list[bytes | Closed]:
    """What came, once it is so many things."""
    found: list[bytes | Closed] = []
    while len(found) < wanted:
        assert select.select([channel.fileno()], [], [], 10)[0]
        found += channel.taken()
    return found


def test_token_goes_first_and_the_handshake_is_answered(agent):
    with opened(agent) as channel:
        assert agent.token == "the token"
        answer = agent.shakes_hands().document()
        assert answer["Errors"] == [] and answer["ProcessedClientActions"][0]["ActionStatus"] == 1
        assert channel.is_open.wait(10) and channel.has_room


def test_messages_are_put_in_order_and_taken_once(agent):
    with opened(agent) as channel:
        agent.shakes_hands()
        for number, data in ((3, b"b"), (2, b"a"), (2, b"a"), (5, b"d"), (3, b"b"), (4, b"c")):
            agent.shows(number, data)
        assert taken(channel, 4) == [b"a", b"b", b"c", b"d"]


def test_what_is_not_acknowledged_is_typed_again_and_only_so_much_is_on_its_way(agent, monkeypatch):
    monkeypatch.setattr(task_shell_channel, "RESEND_SECONDS", -1.0)  # everything is late
    with opened(agent) as channel:
        answer = agent.shakes_hands()
        agent.says(messages.acknowledgement(answer))
        channel.type(b"ls\r")
        first = agent.hears_stream()
        again = answer
        while again.sequence == answer.sequence:  # its acknowledgement may still be on its way
            channel.keep()
            again = agent.hears_stream()
        assert (first.payload, first.sequence, first.id) == (again.payload, again.sequence, again.id)
        channel.type(b"x" * 1024 * task_shell_channel.WINDOW)
        assert not channel.has_room
        agent.says(messages.acknowledgement(first))
        agent.says(messages.acknowledgement(agent.hears_stream()))
        end = time.monotonic() + 10
        while not channel.has_room and time.monotonic() < end:
            select.select([channel.fileno()], [], [], 0.1)
        assert channel.has_room


def test_session_that_asks_for_encryption_is_refused_by_name(agent):
    with opened(agent) as channel:
        assert agent.shakes_hands("SessionType", "KMSEncryption").document()["Errors"] == ["KMSEncryption"]
        [closed] = taken(channel, 1)
        assert isinstance(closed, Closed) and "KMSEncryption" in closed.why


def test_lost_connection_is_told(agent):
    with opened(agent) as channel:
        agent.shakes_hands()
        agent.peer.close()
        assert taken(channel, 1) == [Closed("the connection was lost")]


def test_leaving_an_agent_that_says_nothing_takes_no_longer_than_a_moment(agent):
    with opened(agent):
        began = time.monotonic()
    assert time.monotonic() - began < 8


def test_address_where_nobody_answers_is_an_error_with_a_remedy():
    with socket.create_server(("127.0.0.1", 0)) as taken_port:
        port = taken_port.getsockname()[1]
    with pytest.raises(AwsError, match="could not be opened"):
        Channel(f"ws://127.0.0.1:{port}/", "t", direct=True)


def test_no_proxy_is_asked_for_the_local_aws(agent, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with opened(agent):
        assert agent.token and os.environ["http_proxy"]
