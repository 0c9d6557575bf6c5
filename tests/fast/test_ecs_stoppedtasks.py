"""How long ECS remembers a task that has stopped."""

import pytest

from localaws.ecs.stoppedtasks import outdated


@pytest.mark.parametrize(
    ("task", "forgotten"),
    [
        ({"lastStatus": "STOPPED", "stoppedAt": 1000.0}, True),
        ({"lastStatus": "STOPPED", "stoppedAt": 1500.0}, False),
        ({"lastStatus": "RUNNING", "stoppedAt": None}, False),
        ({"lastStatus": "STOPPED", "stoppedAt": None}, False),
    ],
)
def test_task_is_forgotten_an_hour_after_its_end_and_not_before(
    task: dict[str, object], forgotten: bool
) -> None:
    assert outdated({"arn": task}, 1000.0 + 3601) == (["arn"] if forgotten else [])
