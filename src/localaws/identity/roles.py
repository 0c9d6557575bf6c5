"""Roles that are handed to services: who may pass them (iam:PassRole), and whether they trust who takes them.

Try it:  aws ecs register-task-definition with a role that your policy doesn't let you pass
Which calls pass a role is from the pages of the Service Authorization Reference (operations that need
iam:PassRole). Knows requests and IAM's records; starts nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localaws import launchtemplates
from localaws.identity.resources import Request, Right

TASKS, FUNCTIONS, INSTANCES = "ecs-tasks.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"
SAGEMAKER = "sagemaker.amazonaws.com"
# action: (service that takes the role, where in the JSON body; [] is each of a list)
IN_BODY = {
    "ecs:RegisterTaskDefinition": (TASKS, ("taskRoleArn", "executionRoleArn")),
    "lambda:CreateFunction": (FUNCTIONS, ("Role",)),
    "lambda:UpdateFunctionConfiguration": (FUNCTIONS, ("Role",)),
    "events:PutRule": ("events.amazonaws.com", ("RoleArn",)),
    "events:PutTargets": ("events.amazonaws.com", ("Targets.[].RoleArn",)),
    "scheduler:CreateSchedule": ("scheduler.amazonaws.com", ("Target.RoleArn",)),
    "scheduler:UpdateSchedule": ("scheduler.amazonaws.com", ("Target.RoleArn",)),
    "states:CreateStateMachine": ("states.amazonaws.com", ("roleArn",)),
    "states:UpdateStateMachine": ("states.amazonaws.com", ("roleArn",)),
    "pipes:CreatePipe": ("pipes.amazonaws.com", ("RoleArn",)),
    "pipes:UpdatePipe": ("pipes.amazonaws.com", ("RoleArn",)),
    "sagemaker:CreateTrainingJob": (SAGEMAKER, ("RoleArn",)),
    "sagemaker:CreateModel": (SAGEMAKER, ("ExecutionRoleArn",)),
    "sagemaker:CreateEndpointConfig": (SAGEMAKER, ("ExecutionRoleArn",)),
}
# action: (service, names of form parameters that give a role's ARN)
IN_FORM = {
    f"cloudformation:{name}": ("cloudformation.amazonaws.com", "RoleARN")
    for name in ("CreateStack", "UpdateStack", "DeleteStack", "CreateChangeSet", "ContinueUpdateRollback")
}
LAUNCHING = {
    "autoscaling:CreateAutoScalingGroup",
    "autoscaling:UpdateAutoScalingGroup",
    "autoscaling:CreateLaunchConfiguration",
    "ec2:RunInstances",
    "ec2:AssociateIamInstanceProfile",
}
_PROFILE = re.compile(r"IamInstanceProfile(\.(Arn|Name))?$")


def passed(request: Request) -> list[Right]:
    """The right to pass each role that the request hands to a service."""
    if request.action in IN_BODY:
        service, paths = IN_BODY[request.action]
        roles = [role for path in paths for role in _at(request.document, path.split("."))]
    elif request.action in IN_FORM:
        service, name = IN_FORM[request.action]
        roles = [request.param(name)]
    elif request.action in ("ecs:RunTask", "ecs:StartTask", "ecs:CreateService", "ecs:UpdateService"):
        service, roles = TASKS, list(_of_task(request.document))
    elif request.action == "iam:AddRoleToInstanceProfile":
        service, roles = INSTANCES, [request.param("RoleName")]
    elif request.action in LAUNCHING:
        service, roles = INSTANCES, list(_of_instances(request))
    else:
        return []
    arns = dict.fromkeys(full_arn(role, request.account) for role in roles if role)
    return [Right("iam:PassRole", arn, {"iam:PassedToService": service}, "iam") for arn in arns]


def trusts(role_arn: str, service: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether the role is there and its trust policy lets a service assume it; always without enforcement.

    context: aws:SourceAccount and aws:SourceArn, what the service acts for.
    """
    import ministack.app
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region
    from ministack.services import iam

    if not ministack.app.AUTH:
        return True
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    role = iam._roles.get_scoped(account, None, name)
    if role is None or role["Arn"] != role_arn:
        return False
    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={
            "aws:sourceaccount": account,
            **{key.lower(): value for key, value in (context or {}).items()},
        },
    )
    answer = iam_evaluator.evaluate_resource_policy(role["AssumeRolePolicyDocument"], asked, service)
    return bool(answer.decision == "Allow")


def roles_of_profile(profile: str) -> list[str]:
    """The ARNs of an instance profile's roles; profile: its name or ARN."""
    from ministack.services import iam

    record = iam._instance_profiles.get(profile.rpartition("/")[2]) or {}
    return [iam._roles[name]["Arn"] for name in record.get("Roles") or [] if name in iam._roles]


def full_arn(role: str, account: str) -> str:
    """A role's ARN, which ECS lets a caller shorten to its name."""
    from ministack.services import iam

    if role.startswith("arn:"):
        return role
    return str((iam._roles.get(role) or {}).get("Arn") or f"arn:aws:iam::{account}:role/{role}")


def _of_task(given: dict[str, Any]) -> Iterator[str]:
    """The roles of the definition that is to run, as overrides change them."""
    from ministack.services import ecs

    if "taskDefinition" not in given:  # UpdateService, of something else
        return
    definition = ecs._task_defs.get(ecs._resolve_td_key(given["taskDefinition"]) or "") or {}
    overrides = given.get("overrides") or {}
    for name in ("taskRoleArn", "executionRoleArn"):
        yield overrides.get(name) or definition.get(name) or ""


def _of_instances(request: Request) -> Iterator[str]:
    """The roles of the instance profile that is named, by itself or by a launch template."""
    for name, value in request.params.items():
        if _PROFILE.search(name):
            yield from roles_of_profile(str(value[0] if isinstance(value, list) else value))
    template = _template(request)
    if template:
        given = launchtemplates.data(template).get("IamInstanceProfile") or {}
        yield from roles_of_profile(given.get("Arn") or given.get("Name") or "")


def _template(request: Request) -> dict[str, str]:
    """The launch template that a request names, by id."""
    from ministack.services import ec2

    found = {}
    for name in request.params:
        for field in ("LaunchTemplateId", "LaunchTemplateName", "Version"):
            if name.endswith(field) and "LaunchTemplate" in name:
                found[field] = request.param(name)
    if "LaunchTemplateName" in found and "LaunchTemplateId" not in found:
        named = found["LaunchTemplateName"]
        found["LaunchTemplateId"] = next(
            (key for key, each in ec2._launch_templates.items() if each["LaunchTemplateName"] == named), ""
        )
    return found if "LaunchTemplateId" in found else {}


def _at(document: Any, path: list[str]) -> Iterable[str]:
    if not path:
        return [document] if isinstance(document, str) else []
    if path[0] == "[]":
        each = document if isinstance(document, list) else []
        return [role for item in each for role in _at(item, path[1:])]
    return _at(document.get(path[0]), path[1:]) if isinstance(document, dict) else []
