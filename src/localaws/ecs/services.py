"""ECS services: ministack's scheduler, one pass at a time, told of every end, patient with failures.

Try it:  aws ecs update-service --cluster CLUSTER --service SERVICE --desired-count 2
Knows services and their deployments; tasks are started and stopped through the calls that it is given.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from localaws.ecs import stoppedtasks
from localaws.ecs.taskrecord import TaskRecord
from localaws.ecs.tasks import UNHEALTHY
from localaws.engine import Image

logger = logging.getLogger("localaws.services")
Key = tuple[str, str, str]  # account, region, CLUSTER/SERVICE
SHORT_LIFE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
LOOK_SECONDS = 2.0


def wait_after(failures: int) -> float:
    """Seconds before the next attempt: none after the first short life, then 1, 2, 4 … up to a minute."""
    return 0.0 if failures < 2 else min(2.0 ** (failures - 2), LONGEST_WAIT_SECONDS)


class Services:
    """Keeps services at their desired counts."""

    def __init__(self) -> None:
        self._locks: dict[Key, threading.RLock] = defaultdict(threading.RLock)
        self._failures: dict[tuple[Key, str], int] = {}
        self._not_before: dict[tuple[Key, str], float] = {}
        self._closed = threading.Event()
        self._pass: Callable[[str, str], None]

    def install(self) -> None:
        """Take the place of ministack's scheduling pass; its own start after a restore is `recover`'s."""
        from ministack.services import ecs

        self._pass = ecs._reconcile_service_tasks
        ecs._reconcile_service_tasks = self.reconcile
        ecs._start_restored_service_reconciler = lambda: None

    def watch(self) -> None:
        """Look every two seconds for services with too few tasks, such as those that waited for capacity, and
        for tasks to forget."""
        threading.Thread(target=self._watch, name="ecs-services", daemon=True).start()

    def close(self) -> None:
        """Start nothing more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                stoppedtasks.forget(time.time())
                self.reconcile_all(only_short=True)
            except Exception:
                logger.exception("looking after services")

    def reconcile_all(self, only_short: bool = False) -> None:
        """A pass for every active service of every account and region."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        for (account, region, name), service in ecs._services.all_items():
            short = service.get("runningCount", 0) != service.get("desiredCount", 0)
            if service.get("status") == "ACTIVE" and (short or not only_short):
                with request_scope(account, region):
                    ecs._reconcile_service_tasks(name.partition("/")[0], name)

    def reconcile(self, cluster: str, name: str) -> None:
        """One pass, unless the service's tasks keep failing and its next attempt is not due yet."""
        from ministack.core.responses import get_account_id, get_region
        from ministack.services import ecs

        key = (get_account_id(), get_region(), name)
        with self._locks[key]:
            service = ecs._services.get(name)
            if not service or self._closed.is_set():
                return
            due = self._not_before.get((key, service.get("taskDefinition", "")), 0.0)
            if service.get("desiredCount") and time.monotonic() < due:
                return  # the next look comes back to it
            self._pass(cluster, name)

    def task_started(self, record: TaskRecord) -> None:
        """A task runs: let the deployment go on, and complete once the task has proved stable."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not record.service:
            return
        name = f"{record.cluster}/{record.service}"
        with request_scope(record.account, record.region):
            ecs._reconcile_service_tasks(record.cluster, name)
            ecs._schedule_service_deployment_completion(
                record.cluster, name, record.account, record.region, healthy_task=record.task
            )

    def task_stopped(self, record: TaskRecord) -> None:
        """A task has ended: count it if it failed, and have it replaced."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not record.service or self._closed.is_set():
            return
        name = f"{record.cluster}/{record.service}"
        task = record.task
        failed = task["stopCode"] in ("EssentialContainerExited", "TaskFailedToStart")
        failed = failed or task["stoppedReason"] == UNHEALTHY
        with request_scope(record.account, record.region):
            self._count((record.account, record.region, name), task, failed)
            if failed:
                ecs._record_service_task_failure(task)
            else:
                ecs._reconcile_service_tasks(record.cluster, name)

    def _count(self, key: Key, task: dict[str, Any], failed: bool) -> None:
        which = (key, task["taskDefinitionArn"])
        started = task.get("startedAt") or task["stoppedAt"]
        with self._locks[key]:
            if failed and task["stoppedAt"] - started < SHORT_LIFE_SECONDS:
                self._failures[which] = self._failures.get(which, 0) + 1
                self._not_before[which] = time.monotonic() + wait_after(self._failures[which])
            elif task.get("startedAt"):
                self._failures.pop(which, None)
                self._not_before.pop(which, None)

    def pinned(
        self, record: TaskRecord, container: str, pull: Callable[[str], Image], reference: str
    ) -> Image:
        """Pull an image; all tasks of one deployment get the digest that its first task got, as on AWS."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not record.service or "@" in reference:
            return pull(reference)
        with request_scope(record.account, record.region):
            service = ecs._services.get(f"{record.cluster}/{record.service}")
            deployment = ecs._deployment_for_task(service, record.task) if service else None
        if deployment is None:
            return pull(reference)
        digests: dict[str, str] = deployment.setdefault("_image_digests", {})
        if container in digests:
            return pull(f"{ecs._image_repository(reference)}@{digests[container]}")
        image = pull(reference)
        digests[container] = image.digest
        return image

    def could_not_place(self, cluster: str, group: str, reason: str) -> None:
        """Tell of it in the service's events, once until something else happens."""
        from ministack.services import ecs

        name = group.partition("service:")[2]
        service = ecs._services.get(f"{cluster}/{name}") if name else None
        message = f"(service {name}) was unable to place a task because {reason}"
        if service is not None and (not service["events"] or service["events"][0]["message"] != message):
            service["events"].insert(0, {"id": ecs.new_uuid(), "createdAt": ecs._iso(), "message": message})
