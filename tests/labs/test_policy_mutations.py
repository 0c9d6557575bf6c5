"""No right is missing in the course's policies, and none is spare: each is taken out, and something fails.

The decisions of IAM's while the labs ran are asked again with each right taken out alone; the labs are run
here only where no test before has run them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attendee import Attendee
from benchmarks import _policy_report, policy_mutations
from benchmarks._policy_replay import Findings, Holder, Recording

from workshop import course as labs
from workshop import policies
from workshop.aws import session
from workshop.settings import load

LABS_SECONDS = 1800


@pytest.fixture(scope="module")
def recorded(course: Attendee) -> Iterator[tuple[Recording, list[Holder]]]:
    """The course's decisions with the policies that they were made by; the course is cleaned up afterwards."""
    windows = policy_mutations.windows(course.runs)
    if not any(name == "lab 8" for name, _, _ in windows):
        ran = course.run("run", "all", timeout_seconds=LABS_SECONDS)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    settings = load(course.variables)
    labs.prepare(9, settings)  # to the end of lab 8, whoever was here before
    aws = session.connect(settings, {})
    windows = policy_mutations.windows(course.runs)
    windows += policy_mutations.beside_the_labs(aws)
    holders, asked = policy_mutations.holders_of(aws)
    windows += [asked, policy_mutations.clean(aws)]
    yield Recording(course.state / "localaws" / "decisions.jsonl", windows), holders


@pytest.fixture(scope="module")
def judged(recorded: tuple[Recording, list[Holder]]) -> tuple[Findings, list[str]]:
    return policy_mutations.report(*recorded)


def test_nothing_was_denied_but_what_the_labs_show_as_denied(
    recorded: tuple[Recording, list[Holder]],
) -> None:
    denied = {(line["principal"].split("/")[1], line["action"]) for line in recorded[0].denied}
    shown = {("workshop-learner", "iam:ListUsers"), ("workshop-cluster-JupyterTaskRole", "s3:PutObject")}
    assert {(re.sub("-[0-9A-F]{13}$", "", role), action) for role, action in denied} == shown


def test_every_right_is_needed_here_or_by_aws_alone(
    judged: tuple[Findings, list[str]], tmp_path: Path
) -> None:
    findings, _ = judged
    assert [str(right) for right in _policy_report.unexplained(findings)] == []
    assert len(findings.needed) > 200


def test_every_role_of_the_stacks_was_looked_at(
    recorded: tuple[Recording, list[Holder]], judged: tuple[Findings, list[str]]
) -> None:
    jobs = {"ExecutionRole", "FunctionRole", "InstanceRole", "JobTaskRole", "JupyterTaskRole"}
    service = {"AirflowRole", "DeployRole", "ServingExecutionRole", "ServingTaskRole"}
    service |= {"PredictRole", "SageMakerRole"}
    failed = {failure.right.policy.partition("/")[0] for failure in judged[0].needed}
    assert failed == jobs | service | {*policies.EVERY}


def test_each_condition_holds_something_back(recorded: tuple[Recording, list[Holder]]) -> None:
    recording, holders = recorded
    held = _policy_report.held_back(holders, recording)
    assert [condition for condition, what in held if not what] == []


def test_ways_to_more_rights_are_closed(recorded: tuple[Recording, list[Holder]]) -> None:
    recording, holders = recorded
    assert _policy_report.allowed_never(holders, recording) == []


def test_the_published_table_is_of_these_policies(judged: tuple[Findings, list[str]]) -> None:
    """Which lab fails first, and how often, may differ from one machine to another; the rights may not."""
    published = policy_mutations.RESULTS.read_text().splitlines()

    def named(lines: list[str]) -> set[tuple[str, str]]:
        rows = [line.split("|") for line in lines if line.startswith("| ")]
        return {(row[1].strip(), row[2].strip()) for row in rows if len(row) > 3}

    assert named(published) == named(judged[1]), "python -m benchmarks policy_mutations writes it anew"
