"""CPUUtilization and MemoryUtilization of services, in the CloudWatch namespace AWS/ECS, once a minute.

Try it:  aws cloudwatch list-metrics --namespace AWS/ECS
Measured by the engine. As in the ECS developer guide, "Amazon ECS CloudWatch metrics": used, in percent of what
the task reserves, one value for each of a service's running tasks; a task that reserves no CPU has none.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from localaws import metrics
from localaws.engine import Container

CPU_UNITS = 1024
Owner = tuple[str, str, str, str]  # account, region, cluster, service
PERCENTS = {"CPUUtilization": 0, "MemoryUtilization": 1}


class ServiceMetrics:
    """Measures tasks and puts what it found.

    containers: of a task by its ARN, those that run. seconds: CloudWatch's minute here.
    """

    def __init__(self, containers: Callable[[str], Iterable[Container]], seconds: float) -> None:
        self._containers = containers
        self._seconds = seconds
        self._before: dict[str, tuple[float, float]] = {}  # container: when, its processor time then
        self._closed = threading.Event()

    def watch(self) -> None:
        """Measure at the end of each minute from now on."""
        given = (self._seconds, self._closed, self.put)
        threading.Thread(target=metrics.each_minute, args=given, name="ecs-metrics", daemon=True).start()

    def close(self) -> None:
        """Measure no more."""
        self._closed.set()

    def put(self, minute: float) -> None:
        """Put the values of the minute that began then."""
        from ministack.core.responses import request_scope

        measured: dict[Owner, list[tuple[float | None, float | None]]] = defaultdict(list)
        before, self._before = self._before, {}
        for owner, task in _tasks():
            percents = self._percents(task, before)
            if percents:
                measured[owner].append(percents)
        for (account, region, cluster, service), percents_of in measured.items():
            dimensions = {"ClusterName": cluster, "ServiceName": service}
            with request_scope(account, region):
                for name, which in PERCENTS.items():
                    values = [each[which] for each in percents_of]
                    known = [each for each in values if each is not None]
                    metrics.put("AWS/ECS", name, dimensions, minute, values=known, unit="Percent")

    def _percents(
        self, task: dict[str, Any], before: dict[str, tuple[float, float]]
    ) -> tuple[float | None, float | None] | None:
        """(CPU, memory) in percent of what the task reserves; nothing if no container could be measured."""
        cores = used_mib = 0.0
        found = False
        for container in self._containers(task["taskArn"]):
            usage, now = container.usage(), time.time()
            if usage is None:
                continue
            found = True
            since, had = before.get(container.id, (float(task["startedAt"]), 0.0))
            self._before[container.id] = (now, usage.cpu_seconds)
            cores += max(0.0, usage.cpu_seconds - had) / max(now - since, 0.001)
            used_mib += usage.memory_mib
        if not found:
            return None
        cpu, memory = float(task.get("cpu") or 0), float(task.get("memory") or 0)
        return (
            100 * cores * CPU_UNITS / cpu if cpu else None,
            100 * used_mib / memory if memory else None,
        )


def _tasks() -> Iterable[tuple[Owner, dict[str, Any]]]:
    """Every service's running tasks."""
    from ministack.services import ecs

    for (account, region, _), task in ecs._tasks.all_items():
        service = str(task.get("group") or "").partition("service:")[2]
        if service and task.get("lastStatus") == "RUNNING":
            yield (account, region, task["clusterArn"].rpartition("/")[2], service), task
