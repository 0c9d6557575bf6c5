"""Start, find and stop the local AWS as a process of its own.

Try it:  python -c "from pathlib import Path; from localaws import daemon;
         print(daemon.status(Path('.workshop')))"
Knows nothing of what the server serves. The state file says which process it is by number and start time,
so a file left behind by a killed server, or a number given to another program since, is never trusted.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from localaws import errors
from localaws.server import LOOPBACK, Options, serve

START_TIMEOUT_SECONDS = 20.0
LOG_LIMIT_BYTES = 5_000_000


@dataclass(frozen=True)
class Running:
    """A server that answers.

    started_at: its process's start, in seconds since the epoch. metric_seconds: how long CloudWatch's minute is.
    """

    pid: int
    port: int
    endpoint: str
    engine: str
    started_at: float
    metric_seconds: float = Options.metric_seconds


def start(
    state_dir: Path,
    port: int,
    region: str = "us-east-1",
    engine: str = "auto",
    environments: dict[str, Path] | None = None,
    learner: Path | None = None,
    enforce: bool = Options.enforce,
    managed_policies: dict[str, Path] | None = None,
    record_decisions: bool = False,
    layer_cache: Path | None = None,
    metric_seconds: float = Options.metric_seconds,
    learner_attached: Sequence[str] = (),
    algorithms: dict[str, Path] | None = None,
) -> Running:
    """Start the server detached and return once it answers; the one that runs already is returned as it is.

    learner: the policy of whoever calls with the key `local`; without it that is an administrator.
    managed_policies: documents by the name of the managed policy that the account has of each.
    learner_attached: the names of those that the learner has beside `learner`.
    algorithms: by the name of a built-in algorithm of SageMaker's, the file that describes what runs in its place.
    Errors: PortBusy if another program has the port; NotReady with the log's end if the server did not
    come up.
    """
    state_dir = Path(state_dir).absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    with _lock(state_dir / "localaws.start.lock"):
        running = status(state_dir)
        if running:
            return running
        refuse_busy_port(port)
        options = Options(
            state_dir=state_dir,
            port=port,
            region=region,
            engine=engine,
            environments=dict(environments or {}),
            enforce=enforce,
            learner_policy=learner,
            managed_policies=dict(managed_policies or {}),
            learner_attached=tuple(learner_attached),
            record_decisions=record_decisions,
            layer_cache=layer_cache,
            metric_seconds=metric_seconds,
            algorithms=dict(algorithms or {}),
        )
        _spawn(options)
        running = status(state_dir)
    if running is None:
        raise errors.NotReady(f"the local AWS ended at once.\n{_log_end(state_dir)}", "workshop up")
    return running


def status(state_dir: Path) -> Running | None:
    """The server that keeps its state in this folder, or None."""
    try:
        running = Running(**json.loads(_state_file(state_dir).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return running if _process(running) else None


def stop(state_dir: Path, timeout_seconds: float = 30) -> bool:
    """Stop the server, politely and then not; False if there was none.

    Errors: NotKept if it could not write what it holds.
    """
    running = status(state_dir)
    process = _process(running) if running else None
    if process is None:
        _state_file(state_dir).unlink(missing_ok=True)
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(timeout_seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(5)
    kept = not _state_file(state_dir).exists()  # a server that ends in order takes it away at last
    _state_file(state_dir).unlink(missing_ok=True)
    if not kept:
        free_mib = shutil.disk_usage(state_dir).free / 2**20
        raise errors.NotKept(
            f"the local AWS has stopped, and could not write its latest changes to {state_dir} "
            f"({free_mib:.0f} MiB free): {_log_end(state_dir) or 'it was killed'}",
            "free some space, then workshop up; workshop status shows what is there",
        )
    return True


def serve_here(options: Options, ready_fd: int | None = None) -> None:
    """Serve in this process and keep the state file true meanwhile.

    ready_fd: a pipe that gets one byte once requests are answered.
    """
    options.state_dir.mkdir(parents=True, exist_ok=True)
    with _lock(options.state_dir / "localaws.lock", wait=False):
        refuse_busy_port(options.port)
        state_file = _state_file(options.state_dir)

        def ready(engine_name: str) -> None:
            born = psutil.Process().create_time()
            running = Running(
                os.getpid(), options.port, options.endpoint, engine_name, born, options.metric_seconds
            )
            beside = state_file.with_suffix(".tmp")
            beside.write_text(json.dumps(asdict(running), indent=2) + "\n")
            beside.replace(state_file)
            if ready_fd is not None:
                os.write(ready_fd, b".")
                os.close(ready_fd)

        serve(options, ready)
        state_file.unlink(missing_ok=True)  # not after a failure: `stop` tells by it


def refuse_busy_port(port: int, patience_seconds: float = 2) -> None:
    """Raise PortBusy, with the program that has the port where the system tells.

    A server that was just killed may hold its port for a moment while it has no process any more to name, and
    one whose folder was just removed while it notices: that is waited for.
    """
    ends = time.monotonic() + patience_seconds
    while (problem := _bind(port)) is not None:
        holder = _holder(port)
        if (holder and " localaws serve " not in holder[1]) or time.monotonic() > ends:
            said = f"process {holder[0]} ({holder[1][:80]}) listens there" if holder else problem
            stop = f"kill {holder[0]}" if holder else "stop what has it"
            other = port + 1 if port < 65535 else port - 1
            raise errors.PortBusy(
                f"port {port} on {LOOPBACK} is not free: {said}",
                f"{stop}, or choose another port: WORKSHOP_PORT={other} workshop up",
            )
        time.sleep(0.02)


def _bind(port: int) -> str | None:
    """Why the port can't be bound; None if it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return str(error.strerror)
    return None


