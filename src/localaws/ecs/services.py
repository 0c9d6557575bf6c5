"""ECS's service scheduler: one pass at a time, told of every end, patient with failures.

Try it:  aws ecs update-service --cluster CLUSTER --service SERVICE --desired-count 2
What a pass does is decided in `deployments`; here it is done: tasks are started and stopped through the calls
that are given, their targets registered and drained, and what was seen is written into the service's record.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from localaws.ecs import deployments, servicemembers, servicetargets, stoppedtasks
from localaws.ecs.deployments import Service
from localaws.ecs.servicemembers import SCHEDULER
from localaws.ecs.taskrecord import TaskRecord, now
from localaws.engine import Image

logger = logging.getLogger("localaws.services")
Key = tuple[str, str, str]  # account, region, CLUSTER/SERVICE
SHORT_LIFE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.5
INCONSISTENT_AFTER = 4


def wait_after(failures: int) -> float:
    """Seconds before the next attempt: none after the first short life, then 1, 2, 4 … up to a minute."""
    return 0.0 if failures < 2 else min(2.0 ** (failures - 2), LONGEST_WAIT_SECONDS)


class Services:
    """Keeps services at their desired counts.

    stop_task: (task, reason, stop code), asks for a task's end and returns at once.
    """

    def __init__(self, stop_task: Callable[[dict[str, Any], str, str], None]) -> None:
        self._stop_task = stop_task
        self._locks: dict[Key, threading.RLock] = defaultdict(threading.RLock)
        self._pulls: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._failures: dict[str, int] = {}  # by deployment, tasks in a row that lived a short time
        self._not_before: dict[str, float] = {}
        self._crowded: set[Key] = set()
        self._closed = threading.Event()

    def install(self) -> None:
        """Take the place of ministack's scheduler."""
        from ministack.services import ecs

        ecs._reconcile_service_tasks = self.reconcile
        ecs._refresh_service_state = servicemembers.count
        ecs._deployment_for_task = deployments.of_task
        ecs._start_restored_service_reconciler = lambda: None

    def watch(self) -> None:
        """Look twice a second at what changes without a call: health, capacity, connections that drain."""
        threading.Thread(target=self._watch, name="ecs-services", daemon=True).start()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        """Start nothing more, and wait for no connections."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                stoppedtasks.forget(time.time())
                self.reconcile_all()
            except Exception:
                logger.exception("looking after services")

    def recover(self) -> None:
        """After a restart of the server: no target of a former task is left, and every service has its tasks."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        for (account, region, _), service in ecs._services.all_items():
            with request_scope(account, region):
                servicetargets.forget(service.get("loadBalancers") or [])
        self.reconcile_all()
        self.watch()

    def reconcile_all(self) -> None:
        """A pass for every service of every account and region that is not gone."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        for (account, region, name), service in ecs._services.all_items():
            if service.get("status") != "INACTIVE":
                with request_scope(account, region):
                    self.reconcile(name.partition("/")[0], name)

    def locked(self, name: str) -> threading.RLock:
        """The lock of the service CLUSTER/NAME of the request's account and region: who changes it holds it."""
        from ministack.core.responses import get_account_id, get_region

        return self._locks[(get_account_id(), get_region(), name)]

    def reconcile(self, cluster: str, name: str) -> None:
        """One pass: see how the tasks are, then start and stop what the deployments ask for."""
        from ministack.core.responses import get_account_id, get_region
        from ministack.services import ecs

        with self.locked(name):
            service = ecs._services.get(name)
            if not service or service["status"] == "INACTIVE" or self._closed.is_set():
                return
            key = (get_account_id(), get_region(), name)
            members = servicemembers.see(service)
            if service["status"] == "DRAINING":
                self._end(service, members)
            else:
                deployments.settle(service, members, now())
                alive = [each for each in members if not each.drains]
                self._follow(cluster, key, service, deployments.plan(service, alive, key in self._crowded))
            servicemembers.count(cluster, f"service:{service['serviceName']}")
            ecs._recount_cluster(cluster)

    def _follow(self, cluster: str, key: Key, service: Service, plan: deployments.Plan) -> None:
        """Stop what is too much, then start what is missing, unless its tasks keep failing and it is not yet time."""
        self._stop(service, plan.stop)
        if plan.stuck:
            deployments.say(service, deployments.STUCK, now())
        head = deployments.primary(service)
        if not plan.start or head is None:
            return
        if time.monotonic() >= self._not_before.get(head["id"], 0.0):
            missing, why = servicemembers.start(cluster, service, head, plan.start)
            (self._crowded.add if missing else self._crowded.discard)(key)
            if why:
                deployments.task_failed(service, head, now())
                self._wait_longer(service, head["id"])

    def _stop(self, service: Service, stop: Mapping[str, str]) -> None:
        from ministack.services import ecs

        tasks = [(ecs._tasks[arn], reason) for arn, reason in stop.items() if arn in ecs._tasks]
        if not tasks:
            return
        draining = sum(bool(task.get("_targets")) for task, _ in tasks)
        if draining:
            deployments.say(service, f"has begun draining connections on {draining} tasks.", now())
        servicemembers.tell_stopped(service, [task for task, _ in tasks if not task.get("_targets")])
        for task, reason in tasks:
            usual = f"Scaling activity initiated by (deployment {task.get('_deployment_id')})"
            self._stop_task(task, reason or usual, SCHEDULER)

    def _end(self, service: Service, members: list[deployments.Member]) -> None:
        """A service that is deleted: DRAINING until its tasks are STOPPING or STOPPED, then INACTIVE."""
        self._stop(service, {each.arn: "" for each in members if not each.drains})
        if not members:
            service |= {"status": "INACTIVE", "deployments": []}

    def task_started(self, record: TaskRecord) -> None:
        """A task runs: register its targets, and let its deployment go on."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not record.service:
            return
        name = f"{record.cluster}/{record.service}"
        with request_scope(record.account, record.region):
            with self.locked(name):
                service = ecs._services.get(name)
                if service:
                    servicemembers.join(service, record.task)
            self.reconcile(record.cluster, name)

    def task_leaves(self, record: TaskRecord, ended: Callable[[float], bool]) -> None:
        """A task is to stop: take it out of its target groups, and wait until its connections are drained.

        A task whose containers ended by themselves (`ended`) is not waited for.
        """
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not servicetargets.registered(record.task):
            return
        with request_scope(record.account, record.region):
            gone = servicetargets.deregister(record.task)
            name = f"{record.cluster}/{record.service}"
            service = ecs._services.get(name)
            if service:
                with self.locked(name):
                    servicemembers.tell_targets(service, "deregistered", gone)
            servicetargets.drain(gone, lambda seconds: self._closed.is_set() or ended(seconds))
            record.task["_targets"] = []
            if service and record.task["stopCode"] == SCHEDULER:
                with self.locked(name):
                    servicemembers.tell_stopped(service, [record.task])

    def task_stopped(self, record: TaskRecord) -> None:
        """A task has ended: count it if it failed, and have it replaced."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        if not record.service or self._closed.is_set():
            return
        name = f"{record.cluster}/{record.service}"
        with request_scope(record.account, record.region):
            with self.locked(name):
                service = ecs._services.get(name)
                if service and service["status"] == "ACTIVE":
                    self._count(service, record.task)
            self.reconcile(record.cluster, name)

    def _count(self, service: Service, task: dict[str, Any]) -> None:
        which = str(task.get("_deployment_id"))
        started = task.get("startedAt") or task["stoppedAt"]
        failed = servicemembers.failed(task)
        if failed:
            deployments.task_failed(service, deployments.of_task(service, task), now())
        if failed and task["stoppedAt"] - started < SHORT_LIFE_SECONDS:
            self._wait_longer(service, which)
        elif task.get("startedAt"):
            self._failures.pop(which, None)
            self._not_before.pop(which, None)

    def _wait_longer(self, service: Service, deployment: str) -> None:
        failures = self._failures[deployment] = self._failures.get(deployment, 0) + 1
        self._not_before[deployment] = time.monotonic() + wait_after(failures)
        if failures == INCONSISTENT_AFTER:
            deployments.say(service, deployments.INCONSISTENT, now())

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
            deployment = deployments.of_task(service, record.task) if service else None
        if deployment is None:
            return pull(reference)
        with self._pulls[deployment["id"]]:
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
        if service is not None:
            deployments.say(service, f"was unable to place a task because {reason}", now())
