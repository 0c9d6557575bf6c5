"""Run containers with Docker: pulled from the local registry, isolated, limited, published on loopback.

Try it:  WORKSHOP_ENGINE=docker workshop up; docker ps
For a Docker engine on this machine (Linux). Where it runs in a virtual machine (Docker Desktop), rootless or
elsewhere, its containers can't reach a server on this machine's loopback address, and `connect` says so.

Every container is in the network `localaws` (see `dockernetwork`) and carries the label `localaws.owner` with
the server's folder, by which a later server finds what a killed one left; mostly nothing, since `dockerwatch`
sees to it at once. What differs from an ECS instance:
a health check that takes too long is ended only where this process may kill it; cpu is a share, also for a
task.
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker.errors
import requests
from docker.client import DockerClient
from docker.context import ContextAPI
from docker.types import LogConfig

from localaws.engine import (
    ENVIRONMENT_LABEL,
    Binding,
    CannotCreate,
    CannotPull,
    ContainerSpec,
    EngineError,
    Image,
    Recipe,
    dockerbuild,
    dockerfolders,
)
from localaws.engine.dockercontainer import NO_ANSWER, DockerContainer
from localaws.engine.dockerinterface import IMAGE as INTERFACE_IMAGE
from localaws.engine.dockerinterface import Interfaces
from localaws.engine.dockernetwork import GATEWAY, NETWORK, Network
from localaws.engine.dockeroptions import OWNER_LABEL, SESSION_LABEL, TASK_LABEL, create_options, network_mode
from localaws.engine.dockerwatch import Watchdog
from localaws.engine.forward import LOOPBACK
from localaws.engine.images import RegistryImages, parse
from localaws.errors import NoDocker
from localaws.identity.registry import own_login

PING_SECONDS = 3
CALL_SECONDS = 60
CONNECTIONS = 128  # two a container are open all the time, one for its log and one for its end
LOG_OPTIONS = {"max-size": "10m", "max-file": "1"}  # for `docker logs`; CloudWatch Logs has them all
# An image that was made without Docker has its Dockerfile in place of a file system.
SMALLEST_IMAGE_BYTES = 512 * 1024
INTERFACE_LOST = "DockerStateError: the container that holds the task's network interface has ended"
NO_GPU_DRIVER = "could not select device driver"  # Docker's words where the nvidia runtime is not installed
INSTALL = "install and start Docker, or: WORKSHOP_ENGINE=process workshop up"


def connect(
    state_dir: Path, images: RegistryImages, passed_on: Mapping[str, str], endpoint: str
) -> "DockerEngine":
    """The engine, its network made and forwarding. Errors: NoDocker with the reason why it can't be had."""
    client = _client()
    network = Network(client, endpoint)
    network.open()
    return DockerEngine(state_dir, client, network, images, passed_on, endpoint)


def _client() -> Any:
    """A client for the engine that the docker command would talk to."""
    try:
        client = DockerClient(
            base_url=os.environ.get("DOCKER_HOST") or ContextAPI.get_current_context().Host,
            timeout=PING_SECONDS,
            max_pool_size=CONNECTIONS,
        )
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise NoDocker(f"no Docker engine answers ({_why(error)})", INSTALL) from error
    client.api.timeout = CALL_SECONDS
    return client


