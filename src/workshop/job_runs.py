"""Carry out a job's run: its folder, its record, its lock; here in a kernel, as an ECS task or a training job.

Try it:  workshop run train-images-mxnet --on ecs --resume
Takes a request that has been checked. A run that was cut off is found by what it was asked, and gone on with.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workshop import place
from workshop.errors import AwsError, JobError
from workshop.execution import Listener, Place, execute
from workshop.group_plan import Seat
from workshop.job_outputs import METRICS, NOTEBOOK, Output, is_there, open_output
from workshop.jobs import OUTPUT, Job, Result, new_run_id
from workshop.records import FILE as RECORD
from workshop.records import Record
from workshop.settings import Settings

BATCH_VARIABLE = "WORKSHOP_RUN_ID"  # set in a lab's kernel: the batch that the job belongs to


@dataclass(frozen=True)
class Request:
    """A job with checked values (without its output); on: 'here', 'ecs' or 'sagemaker'; output: '' for a new one."""

    job: Job
    values: dict[str, Any]
    on: str
    output: str
    size: str
    listen: Listener
    workers: int = 1
    shell: bool = False


def start(request: Request, settings: Settings, resume: bool | str) -> Result:
    """Run the job to its end, or take up the earlier run that `resume` asks for, by its id or as the newest.

    A member of a group does its part of the job: what is said here of records and of resuming is done by who
    started the group.
    """
    seat = Seat.from_environment(os.environ)
    if seat is not None:
        from workshop import group_members

        return group_members.run(request, settings, seat)
    if isinstance(resume, str):
        earlier: Record | None = (named := _named(resume, request, settings))
        values, workers = dict(named.get("parameters")), int(named.get("workers", 1))
        workers = request.workers if request.workers > 1 else workers
        request = replace(request, values=values, job=request.job.chosen(values), workers=workers)
    else:
        earlier = _earlier(request, settings) if resume and not request.output else None
    if earlier is not None and earlier.get("status") == "passed":
        return _result(earlier)
    if request.workers > 1:
        return _together(request, settings, earlier)
    return {"ecs": _on_ecs, "sagemaker": _on_sagemaker}.get(request.on, _here)(request, settings, earlier)


def _here(request: Request, settings: Settings, earlier: Record | None) -> Result:
    job = request.job
    new = settings.runs_dir / new_run_id(job.name)
    kept = open_output(request.output or str(earlier.folder if earlier else new))
    with place.hold(kept.folder / place.LOCK):
        record = _begin(kept.folder, request, kept.address)
        # The caller's folder, so that a relative path among the parameters means what the caller sees.
        spot = Place(job.environment, settings.root, Path.cwd(), settings.environment())
        values = {**request.values, OUTPUT: kept.address}
        try:
            with _recorded(record, job, kept):
                kept.publish((RECORD,))  # an output that can't be written to is told now, not after an hour
                execute(
                    job.path,
                    kept.folder / NOTEBOOK,
                    spot,
                    values,
                    request.listen,
                    kept_at=f"{kept.address}/{NOTEBOOK}",
                )
        finally:
            kept.publish()
    return _result(record)


def _on_ecs(request: Request, settings: Settings, earlier: Record | None) -> Result:
    from workshop import job_tasks

    return _away(request, settings, earlier, "task", job_tasks.run)


def _on_sagemaker(request: Request, settings: Settings, earlier: Record | None) -> Result:
    from workshop import job_training_jobs

    return _away(request, settings, earlier, "training_job", job_training_jobs.run)


def _away(
    request: Request,
    settings: Settings,
    earlier: Record | None,
    kind: str,
    carry_out: Callable[[Request, Record, str], None],
) -> Result:
    """Run a job elsewhere. kind: what the record calls that which runs it there, by name or ARN."""
    run_id = request.output.rstrip("/").rpartition("/")[2] or new_run_id(request.job.name)
    folder = earlier.folder if earlier else settings.runs_dir / run_id
    output = request.output or str(earlier.get("output") if earlier else "")
    name = str(earlier.get(kind)) if earlier else ""
    with place.hold(folder / place.LOCK):
        record = _begin(folder, request, output)
        record.set(**{kind: name})
        with _recorded(record, request.job, Output(str(folder), folder)):
            carry_out(request, record, name)
    return _result(record)


def _together(request: Request, settings: Settings, earlier: Record | None) -> Result:
    from workshop import group_runs

    run_id = request.output.rstrip("/").rpartition("/")[2] or new_run_id(request.job.name)
    folder = earlier.folder if earlier else settings.runs_dir / run_id
    if request.on == "here" and request.output:
        folder = open_output(request.output).folder
    output = request.output or str(earlier.get("output") if earlier else "")
    with place.hold(folder / place.LOCK):
        record = _begin(folder, request, output)
        record.set(members=dict(earlier.get("members") or {}) if earlier else {})
        # What failed or was interrupted has been told to stop; what was killed could tell nobody.
        follow = earlier is not None and earlier.get("status") == "running"
        try:
            with _recorded(record, request.job, Output(str(folder), folder)):
                group_runs.run(request, record, settings, follow)
        except BaseException:
            with contextlib.suppress(AwsError):  # why the run ended says more than that S3 can't be had
                group_runs.publish(record)
            raise
        group_runs.publish(record)
    return _result(record)


def _begin(folder: Path, request: Request, output: str) -> Record:
    """Begin a run's record."""
    asked: dict[str, Any] = {
        "job": request.job.name,
        "parameters": request.values,
        "on": request.on,
        "output": output,
    }
    asked |= {"workers": request.workers, "environment": request.job.environment, "batch": _batch()}
    record = Record(folder, "job", **asked)
    record.set(status="running", started=time.time())
    return record


