"""What a load balancer's clients see when a target ends: failures that cost nothing, 502 and 504, draining."""

import asyncio
import http.client
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ecs_world import wait_until
from proxy_world import BALANCER, Balancer, Seen, Target, answer, ask

pytestmark = pytest.mark.local


def test_no_target_is_a_503_in_awss_words(balancer: Balancer, target: Callable[..., Target]) -> None:
    balancer.tell()
    wait_until(lambda: ask(balancer)[0] == 503)
    status, body = ask(balancer)
    assert status == 503 and b"<center><h1>503 Service Temporarily Unavailable</h1></center>" in body


def test_target_that_takes_no_connection_costs_no_request(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    dead, alive = target("dead"), target("alive")
    balancer.serve(dead, alive, interval_seconds=60)
    balancer.take()
    dead.stop()
    got = [ask(balancer, "POST", body=b"x") for _ in range(20)]
    assert got == [(200, b"alive")] * 20
    counted = balancer.take()["groups"][0]
    assert counted["connection_errors"] >= 1 and counted["requests"] == 20 and counted["codes"] == {"2": 20}


def test_only_target_that_takes_no_connection_is_a_502(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    only = target()
    balancer.serve(only, interval_seconds=60)
    only.stop()
    status, body = ask(balancer)
    assert status == 502 and b"502 Bad Gateway" in body
    assert balancer.take()["balancers"][0] == {"balancer": BALANCER, "requests": 1, "codes": {"502": 1}}


async def _die(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _die_halfway(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    writer.close()


def test_request_that_was_sent_to_a_target_that_dies_is_a_502(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    dying, other = target("dying", _die), target("other")
    balancer.serve(dying, other)
    got = sorted(ask(balancer, "POST", body=b"x")[0] for _ in range(4))
    assert got == [200, 200, 502, 502] and len(dying.seen) == 2  # sent once each, and not again


def test_half_an_answer_is_not_made_a_whole_one(balancer: Balancer, target: Callable[..., Target]) -> None:
    balancer.serve(target(behave=_die_halfway))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        ask(balancer)


async def _once(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    """Answer a connection's first request; at its second, close without a word."""
    if sum(each.connection == seen.connection for each in target.seen) > 1:
        writer.close()
    else:
        await answer(target, seen, reader, writer)


def test_kept_connection_that_the_target_has_closed_is_noticed_where_asking_again_does_no_harm(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    only = target(behave=_once)
    balancer.serve(only)
    assert [ask(balancer)[0] for _ in range(4)] == [200] * 4
    # A POST may have done something: it is not sent again.
    statuses = [ask(balancer, "POST", body=b"x")[0] for _ in range(2)]
    assert 502 in statuses


def test_malformed_answer_is_a_502(balancer: Balancer, target: Callable[..., Target]) -> None:
    async def garbage(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no HTTP\r\n\r\n")

    balancer.serve(target(behave=garbage))
    assert ask(balancer)[0] == 502


def test_target_that_says_nothing_for_the_idle_timeout_is_a_504(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    async def silent(target: Target, seen: Seen, reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read(1)

    balancer.serve(target(behave=silent), idle_seconds=0.2)
    assert ask(balancer)[0] == 504
    with balancer.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 9\r\n\r\nhalf")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_client_that_leaves_is_counted_and_frees_its_target(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    async def silent(target: Target, seen: Seen, reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read(1)

    only = target(behave=silent)
    balancer.serve(only)
    with balancer.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
        wait_until(lambda: only.seen)
    wait_until(lambda: not only.open)
    assert balancer.take()["balancers"][0]["codes"] == {"460": 1}


# ---- draining ------------------------------------------------------------------------------------------------


def test_draining_target_finishes_what_it_has_and_gets_nothing_new(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    release = threading.Event()

    async def slow(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(release.wait, 10)
        await answer(target, seen, reader, writer)

    old, new = target("old", slow), target("new")
    balancer.serve(old)
    results: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: results.append(ask(balancer)))
    asking.start()
    wait_until(lambda: old.seen)
    balancer.tell(new, draining=(old,))
    wait_until(lambda: balancer.state(new) == "healthy")
    assert {ask(balancer) for _ in range(6)} == {(200, b"new")}
    release.set()
    asking.join(10)
    assert results == [(200, b"old")] and len(old.seen) == 1


def test_request_that_outlasts_the_draining_is_cut(balancer: Balancer, target: Callable[..., Target]) -> None:
    async def silent(target: Target, seen: Seen, reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read(1)

    old = target("old", silent)
    balancer.serve(old)
    results: list[int] = []
    asking = threading.Thread(target=lambda: results.append(ask(balancer)[0]))
    asking.start()
    wait_until(lambda: old.seen)
    balancer.tell()
    asking.join(10)
    assert results == [502]


def test_rolling_from_targets_to_others_loses_no_request(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    """Eight clients with kept connections, POST only: nothing of it may be sent twice."""
    current = [target("0"), target("0")]
    balancer.serve(*current)
    done, failures, count = threading.Event(), list[Any](), [0]

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10)
        while not done.is_set():
            try:
                connection.request("POST", "/", body=b"x")
                got = connection.getresponse()
                got.read()
                count[0] += 1
                if got.status != 200:
                    failures.append(got.status)
            except OSError as error:
                failures.append(error)
                connection.close()
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(8)]
    for each in clients:
        each.start()
    for generation in range(1, 5):
        after = [target(str(generation)), target(str(generation))]
        balancer.tell(*current, *after)
        wait_until(lambda after=after: all(balancer.state(each) == "healthy" for each in after))
        balancer.tell(*after, draining=tuple(current))
        seen = count[0]
        wait_until(lambda seen=seen: count[0] > seen + 50)
        balancer.tell(*after)
        for each in current:
            each.stop()
        current = after
    done.set()
    for each in clients:
        each.join(10)
    assert failures == [] and count[0] > 200
