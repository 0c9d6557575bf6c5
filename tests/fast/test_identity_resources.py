"""The resources that a request is about, compared with AWS's own list of actions, which cfn-lint brings."""

import json
from importlib import resources as files

import pytest

from localaws.identity import resources as identity_resources
from localaws.identity import roles as identity_roles
from localaws.identity.resources import Request

ACTIONS = json.loads((files.files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())
ACCOUNT = "123456789012"


def ask(service: str, action: str, /, **body: object) -> list[str]:
    request = Request(service, action, json.dumps(body).encode(), {}, "us-east-1", ACCOUNT)
    return identity_resources.resources(request, "found")


def types_of(action: str) -> list[str]:
    service, _, name = action.partition(":")
    found: list[str] = ACTIONS[service]["Actions"][name.lower()].get("Resources", [])
    return found


@pytest.mark.parametrize("name", sorted(identity_resources.NO_RESOURCE))
def test_an_ecs_action_without_resource_has_none_on_aws(name: str) -> None:
    assert types_of(f"ecs:{name}") == []


@pytest.mark.parametrize("name", sorted(identity_resources.CLUSTER_CALLS))
def test_an_ecs_action_on_a_cluster_is_on_a_cluster_on_aws(name: str) -> None:
    assert "cluster" in types_of(f"ecs:{name}")


@pytest.mark.parametrize(
    ("action", "body", "arns"),
    [
        ("ecs:RunTask", {"cluster": "c", "taskDefinition": "job"}, ["task-definition/job"]),
        ("ecs:RegisterTaskDefinition", {"family": "job"}, ["task-definition/job:*"]),
        ("ecs:DescribeTasks", {"cluster": "c", "tasks": ["1", "2"]}, ["task/c/1", "task/c/2"]),
        (
            "ecs:StopTask",
            {"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/c", "task": "1"},
            ["task/c/1"],
        ),
        ("ecs:UpdateService", {"cluster": "c", "service": "s"}, ["service/c/s"]),
        ("ecs:ListTasks", {"cluster": "c"}, ["container-instance/c/*"]),
        ("ecs:DescribeClusters", {}, ["cluster/default"]),
        ("ecs:DescribeCapacityProviders", {"capacityProviders": ["p"]}, ["capacity-provider/p"]),
        ("ecs:ExecuteCommand", {"cluster": "c", "task": "1"}, ["cluster/c", "task/c/1"]),
    ],
)
def test_an_ecs_request_is_about_what_it_names(action: str, body: dict[str, object], arns: list[str]) -> None:
    assert ask("ecs", action, **body) == [f"arn:aws:ecs:us-east-1:{ACCOUNT}:{each}" for each in arns]
    assert {each.partition("/")[0] for each in arns} <= set(types_of(action))


def test_a_rule_of_the_default_bus_has_no_bus_in_its_arn() -> None:
    assert ask("events", "events:PutTargets", Rule="r") == [f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r"]
    assert ask("events", "events:PutTargets", Rule="r", EventBusName="b")[0].endswith("rule/b/r")


def test_log_streams_come_after_their_group() -> None:
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:g:log-stream:"
    assert ask("logs", "logs:FilterLogEvents", logGroupName="g") == [group]
    assert ask("logs", "logs:GetLogEvents", logGroupName="g", logStreamName="s") == [group + "s"]


def test_public_parameters_belong_to_no_account() -> None:
    asked = ask("ssm", "ssm:GetParameters", Names=["/aws/service/x", "/mine"])
    assert asked == [
        "arn:aws:ssm:us-east-1::parameter/aws/service/x",
        f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/mine",
    ]


@pytest.mark.parametrize(
    "action", sorted({*identity_resources.TAGGING, *identity_resources.TAGGING.values()})
)
def test_an_action_that_is_asked_for_is_one_of_awss(action: str) -> None:
    types_of(action)


@pytest.mark.parametrize(
    "action", sorted({*identity_roles.IN_BODY, *identity_roles.IN_FORM, *identity_roles.LAUNCHING})
)
def test_an_action_that_passes_a_role_is_one_of_awss(action: str) -> None:
    types_of(action)


def test_tags_of_a_task_are_a_right_of_their_own() -> None:
    body = {"cluster": "c", "taskDefinition": "job", "tags": [{"key": "workshop", "value": "w"}]}
    request = Request("ecs", "ecs:RunTask", json.dumps(body).encode(), {}, "us-east-1", ACCOUNT)
    [right] = identity_resources.tagging(request, "x")
    assert (right.action, right.resource_arn) == (
        "ecs:TagResource",
        f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/c/*",
    )
    assert right.context["aws:RequestTag/workshop"] == "w"
    assert right.context["ecs:CreateAction"] == "RunTask"
