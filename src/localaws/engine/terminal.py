"""A command on a terminal of its own, beside the processes of a container of the process engine.

Try it:  python -m pytest tests/local/test_task_shell.py
It has the container's variables and folder, its memory limit where the kernel keeps that, and a supervisor of
its own, so that it and all that it started end with it, with the container and with the server. Knows
pseudo-terminals and nothing of containers.
"""

import contextlib
import errno
import fcntl
import os
import signal
import struct
import termios
import threading
from collections.abc import Callable

from localaws.engine.launch import Started

CHUNK_BYTES = 8 * 1024
COLUMNS, ROWS = 80, 24  # until somebody says how large the window is
TERM = "xterm-256color"  # what the agent of ECS Exec sets


class ProcessTerminal:
    """The master side of a pseudo-terminal and the supervisor of what runs on the other side."""

    failure = ""

    def __init__(self, started: Started, forget: Callable[["ProcessTerminal"], None]) -> None:
        self._started = started
        self._forget = forget
        self._lock = threading.Lock()  # the container's end may come while the shell is closed
        self._is_open = True
        self._master = started.log
        os.set_blocking(self._master, False)
        self.resize(COLUMNS, ROWS)

    def fileno(self) -> int:
        return self._master

    def read(self) -> bytes:
        """What was written to the terminal; empty at its end. Errors: BlockingIOError when there is nothing yet."""
        try:
            return os.read(self._master, CHUNK_BYTES)
        except OSError as error:
            if error.errno == errno.EIO:  # Linux's word for: nobody has the other side open any more
                return b""
            raise

    def write(self, data: bytes) -> int:
        """Type; how much was taken. Errors: BlockingIOError while nothing can be."""
        return os.write(self._master, data)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size, and its programs SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def kill(self) -> None:
        """End the command and all that it started; returns once they have ended."""
        with self._lock:
            if self._is_open:
                with contextlib.suppress(BrokenPipeError):  # it ended a moment ago
                    os.write(self._started.control, bytes([signal.SIGKILL]))
        self._started.supervisor.wait()

    def close(self) -> None:
        """The same, and give back the descriptors; for the one who opened it, once."""
        self.kill()
        with self._lock:
            self._is_open = False
            for descriptor in (self._master, self._started.control, self._started.status):
                os.close(descriptor)
        self._forget(self)
