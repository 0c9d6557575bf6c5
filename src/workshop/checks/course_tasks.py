"""Find the tasks that lab 3 has run, as ECS remembers them: for an hour after they stopped.

Try it:  workshop check 3
"""

from typing import Any

from workshop.aws import session, stacks

DESCRIBE_AT_ONCE = 100  # the most that ecs:DescribeTasks takes


def of_family(family: str) -> list[dict[str, Any]]:
    """Return the tasks of a family, running and stopped, newest first, as ECS describes them."""
    ecs, cluster = session.current().client("ecs"), stacks.output("ClusterName")
    arns: list[str] = []
    for status in ("RUNNING", "STOPPED"):
        pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, family=family, desiredStatus=status)
        arns += [arn for page in pages for arn in page["taskArns"]]
    found: list[dict[str, Any]] = []
    for start in range(0, len(arns), DESCRIBE_AT_ONCE):
        batch = arns[start : start + DESCRIBE_AT_ONCE]
        found += ecs.describe_tasks(cluster=cluster, tasks=batch)["tasks"]
    return sorted(found, key=lambda task: str(task.get("createdAt", "")), reverse=True)


def exit_code(task: dict[str, Any]) -> int | None:
    return next((each.get("exitCode") for each in task["containers"] if "exitCode" in each), None)


def variable(task: dict[str, Any], name: str) -> str:
    """Return a variable that the task was started with, or an empty string."""
    overrides = task.get("overrides", {}).get("containerOverrides", [])
    pairs = [pair for each in overrides for pair in each.get("environment", [])]
    return next((str(pair["value"]) for pair in pairs if pair["name"] == name), "")


def end_of(task: dict[str, Any]) -> str:
    """Say how a task stands, with the reason that ECS gives."""
    code = exit_code(task)
    parts = [
        task["lastStatus"],
        f"exit code {code}" if code is not None else "",
        task.get("stoppedReason", ""),
    ]
    return ", ".join(part for part in parts if part)
