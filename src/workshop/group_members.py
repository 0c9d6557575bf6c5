"""What one member of a group does: meet the others, do its part of the job, end when one of them is lost.

Try it:  workshop run train-images-mxnet --workers 2, which starts one of these for each member
A worker runs the job's notebook, a scheduler or server of MXNet runs MXNet itself. What does the work is a
process of its own, which is killed when the group ends: a computation that waits for a dead member can't be
asked to stop. Only worker 0 leaves results. Who starts the members is `group_runs`.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workshop import kernels, task_metadata
from workshop.errors import JobError
from workshop.execution import Event, Listener, Place, execute, merged
from workshop.group_plan import TOKEN, Address, Seat, learning_variables
from workshop.job_outputs import NOTEBOOK, open_output
from workshop.jobs import OUTPUT, Result
from workshop.lifeline import GroupEnded, LifeLine
from workshop.rendezvous import Rendezvous
from workshop.settings import Settings

if TYPE_CHECKING:
    from workshop.job_runs import Request

EPOCH = re.compile(r"\bepoch (\d+)/")
FINISH_SECONDS = 10.0  # for MXNet's scheduler and servers to end by themselves once the workers are done


class Work:
    """The process that does the member's work; it can be killed at any moment, also before it has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._ended = False

    def started(self, pid: int) -> None:
        """Know the process, which leads a group of its own."""
        with self._lock:
            self._pid = pid
            if self._ended:
                self._kill()

    def kill(self, why: str = "") -> None:
        """End it, or have it end as soon as it has started."""
        with self._lock:
            self._ended = True
            self._kill()

    def _kill(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)


def run(request: "Request", settings: Settings, seat: Seat) -> Result:
    """Do this member's part to its end.

    Errors: GroupEnded with the reason if another member left; JobError if this one failed, which the others hear.
    """
    started, work = time.monotonic(), Work()
    if seat.tied:
        threading.Thread(target=_end_with_launcher, daemon=True, name="launcher").start()
    own = Address(seat.address or task_metadata.address() or "127.0.0.1", _free_port())
    meeting = _host(seat, own.host) if seat.is_host else None
    line = LifeLine(seat.member.name, task_metadata.label(), own, seat.token, work.kill)
    try:
        found = line.join(seat.host.name, Address(seat.meets_at or own.host, seat.port), seat.seconds)
        print(f"{seat.member.name} of {len(found)} members: all are here", flush=True)
        variables = learning_variables(seat, found)
        metrics = (_learn if seat.member.role == "worker" else _serve)(
            request, settings, seat, variables, work, line
        )
        if meeting:
            line.wait_finished()
    except BaseException as error:
        work.kill()
        if line.reason:
            raise GroupEnded(line.reason, "read its log: it says why") from error
        line.failed(_why(error))
        raise
    finally:
        line.close()
        if meeting:
            meeting.close()
    output = request.output
    return Result(output.rstrip("/").rpartition("/")[2], output, metrics, Path(), time.monotonic() - started)


def _host(seat: Seat, address: str) -> Rendezvous:
    workers = [each.name for each in seat.everybody if each.role == "worker"]
    made = Rendezvous([each.name for each in seat.everybody], workers, seat.token, seat.seconds)
    made.open(address, seat.port)
    return made


def _learn(
    request: "Request", settings: Settings, seat: Seat, variables: dict[str, str], work: Work, line: LifeLine
) -> dict:
    """Run the notebook. Its executed copy is the run's for worker 0, and workers/RANK.ipynb for any other."""
    job, kept = request.job, open_output(request.output)
    name = NOTEBOOK if seat.member.is_first_worker else f"workers/{seat.member.number}.ipynb"
    # The token stays here: a notebook prints its variables easily, and keeps what it printed.
    own = {**settings.environment(), **variables, TOKEN: None}
    spot = Place(job.environment, settings.root, Path.cwd(), own)
    try:
        execute(
            job.path,
            kept.folder / name,
            spot,
            {**request.values, OUTPUT: kept.address},
            _telling(request.listen, line),
            kept_at=f"{kept.address}/{name}",
            on_kernel=work.started,
            on_done=lambda: _stay(line),
        )
    finally:
        kept.publish((name,))
    return kept.metrics(job.name) if seat.member.is_first_worker else {}


def _stay(line: LifeLine) -> None:
    """Keep the kernel until every worker is done: to the frameworks, a worker that has left has crashed."""
    line.done()
    line.wait_finished()


def _telling(listen: Listener, line: LifeLine) -> Listener:
    """Pass events on, and tell the others which epoch is done."""

    def hear(event: Event) -> None:
        if event.kind == "line" and (found := EPOCH.search(event.text)):
            line.say(f"epoch {found[1]}")
        listen(event)

    return hear


def _serve(
    request: "Request", settings: Settings, seat: Seat, variables: dict[str, str], work: Work, line: LifeLine
) -> dict:
    """Run MXNet's scheduler or server: importing it with that role is all, and it ends after the workers."""
    python = kernels.require(request.job.environment, settings.root)
    environ = merged({**variables, TOKEN: None})
    command = [str(python), "-W", "ignore", "-c", "import mxnet"]
    with subprocess.Popen(command, env=environ, start_new_session=True) as process:
        work.started(process.pid)
        threading.Thread(target=_end_after_workers, args=(line, process), daemon=True).start()
        status = process.wait()
    finished = line.wait_finished(FINISH_SECONDS)
    if status != 0 and not (finished and not line.reason):
        raise JobError(f"{seat.member.name} of MXNet exited with {status}", "read its log")
    line.done()
    return {}


def _end_after_workers(line: LifeLine, process: "subprocess.Popen[bytes]") -> None:
    """End a scheduler or server that waits for a worker which is done and gone."""
    line.wait_finished()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(FINISH_SECONDS)
    process.kill()


def _end_with_launcher() -> None:
    """Leave as if asked to stop when the launcher has gone, however it went: its end of the pipe closes."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):  # not sys.stdin: its lock, held here, would abort the interpreter's end
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _why(error: BaseException) -> str:
    """What the others are told of this member's failure."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "it was asked to stop"
    return getattr(error, "message", "") or f"{type(error).__name__}: {error}"


def _free_port() -> int:
    """A port that is free on every address: TensorFlow's server binds them all."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])
