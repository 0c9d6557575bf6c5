"""The verbs of container images: build, push, sbom.

Try it:  workshop build mxnet && workshop push mxnet
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from workshop.commands.options import Verbs, add_json, add_verb, print_json, print_table, settings_of
from workshop.errors import WorkshopError

SHOWN_CHARACTERS = 90


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    build = add_verb(verbs, common, "build", "build container images", "workshop build mxnet", _build)
    build.add_argument("--base", default="", help="another base image, as python@sha256:…")
    push = add_verb(verbs, common, "push", "push built images to the registry", "workshop push mxnet", _push)
    sbom = add_verb(
        verbs, common, "sbom", "write what an image holds, as CycloneDX", "workshop sbom mxnet", _sbom
    )
    sbom.add_argument("--scan", action="store_true", help="also ask the advisory database for known faults")
    for verb in (build, push, sbom):
        verb.add_argument("names", nargs="*", metavar="NAME", help="default: mxnet, tensorflow; also serving")
        verb.add_argument("--gpu", action="store_true", help="the variant with wheels for NVIDIA's GPUs")
        add_json(verb)


def _build(arguments: argparse.Namespace) -> int:
    return _each(arguments, _build_one, _tell_build)


def _each(
    arguments: argparse.Namespace,
    work: Callable[[str, argparse.Namespace, Any], dict[str, Any]],
    tell: Callable[[dict[str, Any]], None],
) -> int:
    """Work on each image that was named, and tell of it at once; with --json of all of them at the end."""
    aws = _connected(arguments)
    done = []
    for name in _names(arguments):
        done.append(work(name, arguments, aws))
        if not arguments.json:
            tell(done[-1])
    if arguments.json:
        print_json(done)
    return 0


def _build_one(name: str, arguments: argparse.Namespace, aws: Any) -> dict[str, Any]:
    from workshop.aws import build_log, images

    log, began = build_log.BuildLog(), time.monotonic()
    with _bar(f"build {name}", arguments.json) as show:

        def on_line(line: str) -> None:
            log.feed(line)
            show(log.ended, log.total, log.now)

        built = images.build(name, on_line, aws, gpu=arguments.gpu, base=arguments.base)
    return {
        **asdict(built),
        "seconds": round(time.monotonic() - began, 1),
        "steps": [asdict(step) for step in log.steps()],
        "layers": [asdict(layer) for layer in images.inspect(name, aws, gpu=arguments.gpu).layers],
    }


def _tell_build(built: dict[str, Any]) -> None:
    how = "with Docker" if built["engine"] == "docker" else "its configuration only, for the process engine"
    print(f"{built['name']}: {_megabytes(built['size_bytes'])}, {built['seconds']} s, {how}")
    sizes = [(layer["size_bytes"], layer["created_by"]) for layer in built["layers"]]
    print_table([[_megabytes(size).rjust(10), _short(step)] for size, step in sizes if size])
    anew = [step for step in built["steps"] if not step["cached"]]
    if built["steps"]:
        print(f"made anew: {len(anew)} of {len(built['steps'])} steps; the others come from the build cache")
    print_table([[f"{x['seconds'] or 0:8.1f} s", _short(x["instruction"], 50), x["why"]] for x in anew])


def _push(arguments: argparse.Namespace) -> int:
    return _each(arguments, _push_one, _tell_push)


def _push_one(name: str, arguments: argparse.Namespace, aws: Any) -> dict[str, Any]:
    from workshop.aws import build_log, images

    log, began = build_log.PushLog(), time.monotonic()
    with _bar(f"push {name}", arguments.json) as show:

        def on_line(line: str) -> None:
            log.feed(line)
            show(log.pushed + log.already_there, log.total, "")

        pushed = images.push(name, on_line, aws, gpu=arguments.gpu)
    counts = {"layers_pushed": log.pushed, "layers_already_there": log.already_there}
    return {**asdict(pushed), **counts, "seconds": round(time.monotonic() - began, 1)}


def _tell_push(pushed: dict[str, Any]) -> None:
    print("{uri}\n  {digest}".format(**pushed))
    if pushed["engine"] == "docker":
        print("  {layers_pushed} layers pushed, {layers_already_there} were there".format(**pushed))


def _sbom(arguments: argparse.Namespace) -> int:
    return _each(arguments, _sbom_one, _tell_sbom)


def _sbom_one(name: str, arguments: argparse.Namespace, aws: Any) -> dict[str, Any]:
    from workshop.aws import bill_of_materials

    bill = bill_of_materials.write(name, aws, gpu=arguments.gpu)
    found = bill_of_materials.scan(bill, aws) if arguments.scan else None
    return {**asdict(bill), "vulnerabilities": found}


def _tell_sbom(bill: dict[str, Any]) -> None:
    print("{image}: {packages} packages, {path}".format(**bill))
    for fault in bill["vulnerabilities"] or []:
        print("  {package} {version}: {id}, mended in {mended_in}".format(**fault))
    if bill["vulnerabilities"] == []:
        print("  no known fault in the advisory database")


def _connected(arguments: argparse.Namespace) -> Any:
    from workshop import local
    from workshop.aws import session

    settings = settings_of(arguments)
    if settings.target == "local":
        local.up(settings)
    return session.connect(settings)


def _names(arguments: argparse.Namespace) -> list[str]:
    from workshop.aws import images

    unknown = [name for name in arguments.names if name not in images.EVERY]
    if unknown:
        raise WorkshopError(
            f"there is no image '{unknown[0]}' (images: {', '.join(images.EVERY)})", "workshop build"
        )
    return list(arguments.names or images.IMAGES)


@contextmanager
def _bar(title: str, is_quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """What shows (done, of how many, at what): a bar in a terminal, a line for each new step elsewhere."""
    if is_quiet:
        yield lambda done, total, what: None
        return
    if not sys.stdout.isatty():
        seen = {""}

        def line(done: int, total: int, what: str) -> None:
            if what not in seen:
                seen.add(what)
                print(f"{title}  {done}/{total}  {_short(what)}", flush=True)

        yield line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("", total=None)
        yield lambda done, total, what: progress.update(
            bar, completed=done, total=total or None, description=_short(what, 60)
        )


def _short(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    line = " ".join(text.removeprefix("/bin/sh -c ").split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
