"""Build an image with Docker from files of this machine.

Try it:  docker image ls 'localaws/*'     after a training job with a built-in algorithm
Knows the docker command, because BuildKit has no other client here, and nothing of registries.
"""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import docker.errors
import requests

from localaws.engine import CannotPull, EngineError, Image, Recipe
from localaws.engine.launch import launch, read_line

LAST_LINES = 8
STOP_LOOK_SECONDS = 0.1
BUILDKIT_IS_A_PLUG_IN = 23


def build(api: Any, recipe: Recipe, stop: threading.Event | None = None) -> Image:
    """The image `localaws/NAME`. Errors: CannotPull with the last lines of what Docker said; once `stop` is set."""
    tag = f"localaws/{recipe.name}:latest"
    command = [_client(), "build", "--file", str(recipe.dockerfile), "--tag", tag]
    for argument, value in recipe.arguments.items():
        command += ["--build-arg", f"{argument}={value}"]
    command.append(str(recipe.context))
    try:
        succeeded, said = _run(command, stop or threading.Event())
    except EngineError as error:
        raise CannotPull(f"the image {tag} can't be built: {error.message}") from error
    if not succeeded:
        raise CannotPull(
            f"docker build of {recipe.dockerfile} failed: {said}", f"mend it: {' '.join(command)}"
        )
    try:
        config = api.inspect_image(tag)["Config"]
    except (docker.errors.APIError, requests.RequestException) as error:
        raise CannotPull(f"the image {tag} was built and is not there: {error}") from error
    return Image(tag, "", config)


def _client() -> str:
    """A docker command that builds with BuildKit, which Dockerfiles' cache mounts need: from version 23 on that is a
    plug-in, which may be missing."""
    for folder in os.get_exec_path():
        program = shutil.which("docker", path=folder)
        if not program:
            continue
        plug_in = subprocess.run([program, "buildx", "version"], capture_output=True)
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        major = re.search(r"version (\d+)", version)
        if plug_in.returncode == 0 or (major and int(major[1]) < BUILDKIT_IS_A_PLUG_IN):
            return program
    raise CannotPull(
        "no docker command here builds with BuildKit", "install the package docker-buildx-plugin"
    )


def _run(command: list[str], stop: threading.Event) -> tuple[bool, str]:
    """Run a command that ends with this server, or before; whether it succeeded, and its last lines."""
    started = launch(command, {**os.environ, "DOCKER_BUILDKIT": "1"}, Path("/"), None)
    over = threading.Event()
    stopper = threading.Thread(target=_stop, args=(started.control, stop, over), name="stop-build")
    stopper.start()
    try:
        with os.fdopen(started.log, "r", errors="replace") as log:
            last = collections.deque((line.rstrip() for line in log), LAST_LINES)
        succeeded = read_line(started.status) == "exit 0"
    finally:
        over.set()
        stopper.join()
        os.close(started.status)
        os.close(started.control)
        started.supervisor.wait()
    return succeeded, "\n".join(last)


def _stop(control: int, stop: threading.Event, over: threading.Event) -> None:
    """Pass a signal on as soon as the build is not wanted any more."""
    while not over.wait(STOP_LOOK_SECONDS):
        if stop.is_set():
            with contextlib.suppress(BrokenPipeError):  # it has just ended by itself
                os.write(control, bytes([signal.SIGTERM]))
            return
