"""Serve AWS on this machine: ministack embedded, on one port of the loopback address, with our additions.

Try it:  python -m localaws serve --state-dir .workshop --port 4566
Knows nothing of labs or stacks' names. ministack reads its settings at import, so it is imported here and
only after `_configure`; the modules beside this one import it inside their functions for the same reason.
"""

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localaws import identity

LOOPBACK = "127.0.0.1"
WATCH_SECONDS = 0.5
SHORTEST_MINUTE_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 75
ACCOUNT_ID = "123456789012"
# All that a server needs of its starter's environment.
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "XDG_CACHE_HOME",
)

logger = logging.getLogger("localaws")


@dataclass(frozen=True)
class Options:
    """What a server is started with."""

    state_dir: Path
    port: int
    region: str = "us-east-1"
    engine: str = "auto"
    environments: dict[str, Path] = field(default_factory=dict)
    enforce: bool = True  # IAM: without it any credentials pass
    learner_policy: Path | None = None  # what the key `local` may do; None: everything
    # Managed policies that the account's administrator made before the learner came, by name.
    managed_policies: dict[str, Path] = field(default_factory=dict)
    learner_attached: tuple[str, ...] = ()  # those of them that the key `local` has beside its own policy
    record_decisions: bool = False  # keep each of IAM's decisions, see `identity.decisions`
    layer_cache: Path | None = None  # large layers of images that any server of this machine has had
    # What stands for SageMaker's built-in algorithms, by name: see `sagemaker.algorithms`.
    algorithms: dict[str, Path] = field(default_factory=dict)
    # CloudWatch's minute: services publish once in so many seconds, and an alarm's Period of 60 is that long.
    metric_seconds: float = 60.0

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def folder(self) -> Path:
        """Where everything that must outlive the server lies."""
        return self.state_dir / "localaws"


def serve(options: Options, ready: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; calls `ready` with the engine's name once requests are answered."""
    before = _configure(options)
    asyncio.run(_serve(options, before, ready))


def _configure(options: Options) -> dict[str, str]:
    """Replace this process's environment by the one that ministack, and the functions it runs, shall see.

    Nothing of the learner's (profiles, credentials, tokens, proxies) may reach code that runs here as a
    service. Returns what was taken out.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # ministack unpacks functions into temporary folders and leaves them there when it is killed.
    temporary = options.folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    root_key, root_secret = identity.root_credentials()
    os.environ.update(
        AUTH="true" if options.enforce else "false",
        AWS_ACCESS_KEY_ID=root_key,
        AWS_SECRET_ACCESS_KEY=root_secret,
        AWS_DEFAULT_REGION=options.region,
        AWS_REGION=options.region,
        AWS_ENDPOINT_URL=options.endpoint,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        MINISTACK_ACCOUNT_ID=ACCOUNT_ID,
        MINISTACK_REGION=options.region,
        GATEWAY_PORT=str(options.port),
        BIND_HOST=LOOPBACK,
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        PERSIST_STATE="1",
        STATE_DIR=str(options.folder / "services"),
        S3_PERSIST="1",
        S3_DATA_DIR=str(options.folder / "s3"),
        LOG_LEVEL="WARNING",
        TMPDIR=str(temporary),
    )
    tempfile.tempdir = None
    return before


def _close_when_the_client_has() -> None:
    """Hypercorn holds the socket of a client that has gone until the time for keeping idle ones has passed: some
    hundred short connections in a minute would use up all that a process may have open."""
    from hypercorn.asyncio.tcp_server import TCPServer

    read = TCPServer._read_data

    async def read_and_wait_no_longer(self: Any) -> None:
        await read(self)
        await self.idle_task.stop()

    TCPServer._read_data = read_and_wait_no_longer  # type: ignore[method-assign]


async def _serve(options: Options, before: dict[str, str], ready: Callable[[str], None]) -> None:
    from hypercorn.asyncio import serve as run_hypercorn
    from hypercorn.config import Config

    from localaws import additions

    began = time.monotonic()
    installed = additions.install(options, before)
    config = Config()
    config.bind = [f"{LOOPBACK}:{options.port}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    _close_when_the_client_has()
    config.graceful_timeout = 2
    # The additions end what runs while requests are still answered; only then does the port close.
    asked, stopping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, asked.set)
    gone = asyncio.Event()
    application: Any = installed.application
    http = asyncio.create_task(run_hypercorn(application, config, shutdown_trigger=stopping.wait))
    try:
        await _listening(options.port, http)
        await installed.start()
        # While it is open, no new folder can have its number. Opened before anybody knows of the server, so that
        # whoever removes the folder at once is noticed too.
        held = os.open(options.folder, os.O_RDONLY)
        logger.warning("ready on %s after %.2f s", options.endpoint, time.monotonic() - began)
        ready(installed.engine.name)
        watch = asyncio.create_task(_watch(options.folder, held, gone, asked))
        await asked.wait()
        watch.cancel()
        await installed.stop(keep=not gone.is_set())
        if gone.is_set():
            os._exit(0)  # an orderly end would write the services' states into a folder that was taken away
    finally:
        stopping.set()
        await http


async def _watch(folder: Path, held: int, gone: asyncio.Event, asked: asyncio.Event) -> None:
    """End the server when its folder is removed: nobody would find it any more, and its port stayed taken.

    held: the folder, open; closed when the watch ends.
    """
    try:
        while _same(folder, held):
            await asyncio.sleep(WATCH_SECONDS)
    finally:
        os.close(held)
    logger.warning("%s was removed: ending", folder)
    gone.set()
    asked.set()


def _same(folder: Path, held: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(held))
    except FileNotFoundError:
        return False


async def _listening(port: int, http: "asyncio.Task[Any]") -> None:
    """Return when the port accepts connections; raises what ended the server if it ended instead."""
    while not http.done():
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
    await http
    raise RuntimeError("the server ended before it listened")
