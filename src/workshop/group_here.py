"""A group's members as processes of this machine, with their output in files beside the results.

Try it:  workshop run train-images-tensorflow --workers 2 -p num_epochs=1
Each member is the same `workshop run` as a task's command. Its standard input is a pipe that this process
holds: when this process ends, however that is, the members hear it and end too. Knows no AWS.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import exits, job_tasks
from workshop.errors import JobError, WorkshopError
from workshop.group_plan import Member, Seat
from workshop.group_runs import STOPPED, State
from workshop.records import Record
from workshop.settings import Settings

if TYPE_CHECKING:
    from workshop.job_runs import Request

LOOPBACK = "127.0.0.1"
MEET_SECONDS = 120.0  # each takes a second to start; a busy machine takes more
STOP_SECONDS = 10.0


class ProcessCrew:
    """Starts `workshop run` once for each member, in a session of its own, so that Ctrl-C is ours to handle."""

    seconds_to_meet = MEET_SECONDS
    pause_seconds = 0.1

    def __init__(self, request: "Request", record: Record, settings: Settings) -> None:
        self.request, self.settings = request, settings
        self.output = record.get("output") or str(record.folder)
        record.set(output=self.output)
        self.folder = record.folder / "workers"
        self.port = _free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.told = 0

    def check(self, everybody: Sequence[Member]) -> None:
        """Any number can be started here; more than the machine has cores only learns more slowly."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def take_up(self, recorded: Mapping[str, str], follow: bool) -> bool:
        """Never: they end with the process that started them."""
        return False

    def start(self, seat: Seat) -> str:
        name = seat.member.name
        words = job_tasks.command(self.request.job.name, self.request.values, self.output)
        told = replace(seat, address=LOOPBACK, tied=True).variables()
        threads = str(max(1, (os.cpu_count() or 1) // seat.workers))
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-u", "-m", "workshop.cli", *words],
                env={"OMP_NUM_THREADS": threads, **os.environ, **self.settings.environment(), **told},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.label(name)

    def address(self, name: str) -> str:
        return LOOPBACK

    def label(self, name: str) -> str:
        return f"process {self.processes[name].pid}"

    def look(self) -> dict[str, State]:
        found = {}
        for name, process in self.processes.items():
            code = process.poll()
            found[name] = (
                State("RUNNING") if code is None else State(STOPPED, code if code >= 0 else 128 - code)
            )
        return found

    def fresh_lines(self) -> list[str]:
        with self._log("worker 0").open("rb") as log:
            log.seek(self.told)
            whole, _, _ = log.read().rpartition(b"\n")
        self.told += len(whole) + 1 if whole else 0
        return whole.decode(errors="replace").splitlines()

    def lines(self, name: str) -> list[str]:
        return self._log(name).read_text(errors="replace").splitlines()

    def why(self, name: str) -> WorkshopError:
        return JobError(*exits.told(self.look()[name].exit_code or 0, self.lines(name)))

    def stop(self, names: Iterable[str], reason: str) -> None:
        running = [self.processes[name] for name in names if name in self.processes]
        for process in running:
            process.terminate()
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def bring(self, record: Record) -> None:
        """The members wrote into the folder itself, unless the output is remote."""
        for process in self.processes.values():
            if process.stdin:
                process.stdin.close()
        if self.output.startswith("s3://"):
            from workshop.aws import objects

            objects.sync_down(self.output, record.folder)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
