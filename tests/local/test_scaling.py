"""Application Auto Scaling of the local AWS moves real services, out and in, and says why."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from alarm_world import MINUTE
from botocore.exceptions import ClientError
from conformance import Watch
from conftest import refused
from ecs_world import World, furnished, wait_until
from scaling_world import DIMENSION, Scaled

pytestmark = pytest.mark.local
ROLE = "AWSServiceRoleForApplicationAutoScaling_ECSService"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("scaling"))
    made.options = ["--metric-seconds", str(MINUTE)]
    with furnished(made):
        yield made


@pytest.fixture(scope="module")
def scaling(aws: World) -> Iterator[Any]:
    """A client whose answers are all held against the model."""
    client = aws.client("application-autoscaling")
    watch = Watch(client)
    yield client
    assert watch.checked() == []


@pytest.fixture
def service(aws: World, scaling: Any, request: pytest.FixtureRequest) -> Iterator[Scaled]:
    name = f"{request.node.name.removeprefix('test_').split('[')[0][:60]}-{next(_numbers)}"
    made = Scaled(aws, scaling, name)
    yield made
    gone = (aws.ecs.exceptions.ServiceNotFoundException, aws.ecs.exceptions.ServiceNotActiveException)
    with contextlib.suppress(
        *gone, aws.ecs.exceptions.InvalidParameterException
    ):  # some tests delete it themselves
        aws.ecs.delete_service(cluster="c", service=made.name, force=True)


def test_a_service_follows_its_metric_out_and_in(service):
    service.register()
    service.follow(ScaleOutCooldown=60, ScaleInCooldown=60)
    service.until(3, 250)
    high = service.alarm("AlarmHigh")["AlarmName"]
    newest = service.activities()[0]
    assert newest["Cause"] == f"monitor alarm {high} in state ALARM triggered policy load"
    assert newest["Description"] == "Setting desired count to 3."
    wait_until(lambda: service.activities()[0]["StatusCode"] == "Successful")
    fulfilled = service.activities()[0]
    assert fulfilled["StatusMessage"] == (
        "Successfully set desired count to 3. Change successfully fulfilled by ecs."
    )
    assert fulfilled["EndTime"] > fulfilled["StartTime"]
    assert service.counts() == (3, 3)
    service.put_past(10, 17)
    service.until(1, 10)
    assert [each["Description"] for each in service.activities()] == [
        "Setting desired count to 1.",
        "Setting desired count to 2.",
        "Setting desired count to 3.",
    ]
    wait_until(lambda: service.counts() == (1, 1))


def test_a_new_minimum_or_maximum_moves_the_service_at_once(service):
    service.register(2, 4)
    assert service.counts()[0] == 2
    service.register(3, 4)
    assert service.counts()[0] == 3
    service.register(1, 2)
    assert service.counts()[0] == 2
    causes = [each["Cause"] for each in service.activities()]
    assert causes == [
        "maximum capacity was set to 2",
        "minimum capacity was set to 3",
        "minimum capacity was set to 2",
    ]


def test_target_tracking_makes_its_two_alarms_and_takes_them_with_it(service):
    service.register()
    made = service.follow()
    high, low = service.alarm("AlarmHigh"), service.alarm("AlarmLow")
    assert {each["AlarmName"] for each in made["Alarms"]} == {high["AlarmName"], low["AlarmName"]}
    assert (high["EvaluationPeriods"], high["Threshold"]) == (3, 100.0)
    assert (low["EvaluationPeriods"], low["Threshold"]) == (15, 90.0)
    assert high["AlarmActions"] == [made["PolicyARN"]]
    changed = service.follow(TargetValue=50.0)
    assert changed["PolicyARN"] == made["PolicyARN"]
    assert service.alarm("AlarmHigh")["Threshold"] == 50.0
    service.scaling.delete_scaling_policy(**service.target, PolicyName="load")
    assert (
        service.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{service.resource}")[
            "MetricAlarms"
        ]
        == []
    )


def test_at_its_maximum_nothing_is_done_and_that_is_said_to_who_asks(service):
    service.register(1, 1)
    service.follow()
    service.put_past(250, 4)
    reason = service.not_scaled("AlreadyAtMaxCapacity")["NotScaledReasons"][0]
    assert reason == {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 1}
    assert service.activities() == []
    assert service.counts()[0] == 1


def test_a_suspended_direction_stays_as_it_is(service):
    service.register(1, 3, SuspendedState={"DynamicScalingOutSuspended": True})
    service.follow()
    service.put_past(250, 4)
    service.has_acted("AlarmHigh")
    assert service.counts()[0] == 1
    service.register(1, 3, SuspendedState={"DynamicScalingOutSuspended": False})
    service.until(3, 250)


def test_a_policy_that_may_not_scale_in_does_not(service):
    service.register(1, 3)
    service.aws.ecs.update_service(cluster="c", service=service.name, desiredCount=2)
    service.follow(DisableScaleIn=True)
    service.put_past(1, 17)
    service.has_acted("AlarmLow")
    assert service.counts()[0] == 2


def test_of_several_policies_the_largest_wins_out_and_all_must_agree_in(service):
    service.register(1, 5)
    service.follow("load", "Load", ScaleOutCooldown=0, ScaleInCooldown=0)
    service.follow("depth", "Depth", ScaleOutCooldown=0, ScaleInCooldown=0)
    service.put_past(90, 4, "Depth")
    service.put_past(250, 4, "Load")
    wait_until(lambda: service.counts()[0] >= 3)
    service.register(1, 3)
    wait_until(lambda: service.counts()[0] == 3)
    service.put_past(1, 17, "Load")

    low = next(each for each in service.lows() if each["MetricName"] == "Load")["AlarmName"]
    began: list[float] = []

    def has_been_low_for_three_minutes() -> bool:
        service.put(1, "Load")
        service.put(95, "Depth")
        if any(each["AlarmName"] == low and each["StateValue"] == "ALARM" for each in service.lows()):
            began.append(time.time())
        return bool(began) and time.time() > began[0] + 3 * MINUTE

    wait_until(has_been_low_for_three_minutes)
    assert service.counts()[0] == 3
    service.put_past(1, 17, "Depth")
    service.until(1, 1, "Load", "Depth")


def test_steps_are_set_off_by_an_alarm_of_ones_own(service):
    service.register(1, 6)
    made = service.scaling.put_scaling_policy(
        **service.target,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 0,
            "StepAdjustments": [
                {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 50, "ScalingAdjustment": 1},
                {"MetricIntervalLowerBound": 50, "ScalingAdjustment": 4},
            ],
        },
    )
    service.put(160)
    service.cloudwatch.put_metric_alarm(
        AlarmName="steps",
        Namespace="Test",
        MetricName="Load",
        Dimensions=[{"Name": "Of", "Value": service.name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=100,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[made["PolicyARN"]],
    )
    wait_until(lambda: service.counts()[0] >= 5)
    assert service.activities()[-1]["Description"] == "Setting desired count to 5."
    described = service.scaling.describe_scaling_policies(ServiceNamespace="ecs", PolicyNames=["steps"])
    assert [each["AlarmName"] for each in described["ScalingPolicies"][0]["Alarms"]] == ["steps"]
    service.cloudwatch.delete_alarms(AlarmNames=["steps"])


def test_a_service_that_is_gone_is_said_to_be(service):
    service.register()
    service.follow()
    service.aws.ecs.delete_service(cluster="c", service=service.name, force=True)
    service.put_past(250, 4)
    failed = wait_until(lambda: next(iter(service.activities()), None))
    assert failed["StatusCode"] == "Failed"
    assert failed["StatusMessage"].endswith("the service does not exist or is not active")


def test_the_first_target_makes_the_service_linked_role(service):
    service.register()
    target = service.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[service.resource])
    role = service.aws.client("iam").get_role(RoleName=ROLE)["Role"]
    assert target["ScalableTargets"][0]["RoleARN"] == role["Arn"]
    assert role["Path"] == "/aws-service-role/ecs.application-autoscaling.amazonaws.com/"


def test_deregistering_takes_policies_and_alarms_and_leaves_the_service(service):
    service.register()
    service.follow()
    service.scaling.deregister_scalable_target(**service.target)
    assert (
        service.scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=service.resource)[
            "ScalingPolicies"
        ]
        == []
    )
    assert service.counts()[0] == 1
    code, message = refused(service.scaling.deregister_scalable_target, **service.target)
    assert code == "ObjectNotFoundException"
    assert service.resource in message
    assert refused(service.follow)[0] == "ObjectNotFoundException"


def test_tags_are_kept_and_found(service):
    arn = service.register(Tags={"workshop": "w"})
    service.scaling.tag_resource(ResourceARN=arn, Tags={"more": "m"})
    service.scaling.untag_resource(ResourceARN=arn, TagKeys=["workshop"])
    assert service.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"more": "m"}
    tagging = service.aws.client("resourcegroupstaggingapi")
    found = tagging.get_resources(TagFilters=[{"Key": "more"}])["ResourceTagMappingList"]
    assert [each["ResourceARN"] for each in found] == [arn]
    code, _ = refused(service.scaling.list_tags_for_resource, ResourceARN=arn + "0")
    assert code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ServiceNamespace": "dynamodb"}, "scales ECS services alone, and not dynamodb"),
        ({"ServiceNamespace": "nonsense"}, "Member must satisfy enum value set"),
        ({"ResourceId": "service/c"}, "Unsupported service namespace, resource type or scalable dimension"),
        ({"ResourceId": "service/c/nobody"}, "ECS service doesn't exist: service/c/nobody"),
        ({"MinCapacity": 4}, "Maximum capacity cannot be less than minimum capacity"),
        ({"MinCapacity": -1}, "must not be negative"),
    ],
)
def test_a_target_that_can_not_be_is_refused(service, changes, said):
    given = {**service.target, "MinCapacity": 1, "MaxCapacity": 3, **changes}
    code, message = refused(service.scaling.register_scalable_target, **given)
    assert (code, said in message) == ("ValidationException", True)


def test_a_balancers_metric_needs_a_balancer(service):
    service.register()
    code, message = refused(
        service.scaling.put_scaling_policy,
        **service.target,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": "app/nobody/1234/targetgroup/none/5678",
            },
        },
    )
    assert (code, "does not exist" in message) == ("ValidationException", True)


def test_one_metric_is_followed_by_one_policy(service):
    service.register()
    service.follow("first")
    with pytest.raises(ClientError, match="Only one TargetTrackingScaling policy"):
        service.follow("second")


def test_what_is_left_out_is_refused_by_name(aws):
    client = aws.client("application-autoscaling")
    target = {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": DIMENSION}
    code, message = refused(client.put_scheduled_action, ScheduledActionName="a", **target)
    assert (code, "scheduled actions" in message) == ("UnsupportedOperation", True)
    code, message = refused(
        client.put_scaling_policy, PolicyName="p", PolicyType="PredictiveScaling", **target
    )
    assert (code, "PredictiveScaling" in message) == ("ValidationException", True)


def test_policies_come_in_pages(service):
    service.register()
    for number in range(3):
        service.follow(f"page-{number}", f"Metric{number}")
    pages = service.scaling.get_paginator("describe_scaling_policies").paginate(
        ServiceNamespace="ecs", ResourceId=service.resource, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["ScalingPolicies"]) for page in pages] == [2, 1]
    for name in ("describe_scalable_targets", "describe_scaling_activities", "describe_scheduled_actions"):
        assert list(service.scaling.get_paginator(name).paginate(ServiceNamespace="ecs"))
    code, _ = refused(
        service.scaling.describe_scaling_policies, ServiceNamespace="ecs", NextToken="somewhere"
    )
    assert code == "InvalidNextTokenException"


STACK = {
    "Resources": {
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "ServiceNamespace": "ecs",
                "ScalableDimension": DIMENSION,
                "MinCapacity": "2",
                "MaxCapacity": 3,
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "cpu",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 60,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                    },
                },
            },
        },
    },
    "Outputs": {
        "Target": {"Value": {"Ref": "Target"}},
        "Policy": {"Value": {"Fn::GetAtt": ["Policy", "Arn"]}},
    },
}


def test_a_stack_makes_changes_and_takes_away_a_target_and_a_policy(service):
    cloudformation = service.aws.client("cloudformation")
    soon = {"Delay": 0.2, "MaxAttempts": 100}
    template = json.loads(json.dumps(STACK))
    template["Resources"]["Target"]["Properties"]["ResourceId"] = service.resource
    cloudformation.create_stack(StackName="scaled", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="scaled", WaiterConfig=soon)
    outputs = {
        each["OutputKey"]: each["OutputValue"]
        for each in cloudformation.describe_stacks(StackName="scaled")["Stacks"][0]["Outputs"]
    }
    assert outputs["Target"] == f"{service.resource}|{DIMENSION}|ecs"
    assert outputs["Policy"].endswith(f"resource/ecs/{service.resource}:policyName/cpu")
    assert service.counts()[0] == 2
    assert service.alarm("AlarmHigh")["MetricName"] == "CPUUtilization"
    template["Resources"]["Target"]["Properties"]["MinCapacity"] = 3
    template["Resources"]["Policy"]["Properties"]["TargetTrackingScalingPolicyConfiguration"][
        "TargetValue"
    ] = 70
    cloudformation.update_stack(StackName="scaled", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_update_complete").wait(StackName="scaled", WaiterConfig=soon)
    assert service.counts()[0] == 3
    assert service.alarm("AlarmHigh")["Threshold"] == 70.0
    cloudformation.delete_stack(StackName="scaled")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="scaled", WaiterConfig=soon)
    targets = service.scaling.describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[service.resource]
    )
    assert targets["ScalableTargets"] == []
