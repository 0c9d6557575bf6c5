"""The world of the ECS tests with IAM asked: tasks have an execution role, instances a role of their own.

Not a test. The key `local` is the account's administrator.
"""

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path

from ecs_world import World, world

PULL_AND_LOG = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
)
AGENT = (
    "ecs:DiscoverPollEndpoint",
    "ecs:RegisterContainerInstance",
    "ecs:DeregisterContainerInstance",
    "ecs:Poll",
    "ecs:StartTelemetrySession",
    "ecs:SubmitAttachmentStateChanges",
    "ecs:SubmitContainerStateChange",
    "ecs:SubmitTaskStateChange",
    "ecs:UpdateContainerInstancesState",
)
INSTANCES = "instances"  # the profile for launch templates: without a role, an instance can't join a cluster


@contextlib.contextmanager
def enforced_world(folder: Path) -> Iterator[World]:
    """A furnished local AWS that asks IAM, and whose `register` names an execution role."""
    with world(folder, enforce=True) as made:
        execution = _role(made, "execution", "ecs-tasks.amazonaws.com", PULL_AND_LOG)
        register = functools.partial(made.register, executionRoleArn=execution)
        made.register = register  # type: ignore[method-assign]
        _role(made, INSTANCES, "ec2.amazonaws.com", AGENT)
        iam = made.client("iam")
        iam.create_instance_profile(InstanceProfileName=INSTANCES)
        iam.add_role_to_instance_profile(InstanceProfileName=INSTANCES, RoleName=INSTANCES)
        yield made


def _role(aws: World, name: str, service: str, actions: tuple[str, ...]) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_document(rights))
    return str(arn)


def _document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
