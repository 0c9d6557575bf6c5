"""Where a group's members meet, and what holds them together: who leaves early ends it for all, with the reason.

Try it:  python -m pytest tests/fast/test_rendezvous.py
The host runs this beside its own work. Every member connects with its end of the life line (`lifeline`), proves
that it belongs and tells its address; when all are there, each is told all addresses. The connections stay
open: one that breaks or falls silent means that its member is gone, and the others hear it within seconds
instead of waiting for it for ever in the middle of a computation. Knows nothing of frameworks or of AWS.
"""

import asyncio
import contextlib
import hmac
import secrets
import threading
from collections.abc import Iterable

from workshop.errors import JobError
from workshop.lifeline import BEAT_SECONDS, LINE_BYTES, SILENCE_SECONDS, Message, parse, proof, spell

HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 5.0  # for the others to hear why it ended, before the host leaves
UNEXPLAINED = "it was killed, or its machine or network went away"


class Rendezvous:
    """The meeting place of the members called `names`; done when all of `workers` are."""

    def __init__(self, names: Iterable[str], workers: Iterable[str], token: str, seconds: float) -> None:
        self._names, self._workers = list(names), set(workers)
        self._token, self._seconds = token, seconds
        self._joined: dict[str, Message] = {}
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._at: dict[str, str] = {}
        self._done: set[str] = set()
        self._reason = ""
        self._ready, self._empty = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()

    def open(self, host: str, port: int) -> None:
        """Listen from now on. Errors: JobError if the port is taken."""
        serve = threading.Thread(target=lambda: asyncio.run(self._serve(host, port)), daemon=True)
        serve.start()
        self._ready.wait()
        if self._failure is not None:
            raise JobError(f"the group can't meet at {host}:{port}: {self._failure.strerror}", "run it again")

    def close(self) -> None:
        """Leave, once everybody else has, or after a moment that is enough to hear why."""
        self._empty.wait(GOODBYE_SECONDS)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended already
                self._loop.call_soon_threadsafe(self._closing.set)

    async def _serve(self, host: str, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            server = await asyncio.start_server(self._meet, host, port, limit=LINE_BYTES)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        beside = [asyncio.create_task(self._beats()), asyncio.create_task(self._limit())]
        try:
            await self._closing.wait()
        finally:
            for task in beside:
                task.cancel()
            server.close()
            for writer in self._writers.values():
                writer.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = ""
        try:
            name = await self._admit(reader, writer)
            if name:
                await self._stay(name, reader)
        finally:
            if name:
                self._writers.pop(name, None)
                if not self._writers:
                    self._empty.set()
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """The name of a member that has proved itself; '' for anybody else, who is told no address."""
        challenge = secrets.token_hex(16)
        writer.write(spell({"challenge": challenge}))
        try:
            message = parse(await asyncio.wait_for(reader.readline(), HANDSHAKE_SECONDS))
        except (OSError, ValueError, TimeoutError):
            return ""
        name = str(message.get("join", ""))
        right = hmac.compare_digest(
            proof(self._token, challenge, name).encode(),
            str(message.get("proof", "")).encode(errors="replace"),
        )
        if not right or name not in self._names or name in self._joined or self._reason:
            why = self._reason or "not admitted: of another group, or there already"
            writer.write(spell({"end": why}))
            return ""
        self._joined[name] = message
        self._writers[name] = writer
        self._empty.clear()
        if len(self._joined) == len(self._names):
            where = {each: {"host": m["host"], "port": m["port"]} for each, m in self._joined.items()}
            await self._tell({"members": where})
        return name

    async def _stay(self, name: str, reader: asyncio.StreamReader) -> None:
        """Read a member's lines until it leaves; if it was not done, that ends the group."""
        why = UNEXPLAINED
        try:
            while line := await asyncio.wait_for(reader.readline(), SILENCE_SECONDS):
                message = parse(line)
                if "failed" in message:
                    why = str(message["failed"])
                    break
                await self._note(name, message)
        except TimeoutError:
            why = f"no sign of it for {SILENCE_SECONDS:g} s"
        except (OSError, ValueError):  # the connection broke
            why = UNEXPLAINED
        if name not in self._done:
            told = f" at {self._at[name]}" if name in self._at else ""
            await self._end(f"{name} ({self._joined[name].get('label', '')}) left{told}: {why}")

    async def _note(self, name: str, message: Message) -> None:
        if "at" in message:
            self._at[name] = str(message["at"])
        elif "done" in message:
            self._done.add(name)
            if self._done >= self._workers:
                await self._tell({"finished": True})

    async def _end(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
            await self._tell({"end": reason})

    async def _limit(self) -> None:
        """End a group that is not complete in time, and name who is missing."""
        await asyncio.sleep(self._seconds)
        missing = [name for name in self._names if name not in self._joined]
        if missing:
            there = ", ".join(self._joined) or "nobody"
            await self._end(f"{', '.join(missing)} did not join within {self._seconds:g} s (there: {there})")

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._tell({"alive": True})

    async def _tell(self, message: Message) -> None:
        for writer in list(self._writers.values()):
            with contextlib.suppress(OSError):  # one that is gone is noticed where it is read
                writer.write(spell(message))
                await asyncio.wait_for(writer.drain(), HANDSHAKE_SECONDS)
