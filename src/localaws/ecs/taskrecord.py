"""What DescribeTasks shows of a task: the record that ministack keeps, and how it changes.

Try it:  aws ecs describe-tasks --cluster CLUSTER --tasks TASK
Knows the states of the task life cycle (ECS developer guide, "Amazon ECS task lifecycle") and the record's
fields; it runs nothing.
"""

import time
from collections.abc import Mapping
from typing import Any

from localaws.engine import Container, Exit

Task = dict[str, Any]


def now() -> float:
    """Seconds since 1970; ECS gives its times to the millisecond."""
    return round(time.time(), 3)


def find(reference: str, cluster: str | None) -> Task | None:
    """A cluster's task by its id or ARN. By nothing less: IAM has decided on the task that was named.

    ministack also finds one by the end of its id, and of another cluster.
    """
    from ministack.services import ecs

    parsed = ecs._resolve_task_ref(reference)
    if parsed is None or not parsed[0] or parsed[1] not in (None, cluster):
        return None
    found = (
        each for each in list(ecs._tasks.values()) if each["taskArn"].endswith(f"/{cluster}/{parsed[0]}")
    )
    return next(found, None)


class TaskRecord:
    """Changes one task's record under ministack's lock and keeps the counts of cluster and service."""

    def __init__(self, task: Task, account: str, region: str) -> None:
        self.task = task
        self.arn: str = task["taskArn"]
        self.id = self.arn.rpartition("/")[2]
        self.account = account
        self.region = region
        self.cluster: str = task["clusterArn"].rpartition("/")[2]

    @property
    def service(self) -> str:
        """The name of the service that the task belongs to, empty for a task of its own."""
        return str(self.task.get("group") or "").partition("service:")[2]

    @property
    def stopped(self) -> bool:
        return bool(self.task["lastStatus"] == "STOPPED")

    @property
    def stopping(self) -> bool:
        return bool(self.task["desiredStatus"] == "STOPPED")

    def change(self, **fields: Any) -> None:
        """Set fields of the task, then everything that is counted from them."""
        from ministack.core.concurrency import resource_lock
        from ministack.core.responses import request_scope
        from ministack.services import ecs, ecs_metadata

        with request_scope(self.account, self.region):
            with resource_lock("ecs-task", self.arn):
                self.task.update(fields)
                ecs._bump_task_version(self.task)
            ecs_metadata.set_task_status(self.arn, fields.get("lastStatus"), fields.get("desiredStatus"))
            ecs._recount_cluster(self.cluster)
            ecs._refresh_service_state(self.cluster, self.task.get("group", ""))

    def change_container(self, name: str, **fields: Any) -> None:
        """Set fields of one container."""
        from ministack.core.concurrency import resource_lock

        with resource_lock("ecs-task", self.arn):
            for container in self.task["containers"]:
                if container["name"] == name:
                    container.update(fields)

    def pulling(self) -> None:
        """ACTIVATING: the state in which images are pulled and containers made."""
        self.change(lastStatus="PENDING")
        self.change(lastStatus="ACTIVATING", pullStartedAt=now())

    def running(self) -> None:
        """RUNNING, unless a stop was asked for meanwhile."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        with request_scope(self.account, self.region):
            ecs._mark_task_running(self.arn, self.task)

    def container_running(self, name: str, container: Container, network_mode: str) -> None:
        """RUNNING with what the container is reached by."""
        bindings = [
            {
                "bindIP": each.bind_ip,
                "containerPort": each.container_port,
                "hostPort": each.host_port,
                "protocol": each.protocol,
            }
            for each in container.bindings
        ]
        interfaces = []
        if network_mode == "awsvpc" and self.task.get("attachments"):
            attachment = self.task["attachments"][0]["id"]
            interfaces = [{"attachmentId": attachment, "privateIpv4Address": container.address}]
        self.change_container(
            name,
            lastStatus="RUNNING",
            runtimeId=container.id,
            networkBindings=bindings,
            networkInterfaces=interfaces,
            **self._agents("RUNNING"),
        )

    def _agents(self, status: str) -> dict[str, Any]:
        """The agent that answers ExecuteCommand, where the task was started with it."""
        if not self.task.get("enableExecuteCommand"):
            return {}
        agent = {"name": "ExecuteCommandAgent", "lastStatus": status}
        return {"managedAgents": [agent | ({"lastStartedAt": now()} if status == "RUNNING" else {})]}

    def container_stopped(self, name: str, exit_: Exit | None, reason: str = "") -> None:
        """STOPPED, with the exit code if the container ever ran."""
        fields: dict[str, Any] = {"lastStatus": "STOPPED", **self._agents("STOPPED")}
        if exit_:
            fields["exitCode"] = exit_.code
        if reason or (exit_ and exit_.reason):
            fields["reason"] = reason or (exit_.reason if exit_ else "")
        self.change_container(name, **fields)

    def health(self, statuses: Mapping[str, str]) -> None:
        """Health of the essential containers with a check: any UNHEALTHY, else all HEALTHY, else UNKNOWN."""
        found = set(statuses.values())
        status = "UNHEALTHY" if "UNHEALTHY" in found else "HEALTHY" if found == {"HEALTHY"} else "UNKNOWN"
        if status != self.task.get("healthStatus"):
            self.change(healthStatus=status)

    def will_stop(self, reason: str, code: str) -> bool:
        """The task is to stop, for this reason; False if it is stopping already."""
        from ministack.core.concurrency import resource_lock

        with resource_lock("ecs-task", self.arn):
            if self.stopping or self.stopped:
                return False
            self.task.update(desiredStatus="STOPPED", stoppedReason=reason, stopCode=code, stoppingAt=now())
        status = {"lastStatus": "DEACTIVATING"} if self.task["lastStatus"] == "RUNNING" else {}
        self.change(desiredStatus="STOPPED", **status)
        return True

    def has_stopped(self) -> None:
        """STOPPED, after every container has ended."""
        if self.task.get("pullStartedAt") and not self.task.get("pullStoppedAt"):
            self.change(pullStoppedAt=now())
        for container in self.task["containers"]:
            self.change_container(container["name"], lastStatus="STOPPED")
        self.change(lastStatus="DEPROVISIONING", executionStoppedAt=now())
        self.change(lastStatus="STOPPED", stoppedAt=now())
