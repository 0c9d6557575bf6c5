"""Requests through a load balancer: what arrives where, and what comes back."""

import asyncio
import http.client
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from ecs_world import wait_until
from proxy_world import Balancer, Seen, Target, ask

pytestmark = pytest.mark.local


def raw(balancer: Balancer, data: bytes) -> bytes:
    """Send these bytes; all that comes until the load balancer closes."""
    with balancer.connect() as client:
        client.sendall(data)
        got = b""
        while part := client.recv(65536):
            got += part
    return got


def test_request_arrives_as_it_was_sent(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target()
    balancer.serve(only)
    headers = {"Host": "web", "X-Mine": "1", "Content-Type": "text/plain"}
    assert ask(balancer, "PATCH", "/a%20b?c=%26", body=b"hello", headers=headers) == (200, b"a")
    [seen] = only.seen
    assert seen.line == "PATCH /a%20b?c=%26 HTTP/1.1" and seen.body == b"hello"
    assert (seen.header("x-mine"), seen.header("x-forwarded-for")) == ("1", "127.0.0.1")
    assert seen.header("host") == f"web:{balancer.port}"


async def _echo(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen.body))
    for start in range(0, len(seen.body), 50_000):
        writer.write(seen.body[start : start + 50_000])
        await writer.drain()


async def _chunks(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (b"one", b"two", seen.body):
        if part:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
    writer.write(b"0\r\n\r\n")


async def _to_its_end(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    writer.close()


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_body_of_any_size_goes_both_ways(
    balancer: Balancer, target: Callable[..., Target], size: int
) -> None:
    balancer.serve(target(behave=_echo))
    body = os.urandom(size)
    assert ask(balancer, "POST", body=body) == (200, body)


def test_chunks_go_both_ways(balancer: Balancer, target: Callable[..., Target]) -> None:
    balancer.serve(target(behave=_chunks))
    sent = iter([b"x" * 10_000, b"y" * 10_000])
    assert ask(
        balancer, "POST", body=sent, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    ) == (
        200,
        b"onetwo" + b"x" * 10_000 + b"y" * 10_000,
    )


def test_answer_that_ends_with_its_connection_is_whole(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(behave=_to_its_end))
    assert ask(balancer) == (200, b"all of it")
    assert raw(balancer, b"GET / HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\nall of it")


def test_old_client_gets_no_chunks(balancer: Balancer, target: Callable[..., Target]) -> None:
    balancer.serve(target(behave=_chunks))
    got = raw(balancer, b"GET / HTTP/1.0\r\n\r\n")
    assert b"chunked" not in got and got.endswith(b"\r\n\r\nonetwo")


async def _promise(target: Target, seen: Seen, reader: Any, writer: asyncio.StreamWriter) -> None:
    status = b"304 Not Modified" if "/304" in seen.line else b"200 OK"
    writer.write(b"HTTP/1.1 %b\r\nContent-Length: 7\r\n\r\n" % status)
    if seen.line.startswith("GET") and status == b"200 OK":
        writer.write(b"content")


def test_answers_without_a_body_keep_their_length_and_the_connection(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(behave=_promise))
    client = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=5)
    for method, path, body in (
        ("HEAD", "/", b""),
        ("GET", "/304", b""),
        ("GET", "/", b"content"),
        ("HEAD", "/", b""),
    ):
        client.request(method, path)
        got = client.getresponse()
        assert (got.read(), got.headers["Content-Length"]) == (body, "7"), (method, path)
    client.close()


def test_connections_are_kept_on_both_sides(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target()
    balancer.serve(only)
    client = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=5)
    for _ in range(5):
        client.request("GET", "/")
        assert client.getresponse().read() == b"a"
    client.close()
    assert len({each.connection for each in only.seen}) == 1


def test_requests_that_are_sent_at_once_are_answered_in_turn(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(behave=_echo))
    one = b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\n\r\n%b"
    got = raw(
        balancer, one % b"one" + one % b"two" + b"GET / HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"
    )
    assert got.count(b"200 OK") == 3 and got.index(b"one") < got.index(b"two")


async def _continue(
    target: Target, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(4)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)


def test_client_that_waits_before_its_body_is_told_to_go_on(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    balancer.serve(target(behave=_continue))
    with balancer.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"body")
        assert client.recv(1000).endswith(b"\r\n\r\nbody")


async def _upper(
    target: Target, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: b\r\n\r\nhi"
    )
    while data := await reader.read(100):
        writer.write(data.upper())


WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: w\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def test_websocket_is_passed_through(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target(behave=_upper)
    balancer.serve(only)
    with balancer.connect() as client:
        client.sendall(WEBSOCKET)
        got = b""
        while not got.endswith(b"\r\n\r\nhi"):
            got += client.recv(1000)
        assert b" 101 " in got and b"X-A: b" in got
        for word in (b"one", b"two"):
            client.sendall(word)
            assert client.recv(100) == word.upper()
    assert only.seen[0].header("upgrade") == "websocket"
    wait_until(lambda: not only.open)


def test_bytes_behind_an_upgrade_are_never_sent_to_a_target_that_has_not_agreed(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    only = target()
    balancer.serve(only)
    got = raw(balancer, WEBSOCKET + b"GET /smuggled HTTP/1.1\r\nHost: w\r\n\r\n")
    assert got.count(b"HTTP/1.1 ") == 1  # and the connection has ended
    assert [each.line for each in only.seen] == ["GET /ws HTTP/1.1"]


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : w\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: w\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: w\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nabc",
        b"nonsense\r\n\r\n",
    ],
)
def test_request_that_two_could_read_differently_is_refused(
    balancer: Balancer, target: Callable[..., Target], request_: bytes
) -> None:
    only = target()
    balancer.serve(only)
    got = raw(balancer, request_)
    assert got.startswith(b"HTTP/1.1 400 ") and b"Server: awselb/2.0" in got
    assert only.seen == []
    assert ask(balancer) == (200, b"a")


# ---- the process itself --------------------------------------------------------------------------------------


def test_process_ends_when_its_control_socket_closes(target: Callable[..., Target]) -> None:
    balancer = Balancer()
    balancer.serve(target())
    balancer.close()  # asserts that it has ended, with 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", balancer.port)):
        pass


def test_rules_answer_and_redirect_by_themselves(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target()
    path = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/fixed"]}}]
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "tea"}}
    moved = {"Protocol": "HTTP", "Port": "80", "Host": "#{host}", "Path": "/new#{path}", "Query": "#{query}"}
    redirect = {"Type": "redirect", "RedirectConfig": {**moved, "StatusCode": "HTTP_302"}}
    balancer.tell(
        only, rules=[{"Conditions": path, "Actions": [fixed]}, {"Conditions": [], "Actions": [redirect]}]
    )
    client = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=5)
    client.request("POST", "/fixed", body=b"x" * 100_000, headers={"Host": "w"})
    got = client.getresponse()
    assert (got.status, got.read()) == (418, b"tea")
    client.request("GET", "/?a=1", headers={"Host": "w"})
    got = client.getresponse()
    assert (got.status, got.headers["Location"]) == (302, "http://w/new?a=1")
    client.close()
    assert only.seen == []
