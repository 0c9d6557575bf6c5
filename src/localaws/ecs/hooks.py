"""ECS that runs: ministack keeps clusters, task definitions, services and records; tasks live here.

Try it:  aws ecs run-task --cluster CLUSTER --task-definition FAMILY
`install` puts our calls in the place of ministack's, which is why each of them has a contract test. What is
refused before a call does anything is in `refusals`.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from typing import Any

from localaws.ecs import containerinstances, groups, runtask, servicecalls
from localaws.ecs.capacity import Capacity
from localaws.ecs.execute import ExecuteCommand
from localaws.ecs.servicemetrics import ServiceMetrics
from localaws.ecs.services import Services
from localaws.ecs.taskcredentials import TaskCredentials
from localaws.ecs.taskrecord import TaskRecord, now
from localaws.ecs.taskrecord import find as find_task
from localaws.ecs.tasks import SERVER_STOPPED, Surroundings, TaskRun
from localaws.engine import Container, Engine

logger = logging.getLogger("localaws.ecs")
LOST = "Task stopped because the local AWS was restarted"
KILLED = 137
RECORDS_SECONDS = 3.0
Request = dict[str, Any]
_installed: list["Ecs"] = []


def install(engine: Engine, endpoint: str, region: str, metric_seconds: float = 60.0) -> "Ecs":
    """Have tasks run by this engine; once a process, after ministack is imported and before it serves.

    metric_seconds: CloudWatch's minute, in which services' metrics are put once.
    """
    ecs = Ecs(engine, endpoint, metric_seconds=metric_seconds)
    ecs.install()
    _installed[:] = [ecs]
    return ecs


def recover() -> None:
    """After ministack restored its state: say which tasks a former server took with it, start services."""
    _installed[0].recover()


def is_closing() -> bool:
    """Whether the server is about to end, so that nothing that is waited for will come."""
    return bool(_installed) and _installed[0].services.closed


def credentials() -> TaskCredentials:
    """What gives containers the credentials of their roles; other services' containers ask there too."""
    return _installed[0].credentials


def close() -> None:
    """Before the last state is written: end every task, replace none, and have their records say so."""
    _installed[0].close()


