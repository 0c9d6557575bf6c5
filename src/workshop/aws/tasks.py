"""Run ECS tasks, follow their logs, tell how they ended.

Try it:  from workshop.aws import tasks; tasks.follow(tasks.run("jobs-mxnet", ["run", "classify-images"]))
Knows nothing of what a container does: a command goes in, lines and an exit code come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from workshop.aws import logs as log_lines
from workshop.aws import session, stacks, task_definitions, task_failures, task_records, waiting
from workshop.aws.change_sets import PROJECT
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.aws.task_records import Task
from workshop.errors import AwsError

FOLLOW_TIMEOUT_SECONDS = 6 * 3600
START_TIMEOUT_SECONDS = 15 * 60
# After STOPPED, lines may still be on their way to CloudWatch Logs: the agent sends them every 5 s.
DRAIN_SECONDS = {"local": 0.3, "aws": 6.0}
LONGEST_PAUSE_SECONDS = {"local": 0.2, "aws": 2.0}


def register(job_family: str, size: str = "cpu", aws: Aws | None = None) -> str:
    """Register task-definitions/<family>.json, filled from the stacks' outputs, and return its ARN."""
    return task_definitions.register(job_family, size, aws)


def run(
    family: str,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    size: str = "cpu",
    aws: Aws | None = None,
    shell: bool = False,
    resources: Mapping[str, int] | None = None,
    in_group: bool = False,
    role: str = "",
) -> Task:
    """Start one task and return it as ECS placed it.

    command, environment, resources (cpu in units of 1/1024, memory in MiB): overrides for the first container.
    shell: so that `workshop shell` can look into it.
    role: with the rights of another role than its definition's, by its output's name: JupyterTaskRole.
    in_group: in the variant of the family whose tasks reach one another, each by an address of its own.
    Errors: AwsError if no container instance can take it, with what it asked for and what there is.
    """
    aws = aws or session.current()
    arn = task_definitions.register(family, size, aws, in_group)
    definition = _definition(arn, aws)
    outputs = stacks.outputs(None, aws)
    cluster = outputs["ClusterName"]  # there: the definition's roles come from the same stack
    override = _override(definition, command, environment, resources)
    request = _request(arn, definition, cluster, override, outputs, aws)
    if shell:
        request["enableExecuteCommand"] = True
    if role:
        request["overrides"]["taskRoleArn"] = stacks.output(f"{role}Arn", aws)
    with explained(f"run {definition['family']}"):
        answer = aws.client("ecs").run_task(**request)
    if answer.get("failures") or not answer.get("tasks"):
        reason = next((str(each.get("reason", "")) for each in answer.get("failures", [])), "no reason given")
        raise task_failures.placement(reason, definition, cluster, aws)
    return task_records.with_log(task_records.read(answer["tasks"][0], cluster), definition)


def describe(task: Task, aws: Aws | None = None) -> Task:
    """The task as it is now. Errors: AwsError if ECS has forgotten it, about an hour after it stopped."""
    aws = aws or session.current()
    with explained(f"look at task {task.id}"):
        answer = aws.client("ecs").describe_tasks(cluster=task.cluster, tasks=[task.arn])
    if not answer["tasks"]:
        raise AwsError(f"there is no task {task.id} in cluster {task.cluster}")
    return replace(
        task_records.read(answer["tasks"][0], task.cluster),
        log_group=task.log_group,
        log_stream=task.log_stream,
    )


def describe_all(found: Sequence[Task], aws: Aws | None = None) -> list[Task]:
    """Tasks of one cluster as they are now, in the same order; one that ECS has forgotten counts as stopped."""
    aws = aws or session.current()
    cluster = found[0].cluster
    with explained(f"look at {len(found)} tasks"):
        answer = aws.client("ecs").describe_tasks(cluster=cluster, tasks=[task.arn for task in found])
    now = {entry["taskArn"]: task_records.read(entry, cluster) for entry in answer["tasks"]}
    gone = [replace(task, last_status="STOPPED", stopped_reason="ECS knows it no more") for task in found]
    return [
        replace(now.get(task.arn, lost), log_group=task.log_group, log_stream=task.log_stream)
        for task, lost in zip(found, gone, strict=True)
    ]


