"""boto3's own waiters and paginators, written by AWS against AWS, on what the course uses."""

import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from ecs_world import World
from enforced_world import enforced_world

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
SOON: Any = {"Delay": 0.2, "MaxAttempts": 100}
AT_ONCE: Any = {"Delay": 0.01, "MaxAttempts": 2}
TEMPLATE = {
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {"Arn": {"Value": {"Ref": "Topic"}}},
}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with enforced_world(tmp_path_factory.mktemp("waiters")) as made:
        yield made


def wait(client: Any, name: str, **what: Any) -> None:
    client.get_waiter(name).wait(WaiterConfig=SOON, **what)


def refused_at_once(client: Any, name: str, **what: Any) -> str:
    """Why a waiter gave up on the first answer, which it does for a failure and not for what may still come."""
    with pytest.raises(WaiterError) as caught:
        client.get_waiter(name).wait(WaiterConfig=AT_ONCE, **what)
    assert "terminal failure" in str(caught.value)
    return str(caught.value)


def run(aws: World, code: str, family: str = "waited") -> str:
    return aws.run(aws.container(code), register={"family": family})


def pages(client: Any, operation: str, member: str, size: int, **what: Any) -> list[list[Any]]:
    """What each page of a list holds, asked for in pages of `size`."""
    paginator = client.get_paginator(operation)
    return [page.get(member, []) for page in paginator.paginate(**what, PaginationConfig={"PageSize": size})]


# Waiters


def test_tasks_running_and_tasks_stopped(aws: World) -> None:
    task = run(aws, SLEEP)
    wait(aws.ecs, "tasks_running", cluster="c", tasks=[task])
    aws.ecs.stop_task(cluster="c", task=task)
    wait(aws.ecs, "tasks_stopped", cluster="c", tasks=[task])


def test_tasks_running_gives_up_on_a_task_that_has_stopped_or_never_was(aws: World) -> None:
    task = run(aws, "pass")
    wait(aws.ecs, "tasks_stopped", cluster="c", tasks=[task])
    assert "STOPPED" in refused_at_once(aws.ecs, "tasks_running", cluster="c", tasks=[task])
    assert "MISSING" in refused_at_once(aws.ecs, "tasks_running", cluster="c", tasks=["none"])


def test_services_stable_and_services_inactive(aws: World) -> None:
    aws.register(aws.container(SLEEP), family="served")
    how: Any = {"cluster": "c", "serviceName": "s", "taskDefinition": "served", "launchType": "FARGATE"}
    aws.ecs.create_service(**how, desiredCount=2)
    wait(aws.ecs, "services_stable", cluster="c", services=["s"])
    service = aws.ecs.describe_services(cluster="c", services=["s"])["services"][0]
    assert (service["runningCount"], len(service["deployments"])) == (2, 1)
    aws.ecs.delete_service(cluster="c", service="s", force=True)
    wait(aws.ecs, "services_inactive", cluster="c", services=["s"])
    assert "MISSING" in refused_at_once(aws.ecs, "services_stable", cluster="c", services=["none"])
    assert "INACTIVE" in refused_at_once(aws.ecs, "services_stable", cluster="c", services=["s"])


def test_stack_waiters_from_creation_to_deletion(aws: World) -> None:
    client = aws.client("cloudformation")
    body = json.dumps(TEMPLATE)
    client.create_stack(StackName="a", TemplateBody=body)
    wait(client, "stack_exists", StackName="a")
    wait(client, "stack_create_complete", StackName="a")
    changed = json.dumps({"Resources": _topics(2)})
    client.create_change_set(StackName="a", ChangeSetName="x", TemplateBody=changed)
    wait(client, "change_set_create_complete", StackName="a", ChangeSetName="x")
    client.execute_change_set(StackName="a", ChangeSetName="x")
    wait(client, "stack_update_complete", StackName="a")
    client.delete_stack(StackName="a")
    wait(client, "stack_delete_complete", StackName="a")


def test_stack_waiters_give_up_on_a_failure(aws: World) -> None:
    client = aws.client("cloudformation")
    nowhere = {"Cluster": "none", "TaskDefinition": "none"}
    broken = _topics(1) | {"Service": {"Type": "AWS::ECS::Service", "Properties": nowhere}}
    client.create_stack(StackName="broken", TemplateBody=json.dumps({"Resources": broken}))
    with pytest.raises(WaiterError, match="terminal failure"):
        client.get_waiter("stack_create_complete").wait(StackName="broken", WaiterConfig=SOON)
    assert "ValidationError" in str(refused_at_once(client, "stack_create_complete", StackName="none"))
    client.create_stack(StackName="same", TemplateBody=json.dumps(TEMPLATE))
    wait(client, "stack_create_complete", StackName="same")
    client.create_change_set(StackName="same", ChangeSetName="x", TemplateBody=json.dumps(TEMPLATE))
    assert "FAILED" in refused_at_once(
        client, "change_set_create_complete", StackName="same", ChangeSetName="x"
    )