@contextmanager
def _recorded(record: Record, job: Job, kept: Output) -> Iterator[None]:
    """Write down how the block ends: passed with its metrics, failed, or interrupted."""
    started = time.monotonic()
    kept.begin()
    try:
        yield
        kept.metrics(job.name)
    except BaseException as error:
        status = "failed" if isinstance(error, Exception) else "interrupted"
        record.set(status=status, error=str(error), seconds=round(time.monotonic() - started, 1))
        raise
    record.set(status="passed", seconds=round(time.monotonic() - started, 1))


def _result(record: Record) -> Result:
    get, metrics = record.get, json.loads((record.folder / METRICS).read_text())
    notebook, members = record.folder / NOTEBOOK, dict(get("members") or {})
    return Result(record.id, get("output"), metrics, notebook, get("seconds"), members)


def _named(run_id: str, request: Request, settings: Settings) -> Record:
    """The run of that id. Errors: WorkshopError if it can't go on as it is asked to."""
    record, name = Record.open(settings.runs_dir / run_id), request.job.name
    if record.get("job") != name:
        what = record.get("job") or "all"
        raise JobError(f"run '{run_id}' is not one of {name}", f"workshop run {what} --resume {run_id}")
    if record.get("status") == "passed":
        raise JobError(f"run '{run_id}' has passed: there is nothing to resume", f"workshop run {name}")
    if record.get("on") != request.on:
        where = record.get("on")
        raise JobError(
            f"run '{run_id}' ran on '{where}'", f"workshop run {name} --on {where} --resume {run_id}"
        )
    if request.output:
        raise JobError("--resume with a run's id keeps that run's output", "leave --output out")
    was = record.get("parameters")
    other = [key for key in request.values if was.get(key) != request.values[key]]
    if other:
        told = ", ".join(f"{key} was {was.get(key, 'not given')}" for key in other)
        raise JobError(f"run '{run_id}' has other parameters: {told}", "leave -p out: a run keeps its own")
    return record


def _earlier(request: Request, settings: Settings) -> Record | None:
    """Find the newest run of this job with these parameters, if it shall go on.

    One that has passed counts only within the same batch: there, a lab that is run again after a kill takes
    up what it had done. A new run of the labs, or of the job, does its work anew.
    """
    asked = {"job": request.job.name, "parameters": request.values, "on": request.on, "batch": _batch()}
    for record in Record.all(settings.runs_dir, "job"):
        if any(record.get(key) != value for key, value in asked.items()):
            continue
        if record.get("workers", 1) != request.workers:
            continue
        passed = record.get("status") == "passed"
        return record if not passed or (_batch() and is_there(record.get("output"))) else None
    return None


def _batch() -> str:
    return os.environ.get(BATCH_VARIABLE, "")
