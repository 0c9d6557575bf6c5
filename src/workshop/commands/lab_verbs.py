"""The verbs of the course: run, prepare, check, jobs, notebooks.

Try it:  workshop run 1-4
"""

import argparse
import json
import os
import sys
from typing import Any

from workshop.commands.options import Verbs, add_json, add_verb, add_yes, print_json, print_table, settings_of
from workshop.errors import WorkshopError
from workshop.settings import Settings


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    _add_run(verbs, common)
    prepare = add_verb(
        verbs, common, "prepare", "bring any state to the start of a lab", "workshop prepare 3", _prepare
    )
    prepare.add_argument("lab", type=int)
    add_yes(prepare)
    check = add_verb(verbs, common, "check", "run a lab's checkpoint", "workshop check 2 your-turn", _check)
    check.add_argument("lab", type=int)
    check.add_argument("part", nargs="?", default="", help="your-turn, for the exercise")
    add_json(check)
    jobs = add_verb(verbs, common, "jobs", "list jobs and their parameters", "workshop jobs", _jobs)
    jobs.add_argument("name", nargs="?", help="one job, with its parameters")
    add_json(jobs)
    _add_notebooks(verbs, common)


def _add_run(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    run = add_verb(verbs, common, "run", "run labs, or one job", "workshop run 1-4", _run)
    run.add_argument("what", help="labs as 2, 1-4 or all; or a job's name (see workshop jobs)")
    run.add_argument(
        "-p", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="a parameter"
    )
    run.add_argument(
        "--on",
        choices=("here", "ecs", "sagemaker"),
        default="here",
        help="where a job runs: here (the default), in an ECS task, or in a training job of SageMaker's",
    )
    run.add_argument(
        "--size", choices=("cpu", "gpu"), default="cpu", help="what a job asks of ECS (default: cpu)"
    )
    run.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="how many do a job together, 1 to 8: processes here, tasks on ECS",
    )
    run.add_argument(
        "--shell", action="store_true", help="let `workshop shell` look into the job's tasks on ECS"
    )
    run.add_argument("--output", help="where a job's results go: a folder or s3://bucket/runs/ID")
    run.add_argument(
        "--resume", nargs="?", const="", metavar="RUN_ID", help="go on with a run that was cut off"
    )
    add_yes(run)
    add_json(run)


def _add_notebooks(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    notebooks = add_verb(
        verbs,
        common,
        "notebooks",
        "compare notebooks with their canonical form",
        "workshop notebooks --fix",
        _notebooks,
    )
    choice = notebooks.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="name those that differ (the default)")
    choice.add_argument("--fix", action="store_true", help="rewrite those that differ")
    choice.add_argument("--keep", metavar="RUN_ID", help="take the outputs of a run into the labs")


def _run(arguments: argparse.Namespace) -> int:
    from workshop import course

    settings = settings_of(arguments)
    if course.is_lab_range(arguments.what):
        given = [name for name in ("pairs", "output", "json") if getattr(arguments, name)]
        if given or arguments.on != "here" or arguments.workers != 1 or arguments.shell:
            raise WorkshopError(
                "-p, --on, --workers, --shell, --output and --json are for jobs, not for labs",
                "workshop run --help",
            )
        return _run_labs(arguments, settings)
    return _run_job(arguments, settings)


def _run_labs(arguments: argparse.Namespace, settings: Settings) -> int:
    from workshop import batch, course, progress, report

    chosen = course.choose(arguments.what, settings.root)
    _confirm(f"run lab {arguments.what}", chosen[-1].number, settings, arguments.yes)
    record = None
    if arguments.resume is not None:
        record = batch.resume(chosen, settings, arguments.resume)
    print(f"resuming run {record.id}" if record else f"running lab {arguments.what}", flush=True)
    record = record or batch.begin(chosen, settings)
    with progress.view(record.get("labs")) as view:
        passed = batch.run(record, settings, view)
    print("\n" + report.closing_table(record))
    return 0 if passed else 1


def _run_job(arguments: argparse.Namespace, settings: Settings) -> int:
    from workshop import training_container

    with training_container.telling_failure():
        return _job(arguments, settings)


