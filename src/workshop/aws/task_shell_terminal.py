"""This side of a shell session: the terminal in front of a person, or a pipe; and the marks around a command.

Try it:  workshop shell TASK
ECS Exec gives no exit code and no separate streams, on AWS as here. So the command is wrapped (`wrapped`): what it
prints stands between two marks, escape sequences that no terminal shows, and the second one holds its exit code.
Input that is no terminal is handed on as lines of text, each at most 4,095 bytes, then the end of the file.
Knows nothing of AWS.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from workshop.aws.task_shell_channel import Channel, Closed

LOOK_SECONDS = 1.0
CHUNK_BYTES = 16 * 1024
END_OF_FILE = b"\x04"
MARK = b"\033]6973;%s;"  # an operating system command that no terminal knows, and so does not show
MARK_END = b"\007"
BEGIN = b"begin"
A_SHELL = "if command -v bash >/dev/null; then exec bash; fi; exec sh"
# Read from a pipe, a script is not run as if somebody typed it.
A_SHELL_IN_A_PIPE = "if command -v bash >/dev/null; then cat | bash; else cat | sh; fi"
# $0 is the word in the marks, $1 the command. Ctrl-C must end the command and not this, which tells how it ended.
AROUND = 'trap : INT QUIT; printf "\\033]6973;$0;begin\\007"; sh -c "$1"; printf "\\033]6973;$0;$?\\007"'
# Without a terminal at this end: bytes as they are, no echo, no signals; Ctrl-D alone keeps its meaning.
AS_PIPE = "stty -opost -echo -icrnl -ixon -isig -iexten kill undef erase undef 2>/dev/null; "


class Output(Protocol):
    """Where the command's output goes."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def wrapped(command: str, word: str, as_pipe: bool) -> str:
    """The command line that runs a shell command between marks with this word in them."""
    script = AS_PIPE + AROUND if as_pipe else AROUND
    shell = A_SHELL_IN_A_PIPE if as_pipe else A_SHELL
    return shlex.join(["sh", "-c", script, word, command or shell])


class Marks:
    """Takes the marks out of a command's output."""

    def __init__(self, word: str) -> None:
        self._mark = MARK % word.encode()
        self._rest = b""
        self.has_begun = False
        self.exit_code: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The command's own bytes in what came; the start of what may be a mark waits for the next call."""
        data, self._rest = self._rest + data, b""
        shown = b""
        while (at := data.find(self._mark)) >= 0 and (end := data.find(MARK_END, at)) >= 0:
            shown += self._own(data[:at])
            self._read(data[at + len(self._mark) : end])
            data = data[end + 1 :]
        keep = len(data) - at if at >= 0 else _overlap(data, self._mark)
        self._rest = data[len(data) - keep :]
        return shown + self._own(data[: len(data) - keep])

    def _own(self, data: bytes) -> bytes:
        return data if self.has_begun and self.exit_code is None else b""

    def _read(self, content: bytes) -> None:
        if content == BEGIN:
            self.has_begun = True
        elif content.isdigit():
            self.exit_code = int(content)


def _overlap(data: bytes, mark: bytes) -> int:
    """How many of the last bytes are the beginning of a mark."""
    return next((n for n in range(min(len(mark), len(data)), 0, -1) if data.endswith(mark[:n])), 0)


@dataclass
class Carrier:
    """Carries bytes between a channel and this side until the session is closed.

    source: the descriptor of this side's input, -1 for none.
    """

    channel: Channel
    marks: Marks
    source: int
    output: Output
    as_terminal: bool
    _size_told: bool = False
    _ends: bool = False  # the end of the input is still to be told
    _last: bytes = b"\n"  # typed last

    def run(self) -> Closed:
        """Returns how the session was closed."""
        self._ends = self.source < 0
        with raw(self.source) if self.as_terminal else contextlib.nullcontext(), self._watched_size():
            while True:
                self._tell_size()
                if closed := self._step():
                    return closed

    def _step(self) -> Closed | None:
        may_type = self.marks.has_begun and self.channel.has_room
        if self._ends and may_type:
            # Ctrl-D ends a line first, unless it is at the beginning of one.
            self.channel.type(END_OF_FILE if self._last == b"\n" else END_OF_FILE * 2)
            self._ends = False
        sources = [self.source] if self.source >= 0 and may_type else []
        ready, _, _ = select.select([self.channel.fileno(), *sources], [], [], LOOK_SECONDS)
        self.channel.keep()
        self._tell_size()  # before what was typed into the window after it had changed
        if self.source in ready:
            self._type(os.read(self.source, CHUNK_BYTES))
        return self._show() if self.channel.fileno() in ready else None

    def _type(self, data: bytes) -> None:
        self.channel.type(data)
        self._last = data[-1:] or self._last
        if not data:
            self.source, self._ends = -1, True

    def _show(self) -> Closed | None:
        closed = None
        for each in self.channel.taken():
            if isinstance(each, Closed):
                closed = each
            else:
                self.output.write(self.marks.feed(each))
        self.output.flush()
        return closed

    def _tell_size(self) -> None:
        if self.channel.is_open.is_set() and not self._size_told:
            self._size_told = True
            self.channel.resize(*size())

    @contextlib.contextmanager
    def _watched_size(self) -> Iterator[None]:
        """Have the size told again whenever the window changes."""
        if not self.as_terminal or threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's
            return

        def changed(*_: object) -> None:
            self._size_told = False
            self.channel.wake()

        before = signal.signal(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)


def size() -> tuple[int, int]:
    """Columns and rows of this terminal; 80 and 24 where there is none."""
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found = os.get_terminal_size(stream.fileno())  # type: ignore[union-attr]
            if found.columns and found.lines:
                return found.columns, found.lines
    return 80, 24


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Hand every key on as it is, and give the terminal back as it was, whatever happens meanwhile."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed ahead is kept
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
