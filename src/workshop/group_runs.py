"""Run a job by a group: start its members, show how they do, tell who was lost, leave nothing running.

Try it:  workshop run train-images-mxnet --workers 2 --on ecs
The same for processes here and for ECS tasks: each is a crew (`group_here`, `group_tasks`), which can start,
look, read and stop. The members hold each other by their life line and end by themselves when one is lost, so
nothing is left running even if this process is killed; it only waits for that, and stops those that don't.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from workshop import exits
from workshop.errors import JobError, WorkshopError
from workshop.execution import Event
from workshop.group_members import EPOCH
from workshop.group_plan import Member, Seat, members, new_token
from workshop.job_outputs import Output
from workshop.records import FILE as RECORD
from workshop.records import Record
from workshop.settings import Settings

if TYPE_CHECKING:
    from workshop.job_runs import Request

END_SECONDS = 8.0  # for the others to hear of a lost member and end by themselves
FINISH_SECONDS = 20.0  # for scheduler and servers to end after the last worker
PAUSE_SECONDS = 0.2
LINES_OF_LOST = 10
STOPPED = "STOPPED"


@dataclass(frozen=True)
class State:
    """How one member stands; exit_code: None while it runs, or if it never did."""

    status: str
    exit_code: int | None = None

    @property
    def is_stopped(self) -> bool:
        return self.status == STOPPED

    @property
    def has_failed(self) -> bool:
        return self.is_stopped and self.exit_code != 0


class Crew(Protocol):
    """Where members run. What it is asked of by name is a member's name."""

    seconds_to_meet: float
    pause_seconds: float
    port: int

    def check(self, everybody: Sequence[Member]) -> None:
        """Say early what can't work. Errors: WorkshopError."""

    def take_up(self, recorded: Mapping[str, str], follow: bool) -> bool:
        """Follow members that an earlier launcher started, if all are there and well; False ends them first."""

    def start(self, seat: Seat) -> str:
        """Start a member; returns what run.json calls it."""

    def address(self, name: str) -> str:
        """The address of a started member, as soon as it has one."""

    def label(self, name: str) -> str:
        """What people call it: task or process, with its id."""

    def look(self) -> dict[str, State]:
        """How each started member stands, by its name."""

    def fresh_lines(self) -> list[str]:
        """What worker 0 has printed since the last time."""

    def lines(self, name: str) -> list[str]:
        """All that a member has printed."""

    def why(self, name: str) -> WorkshopError:
        """How a member that failed has ended."""

    def stop(self, names: Iterable[str], reason: str) -> None:
        """Ask members to stop; those that have ended already are no error."""

    def bring(self, record: Record) -> None:
        """Bring the results into the record's folder."""


def run(request: "Request", record: Record, settings: Settings, follow: bool = False) -> None:
    """Run the job to its end; afterwards the record's folder holds what it left.

    follow: the members in the record were left to themselves, by a launcher that was killed; see to their end.
    Errors: JobError that names the member that was lost, how far the job was, why, and what mends it.
    """
    crew = _crew(request, record, settings)
    everybody = members(request.job.group, request.workers)
    try:
        if not crew.take_up(record.get("members") or {}, follow):
            _start(crew, request, record, everybody)
        lost = _Follow(crew, request, everybody).to_the_end()
    except BaseException as error:
        interrupted = not isinstance(error, Exception)
        crew.stop(
            [each.name for each in everybody], "interrupted by the learner" if interrupted else str(error)
        )
        raise
    try:
        crew.bring(record)
    except WorkshopError:
        if lost is None:
            raise
    if lost:  # says more than that its results can't be had
        raise lost


def publish(record: Record) -> None:
    """Send the record to a remote output: no member keeps one."""
    Output(str(record.get("output")), record.folder).publish((RECORD,))


def _crew(request: "Request", record: Record, settings: Settings) -> Crew:
    if request.on == "ecs":
        from workshop.group_tasks import TaskCrew

        return TaskCrew(request, record)
    from workshop.group_here import ProcessCrew

    return ProcessCrew(request, record, settings)


