"""Read task definitions from disk, fill in what the stacks know, check them, register them.

Try it:  python -c "from workshop.aws import task_definitions; print(task_definitions.names())"
A file is the input of ecs:RegisterTaskDefinition with ${Placeholders}. It is checked by botocore's model of
that call and by the rules below that the model lacks, and only then sent. Knows nothing of running tasks.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from workshop.aws import session, stacks
from workshop.aws.change_sets import PROJECT
from workshop.aws.failures import as_aws_error, explained
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

SIZES = ("cpu", "gpu")
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
GROUP_SUFFIX = "-group"
FARGATE_SUFFIX = "-fargate"
DIGEST_TAG = "workshop-definition"


def names(root: Path | None = None) -> list[str]:
    """The families that there are files for."""
    folder = (root or load().root) / "task-definitions"
    return sorted(path.stem for path in folder.glob("*.json"))


def read(family: str, root: Path | None = None) -> dict[str, Any]:
    """One file as it is, placeholders and all."""
    root = root or load().root
    path = root / "task-definitions" / f"{family}.json"
    if not path.is_file():
        have = names(root)
        near = difflib.get_close_matches(family, have, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise AwsError(
            f"there is no task definition '{family}' (there are: {', '.join(have) or 'none'}){hint}"
        )
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise AwsError(f"{path} is not JSON: {error}") from error


def fill(definition: Any, values: Mapping[str, str]) -> Any:
    """The same with every ${Name} replaced. Errors: AwsError that names all that have no value."""
    missing = sorted(set(_placeholders(definition)) - set(values))
    if missing:
        raise AwsError(
            f"the task definition needs {', '.join(missing)}, and no course stack has such an output",
            "workshop prepare 3",
        )
    return _replace(definition, values)


def validate(definition: Mapping[str, Any]) -> list[str]:
    """Everything that AWS would refuse, as far as its model and the rules here tell; empty if nothing."""
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    if shape is None:
        raise AssertionError("RegisterTaskDefinition has an input")
    report = ParamValidator().validate(definition, shape)
    problems = report.generate_report().splitlines() if report.has_errors() else []
    return [*problems, *_not_in_enum(shape, definition, ""), *_rules(definition)]


def with_size(definition: Mapping[str, Any], size: str) -> dict[str, Any]:
    """The CPU variant as it is, or the variant that asks for one GPU, as a family of its own."""
    if size not in SIZES:
        raise AwsError(f"there is no size '{size}' (sizes: {', '.join(SIZES)})")
    sized = json.loads(json.dumps(definition))
    if size == "gpu":
        sized["family"] += "-gpu"
        sized["containerDefinitions"][0]["resourceRequirements"] = [{"type": "GPU", "value": "1"}]
    return dict(sized)


def for_group(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The variant for one of several tasks that work together, as a family of its own.

    Mode awsvpc: each task has an address and all its ports to itself, so the members find each other on
    whatever instances they are. What the task is reached by from outside falls away with it.
    """
    grouped = json.loads(json.dumps(definition))
    grouped["family"] += GROUP_SUFFIX
    grouped["networkMode"] = "awsvpc"
    for container in grouped["containerDefinitions"]:
        container.pop("portMappings", None)
    return dict(grouped)


