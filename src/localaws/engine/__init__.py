"""What really runs a container here: one surface, two engines.

Try it:  python -m localaws serve --engine process --state-dir .workshop --port 4566
Knows nothing of ECS: an engine takes a description of a container and reports an exit code. The process
engine runs the image's entry point in a virtual environment of this machine; the Docker engine runs the image
itself. `auto` is Docker where an engine on this machine answers, else processes.

Addresses. A task of the network mode awsvpc has an address of its own on both engines, from `open_interface`
until `close_interface`, on which its containers keep their ports; its containers reach each other on it, and
other tasks reach them there. With Docker it is an address of the network `localaws`, localhost is the task's
own, and other tasks find it by name too (task id, service, family, ip-A-B-C-D.ec2.internal). A process has no
network of its own, so there it is 127.x.y.z, localhost is this machine's, names do not resolve, and a program
must bind the address that the variable WORKSHOP_BIND_ADDRESS gives (unset with Docker: bind 0.0.0.0).
A program learns its task's address on both engines, as on AWS, from the task metadata endpoint:
GET $ECS_CONTAINER_METADATA_URI_V4, then Networks[0].IPv4Addresses[0].
"""

import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from localaws.engine.usage import Usage
from localaws.errors import LocalAwsError, NoDocker

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
DEFAULT_STOP_TIMEOUT_SECONDS = 30.0  # ECS_CONTAINER_STOP_TIMEOUT of the container agent
ENVIRONMENT_LABEL = "workshop.environment"
# What an engine gives on to the course's containers from its own environment, so that they find data offline.
PASSED_ON = ("WORKSHOP_ROOT", "WORKSHOP_CACHE_DIR", "WORKSHOP_DATA_DIR")

logger = logging.getLogger("localaws.engine")


class EngineError(LocalAwsError):
    """A container could not be made or started. `kind` is the word that ECS puts before the message."""

    kind = "CannotStartContainerError"


class CannotPull(EngineError):
    """The image is not in the registry, or is one that this engine can't run."""

    kind = "CannotPullContainerError"


class CannotCreate(EngineError):
    """The container asks for something that this engine can't give."""

    kind = "CannotCreateContainerError"


@dataclass(frozen=True)
class PortMapping:
    """A port of the container to reach from outside; host port 0 means any free one."""

    container_port: int
    host_port: int = 0
    protocol: str = "tcp"


@dataclass(frozen=True)
class Binding:
    """Where a container's port is reached: `bind_ip`:`host_port`."""

    container_port: int
    host_port: int
    bind_ip: str
    protocol: str = "tcp"


@dataclass(frozen=True)
class Volume:
    """A folder inside the container that is not its image's.

    scope: `host` for the folder `source` of this machine; `task` and `shared` for one that the engine keeps,
    by the name of `source`, as long as the task or the engine lives.
    """

    source: Path
    container_path: str
    read_only: bool = False
    scope: Literal["host", "task", "shared"] = "host"


@dataclass(frozen=True)
class Base:
    """A folder that a container begins with and that is read again when it has ended, such as /opt/ml.

    source: here, with at least one subfolder; each of these is the container's at container_path/NAME, and whoever
    it runs as may write there. variable: where a process, which has no folder at that path, is told of `source`.
    """

    source: Path
    container_path: str
    variable: str


@dataclass(frozen=True)
class Image:
    """A pulled image: what it is called, its manifest's digest, its OCI config, its layers' compressed size."""

    reference: str
    digest: str
    config: Mapping[str, Any]
    layers_bytes: int = 0

    @property
    def labels(self) -> Mapping[str, str]:
        return self.config.get("Labels") or {}


@dataclass(frozen=True)
class Recipe:
    """How an image is made here: what Docker calls it, its OCI config, and what Docker builds it from."""

    name: str
    config: Mapping[str, Any]
    dockerfile: Path
    context: Path
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Isolation:
    """What a container may and may not, as a task definition asks for it. The process engine has none of it."""

    init: bool = False
    dropped_capabilities: tuple[str, ...] = ()
    added_capabilities: tuple[str, ...] = ()
    read_only: bool = False
    privileged: bool = False
    shared_memory_mib: int | None = None
    temporary_file_systems: Mapping[str, str] = field(default_factory=dict)  # path: mount options
    limits: tuple[tuple[str, int, int], ...] = ()  # ulimits: name, soft, hard


