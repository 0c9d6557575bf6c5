"""What the service scheduler decides, pass by pass, without a server or a task."""

from typing import Any

import pytest

from localaws.ecs import deployments
from localaws.ecs.deployments import Member

NOW = 1000.0


def service(desired: int = 1, breaker: dict[str, Any] | None = None, **configuration: int) -> dict[str, Any]:
    """A service whose first deployment has just begun."""
    made: dict[str, Any] = {
        "serviceName": "s",
        "desiredCount": desired,
        "taskDefinition": "t:1",
        "deployments": [],
        "events": [],
        "deploymentConfiguration": {"deploymentCircuitBreaker": breaker or {}, **configuration},
    }
    deployments.new(made, NOW)
    return made


def completed(desired: int = 1, **more: Any) -> dict[str, Any]:
    """A service whose first deployment is completed."""
    made = service(desired, **more)
    deployments.settle(made, tasks(made, desired, healthy=True), NOW)
    assert made["deployments"][0]["rolloutState"] == "COMPLETED"
    return made


def tasks(made: dict[str, Any], count: int, deployment: int = 0, **how: Any) -> list[Member]:
    identifier = made["deployments"][deployment]["id"]
    return [Member(f"{identifier}/{number}", identifier, created=number, **how) for number in range(count)]


def messages(made: dict[str, Any]) -> list[str]:
    return [each["message"] for each in made["events"]]


def test_new_service_starts_all_its_tasks():
    assert deployments.plan(service(3), []).start == 3


def test_one_task_is_rolled_by_a_healthy_new_one_before_the_old_one_stops():
    made = completed()
    old = tasks(made, 1, healthy=True)
    deployments.new(made, NOW)
    assert deployments.plan(made, old).start == 1
    assert deployments.plan(made, old + tasks(made, 1)) == deployments.Plan()
    assert list(deployments.plan(made, old + tasks(made, 1, healthy=True)).stop) == [old[0].arn]


def test_maximum_percent_bounds_how_many_run_at_once():
    made = completed(4, maximumPercent=150)
    old = tasks(made, 4, healthy=True)
    deployments.new(made, NOW)
    assert deployments.plan(made, old).start == 2
    after = deployments.plan(made, old + tasks(made, 2, healthy=True))
    assert (len(after.stop), after.start) == (2, 2)


def test_no_room_above_the_desired_count_means_that_old_tasks_stop_first():
    made = completed(2, minimumHealthyPercent=50, maximumPercent=100)
    old = tasks(made, 2, healthy=True)
    deployments.new(made, NOW)
    first = deployments.plan(made, old)
    assert (len(first.stop), first.start) == (1, 1)


def test_configuration_that_allows_neither_stop_nor_start_is_told():
    made = completed(2, maximumPercent=100)
    old = tasks(made, 2, healthy=True)
    deployments.new(made, NOW)
    assert deployments.plan(made, old).stuck


def test_full_cluster_makes_old_tasks_stop_as_far_as_minimum_healthy_percent_lets_them():
    made = completed(2, minimumHealthyPercent=50)
    old = tasks(made, 2, healthy=True)
    deployments.new(made, NOW)
    assert not deployments.plan(made, old).stop
    assert len(deployments.plan(made, old, crowded=True).stop) == 1


def test_lower_desired_count_stops_tasks_that_are_not_healthy_and_then_the_newest():
    made = service(1)
    two = tasks(made, 2, healthy=True)
    assert list(deployments.plan(made, two).stop) == [two[1].arn]
    starting = tasks(made, 1)
    assert list(deployments.plan(made, [*starting, two[1]]).stop) == [starting[0].arn]


def test_task_that_was_healthy_stays_until_another_is():
    made = completed()
    sick = tasks(made, 1, sick="Task failed", was_healthy=True)
    assert (deployments.plan(made, sick).stop, deployments.plan(made, sick).start) == ({}, 1)
    head = made["deployments"][0]["id"]
    assert deployments.plan(made, [*sick, Member("new", head)]) == deployments.Plan()
    assert deployments.plan(made, [*sick, Member("new", head, healthy=True)]).stop == {
        sick[0].arn: "Task failed"
    }


def test_task_that_was_never_healthy_is_replaced_at_once():
    made = service()
    plan = deployments.plan(made, tasks(made, 1, sick="Task failed"))
    assert (list(plan.stop.values()), plan.start) == (["Task failed"], 1)


def test_desired_count_of_zero_stops_everything_and_is_a_completed_deployment():
    made = completed()
    old = tasks(made, 1, healthy=True)
    deployments.new(made, NOW)
    made["desiredCount"] = 0
    assert list(deployments.plan(made, old).stop) == [old[0].arn]
    deployments.settle(made, [], NOW)
    assert [each["rolloutState"] for each in made["deployments"]] == ["COMPLETED"]


