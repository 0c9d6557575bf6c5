"""Who holds the course's policies: the learner, every role that the stacks made, and the workflow's role.

Try it:  python -m benchmarks policy_mutations
Policies are read where they hold: the learner's in the repository, a role's from IAM. Judges nothing.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks._policy_replay import Document, Holder

LEARNER = ("learner", "learner-service", "learner-sagemaker")
BOUNDARY = "boundary"
LEARNER_ROLE = "workshop-learner"


def learner(root: Path) -> Holder:
    """The learner's role with the policies in the repository."""
    return Holder(LEARNER_ROLE, {name: _read(name, root) for name in LEARNER})


def roles(aws: Any) -> list[Holder]:
    """The roles that the course's stacks have made, with their policies as they are now."""
    iam, found = aws.client("iam"), []
    boundary = _read(BOUNDARY, aws.settings.root)
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            if not name.startswith(f"{aws.name}-") or name == LEARNER_ROLE:
                continue
            policies: dict[str, Document] = {}
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                answer = iam.get_role_policy(RoleName=name, PolicyName=policy)
                policies[f"{_logical(name)}/{policy}"] = answer["PolicyDocument"]
            found.append(Holder(name, policies, boundary))
    return found


def deploy_role(aws: Any, within: str) -> Holder:
    """The role of the deploy workflow, which only an administrator makes: its template with the stacks' outputs.

    within: the window in which the learner plays its part.
    """
    from workshop.aws import stacks, templates

    values = {**stacks.outputs(None, aws), "WorkshopName": aws.name}
    template = templates.read("deploy-role", aws.settings.root, **values)
    [policy] = template.resources["DeployRole"]["Properties"]["Policies"]
    text = json.dumps(template.resolve(policy["PolicyDocument"]))
    for name, value in (("Partition", "aws"), ("Region", aws.region), ("AccountId", aws.account)):
        text = text.replace(f"${{AWS::{name}}}", value)
    policies = {f"DeployRole/{policy['PolicyName']}": json.loads(text)}
    return Holder(LEARNER_ROLE, policies, _read(BOUNDARY, aws.settings.root), within)


def _read(policy: str, root: Path) -> Document:
    return dict(json.loads((root / "cloudformation" / f"{policy}-policy.json").read_text()))


def _logical(role_name: str) -> str:
    """ExecutionRole of workshop-cluster-ExecutionRole-87AA24F133502."""
    return role_name.rsplit("-", 1)[0].rsplit("-", 1)[-1]
