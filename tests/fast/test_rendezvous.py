"""A group meets, stays together, and ends together."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from attendee import free_port

from workshop.errors import JobError
from workshop.group_plan import Address
from workshop.lifeline import GroupEnded, LifeLine, parse, spell
from workshop.rendezvous import Rendezvous

TOKEN = "of-this-group"
NAMES = ["scheduler", "worker 0", "worker 1"]
SECONDS = 20.0


class Group:
    """Everything that one test opened."""

    def __init__(self) -> None:
        self.port = free_port()
        self.where = Address("127.0.0.1", self.port)
        self.lines: dict[str, LifeLine] = {}
        self.heard: dict[str, str] = {}
        self.changed = threading.Condition()
        self.meeting: Rendezvous | None = None

    def open(self, seconds: float = SECONDS) -> None:
        self.meeting = Rendezvous(NAMES, NAMES[1:], TOKEN, seconds)
        self.meeting.open("127.0.0.1", self.port)

    def line(self, name: str, token: str = TOKEN) -> LifeLine:
        def hear(why: str) -> None:
            with self.changed:
                self.heard[name] = why
                self.changed.notify_all()

        number = NAMES.index(name) if name in NAMES else 9
        self.lines[name] = LifeLine(name, f"task {number}", Address("127.0.0.1", 5000 + number), token, hear)
        return self.lines[name]

    def join(self, name: str, seconds: float = SECONDS) -> dict[str, Address]:
        return self.line(name).join("scheduler", self.where, seconds)

    def complete(self) -> list[dict[str, Address]]:
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self.join, NAMES))

    def wait_heard(self, *names: str) -> dict[str, str]:
        with self.changed:
            assert self.changed.wait_for(lambda: set(names) <= set(self.heard), 10), self.heard
        return self.heard

    def close(self) -> None:
        for line in self.lines.values():
            line.close()
        if self.meeting:
            self.meeting.close()


@pytest.fixture
def group() -> Iterator[Group]:
    made = Group()
    yield made
    made.close()


def test_every_member_is_told_everybodys_address(group):
    group.open()
    rosters = group.complete()
    assert rosters == [{name: Address("127.0.0.1", 5000 + i) for i, name in enumerate(NAMES)}] * 3


def test_members_may_come_before_the_host(group):
    with ThreadPoolExecutor() as pool:
        early = pool.submit(group.join, "worker 0")
        group.open()
        rest = [pool.submit(group.join, name) for name in ("scheduler", "worker 1")]
        assert [set(each.result()) for each in [early, *rest]] == [set(NAMES)] * 3


def test_who_is_missing_is_named_when_the_time_is_over(group):
    group.open(seconds=0.5)
    with pytest.raises(
        GroupEnded, match=r"worker 0, worker 1 did not join within 0.5 s \(there: scheduler\)"
    ):
        group.join("scheduler")


def test_host_that_does_not_answer_is_named(group):
    with pytest.raises(GroupEnded, match=f"scheduler at 127.0.0.1:{group.port} did not answer within 0.3 s"):
        group.join("worker 0", seconds=0.3)


def test_member_that_is_cut_off_ends_the_others_with_its_name_and_how_far_it_was(group):
    group.open()
    group.complete()
    group.lines["worker 1"].say("epoch 2")
    group.lines["worker 1"].close()
    heard = group.wait_heard("scheduler", "worker 0")
    assert heard["worker 0"] == (
        "worker 1 (task 2) left at epoch 2: it was killed, or its machine or network went away"
    )


def test_member_that_fails_says_why_to_the_others(group):
    group.open()
    group.complete()
    group.lines["worker 0"].failed("the disk is full")
    assert "worker 0 (task 1) left: the disk is full" in group.wait_heard("worker 1")["worker 1"]
    assert "worker 0" not in group.heard


def test_host_that_vanishes_ends_the_others(group):
    group.open()
    group.complete()
    group.meeting._loop.call_soon_threadsafe(group.meeting._closing.set)  # as a kill would: no word
    heard = group.wait_heard("worker 0", "worker 1")
    assert "scheduler left" in heard["worker 1"]


def test_members_that_are_done_may_leave_and_the_last_worker_finishes_the_group(group):
    group.open()
    group.complete()
    for name in ("worker 1", "worker 0"):
        group.lines[name].done()
        group.lines[name].close()
    assert group.lines["scheduler"].wait_finished(10)
    assert group.lines["scheduler"].reason == ""
    assert group.heard == {}


def test_stranger_without_the_token_learns_nothing_and_takes_no_seat(group):
    group.open()
    with pytest.raises(GroupEnded, match="not admitted"):
        group.line("worker 1", token="guessed").join("scheduler", group.where, 0.5)
    assert {frozenset(each) for each in group.complete()} == {frozenset(NAMES)}


def test_second_member_of_the_same_name_is_refused_and_the_first_stays(group):
    group.open()
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(group.join, name) for name in NAMES]
        assert all(set(each.result()) == set(NAMES) for each in others)
    with pytest.raises(GroupEnded, match="not admitted"):
        twin = LifeLine("worker 1", "twin", Address("127.0.0.1", 1), TOKEN)
        twin.join("scheduler", group.where, 0.5)
    assert group.heard == {}


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"x" * 100_000 + b"\n", b""])
def test_line_that_is_no_message_is_refused_without_harm(group, line):
    group.open()
    with socket.create_connection(("127.0.0.1", group.port), timeout=10) as stranger:
        file = stranger.makefile("rb")
        assert "challenge" in parse(file.readline())
        stranger.sendall(line)
        stranger.shutdown(socket.SHUT_WR)
        assert b"members" not in file.read()
    assert len(group.complete()) == 3


def test_token_is_in_no_message(group):
    sent: list[bytes] = []
    line = group.line("worker 0")
    remember: Callable[[dict], None] = lambda message: sent.append(spell(message))  # noqa: E731
    line._send = remember
    line._hear({"challenge": "abc"})
    assert b'"join": "worker 0"' in sent[0]
    assert TOKEN.encode() not in b"".join(sent)


def test_port_that_is_taken_is_said(group):
    taken = pytest.raises(JobError, match=f"can't meet at 127.0.0.1:{group.port}")
    with socket.create_server(("127.0.0.1", group.port)), taken:
        group.open()
    group.meeting = None
