"""A shell in an image that is not running, on this process's own terminal or pipes.

Try it:  workshop shell --image mxnet
With Docker: a fresh container without a network, as the image's own user, removed afterwards. Without: the image's
environment and variables in an empty folder; there is no file system of its own.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from workshop.aws import docker, images, session
from workshop.aws.session import Aws
from workshop.aws.task_shell_terminal import A_SHELL

TERM = "xterm-256color"


def open_shell(name: str, command: str = "", aws: Aws | None = None) -> int:
    """Run a shell command, or a shell to type into, in the image; returns its exit code."""
    aws = aws or session.current()
    words = ["sh", "-c", command or A_SHELL]
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if images.engine(aws) == "docker":
        uri = images.docker_uri(name, aws)
        docker.inspect(uri)  # else docker would look for an image that was never built in a registry
        flags = ["--interactive", *(["--tty", "--env", f"TERM={TERM}"] if is_terminal else [])]
        alone = ["--rm", "--init", "--network", "none", *flags, "--entrypoint", words[0], uri]
        return _attached(["docker", "run", *alone, *words[1:]])
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as scratch:
        inside = images.variables(name, scratch, aws)
        return _attached(words, {**inside, **({"TERM": TERM} if is_terminal else {})}, scratch)


def _attached(
    words: Sequence[str], variables: Mapping[str, str] | None = None, folder: str | None = None
) -> int:
    """Run a program on our own terminal; Ctrl-C is for it and not for us."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = subprocess.Popen(
            words,
            env=dict(variables) if variables is not None else None,
            cwd=folder,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        code = program.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - code if code < 0 else code
