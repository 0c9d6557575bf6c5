"""A service's tasks: how each of them is, how many there are, and how one more is started.

Try it:  aws ecs describe-services --cluster CLUSTER --services SERVICE
A task is healthy by the rules of DeploymentConfiguration in the ECS API reference: its essential containers with
a health check pass it, and its targets are healthy. Where it has neither, AWS waits 40 seconds after it runs.
"""

import contextlib
import json
from typing import Any

from localaws.ecs import deployments, servicetargets
from localaws.ecs.deployments import Deployment, Member, Service
from localaws.ecs.taskrecord import now

Task = dict[str, Any]
SCHEDULER = "ServiceSchedulerInitiated"
UNHEALTHY = "Task failed container health checks"
ELB_UNHEALTHY = "Task failed ELB health checks in (target-group {})"
FAILED_CODES = ("EssentialContainerExited", "TaskFailedToStart")
# AWS's 40 seconds would make every lesson wait; what fails at its start has failed by then.
STEADY_SECONDS = 1.0
NO_INSTANCES = "No Container Instances were found in your cluster."
LIVE = ("PROVISIONING", "PENDING", "ACTIVATING", "RUNNING")
# Of a deployment's revision, what RunTask is told as it is.
OF_TASKS = (
    "launchType",
    "capacityProviderStrategy",
    "networkConfiguration",
    "platformVersion",
    "placementConstraints",
    "placementStrategy",
    "enableExecuteCommand",
)


def tasks_of(service: Service) -> list[Task]:
    """The service's tasks that have a record and have not stopped."""
    from ministack.services import ecs

    group = f"service:{service['serviceName']}"
    return [
        task
        for task in list(ecs._tasks.values())
        if task.get("group") == group
        and task.get("clusterArn") == service["clusterArn"]
        and task.get("lastStatus") != "STOPPED"
    ]


def see(service: Service) -> list[Member]:
    """The tasks that are alive or drain, as the scheduler judges them; writes down who became healthy."""
    known: dict[str, list[Any]] = {}
    found = []
    for task in tasks_of(service):
        member = _member(service, task, known)
        if member.healthy and not member.was_healthy:
            task["_was_healthy"] = True
            deployments.task_healthy(service, deployments.of_task(service, task))
        if not member.drains or task["lastStatus"] in (*LIVE, "DEACTIVATING"):
            found.append(member)
    return found


def _member(service: Service, task: Task, known: dict[str, list[Any]]) -> Member:
    running = task["lastStatus"] == "RUNNING"
    drains = task["desiredStatus"] == "STOPPED"
    healthy, sick = _health(service, task, known) if running and not drains else (False, "")
    return Member(
        arn=task["taskArn"],
        deployment=str(task.get("_deployment_id")),
        healthy=healthy,
        was_healthy=bool(task.get("_was_healthy")),
        sick=sick,
        drains=drains,
        created=float(task["createdAt"]),
    )


def _health(service: Service, task: Task, known: dict[str, list[Any]]) -> tuple[bool, str]:
    """(whether a running task is healthy, why it must be replaced if it must)."""
    age = now() - float(task["startedAt"])
    in_grace = age < int(service.get("healthCheckGracePeriodSeconds") or 0)
    checked = _has_health_check(task)
    if task.get("healthStatus") == "UNHEALTHY":
        return False, "" if in_grace else UNHEALTHY
    healthy = task.get("healthStatus") == "HEALTHY" if checked else True
    targets = servicetargets.registered(task)
    # A task that runs and is not registered yet, or could not be, gets no requests.
    healthy = healthy and len(targets) >= len(_load_balancers(service, task))
    for target in targets:
        state, why = servicetargets.state(target, known)
        if state == "unhealthy" and not in_grace:
            _tell(service, task, target, why)
            return False, ELB_UNHEALTHY.format(target[0])
        healthy = healthy and state == "healthy"
    return healthy and (checked or bool(targets) or age >= STEADY_SECONDS), ""


def _load_balancers(service: Service, task: Task) -> list[dict[str, Any]]:
    deployment = deployments.of_task(service, task)
    return list(deployments.revision(deployment).get("loadBalancers") or []) if deployment else []


def _has_health_check(task: Task) -> bool:
    from ministack.services import ecs

    definition = ecs._task_defs.get(ecs._resolve_td_key(task["taskDefinitionArn"]) or "") or {}
    containers = definition.get("containerDefinitions") or []
    return any(each.get("healthCheck") and each.get("essential", True) for each in containers)


