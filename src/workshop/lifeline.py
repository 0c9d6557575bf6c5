"""A member's end of the life line: join the group, stay connected, hear at once when the group has ended.

Try it:  python -m pytest tests/fast/test_rendezvous.py
The other end is `rendezvous`. Lines of JSON over one TCP connection; what proves that a member belongs is an
HMAC over the host's challenge, so the group's token never travels. Knows nothing of frameworks or of AWS.
"""

import contextlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from workshop.errors import JobError
from workshop.exits import ENDED_WITH_ITS_GROUP
from workshop.group_plan import Address

BEAT_SECONDS = 2.0
SILENCE_SECONDS = 15.0  # without a sign, a peer is gone: a machine that vanishes closes no connection
LINE_BYTES = 64 * 1024
RETRY_SECONDS = 0.2

Message = dict[str, Any]


class GroupEnded(JobError):
    """Another member left, or the group never became complete; this member did nothing wrong."""

    exit_code = ENDED_WITH_ITS_GROUP


def spell(message: Message) -> bytes:
    """A message as a line."""
    return json.dumps(message).encode() + b"\n"


def parse(line: bytes) -> Message:
    """A message, or ValueError for a line that is none."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    return message


def proof(token: str, challenge: str, name: str) -> str:
    """What only a holder of the token can answer to a challenge."""
    return hmac.new(token.encode(), f"{challenge} {name}".encode(), "sha256").hexdigest()


class LifeLine:
    """The connection of one member. on_end is called once, from another thread, when the group has ended."""

    def __init__(
        self,
        name: str,
        label: str,
        own: Address,
        token: str,
        on_end: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.name, self.label, self.own = name, label, own
        self.reason = ""
        self._token, self._on_end = token, on_end
        self._state = threading.Condition()
        self._roster: dict[str, Address] | None = None
        self._finished = self._closed = False
        self._host = "the host"
        self._socket: socket.socket | None = None
        self._beat = threading.Event()

    def join(self, host: str, meets_at: Address, seconds: float) -> dict[str, Address]:
        """Meet the others; returns everybody's address by name once all are there.

        Errors: GroupEnded with who is missing, or that the host does not answer.
        """
        deadline = time.monotonic() + seconds
        self._host = host
        self._socket = self._connect(meets_at, deadline, seconds)
        threading.Thread(target=self._listen, args=(self._socket,), daemon=True, name="life line").start()
        with self._state:
            # The host keeps the time; the silence on top is for one that is gone.
            wait = max(0.0, deadline - time.monotonic()) + SILENCE_SECONDS
            self._state.wait_for(lambda: self._roster is not None or self.reason, wait)
            if self._roster is None:
                raise GroupEnded(self.reason or f"{host} told no addresses within {seconds:g} s")
            return self._roster

    def say(self, where: str) -> None:
        """Tell how far this member is, for the reason that the others would hear: 'epoch 2'."""
        self._send({"at": where})

    def done(self) -> None:
        """This member's work is done: it may leave, and an end of the group is no concern of it any more."""
        self._closed = True
        self._send({"done": True})

    def failed(self, why: str) -> None:
        """This member can't go on; the others hear why."""
        self._closed = True
        self._send({"failed": why})

    def wait_finished(self, seconds: float | None = None) -> bool:
        """Wait until every worker is done, or the group has ended."""
        with self._state:
            return bool(self._state.wait_for(lambda: self._finished or self.reason, seconds))

    def close(self) -> None:
        """Leave; what happens to the others is no concern of this member any more."""
        self._closed = True
        self._beat.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _connect(self, meets_at: Address, deadline: float, seconds: float) -> socket.socket:
        while True:
            try:
                # From its own address: on loopback the system would choose 127.0.0.1 for everybody.
                source = (self.own.host, 0)
                where = (meets_at.host, meets_at.port)
                made = socket.create_connection(where, timeout=SILENCE_SECONDS, source_address=source)
                return made
            except OSError as error:
                if time.monotonic() > deadline:
                    raise GroupEnded(
                        f"{self._host} at {meets_at.host}:{meets_at.port} did not answer within "
                        f"{seconds:g} s: {error.strerror or error}"
                    ) from None
            self._beat.wait(RETRY_SECONDS)

    def _listen(self, connection: socket.socket) -> None:
        """Read until the end; the first message is the challenge."""
        try:
            with connection.makefile("rb") as lines:
                while line := lines.readline(LINE_BYTES):
                    self._hear(parse(line))
            why = f"{self._host} left: it was killed, or its machine or network went away"
        except TimeoutError:
            why = f"{self._host} left: no sign of it for {SILENCE_SECONDS:g} s"
        except (OSError, ValueError) as error:
            why = f"{self._host} left: {error}"
        if not self._finished:
            self._end(why)

    def _hear(self, message: Message) -> None:
        if "challenge" in message:
            answer = proof(self._token, str(message["challenge"]), self.name)
            where = {"host": self.own.host, "port": self.own.port}
            self._send({"join": self.name, "label": self.label, "proof": answer, **where})
            threading.Thread(target=self._beats, daemon=True, name="heartbeat").start()
        elif "members" in message:
            with self._state:
                self._roster = {name: Address(**where) for name, where in message["members"].items()}
                self._state.notify_all()
        elif "finished" in message:
            with self._state:
                self._finished = True
                self._state.notify_all()
        elif "end" in message:
            self._end(str(message["end"]))

    def _end(self, why: str) -> None:
        with self._state:
            first, self.reason = not self.reason, self.reason or why
            self._state.notify_all()
        if first and not self._closed:
            self._on_end(why)

    def _beats(self) -> None:
        while not self._beat.wait(BEAT_SECONDS):
            self._send({"alive": True})

    def _send(self, message: Message) -> None:
        # A connection that is gone is noticed, and told, where it is read.
        with self._state, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.sendall(spell(message))
