"""What a container may ask of the ECS task that it is in: its ARN, its account, its address.

Try it:  python -c "from workshop import task_metadata; print(task_metadata.label())"      (inside a task)
The address is ECS's own, link-local or loopback: no request leaves the machine, and none needs a right.
Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html
"""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
ANSWER_SECONDS = 5
READY_SECONDS = 30  # the agent knows a container's address a moment after the container runs
PAUSE_SECONDS = 0.1


def task_arn(environ: Mapping[str, str] | None = None) -> str:
    """The task's ARN; '' outside a task, or where nothing answers."""
    uri = (os.environ if environ is None else environ).get(VARIABLE, "")
    return str(_read(f"{uri}/task").get("TaskARN", "")) if uri else ""


def account(environ: Mapping[str, str] | None = None) -> str:
    """The account that the task runs in; '' outside a task."""
    parts = task_arn(environ).split(":")
    return parts[4] if len(parts) > 5 else ""


def label(environ: Mapping[str, str] | None = None) -> str:
    """What people call this member: its task, or outside a task its process."""
    arn = task_arn(environ)
    return f"task {arn.rpartition('/')[2]}" if arn else f"process {os.getpid()}"


def address(
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The address that other tasks reach this one by; '' outside a task, or where it has none."""
    uri = (os.environ if environ is None else environ).get(VARIABLE, "")
    deadline = clock() + READY_SECONDS
    while uri and clock() < deadline:
        networks = _read(uri).get("Networks") or []
        found = [each for network in networks for each in network.get("IPv4Addresses") or []]
        if found:
            return str(found[0])
        sleep(PAUSE_SECONDS)
    return ""


def _read(uri: str) -> dict[str, Any]:
    """A document of the endpoint; empty where it does not answer."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(uri, timeout=ANSWER_SECONDS) as answer:
            return dict(json.load(answer))
    except (OSError, ValueError):
        return {}
