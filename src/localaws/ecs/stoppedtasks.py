"""ECS forgets tasks an hour after their end; until then DescribeTasks and ListTasks show them.

Try it:  python -m pytest tests/fast/test_ecs_stoppedtasks.py
From the API reference (DescribeTasks): "stopped tasks appear in the returned results for at least one hour".
Knows records only.
"""

from collections.abc import Mapping
from typing import Any

REMEMBERED_SECONDS = 3600.0


def outdated(tasks: Mapping[Any, Mapping[str, Any]], now: float) -> list[Any]:
    """The keys of tasks that stopped more than an hour before `now`, in seconds since 1970."""
    return [
        key
        for key, task in tasks.items()
        if task.get("lastStatus") == "STOPPED"
        and now - float(task.get("stoppedAt") or now) > REMEMBERED_SECONDS
    ]


def forget(now: float) -> int:
    """Remove their records, of every account and region; returns how many."""
    from ministack.core.responses import request_scope
    from ministack.services import ecs

    records = {(account, region, arn): task for (account, region, arn), task in ecs._tasks.all_items()}
    found = outdated(records, now)
    for account, region, arn in found:
        with request_scope(account, region):
            ecs._tasks.pop(arn, None)
            ecs._tags.pop(arn, None)
    return len(found)
