"""An attendee's machine in a temporary folder: a copy of the course, a fresh state, and the real command.

Not a test. The copy shares the repository's environments and its cache of downloads; all else is its own, so
a lab that is opened, run and saved here changes nothing of the repository. Whatever it starts can be found
again: every process of it has the folder's name in its variables, its command line or its working folder.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WORKSHOP = ROOT / ".venvs" / "workshop" / "bin" / "workshop"
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "runs", "tests", "benchmarks", "*.egg-info")


class Attendee:
    """One person with a copy of the course; `close` leaves nothing of them running."""

    def __init__(self, folder: Path, engine: str = "process") -> None:
        self.folder = folder
        self.root, self.state, self.runs = folder / "course", folder / "state", folder / "runs"
        self.port = free_port()
        shutil.copytree(ROOT, self.root, ignore=NOT_COPIED)
        (self.root / ".venvs").symlink_to(ROOT / ".venvs")
        self.variables = _variables() | {
            "WORKSHOP_ROOT": str(self.root),
            "WORKSHOP_STATE_DIR": str(self.state),
            "WORKSHOP_RUNS_DIR": str(self.runs),
            "WORKSHOP_CACHE_DIR": os.environ.get("WORKSHOP_CACHE_DIR", str(ROOT / ".workshop" / "cache")),
            "WORKSHOP_PORT": str(self.port),
            "WORKSHOP_PROFILE": "quick",
            "WORKSHOP_ENGINE": engine,
        }
        # A local AWS that finds a record of IAM's decisions goes on with it: test_policy_mutations.py reads it.
        decisions = self.state / "localaws" / "decisions.jsonl"
        decisions.parent.mkdir(parents=True)
        decisions.touch()

    def start(self, *arguments: str, log: str = "command.log") -> "subprocess.Popen[bytes]":
        """Start `workshop ARGUMENTS`; what it says goes to a file of that name in the folder."""
        with (self.folder / log).open("wb") as file:
            return subprocess.Popen(
                [WORKSHOP, *arguments],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=_hear_ctrl_c,
            )

    def run(self, *arguments: str, timeout_seconds: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run `workshop ARGUMENTS` to its end."""
        return subprocess.run(
            [WORKSHOP, *arguments],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )

    def said(self, log: str = "command.log") -> str:
        return (self.folder / log).read_text(errors="replace")

    def local_aws_pid(self) -> int:
        return int(json.loads((self.state / "localaws.json").read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """Every living process that this attendee started, directly or not."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        mark = str(self.folder)
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if any(mark in part for part in process.cmdline()):
                return True
            return mark in process.cwd() or any(mark in value for value in process.environ().values())
        return False

    def close(self) -> None:
        """Stop the local AWS, then end by their ids whatever a failed test may have left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down")
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """True if a server could listen there now, as one that sets SO_REUSEADDR would."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def wait_until(
    what: Callable[[], Any], seconds: float, why: Callable[[], str] = lambda: "", every_seconds: float = 0.2
) -> Any:
    """What `what` gives once it is true; AssertionError with `why` if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(every_seconds)
    raise AssertionError(f"not true within {seconds:g} s\n{why()}")


def kill(pid: int) -> None:
    """`kill -9`, and wait until the process is gone."""
    process = psutil.Process(pid)
    process.send_signal(signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.wait(10)


def make_pictures(folder: Path, train: int, test: int = 10) -> None:
    """A data directory of noise, so many pictures of each class: what is learned from it does not matter."""
    noise = np.random.default_rng(1)
    for side, count in (("train", train), ("test", test)):
        for name in ("cat", "dog"):
            (folder / "cifar10" / side / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "cifar10" / side / name / f"{number}.jpg")


@contextlib.contextmanager
def attendee(folder: Path, engine: str = "process") -> Iterator[Attendee]:
    made = Attendee(folder, engine)
    try:
        yield made
    finally:
        made.close()


def _hear_ctrl_c() -> None:
    """Tests that a shell started in the background ignore SIGINT, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _variables() -> dict[str, str]:
    """This process's variables without any that would lead the course elsewhere; its data folder may stay."""
    kept = ("WORKSHOP_DATA_DIR",)
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WORKSHOP_", "AWS_", "JUPYTER_", "PYTEST_")) or name in kept
    }
    if "WORKSHOP_DATA_DIR" in found:
        found["WORKSHOP_DATA_DIR"] = str(Path(found["WORKSHOP_DATA_DIR"]).resolve())
    return found
