"""RunTask: what AWS would refuse, a place for each task, then ministack's record of it.

Try it:  aws ecs run-task --cluster CLUSTER --task-definition FAMILY --count 2
Knows requests and places; what then happens to a task is `tasks`' part.
"""

import json
from collections.abc import Callable
from typing import Any

from localaws.ecs import agent, execute, taskdefinitions, taskinterface
from localaws.ecs.capacity import Capacity, assign
from localaws.ecs.placement import Instance, Needs, needs_of
from localaws.ecs.runonce import OncePerToken, wrong_token
from localaws.ecs.servicemembers import NO_INSTANCES
from localaws.ecs.services import Services
from localaws.ecs.taskrecord import TaskRecord

Request = dict[str, Any]
Failures = list[dict[str, str]]
MOST_TASKS = 10
NO_INSTANCES_OF_PROVIDER = "No Container Instances were found in your capacity provider."
NO_FIT = "no container instance met all of its requirements. "


class RunTask:
    """The call, in ministack's form: a request in, (status, headers, body) out."""

    def __init__(self, capacity: Capacity, services: Services, original: Callable[[Request], Any]) -> None:
        self._capacity = capacity
        self._services = services
        self._original = original
        self._once = OncePerToken()

    def __call__(self, data: Request) -> Any:
        from ministack.services import ecs

        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        if cluster is None or cluster not in ecs._clusters:
            return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
        definition = ecs._task_defs.get(ecs._resolve_td_key(data.get("taskDefinition", "")) or "")
        refusal = _refusal(data, definition)
        if refusal:
            return ecs.error_response_json(*refusal, 400)
        return self._once.answer(data, lambda: self._start(cluster, definition, data))

    def _start(self, cluster: str, definition: Request, data: Request) -> Any:
        from ministack.services import ecs

        launch, strategy, error = ecs._launch_choice(data, ecs._clusters[cluster])
        if error:
            return error
        launch_type, provider = ecs._task_capacity(launch, strategy)
        refusal = taskinterface.problem(definition, data, launch_type == "FARGATE")
        if refusal:
            return ecs.error_response_json("InvalidParameterException", refusal, 400)
        if launch_type == "FARGATE":
            return self._start_anywhere(data)
        return self._start_placed(cluster, definition, data, provider)

    def _start_anywhere(self, data: Request) -> Any:
        from ministack.services import ecs

        with self._capacity.lock:
            status, _, body = answer = self._original(data)
            if status >= 400:
                return answer
            started = [ecs._tasks[each["taskArn"]] for each in json.loads(body)["tasks"]]
            for task in started:
                taskinterface.promise(task, data)
                task["containerInstanceArn"] = None
                task["_placed"] = True
            # While the lock is held no task gets beyond PROVISIONING, which is what RunTask answers with.
            return ecs.json_response({"tasks": [ecs._sanitize(each) for each in started], "failures": []})

    def _start_placed(self, cluster: str, definition: Request, data: Request, provider: str | None) -> Any:
        """Place each task in turn, so that one counts when the next is placed."""
        from ministack.services import ecs

        needs = needs_of(definition, data.get("overrides") or {})
        if provider is None and not self._capacity.instances(cluster):
            self._services.could_not_place(cluster, data.get("group", ""), NO_INSTANCES)
            return ecs.error_response_json("InvalidParameterException", NO_INSTANCES, 400)
        started, failures = [], []
        for _ in range(int(data.get("count") or 1)):
            with self._capacity.lock:
                instance, why = self._capacity.try_place(cluster, needs, provider, data)
                waits = instance is None and self._capacity.may_wait(cluster, needs, provider)
                if instance is None and not waits:
                    failures += why or [{"reason": NO_INSTANCES_OF_PROVIDER}]
                    continue
                started.append(self._record(data, needs, instance))
        if failures:
            self._services.could_not_place(cluster, data.get("group", ""), NO_FIT + _closest(failures))
        return ecs.json_response({"tasks": started, "failures": failures})

    def _record(self, data: Request, needs: Needs, instance: Instance | None) -> Request:
        from ministack.services import ecs

        _, _, body = self._original({**data, "count": 1})
        task: Request = ecs._tasks[json.loads(body)["tasks"][0]["taskArn"]]
        taskinterface.promise(task, data)
        wishes = ("taskDefinition", "placementConstraints", "placementStrategy")
        task["_wishes"] = {name: data[name] for name in wishes if data.get(name)}
        task["cpu"], task["memory"] = str(needs.cpu), str(needs.memory_mib)
        if instance:
            assign(task, needs, instance)
        else:
            task["containerInstanceArn"] = None
        task["_placed"] = instance is not None
        shown: Request = ecs._sanitize(task)
        return shown


def _refusal(data: Request, definition: Request | None) -> tuple[str, str] | None:
    """(code, message) of what AWS, or this AWS, says no to."""
    if definition is None:
        return "ClientException", "TaskDefinition not found."
    # A service's tasks get its requests, so nobody but its scheduler says that a task is one.
    if str(data.get("group") or "").startswith("service:") and not data.get("_deploymentId"):
        return "InvalidParameterException", "Invalid namespace for group."
    # A service goes on with a revision that was deregistered (DeregisterTaskDefinition in the API reference).
    if definition["status"] != "ACTIVE" and not data.get("_deploymentId"):
        return "ClientException", "TaskDefinition is inactive"
    if not 1 <= int(data.get("count") or 1) <= MOST_TASKS and not data.get("_deploymentId"):
        return "InvalidParameterException", f"Task count must be between 1 and {MOST_TASKS}."
    if wrong_token(data):
        return "InvalidParameterException", wrong_token(data)
    unsupported = taskdefinitions.not_emulated_in_run(data)
    if unsupported:
        return "UnsupportedFeatureException", unsupported
    unassumable = agent.roles_not_assumed(definition, data)
    if unassumable:
        return "ClientException", unassumable
    wrong = taskdefinitions.wrong_overrides(definition, data)
    wrong = wrong or execute.problem(definition, data, "task couldn't be started")
    return ("InvalidParameterException", wrong) if wrong else None


def _closest(failures: Failures) -> str:
    reason = failures[0]["reason"].partition(":")[2] or failures[0]["reason"]
    arn = failures[0].get("arn", "")
    return f"The closest matching (container-instance {arn.rpartition('/')[2]}) has insufficient {reason}."


def place(capacity: Capacity, record: TaskRecord) -> bool:
    """Whether a task has its place; for one that waits, look again and ask for one more instance."""
    from ministack.core.responses import request_scope
    from ministack.services import ecs

    # RunTask holds the lock until the record is complete, so what is read here is all of it.
    with capacity.lock, request_scope(record.account, record.region):
        task = record.task
        if task.get("_placed"):
            return True
        definition = ecs._task_defs[ecs._resolve_td_key(task["taskDefinitionArn"])]
        needs = needs_of(definition, task.get("overrides") or {})
        provider = task["capacityProviderName"]
        wishes = task.get("_wishes") or {}
        instance, _ = capacity.try_place(record.cluster, needs, provider, wishes)
        if instance is None and capacity.scale_out(provider):
            instance, _ = capacity.try_place(record.cluster, needs, provider, wishes)
        if instance is None:
            return False
        assign(task, needs, instance)
        task["_placed"] = True
        return True