def _topics(count: int) -> dict[str, Any]:
    return {f"Topic{number}": {"Type": "AWS::SNS::Topic"} for number in range(count)}


def test_bucket_and_object_waiters(aws: World) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="waited-for")
    wait(client, "bucket_exists", Bucket="waited-for")
    client.put_object(Bucket="waited-for", Key="k", Body=b"x")
    wait(client, "object_exists", Bucket="waited-for", Key="k")
    client.delete_object(Bucket="waited-for", Key="k")
    wait(client, "object_not_exists", Bucket="waited-for", Key="k")
    client.delete_bucket(Bucket="waited-for")
    wait(client, "bucket_not_exists", Bucket="waited-for")


def test_function_waiters(aws: World) -> None:
    client = aws.client("lambda")
    client.create_function(FunctionName="f", **_function(aws))
    wait(client, "function_exists", FunctionName="f")
    wait(client, "function_active_v2", FunctionName="f")
    wait(client, "function_active", FunctionName="f")
    client.update_function_configuration(FunctionName="f", Timeout=5)
    wait(client, "function_updated_v2", FunctionName="f")
    wait(client, "function_updated", FunctionName="f")
    client.publish_version(FunctionName="f")
    wait(client, "published_version_active", FunctionName="f", Qualifier="1")
    assert json.load(client.invoke(FunctionName="f", Payload=b"{}")["Payload"]) == "done"


def _function(aws: World) -> dict[str, Any]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): return 'done'")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = aws.client("iam").create_role(
        RoleName=f"function-{next(_numbers)}",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    code = {"ZipFile": packed.getvalue()}
    return {"Role": role["Role"]["Arn"], "Code": code, "Handler": "f.handler", "Runtime": "python3.11"}


def test_role_waiters(aws: World) -> None:
    client = aws.client("iam")
    client.create_role(RoleName="waited", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[]}')
    wait(client, "role_exists", RoleName="waited")
    client.create_instance_profile(InstanceProfileName="waited")
    wait(client, "instance_profile_exists", InstanceProfileName="waited")


def test_instance_waiter_sees_the_instances_of_a_group(aws: World) -> None:
    _group(aws, "instances", 1)
    [group] = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["instances"])[
        "AutoScalingGroups"
    ]
    ids = [each["InstanceId"] for each in group["Instances"]]
    wait(aws.client("ec2"), "instance_running", InstanceIds=ids)


def _group(aws: World, name: str, desired: int) -> None:
    template = aws.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m5.large", "ImageId": "ami-1"}
    )["LaunchTemplate"]
    aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=desired,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]},
        AvailabilityZones=["us-east-1a"],
    )


# Paginators: everything once, in pages no larger than asked for.


@pytest.fixture(scope="module")
def many(aws: World) -> World:
    """Three of everything that can be listed."""
    aws.client("s3").create_bucket(Bucket="many")
    for number in range(3):
        aws.register(aws.container("pass"), family=f"many-{number}")
        aws.ecs.create_cluster(clusterName=f"many-{number}")
        aws.ecs.create_service(
            cluster="many-0", serviceName=f"s{number}", taskDefinition="many-0", desiredCount=0
        )
        aws.client("ecr").create_repository(repositoryName=f"many/{number}")
        aws.push("tagged", f"t{number}", Env=[f"NUMBER={number}"])
        aws.client("s3").put_object(Bucket="many", Key=f"k{number}", Body=b"x")
        aws.client("logs").create_log_group(logGroupName=f"/many/{number}")
        aws.client("logs").create_log_stream(logGroupName="/many/0", logStreamName=f"s{number}")
        aws.client("cloudformation").create_stack(
            StackName=f"many-{number}", TemplateBody=json.dumps(TEMPLATE)
        )
        wait(aws.client("cloudformation"), "stack_create_complete", StackName=f"many-{number}")
        _group(aws, f"many-{number}", 2 if number == 0 else 0)
        aws.client("events").put_rule(Name=f"many-{number}", ScheduleExpression="rate(1 day)")
        aws.client("iam").create_instance_profile(InstanceProfileName=f"many-{number}")
        aws.client("lambda").create_function(FunctionName=f"many-{number}", **_function(aws))
    events = [{"timestamp": 1_700_000_000_000 + number, "message": f"line {number}"} for number in range(3)]
    now = aws.client("logs")
    now.put_log_events(logGroupName="/many/0", logStreamName="s0", logEvents=events)
    return aws


