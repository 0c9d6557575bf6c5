"""What must happen once happens once: RunTask with a client token, and events that name the object's version."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("tokens")) as made:
        yield made


@pytest.fixture(scope="module")
def definition(aws: World) -> str:
    return aws.register(aws.container("print('ran')"), family="once")


def run(aws: World, definition: str, token: str, **more: Any) -> list[str]:
    request = {"cluster": "c", "taskDefinition": definition, "launchType": "FARGATE", **more}
    answer = aws.ecs.run_task(clientToken=token, **request)
    assert answer["failures"] == []
    return sorted(task["taskArn"] for task in answer["tasks"])


def test_same_token_is_answered_with_the_tasks_of_the_first_request(aws: World, definition: str) -> None:
    first = run(aws, definition, "token-1", count=2)
    assert run(aws, definition, "token-1", count=2) == first
    assert len(first) == 2
    assert run(aws, definition, "token-2", count=2) != first


def test_token_without_a_token_starts_anew(aws: World, definition: str) -> None:
    request = {"cluster": "c", "taskDefinition": definition, "launchType": "FARGATE"}
    started = {aws.ecs.run_task(**request)["tasks"][0]["taskArn"] for _ in range(2)}
    assert len(started) == 2


def test_token_of_a_stopped_task_is_answered_with_that_task(aws: World, definition: str) -> None:
    [arn] = run(aws, definition, "token-stopped")
    aws.stopped(arn)
    assert run(aws, definition, "token-stopped") == [arn]


def test_two_requests_at_once_with_one_token_start_one_task(aws: World, definition: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: run(aws, definition, "token-race"), range(4)))
    assert len({tuple(answer) for answer in answers}) == 1


def test_token_with_another_request_is_a_conflict_that_names_the_tasks(aws: World, definition: str) -> None:
    first = run(aws, definition, "token-3")
    with pytest.raises(ClientError, match="already in use with a different RunTask request") as caught:
        run(aws, definition, "token-3", count=2)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    assert caught.value.response["resourceIds"] == first


@pytest.mark.parametrize("token", ["x" * 65, "with a blank"], ids=["long", "blank"])
def test_token_that_aws_refuses_is_refused(aws: World, definition: str, token: str) -> None:
    with pytest.raises(ClientError, match="at most 64 characters"):
        run(aws, definition, token)


def test_token_never_shows_and_holds_after_a_kill_of_the_server(aws: World, definition: str) -> None:
    [arn] = run(aws, definition, "token-kept")
    aws.stopped(arn)
    assert "_once" not in aws.task(arn)
    wait_until(lambda: "token-kept" in kept(aws.folder))
    aws.stop(9)
    aws.start()
    assert run(aws, definition, "token-kept") == [arn]


def kept(folder: Path) -> str:
    """What the last snapshot holds of ECS; nothing before there is one."""
    try:
        return (folder / "localaws" / "snapshot" / "ecs.json").read_text()
    except FileNotFoundError:
        return ""


@pytest.fixture(scope="module")
def events(aws: World) -> Any:
    """Put an object into a bucket and give its `Object Created` event as a target gets it."""
    s3, sqs, rules = aws.client("s3"), aws.client("sqs"), aws.client("events")
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
    rules.put_rule(Name="created", EventPattern=json.dumps(pattern))
    rules.put_targets(Rule="created", Targets=[{"Id": "queue", "Arn": arn}])

    def put(bucket: str, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        answer = s3.put_object(Bucket=bucket, Key=key, Body=str(time.time()).encode())
        message = wait_until(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))[
            0
        ]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return answer, json.loads(message["Body"])["detail"]["object"]

    for name, status in (("versioned", "Enabled"), ("plain", "")):
        s3.create_bucket(Bucket=name)
        if status:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    return put


def test_event_of_a_versioned_bucket_names_the_version(events: Any) -> None:
    first, event = events("versioned", "pictures/cat one.jpg")
    assert event["version-id"] == first["VersionId"]
    assert event["key"] == "pictures/cat one.jpg"
    second, event = events("versioned", "pictures/cat one.jpg")
    assert event["version-id"] == second["VersionId"] != first["VersionId"]


def test_event_of_a_bucket_without_versions_names_none(events: Any) -> None:
    _, event = events("plain", "cat.jpg")
    assert "version-id" not in event
    assert Path(event["key"]).suffix == ".jpg"


def test_family_alone_means_its_newest_active_revision(aws: World) -> None:
    first, second = (aws.register(aws.container(f"print({n})"), family="revised") for n in (1, 2))
    named = aws.ecs.describe_task_definition
    assert named(taskDefinition="revised")["taskDefinition"]["taskDefinitionArn"] == second
    aws.ecs.deregister_task_definition(taskDefinition=second)
    assert named(taskDefinition="revised")["taskDefinition"]["taskDefinitionArn"] == first
    assert named(taskDefinition=second)["taskDefinition"]["status"] == "INACTIVE"
    aws.ecs.deregister_task_definition(taskDefinition=first)
    aws.ecs.delete_task_definitions(taskDefinitions=[first, second])
    with pytest.raises(ClientError, match="Unable to describe task definition"):
        named(taskDefinition="revised")
    with pytest.raises(ClientError, match="TaskDefinition not found"):
        aws.ecs.run_task(cluster="c", taskDefinition="revised", launchType="FARGATE")
    assert aws.register(aws.container("print(3)"), family="revised").endswith("revised:3")
