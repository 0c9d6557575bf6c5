"""The data channel of a shell session: a WebSocket on one side, a terminal in a container on the other.

Try it:  workshop shell TASK
Speaks for the agent of AWS Systems Manager, so that AWS's own session-manager-plugin finds what it expects: token,
handshake, numbered messages that each side acknowledges and sends again when the other did not.
Knows nothing of ECS: which container and command, `execute` says.
"""

import asyncio
import contextlib
import json
import logging
import struct
import time
from collections.abc import Callable

from localaws.ecs import execute_messages as messages
from localaws.ecs.execute import PATH, Session
from localaws.ecs.execute_messages import BadMessage, Message
from localaws.engine import EngineError, Terminal
from localaws.front import Application, Receive, Scope, Send

AGENT_VERSION = "3.3.0.0"  # from 3.0 on clients shake hands
OPENING_SECONDS = 15.0  # for the token, and again for the handshake: the agent's own limit
SIZE_SECONDS = 0.5  # how long a command waits for the size of its window
WINDOW = 64  # messages that may be on their way
MOST_ARRIVED = (
    4 * WINDOW
)  # that a client may send before the command has read them; more it has to send again
RESEND_SECONDS = 1.0
POLICY_VIOLATION, NORMAL = 1008, 1000

logger = logging.getLogger("localaws.execute")


class DataChannels:
    """An ASGI application in front of another, for the paths of data channels."""

    def __init__(self, inner: Application, claim: Callable[[str, str], Session | None]) -> None:
        self._inner = inner
        self._claim = claim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if scope["type"] != "websocket" or not path.startswith(PATH):
            return await self._inner(scope, receive, send)
        await receive()
        await send({"type": "websocket.accept"})
        session = self._claim(path.removeprefix(PATH), await _token(receive))
        if session is None:
            return await send(
                {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "invalid token"}
            )
        logger.warning("shell %s begins: %s", session.id, session.container.id[:12])
        try:
            await Channel(session, receive, send).run()
        finally:
            logger.warning("shell %s has ended", session.id)
        return None


async def _token(receive: Receive) -> str:
    """The token in a client's first message, which is text; empty if there is none in time."""
    try:
        event = await asyncio.wait_for(receive(), OPENING_SECONDS)
        return str(json.loads(event.get("text") or "{}").get("TokenValue") or "")
    except (TimeoutError, ValueError, AttributeError):
        return ""


