"""Clients that mean harm to a load balancer: requests without end, answers that nobody takes, two meanings in one."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable

import pytest
from proxy_world import FORWARD, Balancer, Seen, Target, ask

pytestmark = pytest.mark.local

MANY = 3000
QUIET_SECONDS = 0.5
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}
PRIVATE = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/private*"]}}
RULES = [{"Conditions": [PRIVATE], "Actions": [FIXED]}, {"Conditions": [], "Actions": [FORWARD]}]
HEAD = b"GET %b HTTP/1.1\r\nHost: w\r\n\r\n"


def said(client: socket.socket, enough: Callable[[bytes], bool] = lambda got: False) -> bytes:
    """What comes until it is enough, or until the load balancer closes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while not enough(got) and (part := client.recv(65536)):
            got += part
    return got


def sent_until_nobody_takes_more(client: socket.socket, piece: bytes, most_bytes: int) -> int:
    """How much is taken of an endless repetition, by a load balancer whose answers are not read."""
    client.setblocking(False)
    count = 0
    with contextlib.suppress(ConnectionError):
        while count < most_bytes and select.select([], [client], [], QUIET_SECONDS)[1]:
            count += client.send(piece)
    client.setblocking(True)
    return count


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET / HTTP/1.1\r\nHost: w\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: w\r\n",
        b"GET /",
        b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    ],
    ids=["field", "name", "address", "trailer", "extension"],
)
def test_what_has_no_end_is_refused_before_it_is_kept(
    balancer: Balancer, target: Callable[..., Target], beginning: bytes
) -> None:
    balancer.serve(target())
    with balancer.connect() as client:
        client.sendall(beginning)
        assert sent_until_nobody_takes_more(client, b"x" * 32768, 64 * 2**20) < 16 * 2**20
        client.settimeout(10)
        assert said(client)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 414 ", b"")  # nothing, if it was reset
    assert ask(balancer) == (200, b"a")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET ftp://w/ HTTP/1.1\r\nHost: w\r\n\r\n", 400),
        (b"GET http://user@w/ HTTP/1.1\r\nHost: w\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: w\r\nX: a\rb\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: w\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: w\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: \r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: w\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
    ],
)
def test_request_with_two_meanings_is_refused(
    balancer: Balancer, target: Callable[..., Target], request_: bytes, status: int
) -> None:
    only = target()
    balancer.serve(only)
    with balancer.connect() as client:
        client.sendall(request_)
        got = said(client)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert b"".join(seen.body for seen in only.seen) == b""


def test_whole_address_is_judged_by_its_path_and_arrives_as_that(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    only = target()
    balancer.serve(only, rules=RULES)
    with balancer.connect() as client:
        client.sendall(HEAD % b"http://other/private/x" + HEAD % b"HTTP://other?a=b")
        got = said(client, lambda got: got.endswith(b"a"))
    assert got.startswith(b"HTTP/1.1 403 ") and b"HTTP/1.1 200 " in got
    [seen] = only.seen
    assert (seen.line, seen.header("Host").partition(":")[0]) == ("GET /?a=b HTTP/1.1", "other")


def test_trailers_are_no_header_fields(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target()
    balancer.serve(only)
    request = b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with balancer.connect() as client:
        client.sendall(request + b"1\r\na\r\n0\r\nX-Role: admin\r\n\r\n")
        assert said(client).startswith(b"HTTP/1.1 200 ")
    assert (only.seen[0].body, only.seen[0].header("X-Role")) == (b"a", "")


async def _slow(
    target: Target, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await asyncio.sleep(0.2)  # so that what follows has arrived
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_many_requests_behind_a_slow_one_are_all_answered(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(behave=_slow), rules=RULES)
    with balancer.connect() as client:
        client.sendall(HEAD % b"/slow" + HEAD % b"/private" * MANY)
        got = said(client, lambda got: got.count(b"HTTP/1.1 403 ") == MANY)
    assert got.startswith(b"HTTP/1.1 200 ") and got.count(b"HTTP/1.1 ") == MANY + 1


def test_many_requests_for_other_protocols_are_all_answered(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(), rules=RULES)
    request = b"GET /private HTTP/1.1\r\nHost: w\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    with balancer.connect() as client:
        client.sendall(request * MANY)
        assert said(client, lambda got: got.count(b"HTTP/1.1 403 ") == MANY).count(b"HTTP/1.1 ") == MANY


def test_client_that_reads_no_answers_is_not_listened_to(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(), rules=RULES)
    with balancer.connect() as client:
        piece = HEAD % b"/private" * 1000
        most = 32 * 2**20
        assert sent_until_nobody_takes_more(client, piece, most) < most
    assert ask(balancer) == (200, b"a")


async def _much(
    target: Target, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    await writer.drain()


def test_answers_that_nobody_reads_are_not_fetched(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target(behave=_much)
    balancer.serve(only)
    with balancer.connect() as client:
        client.sendall(HEAD % b"/" * 1000)
        before = -1
        while before < len(only.seen) < 1000:  # until nothing has come for a while
            before = len(only.seen)
            select.select([], [], [], QUIET_SECONDS)
        assert len(only.seen) < 200  # what the sockets' own buffers hold


def test_patterns_are_matched_in_time_however_long_the_path_is(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    patterns = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*a*a*a*a*b"]}}
    rules = [{"Conditions": [patterns], "Actions": [FIXED]}, {"Conditions": [], "Actions": [FORWARD]}]
    balancer.serve(target(), rules=rules)
    assert ask(balancer, path="/" + "a" * 16_000) == (200, b"a")
    assert ask(balancer, path="/" + "a" * 16_000 + "b")[0] == 403
