"""Plan a stack's change: make the change set, wait until CloudFormation has read it.

Try it:  from workshop.aws import stacks; stacks.deploy("network")     (a second time: nothing to change)
Does not carry the change out. Knows nothing of what a template holds.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from workshop.aws import waiting
from workshop.aws.failures import explained, message_of
from workshop.aws.session import Aws
from workshop.aws.stack_events import refused_early
from workshop.errors import AwsError

PROJECT = "ecs-deep-learning-workshop"
PLAN_TIMEOUT_SECONDS = 300


def plan(name: str, body: str, values: list[dict[str, Any]], exists: bool, aws: Aws) -> str | None:
    """Make a change set, wait for it and return its ARN; None if it would change nothing.

    Errors: AwsError with CloudFormation's reason if it refuses the template or a parameter.
    """
    cloudformation = aws.client("cloudformation")
    request = {
        "StackName": name,
        "ChangeSetName": f"{name}-change",
        "ChangeSetType": "UPDATE" if exists else "CREATE",
        "TemplateBody": body,
        "Parameters": values,
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{"Key": "workshop", "Value": aws.name}, {"Key": "Project", "Value": PROJECT}],
    }
    with explained(f"plan the change of {name}"):
        _forget(cloudformation, request)
        arn = cloudformation.create_change_set(**request)["Id"]

    def planned() -> dict[str, Any] | None:
        with explained(f"plan the change of {name}"):
            answer = cloudformation.describe_change_set(StackName=name, ChangeSetName=arn)
        return answer if answer["Status"] in ("CREATE_COMPLETE", "FAILED") else None

    answer = waiting.until(planned, PLAN_TIMEOUT_SECONDS, f"the change set of {name}")
    if answer["Status"] == "CREATE_COMPLETE":
        return str(arn)
    reason = answer.get("StatusReason", "")
    if "Validation" in reason:
        found = refused_early(aws, ChangeSetName=str(arn))
        reason = "; ".join(f"{each.logical_id} ({each.type}): {each.reason}" for each in found) or reason
    with explained(f"delete the change set of {name}"):
        cloudformation.delete_change_set(StackName=name, ChangeSetName=arn)
        if not exists:
            cloudformation.delete_stack(StackName=name)  # the empty REVIEW_IN_PROGRESS stack
    if "didn't contain changes" in reason or "No updates" in reason:
        return None
    raise AwsError(f"CloudFormation refuses the change of {name}: {reason}")


def _forget(cloudformation: Any, request: dict[str, Any]) -> None:
    """A change set left by an interrupted deployment has our name: AWS would refuse a second one."""
    try:
        cloudformation.delete_change_set(
            StackName=request["StackName"], ChangeSetName=request["ChangeSetName"]
        )
    except ClientError as error:
        if "does not exist" not in message_of(error) and "not exist" not in message_of(error):
            raise
