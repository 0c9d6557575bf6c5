"""From a container's description to what Docker is told: pure, so that each option can be tested without Docker.

Try it:  python -m pytest tests/fast/test_engine_dockeroptions.py
Knows the Docker API's words and makes no call. Refused by name: privileged containers and the network mode
`host`, which would open this machine itself. Without effect: devices and swap settings.
"""

import hashlib
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, Mount, Ulimit

from localaws.engine import ENVIRONMENT_LABEL, CannotCreate, ContainerSpec, Volume
from localaws.engine.dockernetwork import NETWORK
from localaws.engine.forward import LOOPBACK

OWNER_LABEL = "localaws.owner"
TASK_LABEL = "localaws.task-volume"
SESSION_LABEL = "localaws.session"  # of one run of a server: another on the same folder has another
SMALLEST_CPU_SHARES = 2
DATA_INSIDE = "/mnt/workshop/data"
CACHED = "datasets"  # the part of the cache that is worth mounting: one folder for each verified download
UNFINISHED = (".part", ".bad")  # a download that is not verified yet, or whose bytes are wrong


def create_options(spec: ContainerSpec, owner: str, passed_on: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments for the Docker SDK's `containers.create`, all but image, name and network."""
    mounts, found = _given_folders(spec, passed_on)
    options = {
        "command": spec.command,
        "entrypoint": spec.entry_point or None,
        "environment": {**found, "WORKSHOP_LOCAL_AWS": "1", **spec.environment},
        "working_dir": spec.working_directory,
        "user": spec.user,
        "labels": {**spec.labels, OWNER_LABEL: owner},
        "ports": _ports(spec),
        "mounts": [*(_mount(volume, owner) for volume in spec.volumes), *mounts],
        "cpu_shares": max(spec.cpu_units, SMALLEST_CPU_SHARES) if spec.cpu_units else None,
        "device_requests": _gpus(spec),
        # ECS ignores an image's own health check and asks only what the task definition says.
        "healthcheck": {"test": ["NONE"]},
        # Docker's client would else add the proxies of the learner's configuration to every container.
        "use_config_proxy": False,
        **_memory(spec),
        **_isolation(spec),
    }
    return {name: value for name, value in options.items() if value not in (None, [], {})}


def network_mode(spec: ContainerSpec) -> str:
    """The Docker network for a task's network mode."""
    if spec.network == "host":
        raise CannotCreate(
            f"container {spec.name}: the network mode host would open this machine's own ports to the container, "
            "and the container's to everyone",
            "use the network mode bridge or awsvpc",
        )
    return "none" if spec.network == "none" else NETWORK


def volume_name(source: Path, owner: str) -> str:
    """The Docker volume for a folder that the engine keeps: `.../tasks/ID/NAME` or `.../shared/NAME`."""
    return f"localaws-{short(owner)}-{source.parent.name}-{source.name}"


def short(owner: str) -> str:
    """A few characters that differ between servers."""
    return hashlib.sha256(owner.encode()).hexdigest()[:8]


def _ports(spec: ContainerSpec) -> dict[str, tuple[str, int | None]]:
    """On loopback alone; None has Docker choose a free one. A port of an awsvpc task is its interface's."""
    if spec.network in ("awsvpc", "none"):
        return {}
    return {
        f"{port.container_port}/{port.protocol}": (LOOPBACK, port.host_port or None) for port in spec.ports
    }


def _mount(volume: Volume, owner: str) -> Any:
    if volume.scope == "host":
        volume.source.mkdir(parents=True, exist_ok=True)  # as Docker does for a missing host path
        return Mount(volume.container_path, str(volume.source), type="bind", read_only=volume.read_only)
    labels = {OWNER_LABEL: owner} | (
        {TASK_LABEL: volume.source.parent.name} if volume.scope == "task" else {}
    )
    name = volume_name(volume.source, owner)
    return Mount(volume.container_path, name, type="volume", read_only=volume.read_only, labels=labels)


def _given_folders(spec: ContainerSpec, passed_on: Mapping[str, str]) -> tuple[list[Any], dict[str, str]]:
    """This machine's data directory and downloads, read-only, for the course's own images: a local convenience.

    Each download is mounted where the image has its cache, so that the rest of it stays the container's own.
    """
    if ENVIRONMENT_LABEL not in (spec.image_config.get("Labels") or {}):
        return [], {}
    folders, found = {}, {}
    if data := passed_on.get("WORKSHOP_DATA_DIR"):
        folders[DATA_INSIDE] = Path(data)
        found["WORKSHOP_DATA_DIR"] = DATA_INSIDE
    cache, inside = passed_on.get("WORKSHOP_CACHE_DIR"), _cache_inside(spec)
    if cache and inside and (Path(cache) / CACHED).is_dir():
        for each in sorted((Path(cache) / CACHED).iterdir()):
            if _holds_a_download(each):
                folders[f"{inside}/{CACHED}/{each.name}"] = each
    return [_read_only(path, folder) for path, folder in folders.items() if folder.is_dir()], found


def _holds_a_download(folder: Path) -> bool:
    """Whether there is a whole file in it. One that was only looked for holds a lock, and mounted read-only it would
    keep the container from getting the data itself."""
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    return any(not name.startswith(".") and not name.endswith(UNFINISHED) for name in names)


def _read_only(path: str, folder: Path) -> Any:
    return Mount(path, str(folder.absolute()), type="bind", read_only=True)


def _cache_inside(spec: ContainerSpec) -> str:
    """Where the image says that it keeps its cache; empty if it does not say."""
    pairs = (line.partition("=") for line in spec.image_config.get("Env") or [])
    named = next((value for name, _, value in pairs if name == "WORKSHOP_CACHE_DIR"), "")
    directory = spec.working_directory or spec.image_config.get("WorkingDir") or "/"
    return posixpath.join(directory, named) if named else ""


def _memory(spec: ContainerSpec) -> dict[str, Any]:
    if not spec.memory_mib:
        return {}
    # The same limit with swap: none may be used, or a leak would slow the machine instead of ending.
    return {"mem_limit": f"{spec.memory_mib}m", "memswap_limit": f"{spec.memory_mib}m"}


def _isolation(spec: ContainerSpec) -> dict[str, Any]:
    wanted = spec.isolation
    if wanted.privileged:
        raise CannotCreate(
            f"container {spec.name}: a privileged container would have every right on this machine",
            "take privileged out of the container definition, or add single capabilities",
        )
    shared = wanted.shared_memory_mib
    return {
        "init": wanted.init or None,
        "cap_drop": list(wanted.dropped_capabilities),
        "cap_add": list(wanted.added_capabilities),
        "read_only": wanted.read_only or None,
        "shm_size": f"{shared}m" if shared else None,
        "tmpfs": dict(wanted.temporary_file_systems),
        "ulimits": [Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in wanted.limits],
    }


def _gpus(spec: ContainerSpec) -> list[Any]:
    if not spec.gpu_ids:
        return []
    return [DeviceRequest(device_ids=list(spec.gpu_ids), capabilities=[["gpu"]])]
