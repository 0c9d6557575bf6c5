"""Run a DAG of airflow/dags to its end on this machine, and say task by task how it went.

Try it:  workshop dag sentiment -p num_epochs=3
`airflow dags test` is the runner: one process, no scheduler, no server. It acts with the rights of AirflowRole alone.
Ctrl-C or a kill ends it and the ECS task that it waits for.
"""

import contextlib
import csv
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workshop import children, place
from workshop.airflow import dag_events, dag_parameters, dag_progress
from workshop.airflow import home as airflow_home
from workshop.airflow.dag_results import LOG, DagRun, Task
from workshop.airflow.dag_watch import Watched
from workshop.errors import WorkshopError
from workshop.execution import Listener
from workshop.jobs import new_run_id
from workshop.records import Record
from workshop.settings import Settings
from workshop.settings import load as load_settings

ROLE = "AirflowRoleArn"


def run(
    name: str = "sentiment",
    conf: Mapping[str, Any] | None = None,
    listen: Listener | None = None,
    settings: Settings | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> DagRun:
    """Run a DAG with these parameters and wait for its end; red or green, the run is returned and raises nothing.

    conf: by the DAG's parameters (`workshop dag sentiment --list`); run: the id of an earlier run, which then does
    only what that one did not. listen: told of each task and each line; left out, they are printed.
    Errors: WorkshopError before anything starts: wrong parameters, no environment, no stack, no role.
    """
    from workshop.aws import dag_start

    settings = settings or load_settings()
    given = dag_parameters.checked(name, dict(conf or {}))
    given["run"] = given.get("run") or new_run_id(name)
    airflow = airflow_home.program(settings)
    home = airflow_home.prepare(settings)
    started = dag_start.make_ready(given, ROLE)
    upload(given["dataset"], settings)
    folder = settings.runs_dir / given["run"]
    variables = airflow_home.variables(settings, started.credentials, started.endpoint)
    command = [str(airflow), "dags", "test", "--conf", json.dumps(given), name]
    tasks = [Task(each) for each in dag_parameters.TASKS[name]]
    watched = Watched(tasks, listen or dag_progress.printer(), clock, started.output)
    with place.hold(folder / place.LOCK):
        record = Record(folder, "dag", dag=name, parameters=given, status="running", started=time.time())
        record.set()
        code = None
        try:
            code = _watch(command, variables, home, folder, watched)
        finally:
            ended = watched.ended(name, given, code, folder)
            status = "passed" if ended.passed else "failed"
            record.set(**{**ended.as_dict(), "status": status if code is not None else "interrupted"})
            with contextlib.suppress(WorkshopError):  # how the run ended is told, even if S3 can't be had
                dag_start.keep(ended.as_dict(), started.output)
    return ended


def upload(dataset: str, settings: Settings | None = None) -> str:
    """Put a dataset that has a name where the DAG reads it, and return the address; one that is an address stays.

    Errors: DataError if there is no set of labelled texts by that name.
    """
    from workshop.aws import dag_start

    if dataset.startswith("s3://"):
        return dataset
    from workshop import datasets

    return dag_start.upload(dataset, _as_csv(datasets.texts(dataset, settings)))


def _as_csv(examples: Any) -> bytes:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["text", "label_text"])
    for text, label in zip(examples.texts, examples.labels, strict=True):
        writer.writerow([text, examples.classes[int(label)]])
    return lines.getvalue().encode()


def _watch(
    command: list[str], variables: Mapping[str, str], home: Path, folder: Path, watched: Watched
) -> int:
    """Run Airflow and read what it tells until it ends; however we leave, it and its ECS task have ended."""
    reading, writing = os.pipe()
    told = {**variables, dag_events.VARIABLE: str(writing)}
    with (folder / LOG).open("ab") as log, open(reading, "rb") as events:
        try:
            process = children.start(command, told, log, home, pass_fds=[writing])
        finally:
            os.close(writing)
        try:
            for line in events:
                watched.hear(dag_events.parse(line))
            return process.wait()
        finally:
            events.close()  # so that a task between two ECS tasks notices that nobody waits for it any more
            children.end(process)
            watched.stop_tasks()
