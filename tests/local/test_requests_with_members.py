"""Requests that name what their caller may change beside what the call does change."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from identity_world import ACCOUNT, Account, account, allow

pytestmark = pytest.mark.local

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ARN = f":us-east-1:{ACCOUNT}:"
ALLOWED_GROUP = f"arn:aws:elasticloadbalancing{ARN}targetgroup/allowed/1"
OTHER_GROUP = f"arn:aws:elasticloadbalancing{ARN}targetgroup/other/2"


def as_json(target: str, version: str = "1.1") -> dict[str, str]:
    return {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("members")) as made:
        yield made


@pytest.mark.parametrize(
    ("action", "allowed", "service", "body", "headers"),
    [
        (
            "ecs:UpdateService",
            f"arn:aws:ecs{ARN}service/c/allowed",
            "ecs",
            {"cluster": "c", "service": "other", "services": ["allowed"]},
            as_json("AmazonEC2ContainerServiceV20141113.UpdateService"),
        ),
        (
            "ecs:CreateService",
            f"arn:aws:ecs{ARN}service/c/allowed",
            "ecs",
            {"cluster": "c", "service": "other", "serviceName": "allowed"},
            as_json("AmazonEC2ContainerServiceV20141113.CreateService"),
        ),
        (
            "cloudwatch:DeleteAlarms",
            f"arn:aws:cloudwatch{ARN}alarm:allowed",
            "monitoring",
            {"AlarmNames": ["other"], "AlarmName": "allowed"},
            as_json("GraniteServiceVersion20100801.DeleteAlarms", "1.0"),
        ),
        (
            "elasticloadbalancing:RegisterTargets",
            ALLOWED_GROUP,
            "elasticloadbalancing",
            f"Action=RegisterTargets&Version=2015-12-01&TargetGroupArn={OTHER_GROUP}&RuleArn={ALLOWED_GROUP}"
            "&Targets.member.1.Id=10.0.0.1",
            FORM,
        ),
        (
            "application-autoscaling:DeregisterScalableTarget",
            f"arn:aws:application-autoscaling{ARN}scalable-target/allowed",
            "application-autoscaling",
            {
                "ServiceNamespace": "ecs",
                "ResourceId": "service/c/other",
                "ScalableDimension": "ecs:service:DesiredCount",
                "ResourceARN": f"arn:aws:application-autoscaling{ARN}scalable-target/allowed",
            },
            as_json("AnyScaleFrontendService.DeregisterScalableTarget"),
        ),
        (
            "iam:PutRolePolicy",
            f"arn:aws:iam::{ACCOUNT}:instance-profile/allowed",
            "iam",
            "Action=PutRolePolicy&Version=2010-05-08&RoleName=other&PolicyName=p&PolicyDocument={}"
            "&InstanceProfileName=allowed",
            FORM,
        ),
    ],
)
def test_a_right_to_something_is_none_to_what_stands_beside_it(
    aws: Account, action: str, allowed: str, service: str, body: Any, headers: dict[str, str]
) -> None:
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    session = aws.session(allow(action, on=allowed))
    status, answer = aws.send(session, service, "POST", "/", sent, headers)
    assert status in (400, 403) and f"not authorized to perform: {action}".encode() in answer, answer