def find(task_id: str, aws: Aws | None = None) -> Task:
    """A task by its id or ARN, in the course's cluster."""
    aws = aws or session.current()
    cluster = stacks.output("ClusterName", aws)
    bare = describe(Task(task_id, cluster, "", "", ""), aws)
    return task_records.with_log(bare, _definition(bare.definition, aws))


def follow(
    task: Task,
    on_line: Callable[[str], None] = print,
    on_state: Callable[[str], None] | None = None,
    timeout_seconds: float = FOLLOW_TIMEOUT_SECONDS,
    aws: Aws | None = None,
) -> Task:
    """Hand on every log line as it comes, and every change of state; return the task once it has stopped."""
    aws = aws or session.current()
    cursor = log_lines.Cursor(task.log_group, task.log_stream, aws)
    latest = task
    if on_state:
        on_state(task.last_status)

    def hand_on() -> bool:
        lines = cursor.fresh() if task.log_group else []
        for line in lines:
            on_line(line.message)
        return bool(lines)

    def stopped() -> Task | None:
        nonlocal latest
        hand_on()
        before, latest = latest, describe(latest, aws)
        if on_state and latest.last_status != before.last_status:
            on_state(latest.last_status)
        return latest if latest.is_stopped else None

    pause = LONGEST_PAUSE_SECONDS[aws.target]
    what = f"task {task.id} to stop"
    waiting.until(stopped, timeout_seconds, what, lambda: latest.last_status, longest_pause_seconds=pause)
    waiting.quiet(hand_on, DRAIN_SECONDS[aws.target])
    return latest


def wait(
    task: Task,
    status: str = "STOPPED",
    timeout_seconds: float | None = None,
    aws: Aws | None = None,
) -> Task:
    """Wait until the task has this status, STOPPED or RUNNING.

    timeout_seconds: left out, as long as a job may take, or as an instance takes to start.
    Errors: AwsError if RUNNING was waited for and it stopped instead, with the reason.
    """
    aws = aws or session.current()
    latest = task
    if timeout_seconds is None:
        timeout_seconds = FOLLOW_TIMEOUT_SECONDS if status == "STOPPED" else START_TIMEOUT_SECONDS

    def there() -> Task | None:
        nonlocal latest
        latest = describe(latest, aws)
        return latest if latest.last_status in (status, "STOPPED") else None

    pause = LONGEST_PAUSE_SECONDS[aws.target]
    what = f"task {task.id} to be {status}"
    waiting.until(there, timeout_seconds, what, lambda: latest.last_status, longest_pause_seconds=pause)
    if latest.last_status != status:
        raise task_failures.ended(latest, logs(latest, aws))
    return latest


def succeed(task: Task, aws: Aws | None = None) -> Task:
    """Return a task that exited with 0. Errors: AwsError that says how it ended, why, and what mends it."""
    aws = aws or session.current()
    if not task.is_stopped:
        task = wait(task, aws=aws)
    if task.exit_code == 0 and task.stop_code in ("", "EssentialContainerExited"):
        return task
    raise task_failures.ended(task, logs(task, aws))


def stop(task: Task, reason: str, aws: Aws | None = None) -> Task:
    """Ask ECS to stop the task; it has its stopTimeout to end by itself."""
    aws = aws or session.current()
    with explained(f"stop task {task.id}"):
        aws.client("ecs").stop_task(cluster=task.cluster, task=task.arn, reason=reason)
    return describe(task, aws)


def logs(task: Task, aws: Aws | None = None) -> list[str]:
    """Every line that the task has written so far."""
    return log_lines.read(task.log_group, task.log_stream, aws) if task.log_group else []


def address(task: Task, port: int, seen_from: Literal["you", "task"] = "you", aws: Aws | None = None) -> str:
    """http://ADDRESS:PORT where a container's port answers, for you or for another task."""
    from workshop.aws import task_addresses  # it stands on this module

    return task_addresses.find(task, port, seen_from, aws)


