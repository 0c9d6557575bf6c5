"""Who may scale a service: the right to scale is not enough, the caller must be allowed what scaling will do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attendee import free_port
from conftest import REGION, client_of, refused

from localaws import daemon

pytestmark = pytest.mark.local
TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/c/s",
    "ScalableDimension": "ecs:service:DesiredCount",
}
ALLOWED = [
    "application-autoscaling:RegisterScalableTarget",
    "ecs:DescribeServices",
    "cloudwatch:PutMetricAlarm",
]
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ALLOWED[:2], "Resource": "*"},
        {"Effect": "Allow", "Action": ALLOWED[2], "Resource": "arn:aws:cloudwatch:*:*:alarm:mine-*"},
    ],
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    folder = tmp_path_factory.mktemp("rights")
    policy: Path = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    yield daemon.start(folder / "state", free_port(), REGION, "process", learner=policy)
    daemon.stop(folder / "state")


def denied(call: Any, **arguments: Any) -> str:
    code, message = refused(call, **arguments)
    assert code in ("AccessDenied", "AccessDeniedException"), message
    return message


def test_who_may_not_update_the_service_may_not_have_it_scaled(limited: daemon.Running) -> None:
    scaling = client_of(limited, "application-autoscaling")
    said = denied(scaling.register_scalable_target, **TARGET, MinCapacity=1, MaxCapacity=2)
    assert "ecs:UpdateService" in said
    assert "service/c/s" in said


def test_calls_of_scaling_are_rights_of_their_own(limited: daemon.Running) -> None:
    scaling = client_of(limited, "application-autoscaling")
    said = denied(scaling.describe_scaling_policies, ServiceNamespace="ecs")
    assert "application-autoscaling:DescribeScalingPolicies" in said


def test_a_policy_that_names_alarms_is_about_those_alarms_alone(limited: daemon.Running) -> None:
    cloudwatch = client_of(limited, "cloudwatch")
    given: dict[str, Any] = {
        "Namespace": "N",
        "MetricName": "M",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    cloudwatch.put_metric_alarm(AlarmName="mine-1", **given)
    assert "alarm:yours-1" in denied(cloudwatch.put_metric_alarm, AlarmName="yours-1", **given)
    assert "alarm:mine-1" in denied(cloudwatch.delete_alarms, AlarmNames=["mine-1"])
