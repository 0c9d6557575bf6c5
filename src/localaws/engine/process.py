"""Run containers as processes of this machine.

Try it:  WORKSHOP_ENGINE=process workshop up
An image's entry point runs in the virtual environment that its label `workshop.environment` names, in a fresh
folder that stands for its working directory, under a supervisor that ends everything with it.

What it can't show: other users, a root file system and image layers, network isolation, CPU shares. A process
can't have its port mapped, so each container gets a loopback address of its own in WORKSHOP_BIND_ADDRESS, on
which it keeps its container ports; where only 127.0.0.1 exists (macOS), containers share it and its ports.
"""

import errno
import json
import random
import secrets
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from localaws.engine import (
    ENVIRONMENT_LABEL,
    Binding,
    CannotCreate,
    CannotPull,
    ContainerSpec,
    EngineError,
    Image,
    Recipe,
)
from localaws.engine.container import ProcessContainer
from localaws.engine.forward import LOOPBACK, Forwarder
from localaws.engine.images import RegistryImages
from localaws.engine.launch import launch
from localaws.engine.memory import KernelLimit, limit
from localaws.engine.removal import remove_tree
from localaws.engine.surroundings import arguments, prepare_folder, variables

MOST_TRIES = 100
CLAIM_PORT = 51678  # UDP; the ECS agent keeps this port for itself, so no task may expect to have it


