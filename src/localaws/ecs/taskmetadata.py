"""The task metadata endpoint, version 4, with what a container may know of its own task.

Try it:  curl "$ECS_CONTAINER_METADATA_URI_V4/task"   (inside a task)
Knows the endpoint's documents; ministack serves them.
"""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from localaws.ecs import taskinterface
from localaws.ecs.taskrecord import TaskRecord
from localaws.engine import Container, ContainerSpec


def _moment() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class TaskMetadata:
    """The documents of one task."""

    def __init__(self, record: TaskRecord, definition: Mapping[str, Any]) -> None:
        self._record = record
        self._definition = definition
        self._documents: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, str] = {}

    def path(self, name: str) -> str:
        """The path under which the container called `name` will find its documents."""
        self._tokens[name] = secrets.token_urlsafe(24)
        return f"/v4/{self._tokens[name]}"

    def add(self, spec: ContainerSpec) -> None:
        """Publish a container that is about to start."""
        from ministack.services import ecs_metadata

        document: dict[str, Any] = {
            "DockerId": "",
            "Name": spec.name,
            "DockerName": f"ecs-{self._definition['family']}-{self._definition['revision']}-{spec.name}",
            "Image": spec.image,
            "Labels": dict(spec.labels),
            "DesiredStatus": "RUNNING",
            "KnownStatus": "PENDING",
            "Limits": {"CPU": spec.cpu_units} | ({"Memory": spec.memory_mib} if spec.memory_mib else {}),
            "CreatedAt": _moment(),
            "Type": "NORMAL",
        }
        if spec.address:  # an awsvpc task has its address before its containers start
            document["Networks"] = [self._network(spec, spec.address)]
        self._documents[spec.name] = document
        ecs_metadata.register_container(self._tokens[spec.name], self._record.arn, self._task(), document)

    def _task(self) -> dict[str, Any]:
        task = self._record.task
        return {
            "Cluster": task["clusterArn"],
            "TaskARN": self._record.arn,
            "Family": self._definition["family"],
            "Revision": str(self._definition["revision"]),
            "DesiredStatus": task["desiredStatus"],
            "KnownStatus": task["lastStatus"],
            "AvailabilityZone": task.get("availabilityZone", ""),
            "LaunchType": task.get("launchType", ""),
            "PullStartedAt": _moment(),
        } | ({"ServiceName": self._record.service} if self._record.service else {})

    def _network(self, spec: ContainerSpec, address: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"NetworkMode": spec.network, "IPv4Addresses": [address]}
        if spec.address:
            private_name = taskinterface.dns(address, self._record.region)
            shown |= {
                "AttachmentIndex": 0,
                "MACAddress": taskinterface.mac(address),
                "PrivateDNSName": private_name,
            }
        return shown

    def started(self, spec: ContainerSpec, container: Container) -> None:
        """Complete a container's document with what is known once it runs."""
        document = self._documents[spec.name]
        document |= {
            "DockerId": container.id,
            "KnownStatus": "RUNNING",
            "StartedAt": _moment(),
            "Networks": [self._network(spec, container.address)],
        }
        if container.bindings:
            document["Ports"] = [
                {
                    "ContainerPort": each.container_port,
                    "HostPort": each.host_port,
                    "HostIp": each.bind_ip,
                    "Protocol": each.protocol,
                }
                for each in container.bindings
            ]

    def remove(self) -> None:
        """Take the documents away."""
        from ministack.services import ecs_metadata

        for token in self._tokens.values():
            ecs_metadata.unregister_token(token)
