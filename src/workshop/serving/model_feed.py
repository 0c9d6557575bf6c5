"""The service's end of the fetcher: start it, hear it, answer it, and start it again when it ends.

Try it:  python -m pytest tests/local/test_serving_models.py
The fetcher's first process starts before the server is imported, so that both take their time at once.
Knows nothing of HTTP, and of a model only that InService takes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workshop.serving.configuration import Configuration

if TYPE_CHECKING:
    from workshop.serving.in_service import InService

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
END_SECONDS = 5

log = logging.getLogger(__name__)


class ModelFeed:
    """The fetcher's process. `start` needs no event loop; `run` is what hears it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._folder = Path(tempfile.mkdtemp(prefix="models-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._serving: tuple[str, str] | None = None

    def start(self) -> None:
        """Start a fetcher, which knows what is in service."""
        words = [
            "--model",
            self._configuration.model,
            "--poll-seconds",
            str(self._configuration.poll_seconds),
        ]
        words += ["--folder", str(self._folder)]
        if self._serving:
            words += ["--serving", *self._serving]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workshop.serving.fetcher", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    async def run(self, in_service: InService) -> None:
        """Hear the fetcher until cancelled; one that ends is started again, ever more slowly."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            if self._process is None:
                self.start()
            if await self._hear(in_service):
                pause = FIRST_PAUSE_SECONDS
            code = await asyncio.to_thread(self._ended)
            log.warning("the fetcher ended with %s; it is started again in %.1f s", code, pause)
            if in_service.model is None:
                in_service.trouble(f"the fetcher ended with {code}", "look at the log for why")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """End the fetcher and remove what it has left."""
        self._ended()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _hear(self, in_service: InService) -> bool:
        """Take one fetcher's events until it ends; whether it said anything."""
        process = self._process
        if process is None or process.stdout is None or process.stdin is None:
            raise AssertionError("a fetcher has both pipes")
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
        heard = False
        try:
            while line := await lines.readline():
                heard = True
                refused = await self._take(json.loads(line), in_service)
                if refused is not None:
                    with contextlib.suppress(
                        BrokenPipeError
                    ):  # that it has ended is noticed where it is read
                        process.stdin.write(json.dumps({"refused": refused}).encode() + b"\n")
                        process.stdin.flush()
        except ValueError as error:  # no event, or a line without end: another fetcher may do better
            log.warning("the fetcher said what can't be read (%s)", error)
        finally:
            transport.close()
        return heard

    async def _take(self, event: dict[str, Any], in_service: InService) -> str | None:
        """What an event does. An answer, if it wants one: '' or why the model that it offers is refused."""
        if event["event"] == "fetched":
            refused = await in_service.take(event["version"], Path(event["folder"]))
            if not refused and event["is_current"]:
                in_service.well()  # else what was refused before it stays to be told
            if not refused:
                self._serving = (event["version"], event["metadata_sha256"])
            return refused
        if event["event"] == "refused":
            in_service.refuse(event["version"], event["reason"], event["fix"])
        elif event["event"] == "problem":
            in_service.trouble(event["reason"], event["fix"])
        else:
            in_service.well()
        return None

    def _ended(self) -> int | None:
        """Close both pipes, which ends the fetcher, and wait for that."""
        process, self._process = self._process, None
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
