"""Run labs one after the other, as a learner would, and keep what each of them showed.

Try it:  workshop run 1-4
A lab passes if no cell fails and its checkpoint passes; the first that does not stops the rest. A run that
was cut off goes on with the first lab that has not passed.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from workshop import course, local, outputs, place, report
from workshop.course import Lab
from workshop.errors import CheckpointFailed, WorkshopError
from workshop.execution import Event, Place, execute
from workshop.job_runs import BATCH_VARIABLE
from workshop.jobs import new_run_id
from workshop.records import Record
from workshop.settings import Settings

PLACE = place.COURSE


class View(Protocol):
    """What a run tells as it goes on; progress.py has one for terminals and one for logs."""

    def prepare(self, step: str) -> None: ...
    def begin(self, lab: dict[str, Any]) -> None: ...
    def event(self, event: Event) -> None: ...
    def end(self, lab: dict[str, Any]) -> None: ...


Prepare = Callable[[int, Settings, Callable[[str], None]], None]
Variables = Callable[[Settings], dict[str, str | None]]


def lab_variables(settings: Settings) -> dict[str, str | None]:
    """What a lab's kernel gets: the settings and, on the local AWS, the way there for any AWS client."""
    variables: dict[str, str | None] = dict(settings.environment())
    if settings.target == "local":
        running = local.up(settings)
        variables |= local.variables(running.endpoint, settings.region)
        variables |= dict.fromkeys(local.unwanted())
    return variables


def begin(labs: Sequence[Lab], settings: Settings) -> Record:
    """Make the record of a new run; nothing is written until it has the place."""
    span = f"labs-{labs[0].number}-{labs[-1].number}" if len(labs) > 1 else f"lab-{labs[0].number}"
    rows = [
        {"number": x.number, "name": x.name, "title": x.title, "minutes": x.minutes, "status": "waiting"}
        for x in labs
    ]
    return Record(
        settings.runs_dir / new_run_id(span),
        "labs",
        labs=rows,
        status="waiting",
        started=time.time(),
        target=settings.target,
        profile=settings.profile,
    )


def resume(labs: Sequence[Lab] | None, settings: Settings, run_id: str = "") -> Record | None:
    """Find the run to go on with: the one of that id, or the newest of these labs that has not passed.

    Errors: WorkshopError if there is no run of that id, or it has passed already.
    """
    if run_id:
        return _named(run_id, labs, settings)
    for record in Record.all(settings.runs_dir, "labs"):
        same = (record.get("target"), record.get("profile")) == (settings.target, settings.profile)
        if same and (labs is None or _numbers(record) == [lab.number for lab in labs]):
            return record if record.get("status") != "passed" else None
    return None


def _named(run_id: str, labs: Sequence[Lab] | None, settings: Settings) -> Record:
    """The run of that id, if it can go on as it is asked to."""
    record = Record.open(settings.runs_dir / run_id)
    if record.get("kind") != "labs":
        raise WorkshopError(
            f"run '{run_id}' is a job's", f"workshop run {record.get('job')} --resume {run_id}"
        )
    if record.get("status") == "passed":
        raise WorkshopError(f"run '{run_id}' has passed: there is nothing to resume", "workshop run all")
    numbers, span = _numbers(record), span_of(record)
    if labs is not None and numbers != [lab.number for lab in labs]:
        raise WorkshopError(f"run '{run_id}' is of labs {span}", f"workshop run {span} --resume {run_id}")
    for name in ("target", "profile"):
        if record.get(name) != getattr(settings, name):
            raise WorkshopError(
                f"run '{run_id}' has {name} '{record.get(name)}', and now it is '{getattr(settings, name)}'",
                f"workshop run {span} --{name} {record.get(name)} --resume {run_id}",
            )
    return record


def run(
    record: Record,
    settings: Settings,
    view: View,
    prepare: Prepare = course.prepare,
    variables: Variables = lab_variables,
) -> bool:
    """Run a record's labs that have not passed; True if in the end all have.

    The record, the report and metrics.json are written whatever happens.
    Errors: BusyError if another run holds the place.
    """
    with place.hold(settings.state_dir / PLACE):
        rows: list[dict[str, Any]] = record.get("labs")
        for row in rows:
            if row["status"] != "passed":
                row.update(status="waiting", error="", fix="")
        record.set(status="running", error="", fix="", labs=rows)
        try:
            _run_rows(record, rows, settings, view, prepare, variables)
        except WorkshopError as error:  # before the first lab: the reason belongs into the report
            record.set(status="failed", error=error.message, fix=error.remedy)
            raise
        except BaseException:
            record.set(status="interrupted")
            raise
        finally:
            report.write(record, settings)
    return bool(record.get("status") == "passed")


def _run_rows(
    record: Record,
    rows: list[dict[str, Any]],
    settings: Settings,
    view: View,
    prepare: Prepare,
    variables: Variables,
) -> None:
    every = {lab.number: lab for lab in course.labs(settings.root)}
    todo = [row for row in rows if row["status"] != "passed"]
    if todo:
        prepare(todo[0]["number"], settings, view.prepare)
    failed = False
    for row in todo:
        if failed:
            row["status"] = "not run"
            continue
        row.update(status="running", started=time.time())
        record.set(labs=rows)
        view.begin(row)
        given = {**variables(settings), BATCH_VARIABLE: record.id}
        spot = Place(course.ENVIRONMENT, settings.root, settings.root / "labs", given)
        _run_lab(every[row["number"]], row, record, spot, view)
        record.set(labs=rows)
        view.end(row)
        failed = row["status"] != "passed"
    record.set(labs=rows, status="failed" if failed else "passed", ended=time.time())


def _run_lab(lab: Lab, row: dict[str, Any], record: Record, spot: Place, view: View) -> None:
    """Execute one lab and write into its row how it went."""
    executed = record.folder / "labs" / lab.path.name
    started = time.monotonic()
    row["notebook"] = str(executed.relative_to(record.folder))
    try:
        execute(lab.path, executed, spot, listen=view.event)
        row["checks"] = _passed_checks(lab, executed)
        row["status"] = "passed"
    except WorkshopError as error:
        row.update(status="failed", error=error.message, fix=error.remedy, checks=_checks(executed))
    except BaseException:
        row.update(status="interrupted", checks=_checks(executed))
        raise
    finally:
        row["seconds"] = round(time.monotonic() - started, 1)


def _passed_checks(lab: Lab, executed: Path) -> list[dict[str, Any]]:
    """Return the checkpoint's lines; a lab that shows no checkpoint has proved nothing, so it fails."""
    lines = _checks(executed)
    failed = [line for line in lines if not line["passed"]]
    if failed:
        raise CheckpointFailed(failed[0]["what"], failed[0]["fix"])
    if not lines:
        raise CheckpointFailed(f"lab {lab.number} ended without a checkpoint", f"workshop check {lab.number}")
    return lines


def _checks(executed: Path) -> list[dict[str, Any]]:
    return outputs.checkpoint_lines(executed) if executed.exists() else []


def span_of(record: Record) -> str:
    """Spell a record's labs as `workshop run` takes them: `8`, `1-4`."""
    numbers = _numbers(record)
    return f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


def _numbers(record: Record) -> list[int]:
    return [row["number"] for row in record.get("labs")]
