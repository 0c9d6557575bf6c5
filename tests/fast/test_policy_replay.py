"""The mutation test of policies finds a right that is missing nowhere, and one that nothing needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks._policy_replay import NOT_OF_THE_COURSE, Holder, Recording, escapes, judge, mutants

ROLE = "some-role"
ARN = f"arn:aws:sts::123456789012:assumed-role/{ROLE}/session"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]}


def decision(action: str, resource: str, time: float = 1.0, **keys: str) -> dict[str, Any]:
    context = {
        "principal_arn": ARN,
        "principal_type": "AssumedRole",
        "principal_account": "123456789012",
        "action": action,
        "resource_arn": resource,
        "region": "us-east-1",
        "service_context": {name.replace("__", ":"): value for name, value in keys.items()},
    }
    line = {"time": time, "principal": ARN, "action": action, "resource": resource, "allowed": True}
    return {**line, "context": context}


def recording(folder: Path, *lines: dict[str, Any]) -> Recording:
    path = folder / "decisions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Recording(path, [("lab 1", 0.0, 2.0), ("lab 2", 2.5, 9.0)])


def test_action_that_nothing_asked_for_is_spare_and_the_other_fails_where_it_was_used(tmp_path: Path) -> None:
    document = policy({"Sid": "S", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"})
    read = decision("s3:GetObject", "arn:aws:s3:::b/k", time=3.0)
    findings = judge(recording(tmp_path, read, {**read, "time": 4.0}), [Holder(ROLE, {"p": document})])
    assert [str(right) for right in findings.spare] == ["p/S: s3:PutObject"]
    [failure] = findings.needed
    assert (failure.right.what, failure.lab, failure.count) == ("s3:GetObject", "lab 2", 2)


def test_right_that_another_statement_gives_as_well_is_spare(tmp_path: Path) -> None:
    one = {"Sid": "One", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    other = {"Sid": "Other", "Action": "s3:GetObject", "Resource": "*"}
    read = decision("s3:GetObject", "arn:aws:s3:::b/k")
    findings = judge(recording(tmp_path, read), [Holder(ROLE, {"p": policy(one, other)})])
    assert findings.needed == []
    assert len(findings.spare) == 2


def test_resources_and_values_of_conditions_are_taken_out_too(tmp_path: Path) -> None:
    statement = {
        "Sid": "S",
        "Action": "iam:PassRole",
        "Resource": ["arn:aws:iam::*:role/a", "arn:aws:iam::*:role/b"],
        "Condition": {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "x.amazonaws.com"]}},
    }
    kinds = [(right.kind, right.what.rpartition("/")[2]) for right, _ in mutants("p", policy(statement))]
    assert kinds == [
        ("action", "iam:PassRole"),
        ("resource", "a"),
        ("resource", "b"),
        ("value", "iam:PassedToService=ec2.amazonaws.com"),
        ("value", "iam:PassedToService=x.amazonaws.com"),
    ]
    passed = decision(
        "iam:PassRole", "arn:aws:iam::1:role/a", **{"iam__passedtoservice": "ec2.amazonaws.com"}
    )
    findings = judge(recording(tmp_path, passed), [Holder(ROLE, {"p": policy(statement)})])
    assert [right.what for right in findings.spare] == [
        "arn:aws:iam::*:role/b",
        "iam:PassedToService=x.amazonaws.com",
    ]


def test_boundary_is_judged_by_what_its_roles_asked_for(tmp_path: Path) -> None:
    own = policy({"Sid": "S", "Action": "s3:GetObject", "Resource": "*"})
    boundary = policy({"Sid": "B", "Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": "*"})
    read = decision("s3:GetObject", "arn:aws:s3:::b/k")
    findings = judge(recording(tmp_path, read), [Holder(ROLE, {"p": own}, boundary)], "boundary")
    assert [str(right) for right in findings.spare] == ["boundary/B: s3:DeleteObject"]
    assert {failure.right.policy for failure in findings.needed} == {"p", "boundary"}


def test_role_whose_part_another_plays_is_judged_by_what_was_asked_meanwhile(tmp_path: Path) -> None:
    """Also where the same had been asked before, for something else."""
    before = decision("s3:GetObject", "arn:aws:s3:::b/k", time=1.0)
    elsewhere = decision("s3:PutObject", "arn:aws:s3:::b/k", time=1.5)
    lines = recording(tmp_path, before, elsewhere, {**before, "time": 3.0})
    document = policy({"Sid": "S", "Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": "*"})
    findings = judge(lines, [Holder(ROLE, {"p": document}, within="lab 2")])
    assert [str(right) for right in findings.spare] == ["p/S: s3:DeleteObject"]
    assert [(each.right.what, each.count) for each in findings.needed] == [("s3:GetObject", 1)]


def test_what_is_asked_in_order_to_judge_needs_no_right(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text(json.dumps(decision("iam:ListRoles", "*")) + "\n")
    document = policy({"Sid": "S", "Action": "iam:ListRoles", "Resource": "*"})
    findings = judge(Recording(path, [(NOT_OF_THE_COURSE, 0.0, 2.0)]), [Holder(ROLE, {"p": document})])
    assert [str(right) for right in findings.spare] == ["p/S: iam:ListRoles"]


def test_recording_of_other_policies_is_refused(tmp_path: Path) -> None:
    other = policy({"Sid": "S", "Action": "s3:PutObject", "Resource": "*"})
    with pytest.raises(ValueError, match="record it again"):
        judge(recording(tmp_path, decision("s3:GetObject", "*")), [Holder(ROLE, {"p": other})])


def test_condition_that_holds_nothing_back_is_found() -> None:
    statement = {
        "Sid": "S",
        "Action": "iam:CreateRole",
        "Resource": "*",
        "Condition": {"ArnLike": {"iam:PermissionsBoundary": "b"}, "StringEquals": {"aws:RequestTag/x": "y"}},
    }
    attempts = [("iam:CreateRole", "*", {"aws:RequestTag/x": "y"})]
    like = decision("iam:GetRole", "*")["context"]
    held = dict(escapes(policy(statement), attempts, like))
    assert held == {"S: iam:PermissionsBoundary": "iam:CreateRole on *", "S: aws:RequestTag/x": ""}
