"""Which of a port's bindings a caller can use."""

from typing import Any

import pytest

from workshop.aws import task_addresses
from workshop.aws.task_records import Task

HERE = {"containerPort": 8080, "bindIP": "127.0.0.1", "hostPort": 32768}
THERE = {"containerPort": 8080, "bindIP": "169.254.170.2", "hostPort": 32768}


@pytest.mark.parametrize(
    ("bindings", "seen_from", "expected"),
    [
        ([HERE], "you", "127.0.0.1"),
        ([HERE], "task", "127.0.0.1"),
        ([HERE, THERE], "you", "127.0.0.1"),
        ([HERE, THERE], "task", "169.254.170.2"),
        ([THERE, HERE], "you", "127.0.0.1"),
    ],
)
def test_you_use_loopback_and_tasks_the_address_of_their_network(
    monkeypatch: pytest.MonkeyPatch, bindings: list[dict[str, Any]], seen_from: Any, expected: str
) -> None:
    monkeypatch.setattr(
        task_addresses, "_describe", lambda task, aws: {"containers": [{"networkBindings": bindings}]}
    )
    found = task_addresses.find(Task("arn", "c", "", "", ""), 8080, seen_from, aws=object())  # type: ignore[arg-type]
    assert found == f"http://{expected}:32768"
