"""Health checks: when a target is in service, and when it is not."""

import http.client
from collections.abc import Callable

import pytest
from ecs_world import wait_until
from proxy_world import Balancer, Target

pytestmark = pytest.mark.local


def who_answers(balancer: Balancer, times: int = 8) -> set[str]:
    connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10)
    found = set()
    for _ in range(times):
        connection.request("GET", "/")
        found.add(connection.getresponse().read().decode())
    connection.close()
    return found


def test_one_passed_check_is_enough_for_a_new_target(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    new = target()
    balancer.tell(new, interval_seconds=60, healthy_threshold=10)
    wait_until(lambda: balancer.state(new) == "healthy")
    assert new.checks == 1
    assert balancer.history == [(new.port, "initial"), (new.port, "healthy")]


def test_new_target_is_in_service_soon_after_it_is_ready(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    starting = target(health=503)
    balancer.tell(starting, interval_seconds=60)
    wait_until(lambda: starting.checks >= 2)
    assert balancer.state(starting) == "initial"  # failures count once an interval
    starting.health = 200
    wait_until(lambda: balancer.state(starting) == "healthy")


@pytest.mark.parametrize("healthy_again", [False, True])
def test_so_many_failures_in_a_row_take_a_target_out_and_so_many_passes_put_it_back(
    balancer: Balancer, target: Callable[..., Target], healthy_again: bool
) -> None:
    bad, good = target("bad"), target("good")
    balancer.serve(bad, good, unhealthy_threshold=3, healthy_threshold=2)
    before = bad.checks
    bad.health = 500
    wait_until(lambda: balancer.state(bad) == "unhealthy")
    assert bad.checks - before >= 3
    assert balancer.health[bad.port][1:] == (
        "Target.ResponseCodeMismatch",
        "Health checks failed with these codes: [500]",
    )
    assert who_answers(balancer) == {"good"}
    if healthy_again:
        bad.health = 200
        wait_until(lambda: balancer.state(bad) == "healthy")
        assert who_answers(balancer) == {"good", "bad"}


def test_group_with_unhealthy_targets_alone_fails_open(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    one, two = target("1", health=500), target("2", health=500)
    balancer.tell(one, two)
    wait_until(lambda: balancer.state(one) == balancer.state(two) == "unhealthy")
    assert who_answers(balancer) == {"1", "2"}


def test_target_that_takes_no_connection_or_does_not_answer_says_why(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    dead, silent = target("dead"), target("silent")
    balancer.serve(dead, silent)
    dead.stop()
    silent.health = 0
    wait_until(lambda: balancer.state(dead) == balancer.state(silent) == "unhealthy")
    assert balancer.health[dead.port][1:] == ("Target.FailedHealthChecks", "Health checks failed")
    assert balancer.health[silent.port][1:] == ("Target.Timeout", "Request timed out")


def test_settings_that_change_are_used_at_once(balancer: Balancer, target: Callable[..., Target]) -> None:
    only = target(health=418)
    balancer.tell(only)
    wait_until(lambda: balancer.state(only) == "unhealthy")
    balancer.tell(only, matcher="200,418", healthy_threshold=2)
    wait_until(lambda: balancer.state(only) == "healthy")


def test_target_that_is_registered_anew_has_to_pass_again(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    again, other = target("a"), target("o")
    balancer.serve(again, other)
    again.health = 503
    balancer.tell(again, other, since=2)
    wait_until(lambda: balancer.state(again) == "initial" and balancer.state(other) == "healthy")
    assert who_answers(balancer) == {"o"}


def test_target_that_drains_is_not_checked_any_more(
    balancer: Balancer, target: Callable[..., Target]
) -> None:
    leaving, staying = target("l"), target("s")
    balancer.serve(leaving, staying)
    balancer.tell(staying, draining=(leaving,))
    wait_until(lambda: who_answers(balancer) == {"s"})
    before, others = leaving.checks, staying.checks
    wait_until(lambda: staying.checks > others + 3)
    assert leaving.checks <= before + 1
