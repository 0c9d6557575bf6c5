"""How a DAG run ended, as a value that shows itself in a terminal, in a notebook and as JSON.

Try it:  print(dags.run("sentiment"))
Knows nothing of how it was run.
"""

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workshop.errors import JobError
from workshop.progress import clock

LOG = "airflow.log"
MARKS = {"success": "✓", "failed": "✗", "skipped": "–", "not run": "·", "running": "▸", "waiting": "·"}
COLOURS = {"success": "green", "failed": "firebrick"}


@dataclass
class Task:
    """One task of the DAG. state: waiting, running, success, skipped, failed, or not run."""

    name: str
    state: str = "waiting"
    seconds: float = 0.0
    reason: str = ""
    remedy: str = ""
    arn: str = ""  # of the ECS task that it waits for, or left running
    cluster: str = ""
    began: float = field(default=0.0, repr=False)

    @property
    def mark(self) -> str:
        return MARKS.get(self.state, " ")

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("name", "state", "seconds", "reason", "remedy")}


@dataclass(frozen=True, repr=False)
class DagRun:
    """How a run ended. state: success, failed; published: the version that it put into service, or ''; output:
    where its jobs' results are, OUTPUT/train/… and OUTPUT/evaluate/….
    """

    dag: str
    run_id: str
    state: str
    seconds: float
    tasks: list[Task]
    folder: Path
    parameters: Mapping[str, Any]
    output: str = ""
    published: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "success"

    @property
    def log(self) -> Path:
        """Airflow's own log of this run."""
        return self.folder / LOG

    @property
    def red(self) -> Task | None:
        """The task that made the run red; None if it is green."""
        return next((task for task in self.tasks if task.state == "failed"), None)

    def task(self, name: str) -> Task:
        return next(task for task in self.tasks if task.name == name)

    def check(self) -> "DagRun":
        """Return the run if it is green. Errors: JobError with the first red task's reason."""
        if not self.passed:
            red = self.red or Task("airflow", "failed", reason="it ended before its tasks did")
            raise JobError(
                f"DAG {self.dag} is red at {red.name}: {red.reason}", red.remedy or f"read {self.log}"
            )
        return self

    def as_dict(self) -> dict[str, Any]:
        """As it is kept in run.json, and beside the run's results in S3 as dag.json."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("tasks", "folder")}
        return {**kept, "tasks": [task.as_dict() for task in self.tasks]}

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows as text

    def __str__(self) -> str:
        colour = "green" if self.passed else "red"
        head = f"DAG {self.dag} {self.run_id}: {colour}, {clock(self.seconds)}"
        version = f"\npublished: version {self.published}" if self.published else ""
        return "\n".join([head, *(_line(task) for task in self.tasks)]) + version

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='color:{COLOURS.get(task.state, 'gray')}'>{task.mark}</td>"
            f"<td style='text-align:left'>{task.name}</td><td style='text-align:left'>{task.state}</td>"
            f"<td>{clock(task.seconds) if task.seconds else ''}</td>"
            f"<td style='text-align:left'>{html.escape(task.reason)}</td></tr>"
            for task in self.tasks
        )
        colour = "green" if self.passed else "firebrick"
        word = "green" if self.passed else "red"
        version = f" · version <code>{self.published}</code> published" if self.published else ""
        return (
            f"<p>DAG <b>{self.dag}</b> <code>{html.escape(self.run_id)}</code>: "
            f"<b style='color:{colour}'>{word}</b>, {clock(self.seconds)}{version}</p><table>{rows}</table>"
        )


def _line(task: Task) -> str:
    seconds = clock(task.seconds) if task.seconds else ""
    line = f"{task.mark} {task.name:<14} {task.state:<8} {seconds:>6}  {task.reason}".rstrip()
    return f"{line}\n    fix: {task.remedy}" if task.remedy else line