def for_fargate(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The variant for Fargate, as a family of its own: an address of its own, and a size for the whole task.

    Fargate takes certain pairs of sizes only: what the containers ask for is rounded up to the next.
    """
    moved = json.loads(json.dumps(definition))
    moved["family"] += FARGATE_SUFFIX
    moved["networkMode"] = "awsvpc"
    moved["requiresCompatibilities"] = ["FARGATE"]
    containers = moved["containerDefinitions"]
    cpu = sum(int(each.get("cpu") or 0) for each in containers)
    memory = sum(int(each.get("memory") or each.get("memoryReservation") or 0) for each in containers)
    moved["cpu"], moved["memory"] = _fargate_size(cpu, memory)
    for container in containers:
        for mapping in container.get("portMappings", []):
            mapping.pop("hostPort", None)
    return dict(moved)


def _fargate_size(cpu: int, memory_mib: int) -> tuple[str, str]:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""
    for units, least_gib, most_gib in (
        (256, 0.5, 2),
        (512, 1, 4),
        (1024, 2, 8),
        (2048, 4, 16),
        (4096, 8, 30),
    ):
        gib = least_gib if memory_mib <= least_gib * 1024 else math.ceil(memory_mib / 1024)
        if cpu <= units and gib <= most_gib:
            return str(units), str(int(gib * 1024))
    raise AwsError(f"Fargate has no task of {cpu} CPU units and {memory_mib} MiB here", "ask for less of it")


def is_for_group(definition: Mapping[str, Any]) -> bool:
    return str(definition["family"]).removesuffix("-gpu").endswith(GROUP_SUFFIX)


def file_of(family: str) -> str:
    """The name of the file that a registered family was made from."""
    return family.removesuffix("-gpu").removesuffix(GROUP_SUFFIX).removesuffix(FARGATE_SUFFIX)


def register(
    family: str,
    size: str = "cpu",
    aws: Aws | None = None,
    in_group: bool = False,
    on_fargate: bool = False,
) -> str:
    """Register the filled definition and return its ARN; an identical latest revision is used as it is."""
    aws = aws or session.current()
    definition = read(family, aws.settings.root)
    if on_fargate:
        definition = for_fargate(definition)
    filled = fill(with_size(for_group(definition) if in_group else definition, size), values(aws))
    for container in filled.get("containerDefinitions", []):
        _add_course_variables(container, aws)
    problems = validate(filled)
    if problems:
        raise AwsError(f"task-definitions/{family}.json: {'; '.join(problems)}")
    digest = hashlib.sha256(json.dumps(filled, sort_keys=True).encode()).hexdigest()[:32]
    latest = _latest(filled["family"], aws)
    if latest and {"key": DIGEST_TAG, "value": digest} in latest.get("tags", []):
        return str(latest["taskDefinition"]["taskDefinitionArn"])
    tags = [
        {"key": "workshop", "value": aws.name},
        {"key": "Project", "value": PROJECT},
        {"key": DIGEST_TAG, "value": digest},
    ]
    with explained(f"register the task definition {filled['family']}"):
        answer = aws.client("ecs").register_task_definition(**filled, tags=tags)
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def values(aws: Aws) -> dict[str, str]:
    """What placeholders may name: every output of the course stacks, and where we are."""
    own = {
        "Name": aws.name,
        "AWS_REGION": aws.region,
        "AccountId": aws.account,
        "Target": aws.target,
    }
    return {**stacks.outputs(None, aws), **own}


def _add_course_variables(container: dict[str, Any], aws: Aws) -> None:
    """Tell the workshop inside the container what it can't find out: its target and its stacks' prefix."""
    environment = container.setdefault("environment", [])
    given = {entry["name"] for entry in environment}
    ours = {"WORKSHOP_TARGET": aws.target, "WORKSHOP_NAME": aws.name}
    environment += [{"name": name, "value": value} for name, value in ours.items() if name not in given]


def _latest(family: str, aws: Aws) -> dict[str, Any] | None:
    """The family's newest revision that can be run, with its tags."""
    try:
        found = aws.client("ecs").describe_task_definition(taskDefinition=family, include=["TAGS"])
        return dict(found) if found["taskDefinition"]["status"] == "ACTIVE" else None
    except ClientError as error:
        if (
            error.response["Error"]["Code"] == "ClientException"
        ):  # AWS's answer for a family that is not there
            return None
        raise as_aws_error(error, f"look for the task definition {family}") from error


def _placeholders(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _placeholders(each)
    elif isinstance(value, list):
        for each in value:
            yield from _placeholders(each)


def _replace(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: values[found[1]], value)
    if isinstance(value, Mapping):
        return {name: _replace(each, values) for name, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, values) for each in value]
    return value


def _not_in_enum(shape: Any, value: Any, where: str) -> Iterator[str]:
    """botocore checks types and names, but not enumerations."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, each in value.items():
            if name in shape.members:
                yield from _not_in_enum(shape.members[name], each, f"{where}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _not_in_enum(shape.member, each, f"{where}[{index}]")
    elif shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where} is '{value}', expected one of {', '.join(shape.enum)}"


def _rules(definition: Mapping[str, Any]) -> Iterator[str]:
    """Rules of ECS that no model holds. Source: ECS developer guide, task definition parameters."""
    containers = [each for each in definition.get("containerDefinitions", []) if isinstance(each, Mapping)]
    if not containers:
        yield "containerDefinitions is empty"
    elif all(each.get("essential") is False for each in containers):
        yield "no container is essential"
    known = [each.get("name") for each in containers]
    for name in sorted({str(each) for each in known if known.count(each) > 1}):
        yield f"two containers are called '{name}'"
    for each in containers:
        name = each.get("name", "?")
        if not definition.get("memory") and not each.get("memory") and not each.get("memoryReservation"):
            yield f"container '{name}' has neither memory nor memoryReservation, and the task has no memory"
        for link in each.get("dependsOn", []):
            if link.get("containerName") not in known:
                yield f"container '{name}' depends on '{link.get('containerName')}', which is not there"
        log = each.get("logConfiguration", {})
        if log.get("logDriver") == "awslogs" and "awslogs-group" not in log.get("options", {}):
            yield f"container '{name}' logs to awslogs without awslogs-group"
