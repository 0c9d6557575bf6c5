"""Instances that serve a model: started, asked whether they are well, replaced when they end, stopped when idle.

Try it:  aws sagemaker create-endpoint …; kill a container; aws sagemaker-runtime invoke-endpoint … answers again
How long a container has, and what a failed start is called:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Knows neither records nor images:
what starts a container is passed in.
"""

import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from localaws.engine import EngineError, Exit
from localaws.sagemaker.variants import Address, Instance, Route

PING_TIMEOUT_SECONDS = 2.0
LONGEST_HEAD = 64 * 1024  # of the answer to a ping
STARTING_EVERY_SECONDS = 0.1
# AWS's default for ContainerStartupHealthCheckTimeoutInSeconds.
STARTUP_SECONDS = 8 * 60.0
DRAIN_SECONDS = 60.0
STOP_SECONDS = 30.0  # between SIGTERM and SIGKILL
LONGEST_PAUSE_SECONDS = 30.0

_WELL = re.compile(rb"HTTP/1\.[01] 200[ \r].*?\r\n\r\n", re.DOTALL)

logger = logging.getLogger("localaws.sagemaker")


class NotServing(Exception):
    """Containers could not be started, or do not answer: `reason` is FailureReason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Cancelled(Exception):
    """What was being started is not wanted any more."""


class Server(Protocol):
    """A started container that serves a model."""

    address: Address

    def wait(self, timeout_seconds: float) -> Exit | None:
        """The exit, once there is one; None if the time passed before."""

    def usage(self) -> tuple[float, float] | None:
        """(processor time in seconds, memory in MiB) of it; None once it has ended."""

    def stop(self, timeout_seconds: float) -> None:
        """End it and give back what it had; for one that has ended too."""


Launch = Callable[[str], Server]


@dataclass(frozen=True)
class VariantPlan:
    """A variant to be. launch: starts the container of the instance with this id, raises NotServing or EngineError."""

    name: str
    weight: float
    count: int
    launch: Launch
    routing: str = "RANDOM"
    startup_seconds: float = STARTUP_SECONDS


@dataclass(frozen=True)
class Care:
    """How instances are looked after. unwell_seconds: without an answer to a ping, after which a container is given up;
    a server that answers one request after the other can't answer during an invocation, which may take 60 s."""

    ping: Callable[[Address], bool]
    ping_every_seconds: float = 5.0
    unwell_seconds: float = 90.0


def new_instance() -> Instance:
    """An instance with an id such as EC2 gives them."""
    return Instance(f"i-{secrets.token_hex(9)[:17]}")


def pings(address: Address) -> bool:
    """Whether GET /ping is answered with 200 in time, however slowly the answer comes."""
    end = time.monotonic() + PING_TIMEOUT_SECONDS
    said = b""
    try:
        with socket.create_connection(address, PING_TIMEOUT_SECONDS) as connection:
            connection.sendall(
                b"GET /ping HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % address[0].encode()
            )
            while b"\r\n\r\n" not in said and len(said) < LONGEST_HEAD:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                part = connection.recv(LONGEST_HEAD)
                if not part:
                    break
                said += part
    except OSError:
        return False
    return _WELL.match(said) is not None


class Keeper:
    """Keeps one instance's container running, until it is stopped."""

    def __init__(self, route: Route, plan: VariantPlan, instance: Instance, care: Care) -> None:
        self.instance = instance
        self._route, self._plan, self._care = route, plan, care
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._server: Server | None = None

    def start(self) -> None:
        """Start the container; returns when it passes its health check.

        Errors: NotServing, and Cancelled when `stop` was called meanwhile.
        """
        try:
            server = self._plan.launch(self.instance.id)
        except EngineError as error:
            raise NotServing(error.message) from error
        with self._lock:
            self._server = server
        if not self._becomes_healthy(server):
            server.stop(STOP_SECONDS)
            raise Cancelled if self._closed.is_set() else NotServing(unhealthy(self._plan.name))
        self._route.answers(self.instance, server.address)

    def _becomes_healthy(self, server: Server) -> bool:
        """A container that ends is not started again here, as it is on AWS for minutes: it would end again."""
        end = time.monotonic() + self._plan.startup_seconds
        while not self._closed.is_set() and time.monotonic() < end:
            if self._care.ping(server.address):
                return True
            if server.wait(STARTING_EVERY_SECONDS) is not None:
                return False
        return False

    def watch(self) -> None:
        """From now on start another container when this one ends."""
        threading.Thread(target=self._keep, name=f"keep-{self.instance.id}", daemon=True).start()

    def _keep(self) -> None:
        pause = 0.0
        while not self._closed.is_set():
            server = self._server
            began = time.monotonic()
            if server is not None:
                self._until_lost(server)
                self._route.answers(self.instance, None)
                server.stop(0)
            if self._closed.is_set():
                return
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = 0.0
            if self._closed.wait(pause):
                return
            pause = min(2 * pause + 1, LONGEST_PAUSE_SECONDS)
            self._replace()

    def _replace(self) -> None:
        logger.warning("instance %s of variant %s gets another container", self.instance.id, self._plan.name)
        with self._lock:
            self._server = None
        try:
            self.start()
        except (NotServing, Cancelled) as error:
            logger.warning("instance %s: %s", self.instance.id, error)
            with self._lock:
                self._server = None

    def _until_lost(self, server: Server) -> None:
        """Return when the container has ended, or has not been well for long."""
        well = time.monotonic()
        while server.wait(self._care.ping_every_seconds) is None:
            if self._closed.is_set():
                return
            if self._care.ping(server.address):
                well = time.monotonic()
            elif time.monotonic() - well > self._care.unwell_seconds:
                return

    def usage(self) -> tuple[float, float] | None:
        """(processor time in seconds, memory in MiB) of the container there is now."""
        with self._lock:
            server = self._server
        return server.usage() if server else None

    def give_up(self) -> None:
        """Replace nothing any more; what runs is ended by somebody else."""
        self._closed.set()

    def stop(self) -> None:
        """End the container for good."""
        self._closed.set()
        with self._lock:
            server = self._server
        if server is not None:
            server.stop(STOP_SECONDS)


def unhealthy(variant: str) -> str:
    """Why an endpoint failed whose containers did not answer, in AWS's words."""
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
