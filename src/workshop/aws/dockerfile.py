"""Read a Dockerfile into the configuration that an image made from it would have.

Try it:  python -c "from workshop.aws.dockerfile import read; print(read('docker/mxnet/Dockerfile').config)"
Runs nothing: a RUN is only listed. What the base image sets is not known either, but for the usual PATH.
Reference: https://docs.docker.com/reference/dockerfile/ and the OCI image configuration.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter, extract_key_values

from workshop.errors import DataError

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAKES_A_LAYER = ("RUN", "COPY", "ADD", "WORKDIR")


@dataclass
class Description:
    """What a Dockerfile says. instructions are those of the last stage and the stages it stands on."""

    path: Path
    base: str
    instructions: list[tuple[str, str]]
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    working_directory: str = ""
    user: str = ""
    entry_point: list[str] | None = None
    command: list[str] | None = None
    ports: list[str] = field(default_factory=list)
    stop_signal: str = ""
    health_check: list[str] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The `config` object of an OCI image configuration."""
        found: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.ports},
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "Entrypoint": self.entry_point,
            "Cmd": self.command,
            "WorkingDir": self.working_directory,
            "Labels": self.labels,
            "StopSignal": self.stop_signal,
        }
        return {name: value for name, value in found.items() if value}


def read(path: Path | str) -> Description:
    """Read the last stage of a Dockerfile. Errors: DataError if there is no such file or no FROM in it."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no Dockerfile {path}")
    parser = DockerfileParser(fileobj=io.BytesIO(path.read_bytes()), env_replace=False)
    structure = [(each["instruction"], each["value"]) for each in parser.structure]
    base, instructions = _last_stage([each for each in structure if each[0] != "COMMENT"], path)
    description = Description(path, base, instructions, environment={"PATH": BASE_PATH})
    arguments: dict[str, str] = {}
    for instruction, value in instructions:
        _apply(description, arguments, instruction, value)
    return description


def copied(description: Description, context: Path) -> list[Path]:
    """The files of the build context that COPY and ADD would bring, in order of their paths."""
    found: set[Path] = set()
    for instruction, value in description.instructions:
        if instruction not in ("COPY", "ADD"):
            continue
        words = value.split() if not value.lstrip().startswith("[") else json.loads(value)
        if any(word.startswith("--from") for word in words):
            continue
        for source in [word for word in words if not word.startswith("--")][:-1]:
            for match in context.glob(source.strip("/") or "*"):
                found.update(
                    [match] if match.is_file() else (each for each in match.rglob("*") if each.is_file())
                )
    return sorted(each for each in found if not _is_by_product(each.relative_to(context)))


def _is_by_product(path: Path) -> bool:
    return any(
        part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info") for part in path.parts
    )


def _last_stage(structure: list[tuple[str, str]], path: Path) -> tuple[str, list[tuple[str, str]]]:
    """The base image and every instruction after it, following `FROM earlier-stage`."""
    defaults: dict[str, str] = {}
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    last = ""
    for instruction, value in structure:
        if instruction == "FROM":
            words = [word for word in value.split() if not word.startswith("--")]
            source = WordSplitter(words[0], args=defaults).dequote()
            base, before = stages.get(source, (source, []))
            last = words[2] if len(words) > 2 else str(len(stages))
            stages[last] = (base, list(before))
        elif last:
            stages[last][1].append((instruction, value))
        elif instruction == "ARG":
            defaults.update(_pairs(value, {}, {}))
    if not last:
        raise DataError(f"{path} has no FROM: it is not a Dockerfile")
    return stages[last]


def _pairs(value: str, arguments: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    return dict(
        extract_key_values(env_replace=True, args=arguments, envs=environment, instruction_value=value)
    )


def _apply(found: Description, arguments: dict[str, str], instruction: str, value: str) -> None:
    def expanded(text: str) -> str:
        return str(WordSplitter(text, args=arguments, envs=found.environment).dequote())

    if instruction == "ARG":
        arguments.update(_pairs(value if "=" in value else f"{value}=", arguments, found.environment))
    elif instruction == "ENV":
        found.environment.update(_pairs(value, arguments, found.environment))
    elif instruction == "LABEL":
        found.labels.update(_pairs(value, arguments, found.environment))
    elif instruction == "WORKDIR":
        found.working_directory = str(Path(found.working_directory or "/") / expanded(value))
    elif instruction == "EXPOSE":
        found.ports += [_port(expanded(word)) for word in value.split()]
    elif instruction == "ENTRYPOINT":
        found.entry_point, found.command = _words(value), None  # as Docker: a new entry point forgets CMD
    else:
        _apply_single(found, instruction, value, expanded(value))


def _apply_single(found: Description, instruction: str, value: str, expanded: str) -> None:
    if instruction == "CMD":
        found.command = _words(value)
    elif instruction == "USER":
        found.user = expanded
    elif instruction == "STOPSIGNAL":
        found.stop_signal = expanded
    elif instruction == "HEALTHCHECK":
        options, _, command = value.partition("CMD")
        found.health_check = _words(command.strip()) if command or options.strip() != "NONE" else None


def _words(value: str) -> list[str]:
    """The exec form as it is; the shell form wrapped as Docker does."""
    if value.lstrip().startswith("["):
        return [str(word) for word in json.loads(value)]
    return ["/bin/sh", "-c", value]


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


def shown(instruction: str, value: str) -> str:
    """An instruction on one line, for a listing of layers."""
    return f"{instruction} {' '.join(value.split())}".strip()