class ProcessEngine:
    """Starts containers as supervised process trees and knows all that are alive."""

    name = "process"

    def __init__(
        self,
        state_dir: Path,
        environments: Mapping[str, Path],
        images: RegistryImages,
        passed_on: Mapping[str, str],
    ) -> None:
        self.closing = False
        self.folder = state_dir
        self._environments = {name: path.absolute() for name, path in environments.items()}
        self._images = images
        self._passed_on = dict(passed_on)
        self._forwarder = Forwarder()
        self._containers: dict[str, ProcessContainer] = {}
        self._claims: dict[str, socket.socket] = {}
        self._lock = threading.Lock()

    def pull(self, reference: str) -> Image:
        """Find an image; one without a known environment can't be run here and is refused by name."""
        return self._runnable(self._images.pull(reference))

    def provide(self, recipe: Recipe, stop: threading.Event | None = None) -> Image:
        """The image's config is all that a process needs."""
        return self._runnable(Image(recipe.name, "", recipe.config))

    def _runnable(self, image: Image) -> Image:
        reference, label = image.reference, image.labels.get(ENVIRONMENT_LABEL)
        if label not in self._environments:
            raise CannotPull(
                f"{reference} has no label {ENVIRONMENT_LABEL}, which the process engine needs"
                if label is None
                else f"{reference} wants the environment {label!r}; there are {sorted(self._environments)}",
                "build the image with `workshop build`, or set up its environment with `make setup`",
            )
        if not (self._environments[label] / "bin").is_dir():
            raise CannotPull(
                f"{reference} wants the environment {label!r}, and {self._environments[label]} is none",
                "make setup",
            )
        return image

    def endpoint_inside(self, endpoint: str) -> str:
        """Processes share this machine's loopback address with the server."""
        return endpoint

    def open_interface(self, task: str, names: tuple[str, ...] = (), domain: str = "ec2.internal") -> str:
        """An address of 127.0.0.0/8 that no other task has, or 127.0.0.1 where the system has no other.

        A socket that is held on each address keeps it from being given twice, also by another server.
        """
        for _ in range(MOST_TRIES):
            address = f"127.{random.randint(64, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
            claim = socket.socket(type=socket.SOCK_DGRAM)
            try:
                claim.bind((address, CLAIM_PORT))
            except OSError as error:
                claim.close()
                if error.errno != errno.EADDRINUSE:
                    return LOOPBACK  # macOS has one loopback address
                continue
            with self._lock:
                self._claims[address] = claim
            return address
        raise CannotCreate("no free loopback address was found", "stop some tasks")

    def close_interface(self, address: str) -> None:
        """Let another task have the address."""
        with self._lock:
            claim = self._claims.pop(address, None)
        if claim:
            claim.close()

    def start(self, spec: ContainerSpec) -> ProcessContainer:
        """Start the entry point; returns when it runs, raises EngineError when it can't."""
        if self.closing:
            raise EngineError("the local AWS is stopping")
        identifier = secrets.token_hex(32)
        folder = self.folder / identifier[:12]
        label = (spec.image_config.get("Labels") or {}).get(ENVIRONMENT_LABEL, "")
        command = arguments(spec)
        address = spec.address or (LOOPBACK if spec.network == "host" else self.open_interface(identifier))
        bindings: list[Binding] = []
        group = limit(identifier[:12], spec.memory_mib) if spec.memory_mib else None
        try:
            prepare_folder(spec, folder)
            environment = variables(spec, folder, self._environments[label], address, self._passed_on)
            self._bind(spec, address, bindings)
            started = launch(command, environment, folder / "work", group)
        except BaseException:
            self._release(folder, bindings if spec.network != "host" else [], group)
            if not spec.address:
                self.close_interface(address)
            raise
        container = ProcessContainer(
            identifier, spec, address, bindings, started, group, folder, environment, self._forget
        )
        with self._lock:
            self._containers[identifier] = container
        (folder / "supervisor.json").write_text(json.dumps(_signature(started.supervisor.pid)))
        container.watch()
        return container

    def _bind(self, spec: ContainerSpec, address: str, bindings: list[Binding]) -> None:
        """Make the container's ports reachable, adding to `bindings`; in Docker's words when one is taken."""
        for port in spec.ports if spec.network != "awsvpc" else ():
            if port.protocol != "tcp":
                raise CannotCreate(f"port {port.container_port}/{port.protocol}: only tcp is emulated")
            if spec.network == "host":
                bindings.append(Binding(port.container_port, port.container_port, LOOPBACK))
                continue
            try:
                host_port = self._forwarder.open(port.host_port, address, port.container_port)
            except OSError as error:
                raise EngineError(
                    "Error response from daemon: failed to set up port mapping: "
                    f"Bind for {LOOPBACK}:{port.host_port} failed: {error.strerror}",
                    "use host port 0, which maps to any free port",
                ) from error
            bindings.append(Binding(port.container_port, host_port, LOOPBACK))

    def _forget(self, container: ProcessContainer) -> None:
        with self._lock:
            self._containers.pop(container.id, None)
        bindings = [] if container.spec.network == "host" else container.bindings
        self._release(container.folder, bindings, container.group)
        if not container.spec.address:  # an awsvpc task's is its own, and outlives the container
            self.close_interface(container.address)

    def _release(self, folder: Path, bindings: list[Binding], group: KernelLimit | None) -> None:
        for binding in bindings:
            self._forwarder.close(binding.host_port)
        if group:
            group.remove()
        remove_tree(folder)

    def remove_volumes(self, folder: Path) -> None:
        """Remove the folders that stood for a task's volumes."""
        remove_tree(folder)

    def clean_orphans(self) -> int:
        """End what a killed server left, which is mostly nothing: supervisors end by themselves."""
        import psutil

        ended = 0
        for note in self.folder.glob("*/supervisor.json"):
            if note.parent.name in {identifier[:12] for identifier in self._containers}:
                continue
            written = json.loads(note.read_text() or "{}")
            if written and _signature(written["pid"]) == written:
                tree = psutil.Process(written["pid"])
                for process in [*tree.children(recursive=True), tree]:
                    process.kill()
                    ended += 1
            remove_tree(note.parent)
        return ended

    def stop_all(self, timeout_seconds: float = 5.0) -> None:
        """Stop every container at once; none can be started afterwards."""
        self.closing = True
        with self._lock:
            containers = list(self._containers.values())

        def end(container: ProcessContainer) -> None:
            container.stop(timeout_seconds)
            container.remove()

        stoppers = [threading.Thread(target=end, args=(each,)) for each in containers]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()


def _signature(pid: int) -> dict[str, float]:
    """A process by its id and its start, since ids are used again; empty if there is none."""
    import psutil

    try:
        return {"pid": pid, "started": psutil.Process(pid).create_time()}
    except psutil.Error:
        return {}
