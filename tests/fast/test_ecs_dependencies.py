"""The order of a task's containers."""

from typing import Any

import pytest

from localaws.ecs.dependencies import State, problem, readiness, stop_order, verdict


def container(name: str, *waits: tuple[str, str], **more: Any) -> dict[str, Any]:
    depends = [{"containerName": other, "condition": condition} for other, condition in waits]
    return {"name": name, "dependsOn": depends, **more}


@pytest.mark.parametrize(
    ("condition", "state", "expected"),
    [
        ("START", State(), "waiting"),
        ("START", State(started=True), "met"),
        ("START", State(started=True, exit_code=1), "met"),
        ("COMPLETE", State(started=True), "waiting"),
        ("COMPLETE", State(started=True, exit_code=1), "met"),
        ("COMPLETE", State(started=True, late=True), "impossible"),
        ("SUCCESS", State(started=True, exit_code=0), "met"),
        ("SUCCESS", State(started=True, exit_code=1), "impossible"),
        ("HEALTHY", State(started=True, health="HEALTHY"), "met"),
        ("HEALTHY", State(started=True, health="UNHEALTHY"), "impossible"),
        ("HEALTHY", State(started=True, exit_code=0), "impossible"),
        ("HEALTHY", State(started=True), "waiting"),
    ],
)
def test_condition_is_judged_as_ecs_does(condition: str, state: State, expected: str) -> None:
    assert verdict(condition, state) == expected


def test_container_waits_for_all_of_its_dependencies() -> None:
    waiting = container("app", ("a", "START"), ("b", "START"))
    states = {"a": State(started=True), "b": State()}
    assert readiness(waiting, states) == ("waiting", "")
    states["b"].started = True
    assert readiness(waiting, states) == ("met", "")


def test_lost_dependency_is_named() -> None:
    _, why = readiness(container("app", ("a", "SUCCESS")), {"a": State(started=True, exit_code=2)})
    assert "app waits for a to be SUCCESS" in why


def test_whoever_depends_stops_first() -> None:
    chain = [
        container("c", ("b", "START")),
        container("b", ("a", "START")),
        container("a"),
        container("alone"),
    ]
    assert stop_order(chain) == [["c", "alone"], ["b"], ["a"]]


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container("a"), container("b", ("a", "START"))], ""),
        ([container("a", ("b", "START"))], "depends on b, which is not in the task"),
        ([container("a", ("a", "START"))], "depends on a"),
        ([container("a"), container("b", ("a", "SOON"))], "condition 'SOON'"),
        ([container("a"), container("b", ("a", "HEALTHY"))], "no health check"),
        ([container("a"), container("b", ("a", "SUCCESS"))], "a is essential"),
        ([container("a", ("b", "START")), container("b", ("a", "START"))], "cycle"),
    ],
)
def test_impossible_dependencies_are_refused_early(containers: list[dict[str, Any]], expected: str) -> None:
    found = problem(containers)
    assert expected in found and bool(expected) == bool(found)
