"""How a launcher starts a group, follows it and tells who was lost, with members that are only lists of states."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from workshop import group_runs
from workshop.errors import AwsError, JobError, WorkshopError
from workshop.execution import Event
from workshop.group_plan import Member, Seat, members
from workshop.group_runs import State
from workshop.job_runs import Request
from workshop.jobs import Job
from workshop.records import Record

RUNNING, DONE = State("RUNNING"), State("STOPPED", 0)
VICTIM = State("STOPPED", 3)


class Crew:
    """Members that go through given states, one at each look; the last one stays."""

    seconds_to_meet, pause_seconds, port = 10.0, 1.0, 20000

    def __init__(self, states: Mapping[str, Sequence[State]], lines: Iterable[str] = ()) -> None:
        self.states = {name: list(each) for name, each in states.items()}
        self.fresh = list(lines)
        self.seats: list[Seat] = []
        self.stopped: dict[str, str] = {}
        self.refuses = ""
        self.recorded: Mapping[str, str] = {}
        self.follows = False

    def check(self, everybody: Sequence[Member]) -> None:
        self.checked = [each.name for each in everybody]

    def take_up(self, recorded: Mapping[str, str], follow: bool) -> bool:
        self.recorded = recorded
        return follow and self.follows

    def start(self, seat: Seat) -> str:
        if seat.member.name == self.refuses:
            raise AwsError("RESOURCE:MEMORY", "stop a task")
        self.seats.append(seat)
        return f"arn-of-{seat.member.name}"

    def address(self, name: str) -> str:
        return f"address of {name}"

    def label(self, name: str) -> str:
        return f"task {name[-1]}"

    def look(self) -> dict[str, State]:
        return {name: each.pop(0) if len(each) > 1 else each[0] for name, each in self.states.items()}

    def fresh_lines(self) -> list[str]:
        lines, self.fresh = self.fresh, []
        return lines

    def lines(self, name: str) -> list[str]:
        return [f"last line of {name}"]

    def why(self, name: str) -> WorkshopError:
        return JobError("the disk is full", "free some space")

    def stop(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            self.stopped[name] = reason
            if name in self.states:
                self.states[name] = [State("STOPPED", 143)]

    def bring(self, record: Record) -> None:
        self.brought = True


class World:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.record = Record(folder / "run", "job")
        self.events: list[Event] = []
        self.monkeypatch = monkeypatch

    def run(self, crew: Crew, shape: str = "all-reduce", follow: bool = False) -> None:
        job = Job("train", Path("train.ipynb"), {}, "workshop", "jobs", 1.0, group=shape)
        request = Request(job, {}, "ecs", "", "cpu", self.events.append, 2)
        self.monkeypatch.setattr(group_runs, "_crew", lambda *_: crew)
        # One look a second, without waiting for it.
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        follow = group_runs._Follow
        self.monkeypatch.setattr(
            group_runs,
            "_Follow",
            lambda crew, request, everybody: follow(crew, request, everybody, lambda: now[0], sleep),
        )
        settings: Any = None
        group_runs.run(request, self.record, settings, follow)

    def said(self) -> str:
        return "\n".join(event.text for event in self.events)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    return World(tmp_path, monkeypatch)


def test_others_are_told_where_the_host_is_and_the_record_names_everybody(world):
    crew = Crew({name: [RUNNING, DONE] for name in ("worker 0", "worker 1")})
    world.run(crew)
    assert [(each.member.name, each.meets_at) for each in crew.seats] == [
        ("worker 0", ""),
        ("worker 1", "address of worker 0"),
    ]
    assert len({each.token for each in crew.seats}) == 1
    assert world.record.get("members") == {
        "worker 0": "arn-of-worker 0",
        "worker 1": "arn-of-worker 1",
    }
    assert crew.checked == ["worker 0", "worker 1"]
    assert crew.stopped == {} and crew.brought


def test_tokens_are_in_no_record(world):
    crew = Crew({name: [DONE] for name in ("worker 0", "worker 1")})
    world.run(crew)
    assert crew.seats[0].token not in (world.record.folder / "run.json").read_text()


def test_lost_member_is_named_with_epoch_code_and_reason_and_its_last_lines_are_shown(world):
    states = {"worker 0": [RUNNING, RUNNING, VICTIM], "worker 1": [RUNNING, State("STOPPED", 137)]}
    with pytest.raises(
        JobError, match=r"worker 1 \(task 1\) left at epoch 2: exit code 137: the disk"
    ) as caught:
        world.run(Crew(states, ["epoch 1/3", "worker 0 of 2: epoch 2/3 loss 1"]))
    assert caught.value.remedy == "free some space"
    assert "worker 1: last line of worker 1" in world.said()


def test_member_that_ended_for_anothers_sake_is_not_blamed_though_it_was_seen_first(world):
    states = {"worker 0": [VICTIM], "worker 1": [RUNNING, RUNNING, State("STOPPED", 1)]}
    with pytest.raises(JobError, match="worker 1"):
        world.run(Crew(states))


def test_group_that_never_met_tells_what_its_host_said(world):
    with pytest.raises(JobError, match="train: the disk is full"):
        world.run(Crew({"worker 0": [VICTIM], "worker 1": [VICTIM]}))


def test_member_that_does_not_end_by_itself_is_stopped_with_the_reason(world):
    crew = Crew({"worker 0": [RUNNING], "worker 1": [RUNNING, State("STOPPED", 137)]})
    with pytest.raises(JobError, match="worker 1"):
        world.run(crew)
    assert crew.stopped == {"worker 0": "worker 1 was lost"}


def test_member_that_never_started_is_not_blamed_for_being_stopped(world):
    crew = Crew({"worker 0": [VICTIM], "worker 1": [State("PROVISIONING")]})
    with pytest.raises(JobError, match="train: the disk is full"):
        world.run(crew)
    assert crew.stopped == {"worker 1": "worker 0 was lost"}


def test_servers_that_stay_after_the_workers_are_stopped_and_the_job_has_passed(world):
    states = {each.name: [RUNNING, DONE] for each in members("parameter-server", 2)}
    states["server 0"] = [RUNNING]
    crew = Crew(states)
    world.run(crew, "parameter-server")
    assert crew.stopped == {"server 0": "the workers are done"}


def test_member_without_a_place_ends_those_that_have_started(world):
    crew = Crew({})
    crew.refuses = "worker 1"
    with pytest.raises(AwsError, match="RESOURCE:MEMORY"):
        world.run(crew)
    assert "RESOURCE:MEMORY" in crew.stopped["worker 0"]


def test_interrupt_stops_everybody(world):
    crew = Crew({"worker 0": [RUNNING], "worker 1": [RUNNING]})
    crew.look = lambda: (_ for _ in ()).throw(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        world.run(crew)
    assert crew.stopped == dict.fromkeys(["worker 0", "worker 1"], "interrupted by the learner")


def test_group_that_still_runs_is_followed_and_not_started_again(world):
    world.record.set(members={"worker 0": "a", "worker 1": "b"})
    crew = Crew({name: [RUNNING, DONE] for name in ("worker 0", "worker 1")})
    crew.follows = True
    world.run(crew, follow=True)
    assert crew.seats == [] and set(crew.recorded) == {"worker 0", "worker 1"}


def test_every_change_of_a_members_state_is_told_once(world):
    crew = Crew({"worker 0": [RUNNING, RUNNING, DONE], "worker 1": [RUNNING, RUNNING, RUNNING, DONE]})
    world.run(crew)
    assert [event.text for event in world.events] == [
        "worker 0 (task 0): RUNNING",
        "worker 1 (task 1): RUNNING",
        "worker 0 (task 0): STOPPED",
        "worker 1 (task 1): STOPPED",
    ]
