"""Call the Docker command line: build, inspect, push, run.

Try it:  python -c "from workshop.aws import docker; print(docker.absent() or 'Docker answers')"
Knows nothing of ECR or of the course's images.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workshop.aws import programs
from workshop.errors import AwsError

ANSWER_SECONDS = 5.0


def absent(timeout_seconds: float = ANSWER_SECONDS) -> str:
    """Why Docker can't be used here, as part of a sentence; '' if it answers."""
    if shutil.which("docker") is None:
        return "there is no docker command here"
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        return f"Docker did not answer within {timeout_seconds:g} s"
    if asked.returncode or not asked.stdout.strip():
        return "there is a docker command, but no Docker engine answers"
    return ""


def build(
    path: Path,
    context: Path,
    tags: Sequence[str],
    on_line: Callable[[str], None],
    arguments: Mapping[str, str] | None = None,
) -> None:
    """Build a Dockerfile, handing on every line of progress. Errors: AwsError with the last lines."""
    named = [word for tag in tags for word in ("--tag", tag)]
    given = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
    command = [
        client_that_builds(),
        "build",
        "--progress",
        "plain",
        "--file",
        str(path),
        *given,
        *named,
        str(context),
    ]
    programs.stream(command, f"docker build {path.parent.name}", on_line)


def push(tag: str, on_line: Callable[[str], None]) -> str:
    """Push a tag and return the digest that the registry says, '' if it says none."""
    lines = programs.stream(["docker", "push", tag], f"docker push {tag}", on_line)
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", "\n".join(lines))
    return found[1] if found else ""


def login(host: str, user: str, password: str) -> None:
    """Log in; the password goes in by standard input, where no process list shows it."""
    command = ["docker", "login", "--username", user, "--password-stdin", host]
    asked = subprocess.run(command, input=password, capture_output=True, text=True, timeout=60)
    if asked.returncode:
        raise AwsError(f"docker login {host} failed: {asked.stderr.strip()}")


def logout(host: str) -> None:
    """Take the registry's token out of Docker's configuration again."""
    subprocess.run(["docker", "logout", host], capture_output=True, timeout=60)


def inspect(tag: str) -> dict[str, Any]:
    """Docker's description of an image. Errors: AwsError if it was never built."""
    asked = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, text=True, timeout=60)
    if asked.returncode:
        raise AwsError(f"Docker has no image {tag}", "images.build(…), or workshop prepare 3")
    return dict(json.loads(asked.stdout)[0])


def history(tag: str) -> list[tuple[str, int]]:
    """(instruction, bytes) of every layer, the first one first."""
    form = '{"step": {{json .CreatedBy}}, "size": {{json .Size}}}'
    command = ["docker", "history", "--no-trunc", "--human=false", "--format", form, tag]
    rows = [json.loads(line) for line in programs.output_of(command, 60).splitlines()]
    return [(row["step"], int(row["size"])) for row in reversed(rows)]


def run(tag: str, command: Sequence[str], timeout_seconds: float) -> str:
    """Run one command in a fresh container of the image, without a network, and return what it printed."""
    words = ["docker", "run", "--rm", "--network", "none", "--entrypoint", command[0], tag, *command[1:]]
    return programs.output_of(words, timeout_seconds)


def names(label: str) -> list[str]:
    """Every tag and every name by digest of the images that have a label."""
    listed = programs.output_of(["docker", "images", "--quiet", "--filter", f"label={label}"], 60).split()
    if not listed:
        return []
    form = "{{range .RepoTags}}{{.}} {{end}}{{range .RepoDigests}}{{.}} {{end}}"
    command = ["docker", "image", "inspect", "--format", form, *sorted(set(listed))]
    return [name for name in programs.output_of(command, 60).split() if not name.startswith("<none>")]


def remove(names: Sequence[str], label: str) -> None:
    """Take names from images, and remove images with a label that have none left; the build cache stays."""
    programs.output_of(["docker", "image", "rm", "--force", *names], 120)
    programs.output_of(["docker", "image", "prune", "--force", "--filter", f"label={label}"], 120)


def remove_unused(name: str) -> bool:
    """Take a name from an image; False if a container is made from it, and it keeps the name."""
    asked = subprocess.run(["docker", "image", "rm", name], capture_output=True, timeout=120)
    return asked.returncode == 0


def client_that_builds() -> str:
    """A docker command that builds with BuildKit, which the Dockerfiles' cache mounts need.

    From version 23 on BuildKit is a plug-in that may be missing; older ones have it built in.
    """
    found = []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = shutil.which("docker", path=folder)
        if program and program not in found:
            found.append(program)
    for program in found:
        plug_in = subprocess.run([program, "buildx", "version"], capture_output=True)
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        major = re.search(r"version (\d+)", version)
        if plug_in.returncode == 0 or (major and int(major[1]) < 23):
            return program
    raise AwsError(
        "no docker command here can build with BuildKit", "install the package docker-buildx-plugin"
    )
