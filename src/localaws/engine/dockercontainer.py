"""One running container of the Docker engine.

Try it:  python -m pytest tests/docker/test_engine_docker.py
Knows Docker's API and nothing of images, networks or ECS.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
import requests

from localaws.engine import OUT_OF_MEMORY, Binding, ContainerSpec, Exit, dockerfolders
from localaws.engine.dockerterminal import DockerTerminal
from localaws.engine.loglines import LineSplitter
from localaws.engine.memory import MIB
from localaws.engine.usage import Usage

KILLED = 128 + signal.SIGKILL
TIMED_OUT = 124
CANNOT_EXECUTE = 126
NOT_FOUND = 127
# Docker says no, or says nothing: where a container is taken away, both mean that there is nothing to take.
NO_ANSWER = (docker.errors.APIError, requests.RequestException)
DOCKER_GONE = "DockerTimeoutError: the Docker engine has stopped answering"
DOCKER_RESTARTED = "DockerStateError: the Docker engine was stopped, and its containers with it"
RECONNECT_SECONDS = 20.0
RECONNECT_PAUSE_SECONDS = 0.5


class DockerContainer:
    """A container with an address, a log and an end."""

    def __init__(
        self,
        client: Any,
        identifier: str,
        spec: ContainerSpec,
        forget: Callable[["DockerContainer"], None],
    ) -> None:
        self.id = identifier
        self.spec = spec
        self.pid = 0
        self.address = ""
        self.bindings: list[Binding] = []
        self._api = client.api
        self._log: Any = ()
        self._forget = forget
        self._exit: Exit | None = None
        self._ended = threading.Event()
        self._impatient = threading.Event()
        self._killed_because = ""

    def attach(self) -> None:
        """Listen to its output; before it starts, so that no line is missed."""
        self._log = self._api.attach(self.id, stdout=True, stderr=True, stream=True, demux=True)

    def watch(self) -> None:
        """Wait for the end in the background."""
        threading.Thread(target=self._await_end, name=f"container-{self.id[:12]}", daemon=True).start()

    def _await_end(self) -> None:
        try:
            self._exit = self._outlast_docker()
        finally:
            self._exit = self._exit or Exit(KILLED, DOCKER_GONE)
            self._ended.set()

    def _outlast_docker(self) -> Exit:
        """The exit; Docker may be restarted meanwhile, which a container may or may not survive."""
        last_answer, restarted = time.monotonic(), False
        while time.monotonic() < last_answer + RECONNECT_SECONDS and not self._impatient.is_set():
            try:
                self._api.wait(self.id, timeout=None)
                exit_ = self._read_exit()
                return Exit(exit_.code, exit_.reason or DOCKER_RESTARTED) if restarted else exit_
            except docker.errors.NotFound:
                return Exit(KILLED)  # removed by hand
            except NO_ANSWER:
                self._impatient.wait(RECONNECT_PAUSE_SECONDS)
                with contextlib.suppress(*NO_ANSWER):
                    self._api.ping()
                    last_answer = time.monotonic()
                    restarted = not self._api.inspect_container(self.id)["State"]["Running"]
        return Exit(KILLED, DOCKER_GONE)

    def give_up_on_docker(self) -> None:
        """If Docker does not answer, or stops to, wait no longer for it."""
        self._impatient.set()

    def _read_exit(self) -> Exit:
        state = self._api.inspect_container(self.id)["State"]
        code = int(state["ExitCode"])
        return Exit(code, OUT_OF_MEMORY if state.get("OOMKilled") and code else self._killed_because)

    def kill(self, reason: str) -> None:
        """End it at once; the exit will give this reason."""
        self._killed_because = reason
        try:
            self._api.kill(self.id, signal="SIGKILL")
        except NO_ANSWER:
            self._killed_because = ""  # it had ended already, or Docker is away and it may live on

    def wait(self, timeout_seconds: float | None = None) -> Exit | None:
        """The exit, once there is one; None if the time passed before."""
        self._ended.wait(timeout_seconds)
        return self._exit

    def stop(self, timeout_seconds: float | None = None) -> Exit:
        """Send the image's stop signal, SIGKILL after the time, and return the real exit."""
        allowed = self.spec.stop_timeout_seconds if timeout_seconds is None else timeout_seconds
        self._signal(self.spec.image_config.get("StopSignal") or "SIGTERM")
        if self.wait(allowed) is None:
            self._signal("SIGKILL")
        ended = self.wait()
        assert ended is not None
        return ended

    def _signal(self, name: str) -> None:
        # Not found or a conflict: it ended a moment ago.
        with contextlib.suppress(*NO_ANSWER):
            self._api.kill(self.id, signal=name)

    def log_batches(self) -> Iterator[list[str]]:
        """Lines as they come, in batches; ends with the container. For one reader only."""
        splitters = (LineSplitter(), LineSplitter())
        for pieces in self._log:
            lines = [
                line
                for splitter, piece in zip(splitters, pieces, strict=True)
                if piece
                for line in splitter.feed(piece)
            ]
            if lines:
                yield lines
        if rest := [line for splitter in splitters for line in splitter.end()]:
            yield rest

    def log_lines(self) -> Iterator[str]:
        """The same, line by line."""
        for lines in self.log_batches():
            yield from lines

    def execute(self, command: list[str], timeout_seconds: float) -> tuple[int, str]:
        """Run a command inside; (exit code, output)."""
        try:
            run = self._api.exec_create(self.id, command)["Id"]
        except NO_ANSWER as error:
            return KILLED, str(error)
        answer: list[tuple[int, str]] = []
        runner = threading.Thread(target=lambda: answer.append(self._finish(run)), daemon=True)
        runner.start()
        runner.join(timeout_seconds)
        if answer:
            return answer[0]
        self._kill_command(run)
        return TIMED_OUT, f"no answer after {timeout_seconds:g} s"

    def _finish(self, run: str) -> tuple[int, str]:
        try:
            output = self._api.exec_start(run).decode(errors="replace")
            code = self._api.exec_inspect(run)["ExitCode"]
        except NO_ANSWER as error:
            said = str(error)
            if self._ended.is_set() or "not running" in said:
                return KILLED, said
            return (NOT_FOUND if "not found" in said or "no such file" in said else CANNOT_EXECUTE), said
        if code == CANNOT_EXECUTE and "executable file not found" in output:
            code = NOT_FOUND
        return KILLED if code is None else int(code), output

    def _kill_command(self, run: str) -> None:
        """Docker has no call that ends a command; it can be killed where this process has the right to."""
        with contextlib.suppress(*NO_ANSWER, ProcessLookupError, PermissionError):
            pid = int(self._api.exec_inspect(run).get("Pid") or 0)
            if pid > 1:
                os.kill(pid, signal.SIGKILL)

    def open_terminal(self, command: list[str]) -> DockerTerminal:
        """Start a command on a terminal inside, as root."""
        return DockerTerminal(self._api, self.id, command)

    def usage(self) -> Usage | None:
        """Processor time and memory as `docker stats` counts them; None once it has ended."""
        with contextlib.suppress(*NO_ANSWER, KeyError):  # a container that has ended has no memory's usage
            found = self._api.stats(self.id, stream=False, one_shot=True)
            memory = found["memory_stats"]
            kept = memory["stats"]
            # Files that could be forgotten are no use of memory; version 2 and 1 of cgroups name them differently.
            cached = kept.get("inactive_file", kept.get("total_inactive_file", 0))
            cpu_seconds = found["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
            return Usage(cpu_seconds, (memory["usage"] - cached) / MIB)
        return None

    def bring_back(self, name: str) -> Path:
        """A subfolder of its base, out of the ended container."""
        assert self.spec.base
        return dockerfolders.bring_back(self._api, self.id, self.spec.base, name)

    def remove(self) -> None:
        """Remove the stopped container and give back its ports."""
        self._forget(self)
