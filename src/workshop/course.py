"""Know the labs in their order, and bring any state to the start of one.

Try it:  workshop prepare 3
A lab says itself what it takes: metadata.workshop of its notebook holds minutes and cost_usd. What labs 1
to 3 make is made here through the same functions that they call, so that one can start anywhere.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop import local
from workshop.errors import WorkshopError
from workshop.settings import Settings

ENVIRONMENT = "workshop"
NAME = re.compile(r"(\d\d)-[a-z0-9-]+\.ipynb")
RANGE = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")
# What each lab makes and a later lab stands on: stacks, images, task families, published models, services.
STACKS = {
    1: ("network", "storage", "cluster"),
    4: ("upload",),
    5: ("airflow",),
    6: ("private-network", "sentiment"),
    8: ("satisfaction",),
}
IMAGES = {2: ("mxnet", "tensorflow"), 6: ("serving",)}
FAMILIES = {3: ("jobs-mxnet", "jobs-tensorflow", "jupyter", "secondary")}
MODELS = {5: ("sentiment",)}
SERVICES = {6: ("sentiment",)}
# A lab stands on all labs before it; lab 8 on buckets and images alone, and a service for it would cost in vain.
STANDS_ON = {8: (1, 2)}
# For the plan that is shown before money is spent: an estimate, made without an AWS account.
PREPARE_MINUTES_ON_AWS = 15.0

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Lab:
    """One lab as its notebook describes it; cost_usd is on AWS, in one sitting."""

    number: int
    name: str
    title: str
    path: Path
    minutes: float
    cost_usd: float | None


def labs(root: Path) -> list[Lab]:
    """Read every lab of labs/, in order."""
    paths = sorted(path for path in (root / "labs").glob("*.ipynb") if NAME.fullmatch(path.name))
    return [_read(path) for path in paths]


def is_lab_range(text: str) -> bool:
    """Tell `2`, `1-4` and `all` from a job's name."""
    return text == "all" or RANGE.fullmatch(text) is not None


def choose(text: str, root: Path) -> list[Lab]:
    """Return the labs of `2`, `1-4` or `all`, in order; a range leaves out numbers between its ends that no lab has.

    Errors: WorkshopError if a lab that was named does not exist: the single one, or an end of the range.
    """
    every = {lab.number: lab for lab in labs(root)}
    if not every:
        raise WorkshopError(f"there are no labs in {root / 'labs'}", "git status shows what is missing")
    if text == "all":
        return list(every.values())
    match = RANGE.fullmatch(text)
    if match is None:
        raise WorkshopError(f"'{text}' names no labs", "give a number, a range such as 1-4, or all")
    first, last = int(match[1]), int(match[2] or match[1])
    missing = [str(number) for number in dict.fromkeys((first, last)) if number not in every]
    if missing or first > last:
        what = f"there is no lab {', '.join(missing)}" if missing else f"the range {text} is empty"
        raise WorkshopError(
            f"{what}: the labs are {_numbers(every)}", f"workshop run {min(every)}-{max(every)}"
        )
    return [lab for number, lab in every.items() if first <= number <= last]


def prepare(number: int, settings: Settings, on_step: OnStep = print) -> None:
    """Bring whatever state to the start of a lab: make what the labs before it make, where it is not there
    yet.
    """
    if settings.target == "local":
        running = local.up(settings)
        on_step(f"local AWS at {running.endpoint}, {running.engine} engine")
    from workshop.aws import session

    aws = session.connect(settings)
    for concern in _before(STACKS, number):
        _prepare_stack(concern, aws, on_step)
    for image in _before(IMAGES, number):
        _prepare_image(image, aws, on_step)
    for family in _before(FAMILIES, number):
        _prepare_family(family, aws, on_step)
    for model in _before(MODELS, number):
        _prepare_model(model, aws, on_step)
    for service in _before(SERVICES, number):
        _prepare_service(service, aws, on_step)