def _holder(port: int) -> tuple[int, str] | None:
    """(number, command) of the process that listens on the port; None if nobody tells, or it is ending."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                return process.pid, " ".join(process.cmdline())
    return None


def _spawn(options: Options) -> None:
    """Start the server in a session of its own and wait on its pipe: a byte is ready, an end is a failure."""
    command = [_interpreter(options), "-m", "localaws", "serve", "--state-dir", str(options.state_dir)]
    command += ["--port", str(options.port), "--region", options.region, "--engine", options.engine]
    for name, folder in options.environments.items():
        command += ["--environment", f"{name}={Path(folder).absolute()}"]
    command += ["--metric-seconds", str(options.metric_seconds)]
    command.append("--enforce" if options.enforce else "--no-enforce")
    if options.learner_policy:
        command += ["--learner-policy", str(Path(options.learner_policy).absolute())]
    for name, path in options.managed_policies.items():
        command += ["--managed-policy", f"{name}={Path(path).absolute()}"]
    for name, path in options.algorithms.items():
        command += ["--algorithm", f"{name}={Path(path).absolute()}"]
    for name in options.learner_attached:
        command += ["--learner-managed-policy", name]
    if options.record_decisions:
        command.append("--record-decisions")
    if options.layer_cache:
        command += ["--layer-cache", str(Path(options.layer_cache).absolute())]
    reader, writer = os.pipe()
    try:
        with _log_file(options.state_dir).open("ab") as log:
            process = subprocess.Popen(
                [*command, "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writer],
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                start_new_session=True,
                cwd="/",
            )
        os.close(writer)
        _wait(reader, process, options.state_dir)
    finally:
        os.close(reader)


def _wait(reader: int, process: "subprocess.Popen[bytes]", state_dir: Path) -> None:
    said, late = b"", False
    if select.select([reader], [], [], START_TIMEOUT_SECONDS)[0]:
        said = os.read(reader, 4096)
    else:
        late = True
        process.kill()
    if said == b".":
        return
    process.wait()
    kind, _, rest = said.decode().partition("\n")
    message, _, remedy = rest.partition("\n")
    if kind and isinstance(getattr(errors, kind, None), type):
        raise getattr(errors, kind)(message, remedy)
    how = f"did not come up within {START_TIMEOUT_SECONDS:.0f} s" if late else "ended as it started"
    raise errors.NotReady(
        f"the local AWS {how}: {_log_end(state_dir) or f'exit status {process.returncode}'}",
        f"read {_log_file(state_dir)}",
    )


def _interpreter(options: Options) -> str:
    """The Python that has ministack: the environment `workshop` where one is named, else this one."""
    folder = options.environments.get("workshop")
    python = Path(folder).absolute() / "bin" / "python" if folder else None
    return str(python) if python and python.exists() else sys.executable


def _process(running: Running) -> psutil.Process | None:
    """The server's process, if it is still that one. Start times are clock readings: allow them a second."""
    try:
        process = psutil.Process(running.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - running.started_at) < 1 else None
    except psutil.Error:
        return None


@contextlib.contextmanager
def _lock(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock that the system lets go of when its holder dies."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise errors.StateBusy(
                f"{path.parent} is in use by the local AWS with process {file.read().strip()}",
                "workshop down",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _state_file(state_dir: Path) -> Path:
    return Path(state_dir) / "localaws.json"


def _log_file(state_dir: Path) -> Path:
    log = state_dir / "localaws.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log


def _log_end(state_dir: Path) -> str:
    """The last line of the log that says something; of a traceback that is what was raised."""
    log = _log_file(state_dir)
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line for line in reversed(lines) if line.strip(" \0")), "").strip()
