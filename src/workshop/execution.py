"""Execute one notebook in its environment's kernel, telling what happens as it happens.

Try it:  workshop run 1
papermill does the work; added here are events by cell and by printed line, a kernel that is found without
the user's Jupyter folders, and failures in one sentence. The kernel polls its parent, so it ends within a
second of ours. Knows nothing of labs, jobs, runs or AWS.
"""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workshop import kernels
from workshop.errors import JobError

KERNEL_START_TIMEOUT_SECONDS = 120
ENGINE = "workshop"
HEADING = re.compile(r"^#{1,3}\s+(.+?)\s*$", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Event:
    """What happened: `cell` when a code cell begins, `line` for a printed line, `output` for a displayed
    one.
    """

    kind: str
    cell: int = 0
    cells: int = 0
    heading: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class NotebookFailed(JobError):
    """A cell of the notebook raised; `cell` counts code cells from 1, `name` is the exception's name."""

    def __init__(
        self, message: str, remedy: str, *, cell: int = 0, heading: str = "", name: str = ""
    ) -> None:
        super().__init__(message, remedy)
        self.cell, self.heading, self.name = cell, heading, name


@dataclass(frozen=True)
class Place:
    """Where a notebook runs: its environment, the repository, its working folder, its variables (None:
    unset).
    """

    environment: str
    root: Path
    folder: Path
    variables: Mapping[str, str | None]


def execute(
    source: Path,
    target: Path,
    place: Place,
    parameters: Mapping[str, Any] | None = None,
    listen: Listener = lambda event: None,
    kept_at: str = "",
    on_kernel: Callable[[int], None] = lambda pid: None,
    on_done: Callable[[], None] = lambda: None,
) -> float:
    """Run a notebook and keep the executed copy, also on failure; returns the seconds it took.

    kept_at: where people find the copy, if it is not left at `target`. on_kernel: told the process id of the
    kernel, which leads a process group, as soon as it has started. on_done: called after the last cell, while
    the kernel still lives.
    Errors: NotebookFailed with the failing cell's error in one sentence.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    python = kernels.require(place.environment, place.root)
    _register_engine()
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _private_folder(target) as folder, _quiet():
        try:
            papermill.execute_notebook(
                source,
                target,
                parameters=dict(parameters or {}),
                engine_name=ENGINE,
                kernel_name=kernels.write(place.environment, python, folder),
                language="python",
                progress_bar=False,
                start_timeout=KERNEL_START_TIMEOUT_SECONDS,
                resources={"metadata": {"path": str(place.folder)}},
                listen=listen,
                kernel_folder=folder,
                hooks=(on_kernel, on_done),
                variables=merged(place.variables),
            )
        except PapermillExecutionError as error:
            raise _failure(source, target, kept_at or str(target), error) from error
        except RuntimeError as error:
            raise _kernel_failure(source, kept_at or str(target), error) from error
    return time.monotonic() - started


def headings(cells: list[Any]) -> list[str]:
    """Name the section that each cell stands in: the nearest heading above it."""
    current, names = "", []
    for cell in cells:
        if cell["cell_type"] == "markdown":
            found = HEADING.findall("".join(cell["source"]))
            current = found[-1] if found else current
        names.append(current)
    return names


def code_cells(cells: list[Any]) -> list[int]:
    """Return the places of the code cells that a reader of the notebook counts: papermill's own is not
    one.
    """
    return [
        i
        for i, cell in enumerate(cells)
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
    ]


def merged(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Put given variables over those of this process; None takes one away."""
    merged = {**os.environ, **variables}
    return {name: value for name, value in merged.items() if value is not None}


def _failure(source: Path, target: Path, kept_at: str, error: Any) -> NotebookFailed:
    import nbformat

    cells = nbformat.read(target, as_version=4).cells
    failed = [i for i, cell in enumerate(cells) if cell.metadata.get("papermill", {}).get("exception")]
    code = code_cells(cells)
    index = failed[0] if failed else code[0]
    heading = headings(cells)[index]
    number = code.index(index) + 1 if index in code else 0
    what, remedy = _one_sentence(str(error.ename), COLOUR.sub("", str(error.evalue)))
    where = f"cell {number}" + (f" ('{heading}')" if heading else "")
    return NotebookFailed(
        f"{source.stem} failed in {where}: {what}",
        remedy or f"see the executed notebook: {kept_at}",
        cell=number,
        heading=heading,
        name=str(error.ename),
    )


def _one_sentence(name: str, value: str) -> tuple[str, str]:
    """Split an expected error into what and remedy; give any other as its name and first line."""
    if value.startswith("error: "):
        what, _, remedy = value.removeprefix("error: ").partition("\n  fix: ")
        return what, remedy
    first = value.strip().splitlines()[0] if value.strip() else ""
    return f"{name}: {first}" if first else name, ""


def _kernel_failure(source: Path, kept_at: str, error: RuntimeError) -> NotebookFailed:
    """nbclient's DeadKernelError is a RuntimeError: the kernel was killed, or never started."""
    return NotebookFailed(
        f"{source.stem} lost its kernel: {error}. It was killed, most often for want of memory",
        f"give it more memory, then run it again with --resume; as far as it came: {kept_at}",
        name=type(error).__name__,
    )


@contextlib.contextmanager
def _private_folder(target: Path) -> Iterator[Path]:
    """Make a folder for the kernel's own files beside the executed notebook.

    Not in the user's Jupyter folders, and by a name that the next run finds: what kill -9 leaves is
    removed then. The kernel's own messages (kernel.log) stay if it did not end well.
    """
    folder = target.parent / f".{target.stem}-kernel"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' advice (missing cell ids, frozen modules, kernel start errors) off the terminal."""
    import logging
    import warnings

    # asyncio logs what nobody awaited when it is collected, long after: a kernel's end, told by us already.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _register_engine() -> None:
    """Add our engine to papermill's registry; importing papermill takes a second, so not at import."""
    from papermill.engines import papermill_engines

    from workshop.execution_engine import KernelEngine

    papermill_engines.register(ENGINE, KernelEngine)