def _start(crew: Crew, request: "Request", record: Record, everybody: Sequence[Member]) -> None:
    """Start everybody, the host first: the others must be told its address."""
    crew.check(everybody)
    seat = Seat(
        request.job.group, request.workers, everybody[0], crew.port, crew.seconds_to_meet, new_token()
    )
    named: dict[str, str] = {}
    for member in everybody:
        named[member.name] = crew.start(replace(seat, member=member))
        record.set(members=named)
        if member == everybody[0]:
            seat = replace(seat, meets_at=crew.address(member.name))


class _Follow:
    """Watches a started group until everybody has stopped."""

    def __init__(
        self,
        crew: Crew,
        request: "Request",
        everybody: Sequence[Member],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.crew, self.request, self.everybody = crew, request, everybody
        self.clock, self.sleep = clock, sleep
        self.states: dict[str, State] = {}
        self.epoch = ""
        self.lost = ""
        self.settled = False  # once the rest is stopped by us, how they end says nothing

    def to_the_end(self) -> WorkshopError | None:
        """Wait until everybody has stopped; the error to raise if a member was lost."""
        patience: float | None = None
        while not self._all_stopped():
            self._hand_on()
            self._look()
            limit = END_SECONDS if self.lost else FINISH_SECONDS if self._work_is_done() else None
            if limit is not None and patience is None:
                patience = self.clock() + limit
            if patience is not None and self.clock() > patience:
                self._stop_the_rest()
                patience = float("inf")
            self.sleep(self.crew.pause_seconds)
        self._hand_on()
        return self._error() if self.lost else None

    def _hand_on(self) -> None:
        for line in self.crew.fresh_lines():
            found = EPOCH.search(line)
            self.epoch = f"epoch {found[1]}" if found else self.epoch
            self.request.listen(Event("line", text=line))

    def _look(self) -> None:
        before, self.states = self.states, self.crew.look()
        for name, state in self.states.items():
            if before.get(name, State("")).status != state.status:
                code = f" with exit code {state.exit_code}" if state.exit_code else ""
                said = f"{name} ({self.crew.label(name)}): {state.status}{code}"
                self.request.listen(Event("state", text=said))
        if not self.settled and (not self.lost or self._is_victim(self.lost)):
            self.lost = self._first_lost() or self.lost

    def _first_lost(self) -> str:
        """The member that failed by itself; one that ended for another's sake only if nobody else did."""
        failed = [name for name, state in self.states.items() if state.has_failed]
        if self._work_is_done():
            failed = []  # MXNet's servers have no result of their own
        return next((name for name in failed if not self._is_victim(name)), failed[0] if failed else "")

    def _is_victim(self, name: str) -> bool:
        return self.states[name].exit_code == exits.ENDED_WITH_ITS_GROUP

    def _workers(self) -> list[str]:
        return [each.name for each in self.everybody if each.role == "worker"]

    def _work_is_done(self) -> bool:
        states = [self.states.get(name, State("")) for name in self._workers()]
        return all(state.is_stopped and state.exit_code == 0 for state in states)

    def _all_stopped(self) -> bool:
        return len(self.states) == len(self.everybody) and all(
            each.is_stopped for each in self.states.values()
        )

    def _stop_the_rest(self) -> None:
        rest = [name for name, state in self.states.items() if not state.is_stopped]
        reason = f"{self.lost} was lost" if self.lost else "the workers are done"
        self.settled = True
        self.crew.stop(rest, reason)

    def _error(self) -> WorkshopError:
        name, code = self.lost, self.states[self.lost].exit_code
        why = self.crew.why(name)
        if name != "worker 0" and not self._is_victim(name):
            for line in self.crew.lines(name)[-LINES_OF_LOST:]:
                self.request.listen(Event("line", text=f"{name}: {line}"))
        if self._is_victim(name):
            return JobError(f"{self.request.job.name}: {why.message}", why.remedy)
        left = f"{name} ({self.crew.label(name)}) left" + (f" at {self.epoch}" if self.epoch else "")
        told = f"exit code {code}: {why.message}" if code is not None else why.message
        return JobError(f"{self.request.job.name}: {left}: {told}", why.remedy)
