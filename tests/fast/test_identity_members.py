"""What a request says beside its operation's own members, which must be nothing to IAM."""

import json

import pytest

from localaws.identity import members, resources
from localaws.identity.resources import Request

ACCOUNT = "123456789012"


def asked(service: str, action: str, body: object = None, **form: str) -> Request:
    text = json.dumps(body).encode() if body is not None else b""
    given = {name.replace("__", "."): [value] for name, value in form.items()}
    return Request(service, action, text, given, "us-east-1", ACCOUNT).strictly()


def test_members_of_an_operation_are_kept_and_others_not():
    given = {"cluster": "c", "service": "s", "services": ["other"]}
    assert members.known("ecs", "UpdateService", given) == {"cluster": "c", "service": "s"}


def test_names_of_a_form_are_known_by_their_first_part():
    given = {"TargetGroupArn": "t", "Targets.member.1.Id": "i", "RuleArn": "r", "Tags.member.1.Key": "k"}
    kept = members.known("elasticloadbalancing", "RegisterTargets", given)
    assert set(kept) == {"TargetGroupArn", "Targets.member.1.Id"}


@pytest.mark.parametrize(("service", "operation"), [("s3", "PutObject"), ("ecs", "NoSuchOperation")])
def test_where_there_is_no_model_all_is_kept(service, operation):
    assert members.known(service, operation, {"Anything": 1}) == {"Anything": 1}


@pytest.mark.parametrize("service", sorted(members.MODELS))
def test_there_is_a_model_of_each_service(service):
    from localaws import shapes

    assert shapes.model(members.MODELS[service]).operation_names


def test_a_service_that_is_named_beside_the_one_that_changes_counts_for_nothing():
    request = asked("ecs", "ecs:UpdateService", {"cluster": "c", "service": "own", "services": ["other"]})
    assert resources.resources(request, "") == [f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/c/own"]


def test_a_profile_that_is_named_beside_a_role_counts_for_nothing(monkeypatch):
    from ministack.services import iam

    monkeypatch.setattr(iam, "_roles", {})
    request = asked("iam", "iam:PutRolePolicy", RoleName="own", InstanceProfileName="other")
    assert resources.resources(request, "") == [f"arn:aws:iam::{ACCOUNT}:role/own"]
