"""In what order the containers of a task start and stop.

Try it:  python -m pytest tests/fast/test_ecs_dependencies.py
Pure: it sees container definitions and states, and starts nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Definition = Mapping[str, Any]
Verdict = Literal["met", "waiting", "impossible"]
INVALID = "Invalid container dependency"
CONDITIONS = ("START", "COMPLETE", "SUCCESS", "HEALTHY")


@dataclass
class State:
    """What is known of one container: started, ended with a code, healthy."""

    started: bool = False
    exit_code: int | None = None
    health: str = "UNKNOWN"
    late: bool = False  # its startTimeout passed before it reached what others wait for


def verdict(condition: str, state: State) -> Verdict:
    """Whether a dependency's condition holds, may still come to hold, or never can."""
    ended = state.exit_code is not None
    if condition == "START":
        return "met" if state.started else "waiting"
    if condition == "HEALTHY":
        met, lost = state.health == "HEALTHY", ended or state.health == "UNHEALTHY"
    elif condition == "SUCCESS":
        met, lost = state.exit_code == 0, ended
    else:
        met, lost = ended, False
    if met:
        return "met"
    return "impossible" if lost or state.late else "waiting"


def readiness(definition: Definition, states: Mapping[str, State]) -> tuple[Verdict, str]:
    """Whether a container may start; for an impossible one, which condition was not reached."""
    answer: Verdict = "met"
    for dependency in definition.get("dependsOn") or []:
        name, condition = dependency["containerName"], dependency["condition"]
        found = verdict(condition, states[name])
        if found == "impossible":
            return (
                found,
                f"container {definition['name']} waits for {name} to be {condition}, which it can't become",
            )
        if found == "waiting":
            answer = "waiting"
    return answer, ""


def stop_order(definitions: Iterable[Definition]) -> list[list[str]]:
    """Groups of names to stop one after the other: whoever depends on others stops before them."""
    waits_for = {
        each["name"]: {dependency["containerName"] for dependency in each.get("dependsOn") or []}
        for each in definitions
    }
    groups = []
    while waits_for:
        needed = set().union(*waits_for.values())
        group = [name for name in waits_for if name not in needed] or list(waits_for)
        groups.append(group)
        waits_for = {name: others for name, others in waits_for.items() if name not in group}
    return groups


def problem(definitions: list[Definition]) -> str:
    """What AWS would refuse in the dependencies of a task definition; empty if nothing."""
    by_name = {each["name"]: each for each in definitions}
    for each in definitions:
        for dependency in each.get("dependsOn") or []:
            name, condition = dependency.get("containerName"), dependency.get("condition")
            if name not in by_name or name == each["name"]:
                return f"{INVALID}: {each['name']} depends on {name}, which is not in the task"
            if condition not in CONDITIONS:
                return f"{INVALID} condition {condition!r}: one of {', '.join(CONDITIONS)}"
            if condition == "HEALTHY" and not by_name[name].get("healthCheck"):
                return f"{INVALID}: {name} has no health check, so it can't become HEALTHY"
            if condition in ("COMPLETE", "SUCCESS") and by_name[name].get("essential", True):
                return f"{INVALID}: {name} is essential, so {each['name']} can't wait for its end"
    return "Container dependencies form a cycle" if _has_cycle(by_name) else ""


def _has_cycle(by_name: Mapping[str, Definition]) -> bool:
    done: set[str] = set()
    while len(done) < len(by_name):
        free = [
            name
            for name, each in by_name.items()
            if name not in done and all(d["containerName"] in done for d in each.get("dependsOn") or [])
        ]
        if not free:
            return True
        done.update(free)
    return False