def test_third_deployment_replaces_the_tasks_of_both_before():
    made = completed()
    first = tasks(made, 1, healthy=True)
    deployments.new(made, NOW)
    second = tasks(made, 1)
    deployments.new(made, NOW)
    assert list(deployments.plan(made, first + second).stop) == [second[0].arn]
    third = tasks(made, 1, healthy=True)
    assert set(deployments.plan(made, first + second + third).stop) == {first[0].arn, second[0].arn}


def test_deployment_is_completed_only_when_the_old_connections_are_drained():
    made = completed()
    old = tasks(made, 1, drains=True)
    deployments.new(made, NOW)
    ours = tasks(made, 1, healthy=True)
    deployments.settle(made, old + ours, NOW)
    assert made["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    deployments.settle(made, ours, NOW)
    head = made["deployments"][0]
    assert (len(made["deployments"]), head["rolloutState"]) == (1, "COMPLETED")
    assert head["rolloutStateReason"] == f"ECS deployment {head['id']} completed."
    assert messages(made)[:2] == [
        "(service s) has reached a steady state.",
        f"(service s) (deployment {head['id']}) deployment completed.",
    ]


@pytest.mark.parametrize(("desired", "failures"), [(1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (500, 200)])
def test_threshold_is_half_of_the_desired_count_at_least_3_at_most_200(desired: int, failures: int):
    assert deployments.threshold(service(desired)) == failures


def test_threshold_can_be_a_count():
    breaker = {"thresholdConfiguration": {"type": "COUNT", "value": 1}}
    assert deployments.threshold(service(10, breaker)) == 1


def fail(made: dict[str, Any], times: int = 3) -> dict[str, Any]:
    head = made["deployments"][0]
    for _ in range(times):
        deployments.task_failed(made, head, NOW)
    return head


def test_circuit_breaker_rolls_back_to_the_last_completed_deployment():
    made = completed(breaker={"enable": True, "rollback": True})
    good = made["deployments"][0]
    made["taskDefinition"] = "t:2"
    bad = deployments.new(made, NOW)
    fail(made, 2)
    assert bad["rolloutState"] == "IN_PROGRESS"
    fail(made, 1)
    assert (bad["rolloutState"], bad["status"]) == ("FAILED", "ACTIVE")
    assert bad["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert (deployments.primary(made), made["taskDefinition"]) == (good, "t:1")
    assert good["rolloutStateReason"].endswith(f"rolling back to deploymentId {good['id']}.")
    assert messages(made)[:2] == [
        f"(service s) rolling back to deployment {good['id']}.",
        f"(service s) (deployment {bad['id']}) deployment failed: tasks failed to start.",
    ]


def test_rollback_works_when_the_good_deployment_has_no_task_left():
    made = completed(breaker={"enable": True, "rollback": True}, minimumHealthyPercent=0)
    good = made["deployments"][0]["id"]
    deployments.new(made, NOW)
    deployments.settle(made, [], NOW)
    assert len(made["deployments"]) == 1
    fail(made)
    assert made["deployments"][0]["id"] == good and made["deployments"][0]["status"] == "PRIMARY"


def test_first_deployment_that_fails_has_nothing_to_roll_back_to_and_starts_no_more():
    made = service(breaker={"enable": True, "rollback": True})
    head = fail(made)
    assert (head["rolloutState"], head["status"]) == ("FAILED", "PRIMARY")
    assert deployments.plan(made, []) == deployments.Plan()


def test_without_circuit_breaker_a_deployment_goes_on_failing():
    made = service()
    assert fail(made, 50)["rolloutState"] == "IN_PROGRESS"


def test_healthy_task_resets_the_count_unless_the_breaker_says_otherwise():
    for resets, left in ((True, 0), (False, 2)):
        made = service(breaker={"enable": True, "rollback": False, "resetOnHealthyTask": resets})
        head = fail(made, 2)
        deployments.task_healthy(made, head)
        assert head["failedTasks"] == left


def test_failures_of_an_older_deployment_or_after_completion_count_nothing():
    made = completed(breaker={"enable": True, "rollback": True})
    good = made["deployments"][0]
    fail(made)
    assert (good["failedTasks"], good["rolloutState"]) == (0, "COMPLETED")


def test_event_is_not_said_twice_in_a_row_and_a_hundred_are_kept():
    made = service()
    for number in range(300):
        deployments.say(made, f"event {number // 2}", NOW)
    assert len(made["events"]) == 100
    assert messages(made)[0] == "(service s) event 149"
