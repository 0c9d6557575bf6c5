"""A command on a terminal of its own inside a Docker container.

Try it:  python -m pytest tests/docker/test_task_shell_docker.py
It runs as root, as ECS Exec's does whatever user the container has (developer guide, "Monitor Amazon ECS
containers with ECS Exec"), with the container's capabilities and no others. Knows Docker's exec calls and nothing
of sessions. Docker has no call that ends a command: see `close`.
"""

import contextlib
import os
import secrets
import signal
import time
from typing import Any

import docker.errors
import requests

from localaws.engine import EngineError
from localaws.engine.terminal import CHUNK_BYTES, TERM

USER = "0"
MARK = "LOCALAWS_SHELL"
CANNOT = b"OCI runtime exec failed"  # said on the terminal itself where there is no such program
RESIZE_SECONDS = 2.0
RESIZE_PAUSE_SECONDS = 0.05
NO_ANSWER = (docker.errors.APIError, requests.RequestException)


class DockerTerminal:
    """Docker's connection to a command with a terminal: raw bytes in both directions."""

    def __init__(self, api: Any, container: str, command: list[str]) -> None:
        self.failure = ""
        self._api = api
        self._container = container
        self._mark = secrets.token_hex(8)
        environment = {"TERM": TERM, MARK: self._mark}
        try:
            made = api.exec_create(
                container, command, stdin=True, tty=True, user=USER, environment=environment
            )
            self._run: str = made["Id"]
            self._stream = api.exec_start(self._run, tty=True, socket=True)
        except docker.errors.APIError as error:
            raise EngineError(str(error.explanation or error)) from error
        except requests.RequestException as error:
            raise EngineError("the Docker engine does not answer") from error
        self._stream._sock.setblocking(False)
        # Bytes that came in one packet with Docker's answer were read with it.
        self._early: bytes = self._stream._response.raw._fp.fp.peek() or b""
        self._first = True

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def read(self) -> bytes:
        """What was written to the terminal; empty at its end. Errors: BlockingIOError when there is nothing yet."""
        data, self._early = self._early, b""
        try:
            data = data or os.read(self.fileno(), CHUNK_BYTES)
        except ConnectionError:
            return b""  # Docker was stopped
        if self._first and data.startswith(CANNOT):
            self.failure = data.decode(errors="replace").strip()
        self._first = False
        return data

    def write(self, data: bytes) -> int:
        """Type; how much was taken. Errors: BlockingIOError while nothing can be."""
        return os.write(self.fileno(), data)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size. Docker refuses while the command is only about to start."""
        end = time.monotonic() + RESIZE_SECONDS
        while time.monotonic() < end:
            try:
                return self._api.exec_resize(self._run, height=rows, width=columns)  # type: ignore[no-any-return]
            except NO_ANSWER:
                if self._ended():
                    return
                time.sleep(RESIZE_PAUSE_SECONDS)

    def kill(self) -> None:
        """End the command: from here where this process may, else from inside the container."""
        with contextlib.suppress(*NO_ANSWER, ProcessLookupError):
            pid = int(self._api.exec_inspect(self._run).get("Pid") or 0)
            if self._ended() or pid <= 1:
                return
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                self._kill_inside()

    def _kill_inside(self) -> None:
        seek = (
            f"for p in /proc/[0-9]*; do grep -q {MARK}={self._mark} $p/environ && kill -9 ${{p#/proc/}}; done"
        )
        made = self._api.exec_create(self._container, ["sh", "-c", seek], user=USER)
        self._api.exec_start(made["Id"])

    def _ended(self) -> bool:
        try:
            return not self._api.exec_inspect(self._run).get("Running")
        except NO_ANSWER:
            return True

    def close(self) -> None:
        """The same, and close the connection; for the one who opened it, once."""
        self.kill()
        connection = self._stream._sock
        self._stream._response.close()
        connection.close()
