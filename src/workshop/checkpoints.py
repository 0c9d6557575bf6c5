"""Prove that a lab worked: run its checks, and say for each failure why it fails and what mends it.

Try it:  workshop check 1
A check is a function of src/workshop/checks/lab_NN.py: it returns what it saw, or raises Failed.
Knows nothing of what is checked, nor of how labs are run.
"""

import html
import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from types import ModuleType
from typing import Any

from workshop.errors import CheckpointFailed, TargetError, WorkshopError

MIMETYPE = "application/vnd.workshop.checkpoint+json"
YOUR_TURN = "your-turn"


class Failed(Exception):
    """A check that did not pass: what was found, why that happens most often, the command that mends it."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix


@dataclass(frozen=True)
class Line:
    """One check's outcome; `what` is a sentence that is true if it passed and says what is wrong if not."""

    passed: bool
    what: str
    why: str = ""
    fix: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """A checkpoint's lines; it shows itself as text in a terminal and as a list in a notebook."""

    lab: int
    part: str
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        return bool(self.lines) and all(line.passed for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        return {
            "lab": self.lab,
            "part": self.part,
            "passed": self.passed,
            "lines": [asdict(x) for x in self.lines],
        }

    def __str__(self) -> str:
        return "\n".join(_text(line) for line in self.lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": _html(self), MIMETYPE: self.as_dict()}


Check = Callable[[], str]


def check(lab: int, part: str = "") -> None:
    """Run a lab's checkpoint, or the check of its exercise (part 'your-turn'), and show the lines.

    Errors: CheckpointFailed if any check failed, after all of them have run.
    """
    conclude(run(checks_of(lab, part), lab, part))


def conclude(outcome: Outcome) -> None:
    """Show a checkpoint's lines; CheckpointFailed if one of them did not pass."""
    _show(outcome)
    failed = [line for line in outcome.lines if not line.passed]
    if failed:
        count = f"{len(failed)} of {len(outcome.lines)} checks of lab {outcome.lab}"
        what = f"{count} did not pass: {failed[0].what}"
        raise CheckpointFailed(what, failed[0].fix)


def checks_of(lab: int, part: str = "") -> Sequence[Check]:
    """Return the checks of a lab's part, in order; CheckpointFailed if it has none."""
    module = _module(lab)
    table = {"": "CHECKS", YOUR_TURN: "YOUR_TURN"}
    if module is None:
        raise CheckpointFailed(f"lab {lab} has no checkpoint", "ls labs lists the labs: each has one")
    if part not in table:
        raise CheckpointFailed(f"lab {lab} has no checkpoint '{part}'", f"workshop check {lab} {YOUR_TURN}")
    return tuple(getattr(module, table[part]))


def run(checks: Sequence[Check], lab: int, part: str = "") -> Outcome:
    """Run every check, also after one has failed: a learner should see all that is wrong at once.

    Without an AWS to ask, the first says so for all.
    """
    lines: list[Line] = []
    unreachable = False
    for item in checks:
        started = time.monotonic()
        try:
            line = _run_one(item)
        except Exception as error:
            known = _known(error)
            if known is None:
                raise
            line = Line(False, known.message, "The check could not be made.", known.remedy)
            unreachable = isinstance(known, TargetError)
        lines.append(replace(line, seconds=round(time.monotonic() - started, 2)))
        if unreachable:
            break
    return Outcome(lab, part, tuple(lines))


def _run_one(item: Check) -> Line:
    try:
        return Line(True, item())
    except Failed as failed:
        return Line(False, failed.what, failed.why, failed.fix)


def _known(error: Exception) -> WorkshopError | None:
    """An error with a remedy, also of what boto3 raised; None for one that nobody expected."""
    if isinstance(error, WorkshopError):
        return error
    from workshop.aws import failures

    return failures.expected(error, "make the check")


def _module(lab: int) -> ModuleType | None:
    name = f"workshop.checks.lab_{lab:02d}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def _show(outcome: Outcome) -> None:
    """Display in a notebook, print elsewhere."""
    if _in_notebook():
        from IPython.display import display

        display(outcome)
    else:
        print(outcome, flush=True)


def _in_notebook() -> bool:
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def _text(line: Line) -> str:
    if line.passed:
        return f"✓ {line.what}"
    return f"✗ {line.what}\n    {line.why}\n    fix: {line.fix}"


def _html(outcome: Outcome) -> str:
    """A list with inline colours that read on JupyterLab's light and dark themes."""
    rows = []
    for line in outcome.lines:
        mark, colour = ("✓", "#2e9e5b") if line.passed else ("✗", "#d9463e")
        row = f'<div><b style="color:{colour}">{mark}</b> {html.escape(line.what)}</div>'
        if not line.passed:
            row += (
                f'<div style="margin:0 0 .6em 1.6em;opacity:.85">{html.escape(line.why)}<br>'
                f"fix: <code>{html.escape(line.fix)}</code></div>"
            )
        rows.append(row)
    colour = "#2e9e5b" if outcome.passed else "#d9463e"
    style = f"border-left:4px solid {colour};padding:.4em 1em;font-family:var(--jp-ui-font-family,sans-serif)"
    return f'<div style="{style}">{"".join(rows)}</div>'
