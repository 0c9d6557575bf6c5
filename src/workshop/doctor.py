"""Say what this machine has and lacks for the course, with the remedy beside each lack.

Try it:  workshop doctor
Looks only: starts nothing, downloads nothing, changes nothing.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workshop import aws_cli, kernels, local
from workshop.airflow.home import ENVIRONMENT
from workshop.errors import WorkshopError
from workshop.settings import Settings

# Measured: environments 2.9 GiB; state, cache and runs of one course 0.13 GiB. The rest is for downloads.
NEEDED_DISK_GIB = 4.0
# What lab 4's task definitions reserve for a training task (3 GiB), and 1 GiB for all that runs beside it.
NEEDED_MEMORY_GIB = 4.0
DOCKER_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Row:
    """One thing that was looked at; `needed` is False for what only makes the course better."""

    name: str
    ok: bool
    found: str
    fix: str = ""
    needed: bool = True

    @property
    def mark(self) -> str:
        return "✓" if self.ok else "✗" if self.needed else "!"


def examine(settings: Settings) -> list[Row]:
    """Look at everything; a look that fails in an expected way is a row of its own."""
    looks: Sequence[tuple[str, Callable[[Settings], Row]]] = (
        ("python", _python),
        ("environments", _environments),
        ("disk", _disk),
        ("memory", _memory),
        ("port", _port),
        ("engine", _engine),
        ("data", _data),
        ("target", _target),
        ("limits", _limits),
        ("aws cli", _aws_cli),
    )
    rows = []
    for name, look in looks:
        try:
            rows.append(look(settings))
        except WorkshopError as error:
            rows.append(Row(name, False, error.message, error.remedy))
    return rows


def as_text(rows: Sequence[Row]) -> str:
    """Spell rows for a terminal, and in the last line what they come to."""
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.mark} {row.name:<{width}}  {row.found}")
        if row.fix and not row.ok:
            lines.append(f"  {'':<{width}}  fix: {row.fix}")
    missing = [row.name for row in rows if row.needed and not row.ok]
    lines.append(f"missing: {', '.join(missing)}" if missing else "ready: workshop run all")
    return "\n".join(lines)


def _python(settings: Settings) -> Row:
    found = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info[:2] == (3, 11)
    return Row(
        "python", ok, f"Python {found}, and the course needs 3.11", "apt install python3.11 python3.11-venv"
    )


def _environments(settings: Settings) -> Row:
    folder = settings.root / ".venvs"
    missing = [name for name in kernels.KERNELS if kernels.interpreter(name, settings.root) is None]
    names = [*kernels.KERNELS]
    if folder.is_dir():  # an image is one environment, and has no others
        names += [*local.SERVERS, ENVIRONMENT]
        missing += [name for name in names[len(kernels.KERNELS) :] if not (folder / name).is_dir()]
    found = f"missing: {', '.join(missing)}" if missing else ", ".join(names)
    return Row("environments", not missing, found, "make setup")


def _disk(settings: Settings) -> Row:
    for name in ("state_dir", "runs_dir", "cache_dir"):
        folder = _existing(getattr(settings, name))
        if not os.access(folder, os.W_OK):
            fix = f"make it yours, or choose another: export WORKSHOP_{name.upper()}=…"
            return Row("disk", False, f"{folder} may not be written ({name})", fix)
    free = shutil.disk_usage(_existing(settings.state_dir)).free / 2**30
    needed = NEEDED_DISK_GIB if not (settings.root / ".venvs").is_dir() else 1.0
    found = f"{free:.1f} GiB free in {_existing(settings.state_dir)}, {needed:.0f} needed"
    return Row("disk", free >= needed, found, "free some space, or clone the course to a larger disk")


def _memory(settings: Settings) -> Row:
    import psutil

    available = psutil.virtual_memory().available / 2**30
    found = f"{available:.1f} GiB available, {NEEDED_MEMORY_GIB:.0f} needed"
    return Row(
        "memory", available >= NEEDED_MEMORY_GIB, found, "close other programs; profile quick needs least"
    )


def _port(settings: Settings) -> Row:
    running = local.status(settings)
    if running:
        return Row("port", True, f"{running.port}: the local AWS, process {running.pid}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
        except OSError as error:
            found = f"{settings.port} on loopback: {error.strerror}"
            return Row("port", False, found, f"workshop up --port {settings.port + 1}")
    return Row("port", True, f"{settings.port} on loopback is free")


def _engine(settings: Settings) -> Row:
    """Say which engine will run containers, and why that one."""
    why_not = docker_problem()
    if settings.engine == "docker":
        found = "docker, as set" if not why_not else f"docker is set, but {why_not}"
        return Row("engine", not why_not, found, "start Docker, or: export WORKSHOP_ENGINE=process")
    if settings.engine == "auto" and not why_not:
        running = local.status(settings)
        if running and running.engine == "process":
            log = settings.state_dir / "localaws.log"
            return Row(
                "engine", True, f"process: the local AWS runs without Docker, which answers; why: {log}"
            )
        return Row("engine", True, "docker: it answers")
    why = "as set" if settings.engine == "process" else why_not
    return Row("engine", True, f"process ({why}); it can't show image layers or isolation between containers")


def docker_problem() -> str:
    """Say why Docker can't be used here, or return an empty string."""
    command = shutil.which("docker")
    if command is None:
        return "there is no docker command"
    question = [command, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=DOCKER_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return f"Docker does not answer within {DOCKER_TIMEOUT_SECONDS} s"
    return "" if answer.returncode == 0 else "the Docker engine does not answer"


def _data(settings: Settings) -> Row:
    """Name each dataset's source; the samples count as there, because every lab runs with them."""
    from workshop import datasets

    rows = datasets.status(settings)
    damaged = [row.note for row in rows if row.source == datasets.DAMAGED]
    if damaged:
        return Row("data", False, "; ".join(damaged), "replace what is damaged, or remove it")
    found = ", ".join(f"{row.name}: {row.source}" for row in rows)
    return Row("data", True, f"{found}; what is not here is downloaded, or a sample stands in")


def _target(settings: Settings) -> Row:
    if settings.target == "local":
        names = sorted(set(os.environ) & {"AWS_PROFILE", "AWS_ACCESS_KEY_ID"})
        note = f" ({', '.join(names)} is set here and not used)" if names else ""
        return Row("target", True, f"local: nothing reaches an AWS account{note}")
    from workshop.aws import session

    return Row("target", True, str(session.connect(settings)))


def _limits(settings: Settings) -> Row:
    """What the labs would run into in this account; some limits are 0 in a new one."""
    if settings.target == "local":
        return Row("limits", True, "the local AWS has none")
    from workshop import course
    from workshop.aws import quotas, session

    concerns = [name for names in course.STACKS.values() for name in names]
    lines = quotas.check(concerns, session.connect(settings))
    found = "; ".join(lines) or "the account's limits have room for every lab"
    return Row("limits", not lines, found, "ask for more before the lab, by the commands above", needed=False)


def _aws_cli(settings: Settings) -> Row:
    """Look at the one that docs/by-hand.md would be typed with; no lab needs it."""
    cli = aws_cli.find()
    if cli is None:
        return Row("aws cli", True, "none on the path, and no lab needs it")
    on_aws = settings.target == "aws"  # where any version asks whom it should
    return Row("aws cli", on_aws or not cli.problem, cli.problem or str(cli), aws_cli.REMEDY, needed=False)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
