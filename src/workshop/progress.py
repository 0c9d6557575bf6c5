"""Show how a run of labs goes on: a live table in a terminal, plain lines everywhere else.

Try it:  workshop run 1-4          and          workshop run 1-4 | cat
Both are told the same by batch.py: begin, event, end. Neither knows what a lab does.
"""

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from workshop.execution import Event

MARKS = {"passed": "✓", "failed": "✗", "interrupted": "✗", "running": "▸", "not run": "–", "waiting": "·"}
COLOURS = {"passed": "green", "failed": "red", "interrupted": "red", "running": "cyan"}


def clock(seconds: float) -> str:
    """Spell seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def moment(seconds: float) -> str:
    """Spell seconds in six characters: 0.4 s here, where little takes long, and 3:25 on AWS."""
    return f"{f'{seconds:.1f} s' if seconds < 59.95 else clock(seconds):>6}"


def bar(share: float, width: int = 24) -> str:
    """Draw a share in [0, 1]."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return "▇" * full + "░" * (width - full)


def view(rows: Sequence[dict[str, Any]], stream: Any = None) -> "Plain | Live":
    """Return the view that fits: live if the stream is a terminal that can redraw."""
    stream = stream or sys.stdout
    if stream.isatty():
        from rich.console import Console

        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return Live(rows, console)
    return Plain(rows)


class Plain:
    """One line for each step, with the time since the lab began: for logs, pipes and CI."""

    def __init__(
        self,
        rows: Sequence[dict[str, Any]],
        write: Callable[[str], None] = lambda line: print(line, flush=True),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows, self.write, self.now = rows, write, now
        self.began, self.heading = now(), ""

    def __enter__(self) -> "Plain":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def prepare(self, step: str) -> None:
        self.write(f"prepare  {step}")

    def begin(self, lab: dict[str, Any]) -> None:
        self.began, self.heading = self.now(), ""
        self.write(f"lab {lab['number']}    {lab['title']} (expected {clock(lab['minutes'] * 60)})")

    def event(self, event: Event) -> None:
        if event.kind == "cell" and event.heading != self.heading:
            self.heading = event.heading
            elapsed = clock(self.now() - self.began)
            self.write(f"  {elapsed:>6}  step {event.cell}/{event.cells}  {event.heading}")

    def end(self, lab: dict[str, Any]) -> None:
        checks = lab.get("checks", [])
        passed = sum(1 for line in checks if line["passed"])
        self.write(f"  {clock(lab['seconds']):>6}  {lab['status']}, {passed} of {len(checks)} checks")


class Live:
    """A table that redraws itself: lab, step, elapsed, expected."""

    def __init__(
        self, rows: Sequence[dict[str, Any]], console: Any, now: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.live import Live as RichLive

        self.rows, self.now = rows, now
        self.began: dict[int, float] = {}
        self.steps: dict[int, str] = {}
        self.note = "starting"
        self.live = RichLive(get_renderable=self.table, console=console, refresh_per_second=4)

    def __enter__(self) -> "Live":
        self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.note = ""
        self.live.__exit__(kind, error, trace)

    def prepare(self, step: str) -> None:
        self.note = step

    def begin(self, lab: dict[str, Any]) -> None:
        self.note = ""
        self.began[lab["number"]] = self.now()

    def event(self, event: Event) -> None:
        if event.kind == "cell" and self.began:
            self.steps[list(self.began)[-1]] = f"{event.cell}/{event.cells}  {event.heading}"
        elif event.kind == "line" and event.text.strip():
            self.note = event.text.strip()

    def end(self, lab: dict[str, Any]) -> None:
        passed = sum(1 for line in lab.get("checks", []) if line["passed"])
        self.steps[lab["number"]] = f"{passed} of {len(lab.get('checks', []))} checks"
        self.note = ""

    def table(self) -> Any:
        """Draw the state of this moment; rich asks for it four times a second."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("", "lab", "step"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for name in ("time", "expected"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in self.rows:
            colour = COLOURS.get(row["status"], "dim")
            table.add_row(
                Text(MARKS[row["status"]], style=colour),
                f"{row['number']}  {row['title']}",
                Text(self.steps.get(row["number"], ""), style="dim" if row["status"] == "passed" else ""),
                self._elapsed(row),
                clock(row["minutes"] * 60),
            )
        return Group(table, Text(self.note, style="dim", no_wrap=True, overflow="ellipsis"))

    def _elapsed(self, row: dict[str, Any]) -> str:
        if row["status"] == "running" and row["number"] in self.began:
            return clock(self.now() - self.began[row["number"]])
        return clock(row["seconds"]) if "seconds" in row else ""
