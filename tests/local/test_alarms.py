"""Alarms of the local AWS go off and recover by themselves, by AWS's rules, and act."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alarm_world import MINUTE, Metric
from attendee import free_port
from botocore.exceptions import ClientError
from conftest import REGION, client_of, refused
from ecs_world import wait_until

from localaws import daemon

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    state_dir = tmp_path_factory.mktemp("alarms")
    running = daemon.start(state_dir, free_port(), REGION, "process", metric_seconds=MINUTE)
    yield lambda service: client_of(running, service)
    daemon.stop(state_dir)


@pytest.fixture(scope="module")
def cloudwatch(aws: Callable[[str], Any]) -> Any:
    return aws("cloudwatch")


@pytest.fixture
def metric(cloudwatch: Any, request: pytest.FixtureRequest) -> Metric:
    return Metric(cloudwatch, request.node.name)


def test_an_alarm_goes_off_and_recovers_with_its_metric_and_falls_silent_without_it(metric):
    metric.alarm()
    assert metric.described()["StateReason"] == "Unchecked: Initial alarm creation"
    on = metric.until_put("ALARM", 15)
    assert on["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoint [15.0 (")
    data = json.loads(on["StateReasonData"])
    assert (data["recentDatapoints"], data["threshold"], data["period"]) == ([15.0], 10.0, 60)
    assert data["evaluatedDatapoints"][0]["value"] == 15.0
    metric.until_put("OK", 5)
    silent = metric.until("INSUFFICIENT_DATA")
    assert silent["StateReason"] == "Insufficient Data: 1 datapoint was unknown."
    summaries = [each["HistorySummary"] for each in metric.history()]
    assert summaries == [
        "Alarm updated from OK to INSUFFICIENT_DATA",
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]
    newest = json.loads(metric.history()[0]["HistoryData"])
    assert newest["newState"]["stateReason"] == silent["StateReason"]


def test_three_of_three_takes_three_minutes(metric):
    metric.alarm(EvaluationPeriods=3)
    began = time.time()
    on = metric.until_put("ALARM", 15)
    assert time.time() - began > 2 * MINUTE
    assert len(json.loads(on["StateReasonData"])["recentDatapoints"]) == 3


def test_data_with_other_dimensions_says_nothing(metric, cloudwatch):
    metric.alarm(TreatMissingData="notBreaching")
    other = Metric(cloudwatch, "somebody-else")

    def settled() -> bool:
        other.put(99)
        return bool(metric.history())

    wait_until(settled)
    other.put(99, minutes_ago=1)
    assert metric.until("OK")["StateReason"].endswith("treated as [NonBreaching].")


@pytest.mark.parametrize(
    ("missing", "state"), [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA")]
)
def test_silence_is_what_the_alarm_says_it_is(metric, missing, state):
    metric.name = f"silence-{missing}"
    metric.alarm(TreatMissingData=missing)
    metric.cloudwatch.set_alarm_state(
        AlarmName=metric.name,
        StateValue="OK" if state != "OK" else "ALARM",
        StateReason="by hand",
    )
    metric.until(state)


def test_silence_keeps_the_state_where_missing_data_is_ignored(metric, cloudwatch):
    metric.alarm(TreatMissingData="ignore")
    witness = Metric(cloudwatch, f"{metric.name}-witness")
    cloudwatch.set_alarm_state(AlarmName=metric.name, StateValue="ALARM", StateReason="by hand")
    witness.alarm(TreatMissingData="breaching")
    witness.until("ALARM")  # a look has gone by
    cloudwatch.set_alarm_state(AlarmName=witness.name, StateValue="OK", StateReason="by hand")
    witness.until("ALARM")
    assert metric.described()["StateReason"] == "by hand"


def test_a_state_set_by_hand_acts_and_holds_until_the_next_look(metric):
    metric.alarm(TreatMissingData="notBreaching")
    metric.until("OK")
    metric.cloudwatch.set_alarm_state(AlarmName=metric.name, StateValue="ALARM", StateReason="to try it")
    assert "Alarm updated from OK to ALARM" in [each["HistorySummary"] for each in metric.history()]
    metric.until("OK")


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ({"Statistic": "Sum"}, 60.0),
        ({"Statistic": "SampleCount"}, 3.0),
        ({"Statistic": "Minimum"}, 10.0),
        ({"Statistic": "Maximum"}, 30.0),
        ({"Statistic": "Average"}, 20.0),
        ({"Statistic": None, "ExtendedStatistic": "p50"}, 20.0),
    ],
)
def test_each_statistic_is_over_one_period(metric, statistic, value):
    metric.name = f"statistic-{value}-{next(iter(statistic.values()))}"
    metric.dimensions = [{"Name": "Of", "Value": metric.name}]
    begin = time.time() // MINUTE * MINUTE - MINUTE
    metric.cloudwatch.put_metric_data(
        Namespace="Test",
        MetricData=[
            {
                "MetricName": "Load",
                "Dimensions": metric.dimensions,
                "Timestamp": begin + 0.1,
                "Values": [10, 20, 30],
            }
        ],
    )
    metric.alarm(**statistic, Threshold=-1)
    on = metric.until("ALARM")
    assert json.loads(on["StateReasonData"])["recentDatapoints"] == [value]


def queue_for(aws: Callable[[str], Any], name: str, service: str) -> tuple[str, str]:
    """(address, ARN) of a queue that a service may send to."""
    url = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return str(url), str(arn)


@pytest.fixture(scope="module")
def topic(aws: Callable[[str], Any]) -> tuple[str, Callable[[], Any]]:
    """A topic, and what says its next message."""
    sns, sqs = aws("sns"), aws("sqs")
    arn = sns.create_topic(Name="alarms")["TopicArn"]
    url, queue = queue_for(aws, "alarms", "sns.amazonaws.com")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)

    def receive() -> Any:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return json.loads(message["Body"])
        return None

    return arn, receive


def test_a_topic_gets_a_message_with_what_awss_has(metric, topic):
    arn, receive = topic
    metric.alarm(AlarmActions=[arn], AlarmDescription="load")
    metric.until_put("ALARM", 15)
    envelope = wait_until(receive)
    said = json.loads(envelope["Message"])
    assert envelope["Subject"] == f'ALARM: "{metric.name}" in Europe (Frankfurt)'
    assert (said["OldStateValue"], said["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert said["Trigger"]["Dimensions"] == [{"name": "Of", "value": metric.name}]
    assert said["Trigger"]["Statistic"] == "AVERAGE"
    action = json.loads(metric.history("Action")[0]["HistoryData"])
    assert action["notificationResource"] == arn


def test_an_alarm_whose_actions_are_disabled_changes_and_does_nothing(metric, topic):
    arn, receive = topic
    metric.alarm(AlarmActions=[arn])
    metric.cloudwatch.disable_alarm_actions(AlarmNames=[metric.name])
    metric.until_put("ALARM", 15)
    assert metric.history("Action") == []
    assert receive() is None


def test_a_rule_of_eventbridge_sees_the_change(metric, aws):
    events, sqs = aws("events"), aws("sqs")
    url, queue = queue_for(aws, "changes", "events.amazonaws.com")
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [metric.name], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": queue}])
    metric.alarm()
    metric.until_put("ALARM", 15)
    got = wait_until(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    event = json.loads(got[0]["Body"])
    assert event["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert event["resources"] == [metric.described()["AlarmArn"]]
    assert event["detail"]["configuration"]["metrics"][0]["metricStat"]["stat"] == "Average"


def test_a_composite_alarm_follows_its_children(metric, topic):
    arn, receive = topic
    metric.alarm()
    metric.until_put("OK", 5)
    name = f"{metric.name}-both"
    metric.cloudwatch.put_composite_alarm(
        AlarmName=name, AlarmRule=f'ALARM("{metric.name}")', AlarmActions=[arn]
    )
    metric.cloudwatch.get_waiter("composite_alarm_exists").wait(
        AlarmNames=[name], AlarmTypes=["CompositeAlarm"], WaiterConfig={"Delay": 0.1, "MaxAttempts": 20}
    )
    metric.until_put("ALARM", 15)
    said = json.loads(wait_until(receive)["Message"])
    assert (said["AlarmName"], said["NewStateValue"]) == (name, "ALARM")
    code, message = refused(metric.cloudwatch.delete_alarms, AlarmNames=[metric.name])
    assert code == "ValidationError"
    assert "composite alarm(s) depending on it" in message
    metric.cloudwatch.delete_alarms(AlarmNames=[name])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Period": 61}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"EvaluationPeriods": 2000}, "Metrics cannot be checked across more than 86400 seconds"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        ({"TreatMissingData": "sometimes"}, "Option sometimes is not supported for TreatMissingData"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "anomaly detection"),
        ({"AlarmActions": ["arn:aws:automate:eu-central-1:ec2:stop"]}, "unsupported action"),
        ({"AlarmActions": ["arn:aws:lambda:eu-central-1:123456789012:function:f"]}, "unsupported action"),
        ({"AlarmName": "x" * 256}, "Member must have length less than or equal to 255"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "EvaluateLowSampleCountPercentile"),
    ],
)
def test_an_alarm_that_could_not_be_evaluated_is_refused(metric, changes, said):
    with pytest.raises(ClientError) as caught:
        metric.alarm(**changes)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert said in caught.value.response["Error"]["Message"]


def test_metric_math_is_refused_by_name(cloudwatch):
    query = {"Id": "e1", "Expression": "m1 / 2", "ReturnData": True}
    code, message = refused(
        cloudwatch.put_metric_alarm,
        AlarmName="math",
        Metrics=[query],
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    assert code == "ValidationError"
    assert "metric math" in message


def test_alarms_come_in_pages_and_by_prefix_state_and_action(cloudwatch, topic):
    arn, _ = topic
    for number in range(5):
        Metric(cloudwatch, f"page-{number}").alarm(AlarmActions=[arn] if number else [])
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix="page-", PaginationConfig={"PageSize": 2}
    )
    names = [[each["AlarmName"] for each in page["MetricAlarms"]] for page in pages]
    assert names == [["page-0", "page-1"], ["page-2", "page-3"], ["page-4"]]
    found = cloudwatch.describe_alarms(AlarmNamePrefix="page-", ActionPrefix=arn)["MetricAlarms"]
    assert [each["AlarmName"] for each in found] == ["page-1", "page-2", "page-3", "page-4"]
    history = cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmName="page-1", PaginationConfig={"PageSize": 1}
    )
    kinds = [each["HistoryItemType"] for page in history for each in page["AlarmHistoryItems"]]
    assert kinds[-1] == "ConfigurationUpdate"


def test_the_waiter_for_alarms_finds_one(metric):
    metric.alarm()
    waiter = metric.cloudwatch.get_waiter("alarm_exists")
    waiter.wait(AlarmNames=[metric.name], WaiterConfig={"Delay": 0.1, "MaxAttempts": 2})


def test_an_alarm_reads_back_whole_and_is_found_by_its_metric(metric):
    metric.alarm(DatapointsToAlarm=1, EvaluationPeriods=2, Unit="Count", Tags=[{"Key": "k", "Value": "v"}])
    found = metric.described()
    assert (found["Dimensions"], found["Period"], found["Unit"]) == (metric.dimensions, 60, "Count")
    assert found["StateTransitionedTimestamp"].year > 2000
    by_metric = metric.cloudwatch.describe_alarms_for_metric(
        Namespace="Test", MetricName="Load", Dimensions=metric.dimensions
    )["MetricAlarms"]
    assert [each["AlarmName"] for each in by_metric] == [metric.name]
    tags = metric.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "k", "Value": "v"}]


def test_a_stacks_alarm_is_one_that_is_evaluated(aws, cloudwatch):
    properties = {
        "AlarmName": "of-a-stack",
        "Namespace": "Test",
        "MetricName": "Load",
        "Dimensions": [{"Name": "Of", "Value": "of-a-stack"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    template = {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="alarm", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="alarm", WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    Metric(cloudwatch, "of-a-stack").until_put("ALARM", 15)
    cloudformation.delete_stack(StackName="alarm")
    wait_until(lambda: cloudwatch.describe_alarms(AlarmNames=["of-a-stack"])["MetricAlarms"] == [])