def state(settings: Settings) -> list[dict[str, Any]]:
    """Say for each thing that labs make whether it is there: lab, kind, name, status."""
    from workshop.aws import session, stacks

    aws = session.connect(settings)
    kinds: tuple[tuple[str, Mapping[int, tuple[str, ...]], Callable[[str], str | None]], ...] = (
        ("stack", STACKS, lambda name: stacks.status(name, aws)),
        ("image", IMAGES, lambda name: "in ECR" if _image_is_there(name, aws) else None),
        ("task definition", FAMILIES, lambda name: "ACTIVE" if _family_is_there(name, aws) else None),
        ("model", MODELS, lambda name: _version(name, aws)),
        ("service", SERVICES, lambda name: stacks.status(f"{name}-service", aws)),
    )
    rows = [
        {"lab": lab, "kind": kind, "name": name, "status": status(name) or "-"}
        for kind, table, status in kinds
        for lab, names in table.items()
        for name in names
    ]
    return sorted(rows, key=lambda row: int(str(row["lab"])))


def _before(table: Mapping[int, tuple[str, ...]], number: int) -> Iterable[str]:
    needed = STANDS_ON.get(number, range(number))
    return [name for lab, names in sorted(table.items()) if lab in needed for name in names]


def _prepare_stack(concern: str, aws: Any, on_step: OnStep) -> None:
    from workshop.aws import stacks

    if stacks.status(concern, aws) in stacks.GOOD:
        on_step(f"stack {concern}: there")
        return
    on_step(f"stack {concern}: deploying")
    stacks.deploy(concern, aws=aws)


def _prepare_image(image: str, aws: Any, on_step: OnStep) -> None:
    from workshop.aws import images

    if _image_is_there(image, aws):
        on_step(f"image {image}: there")
        return
    on_step(f"image {image}: building and pushing")
    images.build(image, aws=aws)
    images.push(image, aws=aws)


def _prepare_family(family: str, aws: Any, on_step: OnStep) -> None:
    """Register a family; where the newest revision is the same already, that one is used."""
    from workshop.aws import tasks

    on_step(f"task definition {tasks.register(family, aws=aws).rpartition('/')[2]}")


def _prepare_model(model: str, aws: Any, on_step: OnStep) -> None:
    """Have the pipeline train and publish a model, unless there is one."""
    from workshop import dags

    version = _version(model, aws)
    if version:
        on_step(f"model {model}: version {version}")
        return
    on_step(f"model {model}: training")
    on_step(f"model {model}: version {dags.run(model, settings=aws.settings).check().published}")


def _prepare_service(service: str, aws: Any, on_step: OnStep) -> None:
    from workshop.aws import services, stacks

    if stacks.status(f"{service}-service", aws) in stacks.GOOD:
        on_step(f"service {service}: there")
        return
    on_step(f"service {service}: deploying")
    services.release(service, aws=aws)


def _version(model: str, aws: Any) -> str:
    """The version that is in service, or '' if there is none, or none that is whole."""
    from workshop.aws import models, stacks

    bucket, s3 = stacks.outputs(None, aws).get("ModelBucket", ""), aws.client("s3")
    address = f"s3://{bucket}/{model}"
    found = models.current(address, s3) if bucket else None
    whole = found and models.is_complete(models.address_of(address, found.version), s3)
    return found.version if found and whole else ""


def _image_is_there(image: str, aws: Any) -> bool:
    from workshop.aws import images

    return images.is_pushed(image, aws)


def _family_is_there(family: str, aws: Any) -> bool:
    ecs = aws.client("ecs")
    return bool(ecs.list_task_definitions(familyPrefix=family, status="ACTIVE")["taskDefinitionArns"])


def _numbers(every: Iterable[int]) -> str:
    """Spell numbers in order as ranges: 1-6, 8."""
    ranges: list[list[int]] = []
    for number in every:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("-".join(map(str, each)) for each in ranges)


def _read(path: Path) -> Lab:
    content = json.loads(path.read_text())
    front = content["metadata"].get("workshop", {})
    first = "".join(content["cells"][0]["source"]) if content["cells"] else ""
    title = first.partition("\n")[0].lstrip("# ").strip() or path.stem
    return Lab(
        number=int(path.name[:2]),
        name=path.stem,
        title=re.sub(r"^lab \d+\W+", "", title, flags=re.IGNORECASE),
        path=path,
        minutes=float(front.get("minutes", 1)),
        cost_usd=front.get("cost_usd"),
    )