def wait_healthy(task: Task, timeout_seconds: float = 180, aws: Aws | None = None) -> Task:
    """Wait until the task's own health check passes. Errors: AwsError if the task stops instead."""
    from workshop.aws import task_addresses

    return task_addresses.wait_healthy(task, timeout_seconds, aws)


def timeline(task: Task, aws: Aws | None = None) -> list[tuple[str, datetime]]:
    """(state, when it began) of the task's life so far, in order."""
    times = describe(task, aws).times
    steps = (
        ("PROVISIONING", "createdAt"),
        ("PULLING", "pullStartedAt"),
        ("PULLED", "pullStoppedAt"),
        ("RUNNING", "startedAt"),
        ("STOPPING", "stoppingAt"),
        ("STOPPED", "stoppedAt"),
    )
    return [(state, times[name]) for state, name in steps if name in times]


def running(aws: Aws | None = None) -> list[Task]:
    """The tasks of the course's cluster that have not stopped; those that are stopping still write results."""
    aws = aws or session.current()
    cluster = stacks.outputs(None, aws).get("ClusterName")
    if not cluster:
        return []
    found: list[Task] = []
    with explained(f"list the tasks of {cluster}"):
        for wish in ("RUNNING", "STOPPED"):  # left out, ECS lists those alone that nobody asked to stop
            pages = aws.client("ecs").get_paginator("list_tasks")
            for page in pages.paginate(cluster=cluster, desiredStatus=wish):
                if page["taskArns"]:
                    answer = aws.client("ecs").describe_tasks(cluster=cluster, tasks=page["taskArns"])
                    found += [task_records.read(entry, cluster) for entry in answer["tasks"]]
    return [task for task in found if not task.is_stopped]


def _definition(arn: str, aws: Aws) -> dict[str, Any]:
    with explained(f"read the task definition {arn}"):
        return dict(aws.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"])


def _override(
    definition: Mapping[str, Any],
    command: Sequence[str] | None,
    environment: Mapping[str, str] | None,
    resources: Mapping[str, int] | None,
) -> dict[str, Any]:
    """What this task has otherwise than its definition says, in its first container."""
    override = {"name": definition["containerDefinitions"][0]["name"], **(resources or {})}
    if command is not None:
        override["command"] = [str(part) for part in command]
    if environment:
        override["environment"] = [{"name": name, "value": str(environment[name])} for name in environment]
    return override


def _request(
    arn: str,
    definition: Mapping[str, Any],
    cluster: str,
    override: Mapping[str, Any],
    outputs: Mapping[str, str],
    aws: Aws,
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "cluster": cluster,
        "taskDefinition": arn,
        "startedBy": aws.name,
        "tags": [{"key": "workshop", "value": aws.name}, {"key": "Project", "value": PROJECT}],
        "overrides": {"containerOverrides": [override]},
    }
    if "CapacityProviderName" in outputs:
        request["capacityProviderStrategy"] = [
            {"capacityProvider": outputs["CapacityProviderName"], "weight": 1}
        ]
    if definition.get("networkMode") == "awsvpc":
        request["networkConfiguration"] = _network(outputs, task_definitions.is_for_group(definition))
    return request


def _network(outputs: Mapping[str, str], in_group: bool) -> dict[str, Any]:
    """An awsvpc task has an address of its own, in the course's subnets and one of its security groups."""
    subnets = [each for each in outputs.get("SubnetIds", "").split(",") if each]
    wanted = "GroupSecurityGroupId" if in_group else "TaskSecurityGroupId"
    groups = [each for each in (outputs.get(wanted, ""),) if each]
    missing = [name for name, found in (("SubnetIds", subnets), (wanted, groups)) if not found]
    if missing:
        raise AwsError(
            f"the network stack has no output {' and no '.join(missing)}, which an awsvpc task needs",
            "workshop prepare 2",
        )
    return {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}}
