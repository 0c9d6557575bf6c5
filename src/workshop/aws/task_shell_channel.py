"""The client's end of a shell session: a WebSocket to AWS Systems Manager, or to the local AWS.

Try it:  workshop shell TASK
A thread listens, answers the handshake, acknowledges and puts in order; whoever owns the channel takes what came
from `taken` when `fileno` is readable, and types with `type`. Nothing here prints or knows a terminal.
A connection that is lost is not opened again: the command in the container ends with it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import websocket

from workshop.aws import task_shell_messages as messages
from workshop.aws.task_shell_messages import Frame
from workshop.errors import AwsError

CONNECT_SECONDS = 20.0
PING_SECONDS = 60.0
RESEND_SECONDS = 2.0
CHUNK_BYTES = 1024  # what AWS's own client sends at most in one message
WINDOW = 64  # messages that may be on their way
MOST_ARRIVED = 256
LEAVING_SECONDS = 1.0
MOST_EARLY = 10_000


@dataclass(frozen=True)
class Closed:
    """The session has ended; `why` is empty when its command did."""

    why: str = ""


class Channel:
    """An open session. Use it in a `with` statement: leaving it ends the command, if it still runs."""

    def __init__(self, url: str, token: str, headers: Sequence[str] = (), direct: bool = False) -> None:
        """Connect. direct: through no proxy. Errors: AwsError if that fails."""
        try:
            self._socket = websocket.create_connection(
                url,
                timeout=CONNECT_SECONDS,
                header=list(headers),
                enable_multithread=True,
                socket=_connected(url) if direct else None,
            )
            self._socket.send(messages.opening(token))
            self._socket.settimeout(None)
        except (websocket.WebSocketException, OSError) as error:
            raise AwsError(
                f"the shell session could not be opened: {error}", "the same command again"
            ) from error
        self._wake_read, self._wake_write = os.pipe()
        # Bounded: when its owner is slow, the listener waits, then the network does, then the command.
        self._arrived: queue.Queue[bytes | Closed] = queue.Queue(MOST_ARRIVED)
        self._left = threading.Event()
        self._early: dict[int, Frame] = {}
        self._expected = self._typed = 0
        self._waiting: dict[int, tuple[bytes, float]] = {}  # unacknowledged: frame and when it was sent
        self._lock = threading.Lock()
        self._pinged = time.monotonic()
        self.is_open = threading.Event()  # once the handshake is done
        self._listener = threading.Thread(target=self._listen, name="shell", daemon=True)
        self._listener.start()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._stream(messages.FLAG, messages.TERMINATE)
        self._listener.join(LEAVING_SECONDS)  # until the other side has said that the session is closed
        stream = self._socket.sock
        if stream is not None and self._listener.is_alive():
            with contextlib.suppress(OSError):  # it was closed a moment ago
                stream.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the listener
        self._listener.join()
        self._socket.shutdown()
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)

    def fileno(self) -> int:
        """A descriptor that is readable when `taken` has something new."""
        return self._wake_read

    def taken_any(self) -> bool:
        """Whether something has come that was not taken."""
        return not self._arrived.empty()

    def taken(self) -> list[bytes | Closed]:
        """What came since the last call, in order; `Closed` is the last of all."""
        os.read(self._wake_read, 4096)
        found = []
        while not self._arrived.empty():
            found.append(self._arrived.get())
        return found

    @property
    def has_room(self) -> bool:
        """Whether more may be typed now: the other side has taken what was typed before."""
        return self.is_open.is_set() and len(self._waiting) < WINDOW

    def type(self, data: bytes) -> None:
        """Send bytes to the command's terminal."""
        for start in range(0, len(data), CHUNK_BYTES):
            self._stream(messages.DATA, data[start : start + CHUNK_BYTES])

    def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the window."""
        self._stream(messages.SIZE, messages.size(columns, rows))

    def keep(self) -> None:
        """To be called about every second: sends again what was not acknowledged, and a sign of life."""
        now = time.monotonic()
        with self._lock:
            number = min(self._waiting, default=-1)
            frame, sent = self._waiting.get(number, (b"", now))
            late = now - sent > RESEND_SECONDS
            if late:
                self._waiting[number] = (frame, now)
        with contextlib.suppress(websocket.WebSocketException, OSError):  # the listener tells of the end
            if late:
                self._socket.send_binary(frame)
            if now - self._pinged > PING_SECONDS:
                self._pinged = now
                self._socket.ping("keepalive")

    def _stream(self, payload_type: int, payload: bytes) -> None:
        with self._lock:
            frame = messages.stream(self._typed, payload_type, payload)
            self._waiting[self._typed] = (frame, time.monotonic())
            self._typed += 1
            with contextlib.suppress(websocket.WebSocketException, OSError):  # the listener tells of the end
                self._socket.send_binary(frame)

    def _listen(self) -> None:
        closed = Closed("the connection was lost")
        with contextlib.suppress(websocket.WebSocketException, OSError):
            closed = self._until_closed()
        self._hand_on(closed)

    def _until_closed(self) -> Closed:
        while True:
            kind, data = self._socket.recv_data()
            if kind == websocket.ABNF.OPCODE_CLOSE:
                said = data[2:].decode(errors="replace")
                return Closed(f"AWS closed the session: {said}")
            frame = messages.read(data) if kind == websocket.ABNF.OPCODE_BINARY else None
            if frame and frame.kind == messages.CLOSED:
                return Closed(str(frame.document().get("Output") or ""))
            if frame:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame.kind == messages.ACKNOWLEDGE:
            with self._lock:
                self._waiting.pop(messages.acknowledged(frame), None)
            self.wake()
        elif frame.kind == messages.OUTPUT and len(self._early) < MOST_EARLY:
            self._socket.send_binary(messages.acknowledgement(frame))
            if frame.number >= self._expected:  # else it was sent again, and has been taken before
                self._early[frame.number] = frame
            while (following := self._early.pop(self._expected, None)) is not None:
                self._expected += 1
                self._work_off(following)

    def _work_off(self, frame: Frame) -> None:
        if frame.type == messages.ASK_HANDSHAKE:
            answer, cannot = messages.handshake_answer(frame.document())
            self._stream(messages.ANSWER_HANDSHAKE, answer)
            if cannot:
                self._hand_on(Closed(f"it asks for {', '.join(cannot)}, which this client can't do"))
        elif frame.type == messages.END_HANDSHAKE:
            self.is_open.set()
            self.wake()
        elif frame.type == messages.DATA:
            self._hand_on(frame.payload)

    def _hand_on(self, what: bytes | Closed) -> None:
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._arrived.put(what, timeout=LEAVING_SECONDS / 4)
                return self.wake()
        return None

    def wake(self) -> None:
        """Have the owner look, as if something had come."""
        with contextlib.suppress(OSError):  # the owner has left
            os.write(self._wake_write, b".")


def _connected(url: str) -> socket.socket:
    """A connection of our own: the library would go through the proxy that this machine's variables name."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), parts.port or 80), CONNECT_SECONDS)
