"""What is known of a DAG's tasks while a run goes on, from the events that it tells.

Try it:  python -m pytest tests/fast/test_dags.py
Knows nothing of processes: events go in, the run's tasks come out.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workshop.airflow.dag_results import DagRun, Task
from workshop.errors import WorkshopError
from workshop.execution import Event, Listener


class Watched:
    """The tasks of one run, in order, and who hears of them."""

    def __init__(
        self, tasks: list[Task], listen: Listener, clock: Callable[[], float], output: str = ""
    ) -> None:
        self.tasks, self.listen, self.clock, self.output = tasks, listen, clock, output
        self.began = clock()
        self.published = ""

    def hear(self, event: Mapping[str, Any]) -> None:
        task = next((task for task in self.tasks if task.name == event.get("task")), None)
        if task is None:
            return
        kind = event.get("event")
        if kind == "begin":
            task.state, task.began = "running", self.clock()
            self._tell(task)
        elif kind == "line" and event.get("text"):
            self.listen(Event("line", heading=task.name, text=str(event["text"])))
        elif kind == "task":
            task.arn, task.cluster = str(event["arn"]), str(event["cluster"])
        elif kind == "published":
            self.published = str(event["version"])
        elif kind == "end":
            task.state, task.seconds = str(event["state"]), round(self.clock() - task.began, 1)
            task.reason, task.remedy = _sentence(str(event.get("kind", "")), str(event.get("reason", "")))
            self._tell(task)

    def ended(self, dag: str, given: Mapping[str, Any], code: int | None, folder: Path) -> DagRun:
        """The run as it ended; what Airflow could not say any more is filled in. code: None if we ended it."""
        how = "the run was interrupted" if code is None else f"Airflow ended with exit code {code}"
        for task in self.tasks:
            if task.state == "running":
                task.state, task.seconds = "failed", round(self.clock() - task.began, 1)
                task.reason, task.remedy = (
                    f"{how} while the task ran",
                    f"workshop dag {dag} -p run={given['run']}",
                )
                self._tell(task)
            elif task.state == "waiting":
                task.state = "not run"
        red = code != 0 or any(task.state in ("failed", "not run") for task in self.tasks)
        seconds = round(self.clock() - self.began, 1)
        state = "failed" if red else "success"
        return DagRun(
            dag=dag,
            run_id=given["run"],
            state=state,
            seconds=seconds,
            tasks=self.tasks,
            folder=folder,
            parameters=given,
            output=self.output,
            published=self.published,
        )

    def stop_tasks(self) -> None:
        """Stop the ECS tasks that Airflow left running; it stops them itself where it can."""
        from workshop.aws import dag_start

        for task in self.tasks:
            if task.arn and task.state in ("running", "failed"):
                with contextlib.suppress(WorkshopError):  # the reason why the run ended says more
                    dag_start.stop(task.arn, task.cluster)

    def _tell(self, task: Task) -> None:
        data = {"state": task.state, "seconds": task.seconds, "reason": task.reason, "remedy": task.remedy}
        self.listen(Event("task", heading=task.name, text=task.state, data=data))


def _sentence(kind: str, reason: str) -> tuple[str, str]:
    """(what happened, what mends it) of a task's error: our own errors bring both."""
    what, _, rest = reason.partition("\n  fix: ")
    if reason.startswith("error: "):
        return what.removeprefix("error: "), rest.splitlines()[0] if rest else ""
    first = next((line.strip() for line in reason.splitlines() if line.strip()), "")
    named = f"{kind}: {first}" if kind and not kind.startswith("Airflow") else first
    return named, ""
