"""What calls about alarms and scaling are about, compared with AWS's own list of actions, which cfn-lint brings."""

import json
from importlib import resources as files

import pytest

from localaws.identity import monitoring, scaling
from localaws.identity.resources import Request

ACTIONS = json.loads((files.files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())
ACCOUNT = "123456789012"
ALARM = f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:"
SERVICE = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/c/s"
TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/c/s",
    "ScalableDimension": "ecs:service:DesiredCount",
}


def asked(service: str, action: str, body: object = None, **form: str) -> Request:
    text = json.dumps(body).encode() if body is not None else b""
    return Request(
        service, action, text, {name: [value] for name, value in form.items()}, "us-east-1", ACCOUNT
    )


@pytest.mark.parametrize("name", sorted(monitoring.ALARM_CALLS))
def test_a_call_on_alarms_is_on_alarms_on_aws(name):
    assert "alarm" in ACTIONS["cloudwatch"]["Actions"][name.lower()].get("Resources", [])


@pytest.mark.parametrize("name", sorted(scaling.ON_TARGET))
def test_a_call_on_a_target_is_on_a_target_on_aws(name):
    assert "ScalableTarget" in ACTIONS["application-autoscaling"]["Actions"][name.lower()]["Resources"]


@pytest.mark.parametrize(
    ("request_", "arns"),
    [
        (asked("monitoring", "cloudwatch:PutMetricAlarm", {"AlarmName": "a"}), [ALARM + "a"]),
        (asked("monitoring", "cloudwatch:PutMetricAlarm", AlarmName="a"), [ALARM + "a"]),
        (
            asked("monitoring", "cloudwatch:DeleteAlarms", {"AlarmNames": ["a", "b"]}),
            [ALARM + "a", ALARM + "b"],
        ),
        (
            asked("monitoring", "cloudwatch:DeleteAlarms", **{"AlarmNames.member.1": "a"}),
            [ALARM + "a"],
        ),
        (asked("monitoring", "cloudwatch:DescribeAlarms", {}), [ALARM + "*"]),
        (asked("monitoring", "cloudwatch:PutMetricData", {"Namespace": "n"}), ["*"]),
        (asked("monitoring", "cloudwatch:TagResource", {"ResourceARN": ALARM + "a"}), [ALARM + "a"]),
    ],
)
def test_alarms_are_the_resources_of_their_calls(request_, arns):
    assert monitoring.resources(request_, "found") == arns


def cbor(value) -> bytes:
    """The little of CBOR (RFC 8949) that is needed here: short texts, lists and maps."""
    if isinstance(value, str):
        return bytes([0x60 + len(value)]) + value.encode()
    if isinstance(value, list):
        return bytes([0x80 + len(value)]) + b"".join(map(cbor, value))
    return bytes([0xA0 + len(value)]) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


def test_alarms_in_cbor_are_read_too():
    body = cbor({"AlarmNames": ["a", "b"]})
    given = Request("monitoring", "cloudwatch:DeleteAlarms", body, {}, "us-east-1", ACCOUNT)
    assert monitoring.resources(given, "found") == [ALARM + "a", ALARM + "b"]
    body = cbor({"AlarmName": "a", "AlarmActions": ["arn:t"], "OKActions": ["arn:o"]})
    given = Request("monitoring", "cloudwatch:PutMetricAlarm", body, {}, "us-east-1", ACCOUNT)
    assert set(monitoring.context(given)["cloudwatch:AlarmActions"]) == {"arn:t", "arn:o"}


def test_data_carries_its_namespace():
    given = asked("monitoring", "cloudwatch:PutMetricData", {"Namespace": "n"})
    assert monitoring.context(given) == {"cloudwatch:namespace": "n"}


def test_a_new_target_has_no_number_and_one_that_is_there_has(monkeypatch):
    monkeypatch.setattr(scaling, "arn_of", [])
    given = asked("application-autoscaling", "application-autoscaling:RegisterScalableTarget", TARGET)
    new = f"arn:aws:application-autoscaling:us-east-1:{ACCOUNT}:scalable-target/*"
    assert scaling.resources(given, "found") == [new]
    monkeypatch.setattr(scaling, "arn_of", [lambda resource_id: f"arn:{resource_id}"])
    assert scaling.resources(given, "found") == ["arn:service/c/s"]
    assert scaling.context(given) == {
        "application-autoscaling:service-namespace": "ecs",
        "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
    }


def test_who_registers_a_target_must_be_allowed_to_change_the_service(monkeypatch):
    from ministack.services import iam

    monkeypatch.setattr(iam, "_roles", {})
    given = asked("application-autoscaling", "application-autoscaling:RegisterScalableTarget", TARGET)
    rights = scaling.further(given)
    assert [(each.action, each.resource_arn) for each in rights[:2]] == [
        ("ecs:DescribeServices", SERVICE),
        ("ecs:UpdateService", SERVICE),
    ]
    assert rights[0].context["ecs:cluster"].endswith("cluster/c")
    assert (rights[2].action, rights[2].context["iam:AWSServiceName"]) == (
        "iam:CreateServiceLinkedRole",
        "ecs.application-autoscaling.amazonaws.com",
    )
    monkeypatch.setattr(iam, "_roles", {scaling.ROLE: {}})
    assert len(scaling.further(given)) == 2


def test_who_puts_a_target_tracking_policy_must_be_allowed_to_put_its_alarms():
    body = {**TARGET, "PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
    given = asked("application-autoscaling", "application-autoscaling:PutScalingPolicy", body)
    rights = {each.action: each.resource_arn for each in scaling.further(given)}
    assert set(rights) == {
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
    }
    assert set(rights.values()) == {ALARM + "TargetTracking-service/c/s-*"}
