"""Read a Dockerfile into the configuration that an image made from it would have.

Try it:  python -c "from workshop.aws.dockerfile import read; print(read('docker/jobs/Dockerfile').config)"
Runs nothing: a RUN is only listed. What the base image sets is not known either, but for the usual PATH.
Reference: https://docs.docker.com/reference/dockerfile/ and the OCI image configuration.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
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
    sources: list[str] = field(default_factory=list)
    """What COPY and ADD bring from the build context."""

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


def read(path: Path | str, arguments: Mapping[str, str] | None = None) -> Description:
    """Read the last stage of a Dockerfile, with build arguments.

    Errors: DataError if there is no such file or no FROM in it.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no Dockerfile {path}")
    parser = DockerfileParser(fileobj=io.BytesIO(path.read_bytes()), env_replace=False)
    structure = [(each["instruction"], each["value"]) for each in parser.structure]
    given = dict(arguments or {})
    stages = _Stages(path, given)
    for instruction, value in structure:
        if instruction != "COMMENT":
            stages.add(instruction, value)
    base, instructions = stages.last()
    description = Description(path, base, instructions, environment={"PATH": BASE_PATH})
    known: dict[str, str] = {}
    for instruction, value in instructions:
        if instruction == "ARG":
            known.update(_argument(value, known | description.environment, stages.defaults, given))
        else:
            _apply(description, known, instruction, value)
    return description


def copied(description: Description, context: Path) -> list[Path]:
    """The files of the build context that COPY and ADD would bring, in order of their paths."""
    found: set[Path] = set()
    for source in description.sources:
        for match in context.glob(source.strip("/") or "*"):
            found.update(
                [match] if match.is_file() else (each for each in match.rglob("*") if each.is_file())
            )
    return sorted(each for each in found if not _is_by_product(each.relative_to(context)))


def _is_by_product(path: Path) -> bool:
    return any(
        part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info") for part in path.parts
    )


class _Stages:
    """The stages of a Dockerfile as they are read; each begins with what the stage that it stands on says."""

    def __init__(self, path: Path, given: dict[str, str]) -> None:
        self.defaults: dict[str, str] = {}
        self._path, self._given = path, given
        self._stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        self._last = ""

    def add(self, instruction: str, value: str) -> None:
        """The next instruction of the file."""
        if instruction == "FROM":
            words = [word for word in value.split() if not word.startswith("--")]
            source = WordSplitter(words[0], args=self.defaults).dequote()
            base, before = self._stages.get(source, (source, []))
            self._last = words[2] if len(words) > 2 else str(len(self._stages))
            self._stages[self._last] = (base, list(before))
        elif self._last:
            self._stages[self._last][1].append((instruction, value))
        elif instruction == "ARG":
            self.defaults.update(_argument(value, self.defaults, {}, self._given))

    def last(self) -> tuple[str, list[tuple[str, str]]]:
        """The base image and every instruction after it."""
        if not self._last:
            raise DataError(f"{self._path} has no FROM: it is not a Dockerfile")
        return self._stages[self._last]


def _argument(
    value: str, known: Mapping[str, str], defaults: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """An ARG: what was given for the build, else its own default, else that of an ARG before the first FROM."""
    if "=" not in value:
        return {value.strip(): given.get(value.strip(), defaults.get(value.strip(), ""))}
    return {name: given.get(name, default) for name, default in _pairs(value, dict(known), {}).items()}


def _pairs(value: str, arguments: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    return dict(
        extract_key_values(env_replace=True, args=arguments, envs=environment, instruction_value=value)
    )


def _apply(found: Description, arguments: dict[str, str], instruction: str, value: str) -> None:
    def expanded(text: str) -> str:
        return str(WordSplitter(text, args=arguments, envs=found.environment).dequote())

    if instruction == "ENV":
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
    if instruction in ("COPY", "ADD"):
        found.sources += _sources(expanded)
    elif instruction == "CMD":
        found.command = _words(value)
    elif instruction == "USER":
        found.user = expanded
    elif instruction == "STOPSIGNAL":
        found.stop_signal = expanded
    elif instruction == "HEALTHCHECK":
        options, _, command = value.partition("CMD")
        found.health_check = _words(command.strip()) if command or options.strip() != "NONE" else None


def _sources(value: str) -> list[str]:
    """All words but the last, which is where to; none if they come from another stage or image."""
    words = json.loads(value) if value.lstrip().startswith("[") else value.split()
    if any(word.startswith("--from") for word in words):
        return []
    return [word for word in words if not word.startswith("--")][:-1]


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
