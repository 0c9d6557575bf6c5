"""Start a command under a supervisor that ends it with the server.

Try it:  python -m pytest tests/local/test_engine_process.py
Knows pipes and nothing of images or tasks. The supervisor's side is `supervise.py`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localaws.engine import EngineError
from localaws.engine.memory import KernelLimit

SUPERVISOR = Path(__file__).with_name("supervise.py")
CANNOT_START = "Error response from daemon: failed to create task: unable to start container process"


@dataclass
class Started:
    """A supervisor, the process that it started, and the pipes to both."""

    supervisor: "subprocess.Popen[bytes]"
    pid: int
    control: int
    status: int
    log: int


def launch(
    command: list[str],
    environment: Mapping[str, str],
    directory: Path,
    group: KernelLimit | None,
    terminal: bool = False,
) -> Started:
    """Start the supervisor with the command; returns once the command's program runs.

    terminal: give it one of its own, whose other side is then `log`; else input is empty, and `log` a pipe.
    """
    control_read, control_write = os.pipe()
    status_read, status_write = os.pipe()
    log_read, log_write = os.openpty() if terminal else os.pipe()
    folder = str(group.folder) if group else "-"
    try:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR, str(control_read), str(status_write), folder, *command],
            stdin=log_write if terminal else subprocess.DEVNULL,
            stdout=log_write,
            stderr=log_write,
            env=dict(environment),
            cwd=directory,
            pass_fds=(control_read, status_write),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # too much for a process, or zero bytes in words and variables
        for descriptor in (control_write, status_read, log_read):
            os.close(descriptor)
        raise EngineError(f"{CANNOT_START}: {error}") from error
    finally:
        for descriptor in (control_read, status_write, log_write):
            os.close(descriptor)
    word, _, rest = read_line(status_read).partition(" ")
    if word != "started":
        supervisor.wait()
        for descriptor in (control_write, status_read, log_read):
            os.close(descriptor)
        raise EngineError(f"{CANNOT_START}: {rest}")
    return Started(supervisor, int(rest), control_write, status_read, log_read)


def read_line(descriptor: int) -> str:
    """One line of a pipe, without its end; empty when the pipe is closed."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line.decode(errors="replace").rstrip("\n")