@dataclass(frozen=True)
class ContainerSpec:
    """A container to start. Memory in MiB (None: no limit), CPU in units of 1/1024 of a core."""

    name: str
    image: str
    image_config: Mapping[str, Any] = field(default_factory=dict)
    command: list[str] | None = None
    entry_point: list[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    ports: tuple[PortMapping, ...] = ()
    memory_mib: int | None = None
    cpu_units: int = 0
    gpus: int = 0
    gpu_ids: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    user: str | None = None
    stop_timeout_seconds: float = DEFAULT_STOP_TIMEOUT_SECONDS
    network: str | None = "bridge"
    address: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    isolation: Isolation = Isolation()
    image_digest: str = ""
    base: Base | None = None


@dataclass(frozen=True)
class Exit:
    """How a container ended: 128 + n when signal n ended it; `reason` says why if the engine killed it."""

    code: int
    reason: str = ""


class Terminal(Protocol):
    """A command on a terminal of its own inside a container. Reading and writing never wait."""

    failure: str  # why the command could not be started, where that shows only afterwards

    def fileno(self) -> int:
        """A descriptor that tells when there is something to read or room to write."""

    def read(self) -> bytes:
        """What was written to the terminal; empty at its end. Errors: BlockingIOError if there is nothing yet."""

    def write(self, data: bytes) -> int:
        """Type; how much was taken. Errors: BlockingIOError while nothing can be."""

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""

    def close(self) -> None:
        """End the command and what it started; exactly once."""


class Container(Protocol):
    """A started container."""

    id: str
    pid: int
    address: str
    bindings: list[Binding]

    def wait(self, timeout_seconds: float | None = None) -> Exit | None:
        """The exit, once there is one; None if the time passed before."""

    def stop(self, timeout_seconds: float | None = None) -> Exit:
        """Send the image's stop signal, SIGKILL after the time, and return the real exit."""

    def log_batches(self) -> Iterator[list[str]]:
        """Lines as they come, in batches; ends after the exit. For one reader only."""

    def log_lines(self) -> Iterator[str]:
        """The same, line by line."""

    def execute(self, command: list[str], timeout_seconds: float) -> tuple[int, str]:
        """Run a command inside; (exit code, output). Code 124 when the time passed."""

    def open_terminal(self, command: list[str]) -> Terminal:
        """Start a command on a terminal inside; raises EngineError when it can't be."""

    def usage(self) -> Usage | None:
        """Processor time and memory of everything in it; None once it has ended."""

    def bring_back(self, name: str) -> Path:
        """A subfolder of its base as the ended container left it; raises EngineError when it can't be had."""

    def remove(self) -> None:
        """Give back the folder, addresses and ports of a stopped container."""


class Engine(Protocol):
    """Pulls images and starts containers."""

    name: str
    closing: bool
    folder: Path  # its own, for what containers need on disk

    def pull(self, reference: str) -> Image:
        """Find an image; raises CannotPull."""

    def provide(self, recipe: Recipe, stop: threading.Event | None = None) -> Image:
        """An image that no registry has, from files of this machine; raises CannotPull, also once `stop` is set."""

    def endpoint_inside(self, endpoint: str) -> str:
        """The server's endpoint as containers reach it."""

    def open_interface(self, task: str, names: tuple[str, ...] = (), domain: str = "ec2.internal") -> str:
        """Make a network interface for a task and return its address: no other task has it meanwhile.

        Containers whose `address` it is share it. Other tasks may find it by `names` and by ip-A-B-C-D.domain.
        """

    def close_interface(self, address: str) -> None:
        """Give back an interface's address, once its containers are removed."""

    def start(self, spec: ContainerSpec) -> Container:
        """Start a container; raises EngineError when its entry point can't be run."""

    def remove_volumes(self, folder: Path) -> None:
        """Remove the volumes whose sources lie in this folder, once no container uses them."""

    def clean_orphans(self) -> int:
        """End what an earlier engine on the same folder left; returns how many processes or containers."""

    def stop_all(self, timeout_seconds: float = 5.0) -> None:
        """End every container and start no other."""


def create(
    name: str,
    state_dir: Path,
    environments: Mapping[str, Path],
    passed_on: Mapping[str, str] | None = None,
    endpoint: str = "",
) -> Engine:
    """Make the engine called `auto`, `process` or `docker`; state_dir is its own folder.

    endpoint: the server's own, from which Docker pulls images and to which containers must find.
    Errors: NoDocker if `docker` is asked for and can't be used here.
    """
    if name not in ("auto", "process", "docker"):
        raise LocalAwsError(
            f"there is no engine called {name!r}; there are auto, process and docker",
            "set WORKSHOP_ENGINE=auto",
        )
    from localaws.engine.images import RegistryImages

    if name != "process":
        try:
            return _docker(state_dir, passed_on or {}, endpoint)
        except NoDocker as error:
            if name == "docker":
                raise
            logger.warning("containers run as processes: %s", error.message)
    from localaws.engine.process import ProcessEngine

    return ProcessEngine(state_dir, environments, RegistryImages(), passed_on or {})


def _docker(state_dir: Path, passed_on: Mapping[str, str], endpoint: str) -> Engine:
    # Asked first: where there is none, which is common, the client's import would delay every start.
    if shutil.which("docker") is None:
        raise NoDocker(
            "there is no docker command here, with which images are built and pushed",
            "install and start Docker, or: WORKSHOP_ENGINE=process workshop up",
        )
    from localaws.engine.images import RegistryImages

    try:
        from localaws.engine import docker
    except ImportError as error:
        raise NoDocker(f"the Python package {error.name} is not installed", "make setup") from error
    return docker.connect(state_dir, RegistryImages(), passed_on, endpoint)
