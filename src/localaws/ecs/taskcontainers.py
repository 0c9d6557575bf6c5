"""From a container definition and its overrides to a container that an engine can start.

Try it:  python -m pytest tests/fast/test_ecs_definitions.py
Knows task definitions, secrets and volumes; starts nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localaws.engine import ContainerSpec, EngineError, Image, Isolation, PortMapping, Volume

Definition = Mapping[str, Any]


class NoSecret(EngineError):
    """A secret could not be read, so the container must not start without it."""

    kind = "ResourceInitializationError"


def with_overrides(definition: Definition, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as RunTask's containerOverrides change it."""
    merged = dict(definition)
    for given in overrides.get("containerOverrides") or []:
        if given.get("name") == definition["name"]:
            replaced = (
                "command",
                "cpu",
                "environmentFiles",
                "memory",
                "memoryReservation",
                "resourceRequirements",
            )
            merged |= {name: given[name] for name in replaced if given.get(name) is not None}
            environment = {pair["name"]: pair["value"] for pair in definition.get("environment") or []}
            environment |= {pair["name"]: pair["value"] for pair in given.get("environment") or []}
            merged["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    return merged


def secrets_of(definition: Definition) -> dict[str, str]:
    """The values of a container's secrets, from Parameter Store or Secrets Manager."""
    return {
        each["name"]: _secret(each["name"], each["valueFrom"]) for each in definition.get("secrets") or []
    }


def _secret(name: str, source: str) -> str:
    from ministack.services import secretsmanager, ssm

    key = ""
    if ":secretsmanager:" in source:
        # An ARN has seven fields; ECS takes a JSON key, a version stage and a version id after them.
        fields = source.split(":")
        key = fields[7] if len(fields) > 7 else ""
        value = secretsmanager.resolve_secret_string(":".join(fields[:7]))
    else:
        value = ssm.resolve_parameter_value(source, decrypt=True)
    if value is not None and key:
        document = json.loads(value) if value.lstrip().startswith("{") else {}
        value = document.get(key)
    if value is None:
        raise NoSecret(
            "unable to pull secrets or registry auth: execution resource retrieval failed: "
            f"unable to retrieve secret for {name} from {source}: invalid parameters",
            "put the parameter, or mend valueFrom",
        )
    return str(value)


def volumes_of(definition: Definition, task: Definition, shared: Path, own: Path) -> tuple[Volume, ...]:
    """The folders behind a container's mount points: host paths, shared volumes, the task's scratch."""
    named = {each["name"]: each for each in task.get("volumes") or []}
    return tuple(
        _volume(named[mount["sourceVolume"]], mount, shared, own)
        for mount in (*(definition.get("mountPoints") or []), *_mounts_of_others(definition, task))
    )


def _mounts_of_others(definition: Definition, task: Definition) -> list[Definition]:
    """The mount points that volumesFrom takes over from other containers of the task."""
    containers = {each["name"]: each for each in task["containerDefinitions"]}
    return [
        {**mount, "readOnly": bool(mount.get("readOnly") or given.get("readOnly"))}
        for given in definition.get("volumesFrom") or []
        for mount in containers[given["sourceContainer"]].get("mountPoints") or []
    ]


def _volume(volume: Definition, mount: Definition, shared: Path, own: Path) -> Volume:
    path, read_only = mount["containerPath"], bool(mount.get("readOnly"))
    host_path = (volume.get("host") or {}).get("sourcePath")
    if host_path:
        return Volume(Path(host_path), path, read_only)
    if (volume.get("dockerVolumeConfiguration") or {}).get("scope") == "shared":
        return Volume(shared / volume["name"], path, read_only, "shared")
    return Volume(own / volume["name"], path, read_only, "task")


def isolation_of(definition: Definition) -> Isolation:
    """What a container definition says of rights and limits inside the container."""
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    return Isolation(
        init=bool(linux.get("initProcessEnabled")),
        dropped_capabilities=tuple(capabilities.get("drop") or ()),
        added_capabilities=tuple(capabilities.get("add") or ()),
        read_only=bool(definition.get("readonlyRootFilesystem")),
        privileged=bool(definition.get("privileged")),
        shared_memory_mib=linux.get("sharedMemorySize"),
        temporary_file_systems={
            each["containerPath"]: ",".join([f"size={each['size']}m", *(each.get("mountOptions") or [])])
            for each in linux.get("tmpfs") or []
        },
        limits=tuple(
            (each["name"], int(each["softLimit"]), int(each["hardLimit"]))
            for each in definition.get("ulimits") or []
        ),
    )


def specification(
    definition: Definition,
    task: Definition,
    image: Image,
    environment: Mapping[str, str],
    volumes: tuple[Volume, ...],
    address: str | None,
    gpu_ids: tuple[str, ...],
    arn: str,
) -> ContainerSpec:
    """What the engine starts. `environment` is what ECS adds; the definition's own variables win over it."""
    own = {pair["name"]: pair["value"] for pair in definition.get("environment") or []}
    memory = definition.get("memory") or (None if definition.get("memoryReservation") else task.get("memory"))
    return ContainerSpec(
        name=definition["name"],
        image=image.reference,
        image_digest=image.digest,
        image_config=image.config,
        command=definition.get("command"),
        entry_point=definition.get("entryPoint"),
        environment={**environment, **secrets_of(definition), **own},
        working_directory=definition.get("workingDirectory"),
        ports=tuple(
            PortMapping(
                int(each["containerPort"]), int(each.get("hostPort") or 0), each.get("protocol") or "tcp"
            )
            for each in definition.get("portMappings") or []
        ),
        memory_mib=memory_mib(memory),
        cpu_units=int(definition.get("cpu") or 0),
        gpus=len(gpu_ids),
        gpu_ids=gpu_ids,
        volumes=volumes,
        user=definition.get("user"),
        stop_timeout_seconds=float(definition.get("stopTimeout") or 30),
        network=task.get("networkMode") or "bridge",
        address=address,
        labels={
            "com.amazonaws.ecs.task-arn": arn,
            "com.amazonaws.ecs.container-name": definition["name"],
            **(definition.get("dockerLabels") or {}),
        },
        isolation=isolation_of(definition),
    )


def memory_mib(given: str | int | None) -> int | None:
    """Memory as a task definition gives it: MiB as a number or text, or gigabytes as `1 GB`; None if none."""
    return _amount(given, "GB")


def cpu_units(given: str | int | None) -> int | None:
    """CPU as a task definition gives it: units of 1/1024, or `0.5 vCPU`; None if none."""
    return _amount(given, "VCPU")


def _amount(given: str | int | None, unit: str) -> int | None:
    if given in (None, "", 0):
        return None
    text = str(given).strip().upper()
    if text.endswith(unit):
        return int(float(text.removesuffix(unit)) * 1024)
    return int(float(text))