Listed = tuple[str, str, str, dict[str, Any]]
LISTS: list[Listed] = [
    ("ecs", "list_task_definitions", "taskDefinitionArns", {"familyPrefix": "many-"}),
    ("ecs", "list_task_definition_families", "families", {"familyPrefix": "many-"}),
    ("ecs", "list_clusters", "clusterArns", {}),
    ("ecs", "list_services", "serviceArns", {"cluster": "many-0"}),
    ("ecr", "describe_repositories", "repositories", {}),
    ("ecr", "list_images", "imageIds", {"repositoryName": "tagged"}),
    ("ecr", "describe_images", "imageDetails", {"repositoryName": "tagged"}),
    ("s3", "list_objects_v2", "Contents", {"Bucket": "many"}),
    ("s3", "list_object_versions", "Versions", {"Bucket": "many"}),
    ("logs", "describe_log_groups", "logGroups", {"logGroupNamePrefix": "/many/"}),
    ("logs", "describe_log_streams", "logStreams", {"logGroupName": "/many/0"}),
    ("logs", "filter_log_events", "events", {"logGroupName": "/many/0"}),
    ("events", "list_rules", "Rules", {}),
    ("lambda", "list_functions", "Functions", {}),
    ("resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", {}),
]


@pytest.mark.parametrize(("service", "operation", "member", "what"), LISTS, ids=[each[1] for each in LISTS])
def test_list_comes_in_pages_and_whole(
    many: World, service: str, operation: str, member: str, what: dict[str, Any]
) -> None:
    client = many.client(service)
    found = pages(client, operation, member, 2, **what)
    assert max(len(page) for page in found) <= 2
    items = [json.dumps(item, default=str, sort_keys=True) for page in found for item in page]
    assert len(items) == len(set(items)) >= 3
    assert len(items) == len(getattr(client, operation)(**what)[member])


@pytest.mark.parametrize(
    ("service", "operation", "member"),
    [
        ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
        ("iam", "list_roles", "Roles"),
        ("iam", "list_instance_profiles", "InstanceProfiles"),
    ],
)
def test_lists_of_groups_and_roles_come_whole_in_one_page(
    many: World, service: str, operation: str, member: str
) -> None:
    """As `localaws` says of itself: a client that pages gets everything, and once."""
    [page] = pages(many.client(service), operation, member, 2)
    assert len(page) >= 3


@pytest.mark.parametrize(
    ("operation", "member", "what"),
    [
        ("describe_stacks", "Stacks", {}),
        ("list_stacks", "StackSummaries", {}),
        ("describe_stack_events", "StackEvents", {"StackName": "many-0"}),
        ("list_stack_resources", "StackResourceSummaries", {"StackName": "many-0"}),
        ("list_change_sets", "Summaries", {"StackName": "many-0"}),
    ],
)
def test_stack_lists_have_paginators_that_end(
    many: World, operation: str, member: str, what: dict[str, Any]
) -> None:
    client = many.client("cloudformation")
    items = [item for page in client.get_paginator(operation).paginate(**what) for item in page[member]]
    assert len(items) == len(getattr(client, operation)(**what)[member])


def test_tasks_come_in_pages(aws: World) -> None:
    for _ in range(3):
        run(aws, "pass", family="paged")
    stopped: Callable[[], list[list[Any]]] = lambda: pages(  # noqa: E731
        aws.ecs, "list_tasks", "taskArns", 2, cluster="c", family="paged", desiredStatus="STOPPED"
    )
    first = aws.ecs.list_tasks(cluster="c", family="paged", desiredStatus="RUNNING")["taskArns"]
    if first:
        wait(aws.ecs, "tasks_stopped", cluster="c", tasks=first)
    assert [len(page) for page in stopped()] == [2, 1]


def test_events_of_streams_with_a_prefix_are_theirs_alone(many: World) -> None:
    client = many.client("logs")
    event = [{"timestamp": 1_700_000_000_000, "message": "of another"}]
    client.create_log_stream(logGroupName="/many/1", logStreamName="a/1")
    client.create_log_stream(logGroupName="/many/1", logStreamName="b/1")
    client.put_log_events(logGroupName="/many/1", logStreamName="b/1", logEvents=event)
    found = {
        prefix: client.filter_log_events(logGroupName="/many/1", logStreamNamePrefix=prefix)["events"]
        for prefix in ("a", "b", "c")
    }
    assert {prefix: len(events) for prefix, events in found.items()} == {"a": 0, "b": 1, "c": 0}


def test_tail_of_a_log_asks_from_the_last_event_on_and_gets_each_once(many: World) -> None:
    """What `aws logs tail --follow` of version 2 does: FilterLogEvents from the newest timestamp, by event id."""
    client = many.client("logs")
    paginate = client.get_paginator("filter_log_events").paginate
    first = [e for page in paginate(logGroupName="/many/0", interleaved=True) for e in page["events"]]
    newest = max(each["timestamp"] for each in first)
    client.put_log_events(
        logGroupName="/many/0",
        logStreamName="s1",
        logEvents=[{"timestamp": newest + 5, "message": "new"}],
    )
    again = [e for page in paginate(logGroupName="/many/0", startTime=newest) for e in page["events"]]
    known = {each["eventId"] for each in first}
    assert [each["message"] for each in again if each["eventId"] not in known] == ["new"]
    assert len(known) == len(first) == 3
