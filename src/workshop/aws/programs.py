"""Run a program and return what it printed, or say how it failed.

Try it:  python -c "from workshop.aws import programs; print(programs.output_of(['uname', '-a'], 5))"
Knows no program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from workshop.errors import AwsError

LAST_LINES = 15


def output_of(
    command: Sequence[str],
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """What a command printed on standard output; warnings on the other stream count only if it fails.

    Errors: AwsError with its last lines if it fails, ends late or is not there.
    """
    shown = " ".join(command[:4])
    program = shutil.which(command[0], path=environment.get("PATH") if environment else None)
    if program is None:
        raise AwsError(f"`{shown}` failed: there is no command {command[0]} in it")
    try:
        asked = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=dict(environment) if environment is not None else None,
            cwd=folder,
        )
    except subprocess.TimeoutExpired as error:
        raise AwsError(f"`{shown}` did not end within {timeout_seconds:g} s") from error
    if asked.returncode:
        raise AwsError(
            f"`{shown}` exited with {asked.returncode}: {_end((asked.stdout + asked.stderr).splitlines())}"
        )
    return asked.stdout


def stream(command: Sequence[str], doing: str, on_line: Callable[[str], None]) -> list[str]:
    """Run a command, handing on every line it prints, and return them all.

    Errors: AwsError with its last lines if it fails.
    """
    lines: list[str] = []
    variables = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode:
        raise AwsError(f"{doing} failed with {process.returncode}: {_end(lines)}")
    return lines


def _end(lines: Sequence[str]) -> str:
    return "\n".join(line for line in lines[-LAST_LINES:] if line.strip())