def _tell(service: Service, task: Task, target: servicetargets.Target, why: str) -> None:
    """The event of an unhealthy target, once a task."""
    if task.get("_told"):
        return
    task["_told"] = True
    group, _, port = target
    instance = f" (instance {task['_instance_id']})" if task.get("_instance_id") else ""
    name = task["taskArn"].rpartition("/")[2]
    deployments.say(
        service,
        f"(task {name}){instance} (port {port}) is unhealthy in (target-group {group}) due to (reason {why})",
        now(),
    )


def failed(task: Task) -> bool:
    """Whether a stopped task counts as failed: it did not start, ended by itself or failed its health checks."""
    reason = str(task.get("stoppedReason"))
    return task.get("stopCode") in FAILED_CODES or reason.startswith(("Task failed", UNHEALTHY))


def join(service: Service, task: Task) -> None:
    """A task runs: register its targets in the groups of its deployment."""
    wrong = servicetargets.register(task, servicetargets.of(task, _load_balancers(service, task)))
    for (group, _, _), why in wrong:
        deployments.say(
            service, f"failed to register targets in (target-group {group}) with (error {why})", now()
        )
    tell_targets(service, "registered", servicetargets.registered(task))


def tell_targets(service: Service, done: str, targets: list[servicetargets.Target]) -> None:
    """The event of targets that were registered or deregistered, one for each group."""
    for group in dict.fromkeys(each[0] for each in targets):
        number = sum(each[0] == group for each in targets)
        deployments.say(service, f"{done} {number} targets in (target-group {group})", now())


def tell_stopped(service: Service, tasks: list[Task]) -> None:
    """The event of tasks that the scheduler has told to stop."""
    if tasks:
        names = " ".join(f"(task {each['taskArn'].rpartition('/')[2]})" for each in tasks)
        deployments.say(service, f"has stopped {len(tasks)} running tasks: {names}.", now())


def start(cluster: str, service: Service, deployment: Deployment, count: int) -> tuple[int, str]:
    """Start tasks of a deployment; returns how many there was no place for, and why none could be launched."""
    from ministack.services import ecs

    revision = deployments.revision(deployment)
    request = {name: revision[name] for name in OF_TASKS if revision.get(name)}
    request |= {
        "cluster": cluster,
        "taskDefinition": deployment["taskDefinition"],
        "count": count,
        "group": f"service:{service['serviceName']}",
        "startedBy": deployment["id"],
        "tags": _tags(cluster, service, revision),
        "_deploymentId": deployment["id"],
    }
    status, _, body = ecs._run_task(request)
    answer = json.loads(body)
    if status >= 400 and answer["message"] != NO_INSTANCES:
        deployments.say(service, f"failed to launch a task with (error {answer['message']}).", now())
        return 0, answer["message"]
    started = answer.get("tasks") or []
    if started:
        made = " ".join(f"(task {each['taskArn'].rpartition('/')[2]})" for each in started)
        deployments.say(service, f"has started {len(started)} tasks: {made}.", now())
    return count - len(started), ""


def _tags(cluster: str, service: Service, revision: dict[str, Any]) -> list[dict[str, str]]:
    from ministack.services import ecs

    source = {"SERVICE": service["serviceArn"], "TASK_DEFINITION": revision["taskDefinition"]}
    tags = list(ecs._tags.get(source.get(str(revision.get("propagateTags")), "")) or [])
    if revision.get("enableECSManagedTags"):
        tags.append({"key": "aws:ecs:clusterName", "value": cluster})
        tags.append({"key": "aws:ecs:serviceName", "value": service["serviceName"]})
    return tags


def count(cluster: str, group: str) -> None:
    """Write into a service's record, and its deployments', how many tasks run and how many are on their way."""
    from ministack.services import ecs

    service = ecs._services.get(f"{cluster}/{str(group or '').partition('service:')[2]}")
    if not service:
        return
    kept = [service, *service["deployments"]]
    numbers = {each.get("id"): {"runningCount": 0, "pendingCount": 0} for each in kept}
    for task in tasks_of(service):
        member = "runningCount" if task["lastStatus"] == "RUNNING" else "pendingCount"
        for owner in (None, task.get("_deployment_id")) if task["lastStatus"] in LIVE else ():
            with contextlib.suppress(KeyError):  # a task of a deployment that is gone
                numbers[owner][member] += 1
    for each in kept:
        each.update(numbers[each.get("id")])
    for each in service["deployments"]:
        if each["status"] == "ACTIVE":  # what is being replaced wants no more than it has
            each["desiredCount"] = each["runningCount"] + each["pendingCount"]