class Ecs:
    """The tasks that are alive, and the calls that start and stop them."""

    def __init__(
        self, engine: Engine, endpoint: str, capacity: Capacity | None = None, metric_seconds: float = 60.0
    ) -> None:
        self.engine = engine
        self.capacity = capacity or Capacity()
        self.services = Services(self._stop_task)
        self.credentials = TaskCredentials()
        self.runs: dict[str, TaskRun] = {}
        self._runs_change = threading.Condition()
        self.execute = ExecuteCommand(endpoint, self._container)
        self.metrics = ServiceMetrics(self._containers, metric_seconds)
        self._around = Surroundings(
            engine=engine,
            credentials=self.credentials,
            endpoint=engine.endpoint_inside(endpoint),
            folder=engine.folder / "volumes",
            place=lambda record: runtask.place(self.capacity, record),
            pin=self.services.pinned,
            has_started=self.services.task_started,
            leaves=self.services.task_leaves,
            has_stopped=self._task_stopped,
        )

    def install(self) -> None:
        """Every hook into ministack's ECS."""
        from ministack.services import ecs

        ecs._get_docker = lambda: self.engine  # true: tasks are started by a worker, and not RUNNING at once
        ecs._resolve_task = find_task
        ecs._iso = now  # ECS gives times to the millisecond
        ecs._run_task_worker = self._work
        ecs._maybe_mark_stopped = lambda task, client=None: None
        ecs._ensure_ecs_reaper_thread = lambda: None
        ecs._stop_task = self._stop_by_user
        ecs._run_task = runtask.RunTask(self.capacity, self.services, ecs._run_task)
        ecs._resolve_td_key = _newest_active(ecs._resolve_td_key)
        ecs._recount_cluster = _counting_instances(self.capacity, ecs._recount_cluster)
        ecs.reset = self._resetting(ecs.reset)
        self._install_actions(ecs._ACTION_MAP)
        containerinstances.install(self.capacity, self._drain)
        self.services.install()
        self.credentials.install()
        self._watch_instances()

    def _install_actions(self, actions: dict[str, Callable[[Request], Any]]) -> None:
        from ministack.services import ecs

        actions["RunTask"] = ecs._run_task
        actions["StopTask"] = self._stop_by_user
        actions["ExecuteCommand"] = self.execute
        servicecalls.install(self.services, actions)
        actions["DeleteCluster"] = self._keeping_used_cluster(actions["DeleteCluster"])

    def _watch_instances(self) -> None:
        groups.is_busy = self.capacity.is_busy
        groups.on_change.append(lambda group: self._stop_on_lost_instances())

    def _work(
        self, task: Request, definition: Request, overrides: Any, client: Any, account: str, region: str
    ) -> None:
        """The worker that ministack starts for each task."""
        from ministack.core.responses import request_scope

        run = TaskRun(
            TaskRecord(task, account, region), definition, task.get("overrides") or {}, self._around
        )
        with self._runs_change:
            self.runs[task["taskArn"]] = run
        with request_scope(account, region):
            run.run()

    def _container(self, task_arn: str, name: str) -> Container | None:
        with self._runs_change:
            run = self.runs.get(task_arn)
        return run.container(name) if run else None

    def _containers(self, task_arn: str) -> list[Container]:
        with self._runs_change:
            run = self.runs.get(task_arn)
        return run.containers() if run else []

    def _task_stopped(self, record: TaskRecord) -> None:
        with self._runs_change:
            self.runs.pop(record.arn, None)
            self._runs_change.notify_all()
        self.services.task_stopped(record)

    def _stop_by_user(self, data: Request) -> Any:
        return self._stop(data, str(data.get("reason") or "Task stopped by user"), "UserInitiated")

    def _stop(self, data: Request, reason: str, code: str) -> Any:
        from ministack.services import ecs

        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        if cluster is None or cluster not in ecs._clusters:
            return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
        task = ecs._resolve_task(data.get("task", ""), cluster)
        if not task:
            return ecs.error_response_json(
                "InvalidParameterException", "The referenced task was not found.", 400
            )
        self._stop_task(task, reason, code)
        return ecs.json_response({"task": ecs._sanitize(task)})

    def _stop_task(self, task: Request, reason: str, code: str) -> None:
        from ministack.core.responses import get_account_id, get_region

        # The record first: a run that begins meanwhile finds there that it is to stop.
        TaskRecord(task, get_account_id(), get_region()).will_stop(reason, code)
        with self._runs_change:
            run = self.runs.get(task["taskArn"])
        if run:
            run.wake()

    def _drain(self, instance_arn: str) -> None:
        """Stop the service tasks of an instance; their services place others elsewhere."""
        from ministack.services import ecs

        for task in ecs._tasks.values():
            if task.get("containerInstanceArn") == instance_arn and str(task.get("group")).startswith(
                "service:"
            ):
                reason = f"Service scheduler stopped the task: instance {instance_arn} is draining"
                self._stop_task(task, reason, "ServiceSchedulerInitiated")

    def _stop_on_lost_instances(self) -> None:
        """Stop the tasks whose instance an Auto Scaling group has taken away."""
        from ministack.core.responses import request_scope
        from ministack.services import ec2, ecs

        for (account, region, _), task in ecs._tasks.all_items():
            instance_id = task.get("_instance_id")
            if not instance_id or task["lastStatus"] == "STOPPED":
                continue
            with request_scope(account, region):
                state = (ec2._instances.get(instance_id) or {}).get("State", {}).get("Name")
                if state not in ("running", "pending"):
                    self._stop_task(
                        task, f"Host EC2 (instance {instance_id}) terminated.", "TerminationNotice"
                    )

    def _keeping_used_cluster(self, original: Callable[[Request], Any]) -> Callable[[Request], Any]:
        def delete(data: Request) -> Any:
            from ministack.services import ecs

            cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
            arn = (ecs._clusters.get(cluster) or {}).get("clusterArn")
            services = [name for name, each in ecs._services.items() if each["status"] == "ACTIVE"]
            tasks = [each for each in ecs._tasks.values() if each["clusterArn"] == arn]
            if any(name.startswith(f"{cluster}/") for name in services):
                return ecs.error_response_json(
                    "ClusterContainsServicesException",
                    "The Cluster cannot be deleted while Services are active.",
                    400,
                )
            if any(each["desiredStatus"] != "STOPPED" for each in tasks):
                return ecs.error_response_json(
                    "ClusterContainsTasksException",
                    "The Cluster cannot be deleted while Tasks are active.",
                    400,
                )
            if cluster and self.capacity.instances(cluster):
                return ecs.error_response_json(
                    "ClusterContainsContainerInstancesException",
                    "The Cluster cannot be deleted while Container Instances are active or draining.",
                    400,
                )
            return original(data)

        return delete

    def _resetting(self, original: Callable[[], None]) -> Callable[[], None]:
        def reset() -> None:
            for run in list(self.runs.values()):
                run.request_stop("The local AWS was reset", "TerminationNotice")
            original()

        return reset

    def close(self) -> None:
        """End every task; returns once their records are complete, or after a few seconds."""
        self.metrics.close()
        self.services.close()
        with self._runs_change:
            runs = list(self.runs.values())
        for run in runs:
            run.request_stop(SERVER_STOPPED, "TerminationNotice")
        self.engine.stop_all()
        with self._runs_change:
            self._runs_change.wait_for(lambda: not self.runs, RECORDS_SECONDS)

    def recover(self) -> None:
        """Tell of tasks that a former server took with it, end what is left of them, bring services back."""
        from ministack.core.responses import request_scope
        from ministack.services import ecs

        self.engine.clean_orphans()
        shutil.rmtree(self._around.folder / "tasks", ignore_errors=True)  # volumes of tasks that are no more
        for (account, region, arn), task in ecs._tasks.all_items():
            if arn in self.runs or task.get("stoppedAt"):
                continue
            task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stoppedAt": now()}
            task["stoppedReason"] = task.get("stoppedReason") or LOST
            task["stopCode"] = task.get("stopCode") or "TerminationNotice"
            for container in task["containers"]:
                if container.get("lastStatus") == "RUNNING":
                    container["exitCode"] = KILLED
                container["lastStatus"] = "STOPPED"
            with request_scope(account, region):
                cluster = task["clusterArn"].rpartition("/")[2]
                ecs._recount_cluster(cluster)
                ecs._refresh_service_state(cluster, task.get("group", ""))
        self.services.recover()
        self.metrics.watch()


def _newest_active(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A family's name alone means its newest ACTIVE revision; ministack takes the newest of all, so that a
    family whose revisions were deregistered would be found and could not be run."""

    def resolve(reference: Any) -> Any:
        from ministack.services import ecs

        key = original(reference)
        family, _, revision = str(key or "").rpartition(":")
        if not family or str(reference).endswith(f":{revision}"):
            return key
        numbers = range(int(revision), 0, -1)
        active = (f"{family}:{number}" for number in numbers if _is_active(ecs, f"{family}:{number}"))
        return next(active, family)

    return resolve


def _is_active(ecs: Any, key: str) -> bool:
    return bool((ecs._task_defs.get(key) or {}).get("status") == "ACTIVE")


def _counting_instances(capacity: Capacity, original: Callable[[str], None]) -> Callable[[str], None]:
    def recount(cluster: str) -> None:
        from ministack.services import ecs

        original(cluster)
        if cluster in ecs._clusters:
            count = capacity.count(cluster)
            ecs._clusters[cluster]["registeredContainerInstancesCount"] = count

    return recount