def _why(error: BaseException) -> str:
    """The innermost reason of an error, which is the one that a person can do something about."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class DockerEngine:
    """Starts containers in Docker and knows all that are its own."""

    name = "docker"

    def __init__(
        self,
        state_dir: Path,
        client: Any,
        network: Network,
        images: RegistryImages,
        passed_on: Mapping[str, str],
        endpoint: str,
    ) -> None:
        self.closing = False
        self.folder = state_dir
        self.owner = str(state_dir.absolute())
        self._client = client
        self._network = network
        self._images = images
        self._passed_on = dict(passed_on)
        self._registry = endpoint.partition("://")[2]
        self._containers: dict[str, DockerContainer] = {}
        self._session = {SESSION_LABEL: secrets.token_hex(8)}
        labels = {OWNER_LABEL: self.owner, **self._session}
        self._interfaces = Interfaces(client, network, labels, self._end_without_network)
        self._lock = threading.Lock()
        self._watchdog = Watchdog(
            [
                ("container", f"label={SESSION_LABEL}={self._session[SESSION_LABEL]}"),
                ("volume", f"label={OWNER_LABEL}={self.owner}"),
                ("network", NETWORK),
                ("image", INTERFACE_IMAGE),
            ]
        )

    def endpoint_inside(self, endpoint: str) -> str:
        """The bridge's address, from which a forwarder leads to the server."""
        return self._network.endpoint

    def pull(self, reference: str) -> Image:
        """Have Docker pull what the registry has by this name now, by its digest."""
        image = self._images.pull(reference)
        if ENVIRONMENT_LABEL in image.labels and image.layers_bytes < SMALLEST_IMAGE_BYTES:
            raise CannotPull(
                f"{reference} was made without Docker: it names an environment and holds no file system",
                "build and push it again: workshop prepare 3",
            )
        self._fetch(self._local_name(reference), image.digest, reference)
        return image

    def provide(self, recipe: Recipe, stop: threading.Event | None = None) -> Image:
        """Have Docker build the image; what it built before costs a look at the files."""
        return dockerbuild.build(self._client.api, recipe, stop)

    def _local_name(self, reference: str) -> str:
        """ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY as this machine's registry has it."""
        return f"{self._registry}/{parse(reference).repository}"

    def _fetch(self, name: str, digest: str, reference: str) -> None:
        try:
            if self._has(f"{name}@{digest}"):
                return
            # Our own login: whether the task may pull was decided before, and a helper may be named that is not here.
            login = own_login()
            for line in self._client.api.pull(name, digest, stream=True, decode=True, auth_config=login):
                if "error" in line:
                    raise CannotPull(f"failed to pull {reference}: {line['error']}")
        except docker.errors.APIError as error:
            raise CannotPull(f"failed to pull {reference}: {error.explanation}") from error
        except requests.RequestException as error:
            raise CannotPull(f"failed to pull {reference}: the Docker engine does not answer") from error

    def _has(self, name: str) -> bool:
        try:
            self._client.api.inspect_image(name)
        except docker.errors.ImageNotFound:
            return False
        return True

    def open_interface(self, task: str, names: tuple[str, ...] = (), domain: str = "ec2.internal") -> str:
        """A network of the task's own with an unused address of `localaws`."""
        if self.closing:
            raise EngineError("the local AWS is stopping")
        try:
            return self._interfaces.open(task, (task, *names), domain)
        except requests.RequestException as error:
            raise EngineError(f"the Docker engine does not answer: {_why(error)}") from error
        except NoDocker as error:
            raise EngineError(error.message, error.remedy) from error

    def close_interface(self, address: str) -> None:
        """Remove the task's network."""
        self._interfaces.close(address)

    def start(self, spec: ContainerSpec) -> DockerContainer:
        """Start the entry point; returns when it runs, raises EngineError when it can't."""
        if self.closing:
            raise EngineError("the local AWS is stopping")
        spec = replace(spec, volumes=(*spec.volumes, *dockerfolders.volumes(spec.base)))
        options = create_options(spec, self.owner, self._passed_on) | self._network_options(spec)
        options["labels"] |= self._session
        try:
            container = self._create(spec, options)
            return self._run(container)
        except docker.errors.APIError as error:
            if NO_GPU_DRIVER in str(error.explanation):
                raise CannotCreate(
                    f"container {spec.name} wants GPU {', '.join(spec.gpu_ids)}, and this Docker can't pass GPUs on",
                    "install the NVIDIA Container Toolkit and restart Docker",
                ) from error
            raise EngineError(f"Error response from daemon: {error.explanation}") from error
        except requests.RequestException as error:
            raise EngineError(f"the Docker engine does not answer: {_why(error)}") from error
        except NoDocker as error:
            raise EngineError(error.message, error.remedy) from error

    def _end_without_network(self, address: str) -> None:
        """Somebody took a task's interface away: its containers must not go on with nobody to talk to."""
        with self._lock:
            containers = [each for each in self._containers.values() if each.spec.address == address]
        for each in containers:
            each.kill(INTERFACE_LOST)

    def _network_options(self, spec: ContainerSpec) -> dict[str, Any]:
        mode = network_mode(spec)
        if mode != NETWORK:
            return {"network_mode": mode}
        if spec.address is None:
            return {"network": NETWORK}
        return {"network_mode": f"container:{self._interfaces.holder(spec.address)}"}

    def _create(self, spec: ContainerSpec, options: dict[str, Any]) -> DockerContainer:
        self._network.ensure()
        name = f"ecs-{spec.name}-{secrets.token_hex(6)}"
        log_config = LogConfig(type=LogConfig.types.JSON, config=LOG_OPTIONS)
        by_digest = f"{self._local_name(spec.image)}@{spec.image_digest}" if spec.image_digest else ""
        try:
            made = self._client.containers.create(
                by_digest or spec.image, name=name, log_config=log_config, **options
            )
        except docker.errors.ImageNotFound as error:
            raise CannotPull(f"{spec.image} is no longer here: {error.explanation}") from error
        except docker.errors.APIError as error:
            raise CannotCreate(f"Error response from daemon: {error.explanation}") from error
        return DockerContainer(self._client, made.id, spec, self._forget)

    def _run(self, container: DockerContainer) -> DockerContainer:
        with self._lock:
            self._containers[container.id] = container
        try:
            dockerfolders.fill(self._client.api, container.id, container.spec.base)
            container.attach()
            self._client.api.start(container.id)
            seen = self._client.api.inspect_container(container.id)
            container.pid = int(seen["State"]["Pid"])
            own = seen["NetworkSettings"]["Networks"].get(NETWORK) or {}
            container.address = container.spec.address or own.get("IPAddress") or ""
            self._lead(container, seen["NetworkSettings"]["Ports"] or {})
        except BaseException:
            self._forget(container)
            raise
        container.watch()
        return container

    def _lead(self, container: DockerContainer, published: Mapping[str, Any]) -> None:
        """Note where ports are published for this machine, and open the same numbers for other containers."""
        for name, places in published.items():
            port, _, protocol = name.partition("/")
            for place in places or []:
                host_port = int(place["HostPort"])
                container.bindings.append(Binding(int(port), host_port, place["HostIp"], protocol))
                try:
                    self._network.lead(host_port, container.address, int(port))
                except OSError as error:
                    raise EngineError(
                        f"Bind for {GATEWAY}:{host_port} failed: {error.strerror}", "use host port 0"
                    ) from error
                container.bindings.append(Binding(int(port), host_port, GATEWAY, protocol))

    def _forget(self, container: DockerContainer) -> None:
        with self._lock:
            known = self._containers.pop(container.id, None)
        if known:
            for binding in container.bindings:
                if binding.bind_ip != LOOPBACK:
                    self._network.leave(binding.host_port)
        with contextlib.suppress(*NO_ANSWER):
            self._client.api.remove_container(container.id, v=True, force=True)

    def remove_volumes(self, folder: Path) -> None:
        """Remove the volumes of the task that the folder is named after."""
        self._remove_volumes(f"{TASK_LABEL}={folder.name}")

    def _remove_volumes(self, label: str) -> None:
        with contextlib.suppress(*NO_ANSWER):
            found = self._client.volumes.list(filters={"label": [label, f"{OWNER_LABEL}={self.owner}"]})
            for volume in found:
                with contextlib.suppress(docker.errors.APIError):  # used by a container of the learner's own
                    volume.remove(force=True)

    def clean_orphans(self) -> int:
        """Remove the containers and the tasks' volumes that a killed server left."""
        removed = self._remove_containers(lambda labels: not self._session.items() <= labels.items())
        self._remove_volumes(TASK_LABEL)
        return removed

    def _remove_containers(self, among: Callable[[Mapping[str, str]], bool]) -> int:
        """Remove those of this folder's containers whose labels are among what is meant; how many there were."""
        found = self._client.api.containers(all=True, filters={"label": f"{OWNER_LABEL}={self.owner}"})
        meant = [each["Id"] for each in found if among(each["Labels"])]
        for identifier in meant:
            with contextlib.suppress(docker.errors.NotFound):  # who killed the server may have removed it
                self._client.api.remove_container(identifier, v=True, force=True)
        return len(meant)

    def stop_all(self, timeout_seconds: float = 5.0) -> None:
        """Stop every container at once; none can be started afterwards."""
        self.closing = True
        with self._lock:
            containers = list(self._containers.values())

        def end(container: DockerContainer) -> None:
            container.give_up_on_docker()
            container.stop(timeout_seconds)
            container.remove()

        stoppers = [threading.Thread(target=end, args=(each,)) for each in containers]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()
        with contextlib.suppress(*NO_ANSWER):
            self._interfaces.close_all()
            # What could not be removed in its time, because Docker was restarting.
            self._remove_containers(lambda labels: True)
            self._remove_volumes(f"{OWNER_LABEL}={self.owner}")
        self._network.close()
        self._watchdog.dismiss()
