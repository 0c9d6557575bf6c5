"""The forwarder and whom it serves."""

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from localaws.engine.forward import Forwarder


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def test_bytes_go_both_ways(target: socket.socket) -> None:
    forwarder = Forwarder()
    port = forwarder.open(0, "127.0.0.1", port_of(target))
    with socket.create_connection(("127.0.0.1", port), 5) as caller:
        called, _ = target.accept()
        with called:
            caller.sendall(b"question")
            assert called.recv(100) == b"question"
            called.sendall(b"answer")
            assert caller.recv(100) == b"answer"
    forwarder.close(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_caller_from_outside_of_the_network_is_cut_off_before_it_reaches_anything(
    target: socket.socket,
) -> None:
    forwarder = Forwarder("127.0.0.1", ipaddress.IPv4Network("169.254.170.0/24"))
    port = forwarder.open(0, "127.0.0.1", port_of(target))
    with socket.create_connection(("127.0.0.1", port), 5) as stranger:
        assert stranger.recv(1) == b""
    target.settimeout(0.1)
    with pytest.raises(TimeoutError):
        target.accept()
    forwarder.close(port)
