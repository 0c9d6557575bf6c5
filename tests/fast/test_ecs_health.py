"""How results of a health check become a status."""

import pytest

from localaws.ecs.health import Counter, HealthCheck, parse
from localaws.ecs.services import wait_after


def statuses(check: HealthCheck, results: list[tuple[int, float]]) -> list[str]:
    counter = Counter(check)
    return [counter.add(code, age) for code, age in results]


def test_failures_in_a_row_make_unhealthy_and_one_success_mends() -> None:
    check = HealthCheck(["x"], retries=2)
    assert statuses(check, [(0, 1), (1, 2), (1, 3), (0, 4)]) == ["HEALTHY", "HEALTHY", "UNHEALTHY", "HEALTHY"]


def test_failures_in_the_start_period_do_not_count_until_the_first_success() -> None:
    check = HealthCheck(["x"], retries=1, start_period=10)
    assert statuses(check, [(1, 1), (1, 9), (1, 11)]) == ["UNKNOWN", "UNKNOWN", "UNHEALTHY"]
    assert statuses(check, [(0, 1), (1, 2)]) == ["HEALTHY", "UNHEALTHY"]


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["CMD-SHELL", "curl x || exit 1"], ["/bin/sh", "-c", "curl x || exit 1"]),
        (["CMD", "python", "-m", "x"], ["python", "-m", "x"]),
        (["true"], ["true"]),
    ],
)
def test_command_is_read_as_docker_does(given: list[str], command: list[str]) -> None:
    check = parse({"command": given})
    assert check == HealthCheck(command, 30, 5, 3, 0)


def test_failing_service_waits_longer_each_time_but_never_more_than_a_minute() -> None:
    assert [wait_after(failures) for failures in (0, 1, 2, 3, 4, 20)] == [0, 0, 1, 2, 4, 60]
