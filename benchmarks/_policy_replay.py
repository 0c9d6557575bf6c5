"""Take each right out of a policy, and ask IAM's recorded questions again: what fails without it?

Try it:  python -m benchmarks policy_mutations
A recording is what `localaws.identity.decisions` kept while the course ran. A right is an action of a statement, one
of its resources, or one value of a condition. It is needed if a request that was allowed is denied without
it. Knows policies and decisions; nothing of labs but their names and times.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Document = dict[str, Any]
Window = tuple[str, float, float]  # name, begin and end in seconds since 1970
# The window of what is asked in order to judge: no right is needed for that alone.
NOT_OF_THE_COURSE = "not of the course"
# Condition values that a course can't all have at once: its templates offer them, one is chosen.
OFFERED = ("ec2:InstanceType",)


@dataclass(frozen=True)
class Right:
    """What one mutation takes out. kind: action, resource or value."""

    policy: str
    sid: str
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.policy}/{self.sid}: {self.what}"


@dataclass(frozen=True)
class Holder:
    """A principal: its policies by name, and what confines them.

    within: only what was asked in the window of this name, where another principal plays the part of a role.
    """

    principal: str
    policies: dict[str, Document]
    boundary: Document | None = None
    within: str = ""


@dataclass(frozen=True)
class Failure:
    """A request that is denied without the right."""

    right: Right
    lab: str
    action: str
    resource: str
    count: int


@dataclass
class Findings:
    """needed: rights without which something fails; spare: all others."""

    needed: list[Failure] = field(default_factory=list)
    spare: list[Right] = field(default_factory=list)


class Recording:
    """The decisions of one course, each different one once, with how often it was made."""

    def __init__(self, path: Path, windows: Iterable[Window] = ()) -> None:
        self._windows = list(windows)
        self.unique: dict[str, dict[str, Any]] = {}
        self.denied: list[dict[str, Any]] = []
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if not line["allowed"]:
                self.denied.append(line)
                continue
            asked, where = line["context"]["service_context"], self.lab(line)
            if where == NOT_OF_THE_COURSE:
                continue
            key = json.dumps(
                [line["principal"].split("/")[:2], line["action"], line["resource"], asked, where]
            )
            self.unique.setdefault(key, {**line, "count": 0})["count"] += 1

    def of(self, principal: str, within: str = "") -> list[dict[str, Any]]:
        """The allowed decisions of a role's sessions, in their order; of one window, if it is named."""
        mark = f":assumed-role/{principal}/"
        own = [line for line in self.unique.values() if mark in line["principal"]]
        return [line for line in own if within in ("", self.lab(line))]

    def lab(self, line: dict[str, Any]) -> str:
        """Where in the course a decision was made."""
        inside = [name for name, begin, end in self._windows if begin <= line["time"] <= end]
        return inside[-1] if inside else "between labs"


def judge(recording: Recording, holders: list[Holder], boundary: str = "") -> Findings:
    """Try every mutation of every holder's policies, and of the boundary by that name if they have one."""
    findings = Findings()
    asked = [(holder, recording.of(holder.principal, holder.within)) for holder in holders]
    for holder, lines in asked:
        _expect_allowed(holder, lines)
        for name, document in holder.policies.items():
            for right, mutant in mutants(name, document):
                changed = replace(holder, policies={**holder.policies, name: mutant})
                _note(findings, right, [(changed, lines)], recording)
    confined = [(holder, lines) for holder, lines in asked if boundary and holder.boundary]
    if confined:
        for right, mutant in mutants(boundary, confined[0][0].boundary or {}):
            changed_ones = [(replace(holder, boundary=mutant), lines) for holder, lines in confined]
            _note(findings, right, changed_ones, recording)
    return findings


def mutants(name: str, document: Document) -> Iterator[tuple[Right, Document]]:
    """Every right of a policy with the policy that lacks it."""
    for number, statement in enumerate(document["Statement"]):
        sid = statement.get("Sid", str(number))
        for action in _listed(statement["Action"]):
            yield Right(name, sid, "action", action), _without(document, number, ["Action"], action)
        if len(_listed(statement["Resource"])) > 1:
            for resource in _listed(statement["Resource"]):
                right = Right(name, sid, "resource", resource)
                yield right, _without(document, number, ["Resource"], resource)
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                if len(_listed(values)) > 1 and key not in OFFERED:
                    for value in _listed(values):
                        right = Right(name, sid, "value", f"{key}={value}")
                        yield right, _without(document, number, ["Condition", operator, key], value)


def escapes(
    document: Document, attempts: Iterable[tuple[str, str, dict[str, Any]]], like: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Each condition of a policy, with the attempt (action, resource, keys) that only it holds back.

    like: a recorded context that the attempts are made in. An empty string: no attempt needs it.
    """
    from ministack.core import iam_evaluator as iam

    listed = list(attempts)
    for number, statement in enumerate(document["Statement"]):
        for operator, keys in statement.get("Condition", {}).items():
            for key in keys:
                loose = copy.deepcopy(document)
                del loose["Statement"][number]["Condition"][operator][key]
                parsed = [iam.parse_policy_document(loose)]
                held = ""
                for action, resource, given in listed:
                    context = {**like, "action": action, "resource_arn": resource}
                    context["service_context"] = {name.lower(): value for name, value in given.items()}
                    if iam.evaluate(iam.EvalContext(**context), parsed).decision == "Allow":
                        held = f"{action} on {resource}"
                        break
                yield f"{statement['Sid']}: {key}", held


def _note(
    findings: Findings,
    right: Right,
    holders: list[tuple[Holder, list[dict[str, Any]]]],
    recording: Recording,
) -> None:
    for holder, lines in holders:
        allows = allowing(holder)
        broken = [
            line
            for line in lines
            if (right.kind != "action" or line["action"].lower() == right.what.lower()) and not allows(line)
        ]
        if broken:
            first = min(broken, key=lambda line: line["time"])
            count = sum(line["count"] for line in broken)
            findings.needed.append(
                Failure(right, recording.lab(first), first["action"], first["resource"], count)
            )
            return
    findings.spare.append(right)


def _expect_allowed(holder: Holder, lines: list[dict[str, Any]]) -> None:
    """A recording of other policies than these would say nothing about them."""
    allows = allowing(holder)
    for line in lines:
        if not allows(line):
            raise ValueError(
                f"{holder.principal} was allowed {line['action']} on {line['resource']} when the course was "
                "recorded, and these policies do not allow it: record it again"
            )


def allowing(holder: Holder) -> Callable[[dict[str, Any]], bool]:
    """Whether a holder's policies allow what a recorded line asks for."""
    from ministack.core import iam_evaluator as iam

    policies = [iam.parse_policy_document(document) for document in holder.policies.values()]
    limits = [[iam.parse_policy_document(holder.boundary)]] if holder.boundary else []

    def allows(line: dict[str, Any]) -> bool:
        context = iam.EvalContext(**line["context"])
        return bool(iam.evaluate(context, policies, *limits).decision == "Allow")

    return allows


def _without(document: Document, number: int, path: list[str], value: str) -> Document:
    mutant = copy.deepcopy(document)
    place = mutant["Statement"][number]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = [each for each in _listed(place[path[-1]]) if each != value]
    if not place[path[-1]]:
        del mutant["Statement"][number]
    return mutant


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
