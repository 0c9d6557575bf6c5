"""The verbs of the place where labs make things: up, down, status, clean.

Try it:  eval "$(workshop up --export)"
"""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from workshop.commands.options import Verbs, add_json, add_verb, add_yes, print_json, print_table, settings_of
from workshop.errors import WorkshopError
from workshop.settings import Settings

CUT_OFF = "cut off"


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    up = add_verb(verbs, common, "up", "start the local AWS", 'eval "$(workshop up --export)"', _up)
    up.add_argument(
        "--export",
        nargs="?",
        const="sh",
        choices=("sh", "fish"),
        help="print what leads a shell's AWS clients to it: sh, also for bash and zsh (the default), or fish",
    )
    add_json(up)
    down = add_verb(
        verbs, common, "down", "stop the local AWS; what it holds is kept", "workshop down", _down
    )
    down.add_argument("--force", action="store_true", help="also while a run of the labs uses it")
    status = add_verb(verbs, common, "status", "show what is there now", "workshop status", _status)
    add_json(status)
    clean = add_verb(verbs, common, "clean", "delete what a lab made, or all", "workshop clean --all", _clean)
    clean.add_argument("lab", type=int, nargs="?")
    clean.add_argument(
        "--all", action="store_true", help="everything of the course, then prove nothing is left"
    )
    add_yes(clean)


def _up(arguments: argparse.Namespace) -> int:
    from workshop import local

    settings = settings_of(arguments)
    running = local.up(settings)
    if arguments.json:
        print_json({**asdict(running), "variables": local.variables(running.endpoint, settings.region)})
    elif arguments.export:
        _warn_of_old_cli()
        print(local.export(running, settings.region, arguments.export))
    else:
        print(f"local AWS at {running.endpoint}, {running.engine} engine, process {running.pid}")
        print(
            'for this shell: eval "$(workshop up --export)", or in fish: workshop up --export fish | source'
        )
    return 0


def _warn_of_old_cli() -> None:
    """On standard error, because a shell evaluates what is on standard output."""
    from workshop import aws_cli

    cli = aws_cli.find()
    if cli and cli.problem:
        print(f"warning: {cli.problem}\n  fix: {aws_cli.REMEDY}", file=sys.stderr)


def _down(arguments: argparse.Namespace) -> int:
    from workshop import batch, local, place

    settings = settings_of(arguments)
    if not arguments.force:
        place.require_free(settings.state_dir / batch.PLACE, "workshop down --force")
    stopped = local.down(settings)
    print("stopped; what it holds is kept" if stopped else "the local AWS is not running")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from workshop import batch, course, local, place

    settings = settings_of(arguments)
    running = local.status(settings) if settings.target == "local" else None
    reachable = settings.target == "aws" or running is not None
    found: dict[str, Any] = {
        "target": settings.target,
        "local_aws": asdict(running) if running else None,
        "holder": place.holder(settings.state_dir / batch.PLACE),
        "things": course.state(settings) if reachable else [],
        "run": _latest_run(settings),
        "up": _what_is_up(settings) if reachable else None,
    }
    if arguments.json:
        print_json(found)
        return 0
    if settings.target == "local":
        print(_local_line(running))
    print_table([[f"lab {x['lab']}", x["kind"], x["name"], x["status"]] for x in found["things"]])
    if found["up"]:
        print(f"what is up costs about {found['up']['usd_per_hour']:.3f} USD an hour on AWS")
    for line in found["up"]["endpoints"] if found["up"] else ():
        print(f"  {line}")
    if found["holder"]:
        print(f"in use by process {found['holder'].get('pid')}: {found['holder'].get('command')}")
    if found["run"]:
        print(f"latest run: {found['run']['id']}, {found['run']['status']}")
    if found["run"] and found["run"]["status"] == CUT_OFF:
        print(f"  to go on: workshop run {found['run']['labs']} --resume")
    return 0


def _what_is_up(settings: Settings) -> dict[str, Any]:
    """What an hour of it costs on AWS; endpoints one by one, because no stack shows them."""
    from workshop.aws import running_costs, session

    aws = session.connect(settings)
    endpoints = [f"{item.what}: {item.usd:.3f} USD an hour" for item in running_costs.endpoints(aws)]
    return {"usd_per_hour": round(running_costs.now(aws).usd_per_hour, 4), "endpoints": endpoints}


def _local_line(running: Any) -> str:
    if running is None:
        return "local AWS: not running (workshop up)"
    faster = (
        f", {60 / running.metric_seconds:g} times as fast as AWS's" if running.metric_seconds != 60 else ""
    )
    return f"local AWS at {running.endpoint}; CloudWatch's minute lasts {running.metric_seconds:g} s{faster}"


def _latest_run(settings: Settings) -> dict[str, Any] | None:
    from workshop import batch, place
    from workshop.records import Record

    newest = next(Record.all(settings.runs_dir, "labs"), None)
    if newest is None:
        return None
    status = newest.get("status")
    if status == "running" and not place.holder(settings.state_dir / batch.PLACE):
        status = CUT_OFF  # killed before it could write how it ended
    labs = batch.span_of(newest)
    return {"id": newest.id, "status": status, "labs": labs, "folder": str(newest.folder)}


def _clean(arguments: argparse.Namespace) -> int:
    from workshop import batch, clean, place

    settings = settings_of(arguments)
    if arguments.all == (arguments.lab is not None):
        raise WorkshopError("clean needs a lab's number, or --all", "workshop clean --all")
    with place.hold(settings.state_dir / batch.PLACE):
        clean.clean(settings, lab=arguments.lab, yes=arguments.yes)
    return 0
