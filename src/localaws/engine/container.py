"""One running container of the process engine.

Try it:  python -m pytest tests/local/test_engine_process.py
Knows its supervisor's pipes and nothing of images, ports or ECS.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from localaws.engine import OUT_OF_MEMORY, Binding, ContainerSpec, EngineError, Exit
from localaws.engine.launch import Started, launch, read_line
from localaws.engine.loglines import LineSplitter
from localaws.engine.memory import KernelLimit, tree_mib
from localaws.engine.terminal import TERM, ProcessTerminal
from localaws.engine.usage import Usage, of_tree

CHUNK_BYTES = 64 * 1024
MEMORY_WATCH_SECONDS = 0.1
KILLED = 128 + signal.SIGKILL
TIMED_OUT = 124
NOT_STARTED = 127


class ProcessContainer:
    """A process tree with an address, a log and an end."""

    def __init__(
        self,
        identifier: str,
        spec: ContainerSpec,
        address: str,
        bindings: list[Binding],
        started: Started,
        group: KernelLimit | None,
        folder: Path,
        environment: dict[str, str],
        forget: Callable[["ProcessContainer"], None],
    ) -> None:
        self.id = identifier
        self.spec = spec
        self.pid = started.pid
        self.address = address
        self.bindings = bindings
        self.group = group
        self.folder = folder
        self._environment = environment
        self._forget = forget
        self._started = started
        self._control_lock = threading.Lock()
        self._control: int | None = started.control
        self._out_of_memory = False
        self._exit: Exit | None = None
        self._ended = threading.Event()
        self._executing = threading.Lock()  # one command at a time, so that the end can wait for the last
        self._ending = False
        self._command_control: int | None = None
        self._terminals: set[ProcessTerminal] = set()

    def watch(self) -> None:
        """Wait for the end in the background, and for too much memory where the kernel does not."""
        threading.Thread(target=self._await_end, name=f"container-{self.id[:12]}", daemon=True).start()
        if self.spec.memory_mib and not self.group:
            threading.Thread(target=self._watch_memory, name=f"memory-{self.id[:12]}", daemon=True).start()

    def _await_end(self) -> None:
        word, _, number = read_line(self._started.status).partition(" ")
        self._started.supervisor.wait()
        os.close(self._started.status)
        with self._control_lock:
            os.close(self._started.control)
            self._control = None
            self._ending = True
            if self._command_control is not None:
                _kill(self._command_control)
            terminals = list(self._terminals)
        for terminal in terminals:
            terminal.kill()
        with self._executing:  # what was executed inside has ended, and the next will find that it can't be
            self._exit = self._last_exit(word, number)
        self._ended.set()

    def _last_exit(self, word: str, number: str) -> Exit:
        # No last word means that the supervisor itself was killed, and its death killed the command.
        code = int(number) if word == "exit" else 128 + int(number) if word == "signal" else KILLED
        if self.group and self.group.killed():
            self._out_of_memory = True
        return Exit(code, OUT_OF_MEMORY if self._out_of_memory and code else "")

    def _watch_memory(self) -> None:
        assert self.spec.memory_mib
        while not self._ended.wait(MEMORY_WATCH_SECONDS):
            if tree_mib(self.pid) > self.spec.memory_mib:
                self._out_of_memory = True
                self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with self._control_lock:
            if self._control is not None:
                # A broken pipe means that the supervisor ended a moment ago.
                with contextlib.suppress(BrokenPipeError):
                    os.write(self._control, bytes([number]))

    def wait(self, timeout_seconds: float | None = None) -> Exit | None:
        """The exit, once there is one; None if the time passed before."""
        self._ended.wait(timeout_seconds)
        return self._exit

    def stop(self, timeout_seconds: float | None = None) -> Exit:
        """Send the stop signal to the first process, SIGKILL after the time, and return the real exit."""
        allowed = self.spec.stop_timeout_seconds if timeout_seconds is None else timeout_seconds
        self._signal(stop_signal(self.spec.image_config.get("StopSignal")))
        if self.wait(allowed) is None:
            self._signal(signal.SIGKILL)
        ended = self.wait()
        assert ended is not None
        return ended

    def log_batches(self) -> Iterator[list[str]]:
        """Lines as they come, in batches; ends with the container's last process. For one reader only."""
        splitter = LineSplitter()
        try:
            while chunk := os.read(self._started.log, CHUNK_BYTES):
                if lines := splitter.feed(chunk):
                    yield lines
            if lines := splitter.end():
                yield lines
        finally:
            os.close(self._started.log)

    def log_lines(self) -> Iterator[str]:
        """The same, line by line."""
        for lines in self.log_batches():
            yield from lines

    def execute(self, command: list[str], timeout_seconds: float) -> tuple[int, str]:
        """Run a command in the container's folder and environment; (exit code, output)."""
        with self._executing:
            if self._ending:
                return KILLED, "the container is not running"
            try:
                started = launch(command, self._environment, self.folder / "work", self.group)
            except EngineError as error:
                return NOT_STARTED, error.message
            with self._control_lock:
                self._command_control = started.control
                if self._ending:
                    _kill(started.control)
            return self._finish(started, timeout_seconds)

    def open_terminal(self, command: list[str]) -> ProcessTerminal:
        """Start a command on a terminal in the container's folder, with its variables and its memory limit."""
        with self._control_lock:  # the end waits for it, and so finds the terminal among those to end
            if self._ending:
                raise EngineError("the container is not running")
            variables = {**self._environment, "TERM": TERM}
            started = launch(command, variables, self.folder / "work", self.group, terminal=True)
            terminal = ProcessTerminal(started, self._terminals.discard)
            self._terminals.add(terminal)
        return terminal

    def _finish(self, started: Started, timeout_seconds: float) -> tuple[int, str]:
        """Collect a command's output and end; kill it when its time has passed."""
        killer = threading.Timer(timeout_seconds, _kill, (started.control,))
        killer.start()
        with os.fdopen(started.log, "rb") as log:
            output = log.read().decode(errors="replace")
        word, _, number = read_line(started.status).partition(" ")
        in_time = killer.is_alive()
        killer.cancel()
        killer.join()
        started.supervisor.wait()
        os.close(started.status)
        with self._control_lock:
            os.close(started.control)
            self._command_control = None
        if not in_time:
            return TIMED_OUT, f"no answer after {timeout_seconds:g} s"
        return int(number) if word == "exit" else KILLED, output

    def usage(self) -> Usage | None:
        """Processor time and memory of its processes; None once it has ended."""
        return None if self._ended.is_set() else of_tree(self.pid)

    def bring_back(self, name: str) -> Path:
        """The subfolder of its base: a process wrote into it, and nowhere else."""
        assert self.spec.base
        return self.spec.base.source / name

    def remove(self) -> None:
        """Give back the folder, addresses and ports of a stopped container."""
        self._forget(self)


def _kill(control: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(control, bytes([signal.SIGKILL]))


def stop_signal(name: str | None) -> int:
    """The number of an image's STOPSIGNAL, given by name or number; SIGTERM if it has none."""
    if not name:
        return signal.SIGTERM
    if name.isdigit():
        return int(name)
    return signal.Signals["SIG" + name.removeprefix("SIG")]