class Channel:
    """One session, from the handshake to the end of the command, of the client or of the container."""

    def __init__(self, session: Session, receive: Receive, send: Send) -> None:
        self._session = session
        self._receive = receive
        self._send = send
        self._terminal: Terminal | None = None
        self._sending = asyncio.Lock()
        self._sent = 0  # stream messages so far
        self._waiting: dict[int, tuple[bytes, float]] = {}  # unacknowledged: frame and when it was sent
        self._acknowledged = asyncio.Event()
        self._expected = 0  # the number of the next stream message from the client
        self._arrived: asyncio.Queue[Message] = asyncio.Queue(MOST_ARRIVED)

    async def run(self) -> None:
        """Returns when all has ended and the client, if it is still there, was told."""
        listening = asyncio.create_task(self._listen())
        working = asyncio.create_task(self._work())
        again = asyncio.create_task(self._send_again())
        try:
            await asyncio.wait((listening, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listening, working, again):
                task.cancel()
            await asyncio.gather(listening, working, again, return_exceptions=True)
            if self._terminal:
                await asyncio.to_thread(self._terminal.close)
        if not working.cancelled() and (error := working.exception()):
            raise error
        if not listening.cancelled() and listening.result():
            await self._close("")

    async def _work(self) -> None:
        """The agent's part; ends with the command."""
        why = ""
        typing: asyncio.Task[None] | None = None
        try:
            await self._shake_hands()
            await self._open_terminal()
            typing = asyncio.create_task(self._type())
            await self._show()
            assert self._terminal
            why = self._terminal.failure
        except EngineError as error:
            why = error.message
        except TimeoutError:
            why = "the client did not answer the handshake"
        finally:
            if typing:
                typing.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._delivered(), OPENING_SECONDS)
        await self._close(why)

    async def _close(self, why: str) -> None:
        await self._send_frame(messages.channel_closed(self._session.id, why).pack())
        await self._send({"type": "websocket.close", "code": NORMAL})

    async def _shake_hands(self) -> None:
        began = time.monotonic()
        action = {
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": "InteractiveCommands", "Properties": {}},
        }
        request = {"AgentVersion": AGENT_VERSION, "RequestedClientActions": [action]}
        await self._stream(messages.HANDSHAKE_REQUEST, json.dumps(request).encode())
        async with asyncio.timeout(OPENING_SECONDS):
            while (answer := await self._next()).payload_type != messages.HANDSHAKE_RESPONSE:
                continue  # the agent, too, drops what is typed before
        errors = answer.document().get("Errors")
        if errors:
            raise EngineError(f"the client refused the session: {errors}")
        took = int((time.monotonic() - began) * 1e9)
        complete = {"HandshakeTimeToComplete": took, "CustomerMessage": ""}
        await self._stream(messages.HANDSHAKE_COMPLETE, json.dumps(complete).encode())

    async def _open_terminal(self) -> None:
        """Start the command; a client says the size of its window first of all, and the command shall see it."""
        first = None
        with contextlib.suppress(TimeoutError):
            first = await asyncio.wait_for(self._next(), SIZE_SECONDS)
        session = self._session
        self._terminal = await asyncio.to_thread(session.container.open_terminal, session.command)
        if first:
            await self._handle(first)

    async def _show(self) -> None:
        """Send what is written to the terminal until its end."""
        assert self._terminal
        while True:
            try:
                data = self._terminal.read()
            except BlockingIOError:
                await _ready(self._terminal.fileno())
                continue
            if not data:
                return
            await self._stream(messages.DATA, data)

    async def _type(self) -> None:
        while True:
            await self._handle(await self._next())

    async def _handle(self, message: Message) -> None:
        assert self._terminal
        if message.payload_type == messages.SIZE:
            size = message.document()
            with contextlib.suppress(struct.error, KeyError, ValueError):  # a size that no window can have
                await asyncio.to_thread(self._terminal.resize, int(size["cols"]), int(size["rows"]))
        elif message.payload_type == messages.DATA:
            await self._write(message.payload)

    async def _write(self, data: bytes) -> None:
        assert self._terminal
        while data:
            try:
                data = data[self._terminal.write(data) :]
            except BlockingIOError:
                await _ready(self._terminal.fileno(), to_write=True)
            except OSError:
                return  # the command has ended; its end is told by `_show`

    async def _next(self) -> Message:
        """The client's next stream message; it is acknowledged only now, which slows a fast client down."""
        message = await self._arrived.get()
        await self._send_frame(messages.acknowledgement(message).pack())
        return message

    async def _listen(self) -> bool:
        """Take what the client sends until it ends the session; whether it is still there and waits."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return False
            try:
                if not self._take(messages.unpack(event.get("bytes") or b"")):
                    return True
            except BadMessage as error:
                logger.warning("shell %s: %s", self._session.id, error)
                return True

    def _take(self, message: Message) -> bool:
        """Work off one message; False when the client ends the session."""
        if message.kind == messages.ACKNOWLEDGE:
            self._waiting.pop(message.document().get("AcknowledgedMessageSequenceNumber", -1), None)
            self._acknowledged.set()
        elif message.kind == messages.INPUT_STREAM and message.sequence == self._expected:
            if message.payload_type == messages.FLAG:
                self._expected += 1
                return message.payload != struct.pack(">I", messages.TERMINATE_SESSION)
            if not self._arrived.full():
                self._expected += 1
                self._arrived.put_nowait(message)
        # One with another number was sent again, since its acknowledgement took long: it has been taken before.
        return message.kind != messages.CHANNEL_CLOSED

    async def _stream(self, payload_type: int, payload: bytes) -> None:
        """Send a stream message, after those before it have left room for it."""
        while len(self._waiting) >= WINDOW:
            self._acknowledged.clear()
            await self._acknowledged.wait()
        flags = messages.FIRST if self._sent == 0 else 0
        message = Message(messages.OUTPUT_STREAM, payload, payload_type, self._sent, flags)
        self._sent += 1
        frame = message.pack()
        self._waiting[message.sequence] = (frame, time.monotonic())
        await self._send_frame(frame)

    async def _send_again(self) -> None:
        """Send the oldest message again when nobody acknowledges it: a client drops what comes too early."""
        while True:
            await asyncio.sleep(RESEND_SECONDS)
            if not self._waiting:
                continue
            number = min(self._waiting)
            frame, sent = self._waiting[number]
            if time.monotonic() - sent > RESEND_SECONDS:
                self._waiting[number] = (frame, time.monotonic())
                await self._send_frame(frame)

    async def _delivered(self) -> None:
        while self._waiting:
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def _send_frame(self, frame: bytes) -> None:
        async with self._sending:
            await self._send({"type": "websocket.send", "bytes": frame})


async def _ready(descriptor: int, to_write: bool = False) -> None:
    """Wait until a descriptor has something to read, or room to write."""
    loop = asyncio.get_running_loop()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
