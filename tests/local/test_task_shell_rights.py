"""Who may open a shell where: the caller's rights, and the rights of the task's role, with an enforcing local AWS."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from identity_world import ACCOUNT, LOG, PULL, Account, account, allow, refused
from shell_world import WAIT

from localaws.ecs.execute import ROLE_ACTIONS

pytestmark = pytest.mark.local
CLUSTER = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/c"
TASKS = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/c/*"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("rights")) as made:
        yield made


@pytest.fixture(scope="module")
def task(aws: Account) -> str:
    return start(aws, aws.role(allow(*ROLE_ACTIONS)))


def start(aws: Account, role: str) -> str:
    roles = {"taskRoleArn": role, "executionRoleArn": aws.role(allow(*PULL, *LOG))}
    two = (aws.container(WAIT), aws.container(WAIT, "other"))
    arn = aws.run(*two, register=roles, enableExecuteCommand=True)
    aws.running(arn)
    return arn


def execute(aws: Account, task: str, session: boto3.Session | None = None, **given: Any) -> str:
    ecs = aws.as_(session, "ecs") if session else aws.ecs
    request = {"cluster": "c", "task": task, "container": "app", "command": "sh", "interactive": True}
    return str(ecs.execute_command(**{**request, **given})["session"]["sessionId"])


def test_caller_needs_the_right_on_the_task_and_on_its_cluster(aws, task):
    assert execute(aws, task, aws.session(allow("ecs:ExecuteCommand", on=[CLUSTER, TASKS])))
    for resource, missing in ((CLUSTER, task), (TASKS, CLUSTER)):
        with refused(f"to perform: ecs:ExecuteCommand on resource: {missing}", "AccessDenied"):
            execute(aws, task, aws.session(allow("ecs:ExecuteCommand", on=resource)))


def test_condition_on_the_containers_name_holds(aws, task):
    policy = allow("ecs:ExecuteCommand", on=[CLUSTER, TASKS], StringEquals={"ecs:container-name": "app"})
    session = aws.session(policy)
    assert execute(aws, task, session)
    with refused("to perform: ecs:ExecuteCommand", "AccessDenied"):
        execute(aws, task, session, container="other")


@pytest.mark.parametrize("missing", ROLE_ACTIONS)
def test_task_whose_role_may_not_reach_the_message_channels_is_not_connected(aws, task, missing):
    name = aws.ecs.describe_task_definition(taskDefinition=aws.task(task)["taskDefinitionArn"])
    role = name["taskDefinition"]["taskRoleArn"]
    aws.put(role, allow(*(each for each in ROLE_ACTIONS if each != missing)))
    try:
        with refused("failed due to an internal error", "TargetNotConnectedException"):
            execute(aws, task)
        assert f"is not authorized to perform: {missing}" in aws.said()
    finally:
        aws.put(role, allow(*ROLE_ACTIONS))


def test_the_local_aws_says_what_it_asks_of_a_role_in_the_clusters_template():
    from workshop.settings import load

    template = (load({}).root / "cloudformation" / "cluster.yaml").read_text()
    boundary = json.loads((load({}).root / "cloudformation" / "boundary-policy.json").read_text())
    allowed = {
        action
        for statement in boundary["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert all(template.count(action) == 2 and action in allowed for action in ROLE_ACTIONS)
