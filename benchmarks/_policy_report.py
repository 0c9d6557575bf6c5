"""What the mutations of the policies have shown, as a table, and what the learner's policy holds back.

Try it:  python -m benchmarks policy_mutations, then look into benchmarks/policy_mutations.md
Judges by `_policy_replay` and `_policy_reasons`; runs nothing.
"""

import re
from collections.abc import Iterator
from typing import Any

from benchmarks._policy_holders import LEARNER_ROLE
from benchmarks._policy_reasons import ESCAPES, NEVER, ONLY_ON_AWS
from benchmarks._policy_replay import Failure, Findings, Holder, Recording, Right, allowing, escapes

# The end of a name from CloudFormation; ids of EC2's, and of tasks and stacks.
MADE_UP = re.compile(r"(?<=[-/])([0-9a-fA-F]{13}|[0-9a-f]{17}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")


def unexplained(findings: Findings) -> list[Right]:
    """Rights that nothing needs, here or on AWS: there must be none."""
    return [right for right in findings.spare if reason(right) is None]


def markdown(findings: Findings, holders: list[Holder], recording: Recording) -> Iterator[str]:
    total = len(findings.needed) + len(findings.spare)
    yield "# What fails without each right"
    yield ""
    yield "Made by `python -m benchmarks policy_mutations`; the policies are in `cloudformation/`."
    yield f"{total} rights: {len(findings.needed)} fail something in the course,"
    yield f"{len(findings.spare)} only AWS itself needs, none is spare."
    yield ""
    yield "| policy, statement | without | fails first in | the request | requests denied |"
    yield "|---|---|---|---|---|"
    for each in findings.needed:
        yield _row(each)
    yield ""
    yield "## Needed by AWS alone"
    yield ""
    yield "| policy, statement | right | why |"
    yield "|---|---|---|"
    for right in findings.spare:
        why, page = reason(right) or ("**nothing needs it**", "")
        yield f"| {right.policy}, {right.sid} | {_lasting(right.what)} | {why} ({page}) |"
    yield ""
    yield "## What the conditions of the learner's policies hold back"
    yield ""
    yield "| statement, condition | without it allowed |"
    yield "|---|---|"
    for condition, held in held_back(holders, recording):
        yield f"| {condition} | {held or '**nothing**'} |"


def held_back(holders: list[Holder], recording: Recording) -> list[tuple[str, str]]:
    """Each condition of the learner's policies, and an attempt that succeeds without it."""
    own = _learner(holders)
    like = like_learner(recording)
    return [held for document in own.policies.values() for held in escapes(document, ESCAPES, like)]


def _learner(holders: list[Holder]) -> Holder:
    return next(holder for holder in holders if holder.principal == LEARNER_ROLE and not holder.within)


def like_learner(recording: Recording) -> dict[str, Any]:
    """A context that the learner's attempts can be made in."""
    context: dict[str, Any] = recording.of(LEARNER_ROLE)[0]["context"]
    return context


def allowed_never(holders: list[Holder], recording: Recording) -> list[str]:
    """What the learner's policies, or the boundary of the roles that a learner makes, allow and must not."""
    attempts = [*((action, resource, {}) for action, resource in NEVER), *ESCAPES]
    boundary = next(holder.boundary for holder in holders if holder.boundary)
    found = []
    for holder in (_learner(holders), Holder("any role", {"boundary": boundary})):
        allows = allowing(holder)
        for action, resource, given in attempts:
            context = {**like_learner(recording), "action": action, "resource_arn": resource}
            context["service_context"] = {name.lower(): value for name, value in given.items()}
            if allows({"context": context}):
                found.append(f"{holder.principal}: {action} on {resource}")
    return found


def _row(failure: Failure) -> str:
    right = failure.right
    return (
        f"| {right.policy}, {right.sid} | {_lasting(right.what)} | {failure.lab} | {failure.action} "
        f"on `{_lasting(failure.resource)}` | {failure.count} |"
    )


def _lasting(name: str) -> str:
    """Without what CloudFormation and ECS make up anew each time: the table is compared with the next one."""
    return MADE_UP.sub("…", name)


def reason(right: Right) -> tuple[str, str] | None:
    """Why AWS needs a right that nothing here does; None if no reason is known."""
    # Stacks name their own account and region, and what CloudFormation made up.
    whole = _lasting(re.sub(r"arn:aws:ecs:[a-z0-9-]+:\d+:", "", str(right)))
    return ONLY_ON_AWS.get(whole) or (ONLY_ON_AWS.get(right.what) if right.kind == "action" else None)
