"""The load generator counts what happened to its requests, whatever the server does to them."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workshop import load
from workshop.cli import main
from workshop.errors import SettingsError

BODIES = [b'{"text": "one"}', b'{"text": "two"}', b'{"text": "three"}']
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Answer = Callable[[bytes, int], bytes | None]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Answers each request with the bytes that answer(body, number) gives, and closes the connection after None."""
    bodies: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    lock = threading.Lock()

    def converse(line: socket.socket) -> None:
        with line, line.makefile("rb") as reader:
            while head := reader.readline():
                length = 0
                while (header := reader.readline().strip()) != b"":
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                body = reader.read(length) or head
                with lock:
                    bodies.append(body)
                    number = len(bodies)
                said = answer(body, number)
                if said is None:
                    return
                line.sendall(said)
                if b"close" in said.lower():
                    return

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return  # the test is over
            threading.Thread(target=converse, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/predict", bodies
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_every_body_is_sent_in_turn_and_every_answer_counted() -> None:
    seconds: list[tuple[int, int, int]] = []
    with server(lambda body, number: OK) as (url, bodies):
        outcome = load.run(url, BODIES, 2, 1.2, lambda *told: seconds.append(told))
    assert outcome.failed == 0 and outcome.requests == len(bodies) > 30
    assert set(bodies[:6]) == set(BODIES)
    assert outcome.per_second[0] == pytest.approx(outcome.requests, rel=0.7)
    assert seconds[0][0] == 0 and seconds[0][1] == outcome.per_second[0]
    assert 0 < outcome.p50_ms <= outcome.p99_ms < 1000


def test_without_bodies_it_asks_by_get() -> None:
    with server(lambda body, number: OK) as (url, bodies):
        assert load.run(url, [], 1, 0.2).failed == 0
    assert bodies[0].startswith(b"GET /predict HTTP/1.1")


def test_connection_that_the_server_closes_after_an_answer_is_opened_again_without_a_failure() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with server(lambda body, number: answer) as (url, _):
        outcome = load.run(url, BODIES, 2, 0.3)
    assert outcome.failed == 0 and outcome.requests > 5


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b'HTTP/1.1 503 Busy\r\nContent-Length: 16\r\n\r\n{"error": "busy"', '503 {"error": "busy"'),
        (None, "closed before the answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{",
            "closed in the middle of the answer",
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: close", "closed in the middle of the answer"),
        (b"no HTTP, but close\r\n\r\n", "invalid literal"),
    ],
)
def test_each_kind_of_failure_has_its_name_and_time(said: bytes | None, what: str) -> None:
    with server(lambda body, number: said if number == 3 else OK) as (url, _):
        outcome = load.run(url, BODIES, 1, 0.5)
    assert outcome.failed == 1 and outcome.requests > 3, outcome.kinds()
    [(second, told)] = outcome.failures
    assert 0 <= second < 1 and what in told


def test_server_that_is_not_there_is_a_failure_and_not_a_flood() -> None:
    with server(lambda body, number: OK) as (url, _):
        pass
    outcome = load.run(url, BODIES, 2, 0.5)
    assert 2 <= outcome.failed == outcome.requests < 50
    assert all(what.endswith("while connecting") for what in outcome.kinds())
    assert (outcome.p50_ms, outcome.p99_ms, outcome.rate) == (0, 0, 0)


def test_answer_in_chunks_or_to_the_end_of_the_connection_is_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    until_the_end = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}"
    with server(lambda body, number: chunked if number % 2 else until_the_end) as (url, _):
        outcome = load.run(url, BODIES, 1, 0.3)
    assert outcome.failed == 0 and outcome.requests > 4


@pytest.mark.parametrize("url", ["ftp://here", "here:80", "http://", "http://here:99999/"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="http://127"):
        load.read(url)


def test_outcome_says_and_draws_itself() -> None:
    outcome = load.Outcome(12, 2, [(0.5, "closed before the answer")] * 2, 1.0, 2.0, [4, 6], 2.0)
    assert repr(outcome) == str(outcome) and outcome.rate == 5
    assert "12 requests in 2.0 s, 5 a second" in str(outcome) and "2 times: closed before" in str(outcome)
    assert len(outcome.figure().axes[0].patches) == 2


def test_load_runs_where_an_event_loop_runs_already() -> None:
    async def in_a_notebook(url: str) -> load.Outcome:
        return load.run(url, BODIES, 1, 0.1)

    with server(lambda body, number: OK) as (url, _):
        assert asyncio.run(in_a_notebook(url)).failed == 0


def test_address_is_taken_apart() -> None:
    target = load.read("http://here/a?b=c", BODIES)
    assert (target.host, target.port, target.encryption) == ("here", 80, None)
    assert target.head.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: here\r\n")
    assert load.read("https://here").port == 443


def test_command_prints_the_outcome_and_fails_if_a_request_did(capsys: pytest.CaptureFixture[str]) -> None:
    with server(lambda body, number: OK) as (url, _):
        assert main(["load", url, "--connections", "1", "--seconds", "0.2", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["failed"] == 0 and told["requests"] > 2
    with server(lambda body, number: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") as (url, _):
        assert main(["load", url, "--connections", "1", "--seconds", "0.2"]) == 1
        assert "times: 500" in capsys.readouterr().out