def _job(arguments: argparse.Namespace, settings: Settings) -> int:
    from workshop import job_outputs, jobs, local, parameters, training_container

    job = jobs.load(arguments.what, settings)
    given = jobs.from_environment(job, os.environ) | parameters.split(arguments.pairs)
    jobs.validate(job, given)
    if arguments.on == "ecs":
        _confirm(f"run {job.name} on ECS", 3, settings, arguments.yes)
    elif arguments.on == "sagemaker" and settings.target == "aws":
        from workshop import spending

        stacks = ("storage", "satisfaction")
        spending.confirm_stacks(f"run {job.name} on SageMaker", stacks, settings, arguments.yes)
    if arguments.on != "here" and settings.target == "local":
        local.up(settings)
    result = jobs.run(
        job.name,
        given,
        on=arguments.on,
        output=arguments.output,
        resume=arguments.resume or arguments.resume is not None,  # an id, or the newest
        size=arguments.size,
        on_progress=_note_event if arguments.json else _print_event,
        settings=settings,
        workers=arguments.workers,
        shell=arguments.shell,
    )
    training_container.keep_artefact(result.output)
    if arguments.json:
        print_json(result.as_dict())
        return 0
    print(f"results: {result.output}  ({result.seconds:.0f} s)", flush=True)
    # The last line, for whoever reads the log; lists stay in metrics.json.
    print(json.dumps(job_outputs.brief(result.metrics), sort_keys=True), flush=True)
    return 0


def _print_event(event: Any) -> None:
    if event.kind == "line":
        print(event.text, flush=True)
    elif event.kind == "cell" and sys.stdout.isatty():
        print(f"-- {event.cell}/{event.cells} {event.heading}", flush=True)
    elif event.kind == "state":
        print(f"-- {event.text}", flush=True)


def _note_event(event: Any) -> None:
    """Progress beside a result that a script reads: on standard error."""
    if event.kind in ("line", "state"):
        print(event.text, file=sys.stderr, flush=True)


def _prepare(arguments: argparse.Namespace) -> int:
    from workshop import batch, course, place

    settings = settings_of(arguments)
    [lab] = course.choose(str(arguments.lab), settings.root)
    _confirm(f"prepare lab {lab.number}", lab.number - 1, settings, arguments.yes)
    with place.hold(settings.state_dir / batch.PLACE):
        course.prepare(lab.number, settings)
    print(f"ready for lab {lab.number}: {lab.title}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from workshop import checkpoints

    checks = checkpoints.checks_of(arguments.lab, arguments.part)
    outcome = checkpoints.run(checks, arguments.lab, arguments.part)
    print_json(outcome.as_dict()) if arguments.json else print(outcome)
    return 0 if outcome.passed else 1


def _jobs(arguments: argparse.Namespace) -> int:
    from workshop import jobs

    settings = settings_of(arguments)
    names = [arguments.name] if arguments.name else jobs.names(settings)
    if not names:
        raise WorkshopError(
            f"there are no jobs in {settings.root / 'notebooks'}", "git status shows what is missing"
        )
    found = [jobs.load(name, settings) for name in names]
    if arguments.json:
        print_json([job.as_dict() for job in found])
        return 0
    for job in found:
        print(f"{job.name}  {job.title} (about {job.minutes:g} min, environment {job.environment})")
        rows = [["", p.name, repr(p.default), p.type, p.comment] for p in job.parameters.values()]
        print_table(rows)
    return 0


def _keep(run_id: str, arguments: argparse.Namespace) -> int:
    from workshop import notebooks
    from workshop.records import Record

    settings = settings_of(arguments)
    record = Record.open(settings.runs_dir / run_id)
    for executed in sorted((record.folder / "labs").glob("*.ipynb")):
        notebooks.keep(executed, settings.root / "labs" / executed.name)
        print(f"outputs kept: labs/{executed.name}")
    return 0


def _notebooks(arguments: argparse.Namespace) -> int:
    from workshop import notebooks

    if arguments.keep:
        return _keep(arguments.keep, arguments)
    settings = settings_of(arguments)
    differing = notebooks.differing(settings.root)
    for path in differing:
        if arguments.fix:
            notebooks.fix(path)
        print(f"{'rewritten' if arguments.fix else 'not canonical'}: {path.relative_to(settings.root)}")
    if differing and not arguments.fix:
        raise WorkshopError(
            f"{len(differing)} notebooks are not in canonical form", "workshop notebooks --fix"
        )
    if not differing:
        print("every notebook is in canonical form")
    return 0


def _confirm(doing: str, last_lab: int, settings: Settings, yes: bool) -> None:
    """On a real account, show what will be made, how long and what it costs, and ask; on the local AWS,
    nothing.
    """
    if settings.target == "aws":
        from workshop import spending

        spending.confirm(doing, last_lab, settings, yes)
