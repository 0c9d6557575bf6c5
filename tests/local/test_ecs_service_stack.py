"""An ECS service in a CloudFormation stack: the stack waits for it, and fails when its circuit breaker does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local
BREAKER = {"DeploymentCircuitBreaker": {"Enable": True, "Rollback": True}}
TRIGGERED = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
PATIENCE_SECONDS = 60  # cfn-lint alone takes seconds where others want the processor too
SLEEP = "import time; time.sleep(60)"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("stacks")) as made:
        yield made


def template(definition: str, name: str, desired: int = 1) -> str:
    properties = {
        "Cluster": "c",
        "ServiceName": name,
        "TaskDefinition": definition,
        "LaunchType": "FARGATE",
        "DesiredCount": desired,
        "DeploymentConfiguration": BREAKER,
    }
    return json.dumps({"Resources": {"Service": {"Type": "AWS::ECS::Service", "Properties": properties}}})


def service(aws: World, name: str) -> dict[str, Any]:
    return dict(aws.ecs.describe_services(cluster="c", services=[name])["services"][0])


def ended(aws: World, stack: str, status: str) -> list[str]:
    """The reasons in a stack's events, once its operation has ended with this status."""
    client = aws.client("cloudformation")

    def found() -> str:
        now = str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        return "" if now.endswith("IN_PROGRESS") else now

    reached = wait_until(found, PATIENCE_SECONDS)
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    reasons = [each.get("ResourceStatusReason", "") for each in events]
    assert reached == status, reasons
    return reasons


def test_stack_follows_its_service_from_creation_over_a_failed_update_to_deletion(aws: World) -> None:
    client = aws.client("cloudformation")
    good = aws.register(aws.container(SLEEP), family="stacked")
    bad = aws.register(aws.container("raise SystemExit(3)"), family="stacked")
    client.create_stack(StackName="s", TemplateBody=template(good, "stacked"))
    ended(aws, "s", "CREATE_COMPLETE")
    made = service(aws, "stacked")
    assert (made["runningCount"], made["deployments"][0]["rolloutState"]) == (1, "COMPLETED")

    client.update_stack(StackName="s", TemplateBody=template(bad, "stacked", 2))
    reasons = ended(aws, "s", "UPDATE_ROLLBACK_COMPLETE")
    assert any(TRIGGERED in each for each in reasons)
    made = service(aws, "stacked")
    assert (made["taskDefinition"], made["runningCount"]) == (good, 1)

    client.delete_stack(StackName="s")
    wait_until(lambda: service(aws, "stacked")["status"] == "INACTIVE", PATIENCE_SECONDS)
    wait_until(lambda: not aws.ecs.list_tasks(cluster="c", serviceName="stacked")["taskArns"])


def test_stack_whose_service_never_starts_is_rolled_back_with_the_breakers_reason(aws: World) -> None:
    bad = aws.register(aws.container("raise SystemExit(3)"), family="bad")
    aws.client("cloudformation").create_stack(StackName="never", TemplateBody=template(bad, "never"))
    assert any(TRIGGERED in each for each in ended(aws, "never", "ROLLBACK_COMPLETE"))
    assert service(aws, "never")["status"] == "INACTIVE"


def test_server_ends_although_a_stack_waits_for_its_service(aws: World) -> None:
    waiting = aws.register(aws.container(SLEEP, image=aws.image + "-not-there"), family="waiting")
    body = json.loads(template(waiting, "waiting"))
    body["Resources"]["Service"]["Properties"].pop("DeploymentConfiguration")
    aws.client("cloudformation").create_stack(StackName="waiting", TemplateBody=json.dumps(body))
    wait_until(
        lambda: aws.ecs.describe_services(cluster="c", services=["waiting"])["services"], PATIENCE_SECONDS
    )
    aws.stop()  # fails if it lasts more than 20 s
