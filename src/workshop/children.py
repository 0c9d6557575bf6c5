"""Programs that we start and that must not outlive us: they end with us, and with all that they started.

Try it:  python -m pytest tests/fast/test_children.py
Each leads a process group of its own, so that Ctrl-C reaches us alone and we end them in order. Linux tells a child
when its parent is gone, however that ended, kill -9 too.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

END_SECONDS = 15.0
PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], variables: Mapping[str, str], log: IO[bytes], folder: Path, **more: Any
) -> "subprocess.Popen[bytes]":
    """Start a program in a group of its own, its output in a log."""
    return subprocess.Popen(
        list(command),
        env=dict(variables),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=end_with_parent,
        **more,
    )


def end(process: "subprocess.Popen[bytes]", seconds: float = END_SECONDS) -> None:
    """End a program and its group: politely, and after `seconds` not."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever of the group is left
    process.wait()


def end_with_parent() -> None:
    """Ask the kernel (Linux) to end this process with SIGTERM when the thread that started it is gone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
