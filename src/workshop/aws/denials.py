"""Say where a missing right belongs: which file names it, and what makes it count.

Try it:  workshop run train-images-mxnet --on ecs, with s3:PutObject taken out of JobTaskRole
Knows IAM's sentence and how CloudFormation names roles: STACK-LOGICALID-SUFFIX. Makes no call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LEARNER = "workshop-learner"
POLICIES = "cloudformation"
# Only one of the learner's documents has rights of these services, and there is room for more of them.
OF_SERVICES = {
    **dict.fromkeys(
        ("application-autoscaling", "cloudwatch", "elasticloadbalancing", "servicequotas"), "-service"
    ),
    **dict.fromkeys(("apigateway", "sagemaker"), "-sagemaker"),
}
_DENIED = re.compile(
    r"User: (?P<principal>arn:[^ ]+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^ \"]+)\"?)?"
    r"(?: because no (?P<missing>[\w -]+?) allows| with an explicit deny in (?:an? )?(?P<denying>[\w -]+))?"
)
# STACK is PREFIX-CONCERN, and a concern that has roles is one word, but for one.
_STACK_ROLE = re.compile(
    r"(?P<prefix>[a-z][a-z0-9-]*?)-(?P<concern>deploy-role|[a-z]+)-(?P<logical>[A-Z]\w+)-[A-Za-z0-9]+$"
)


@dataclass(frozen=True)
class Denial:
    """What IAM refused. `policy` is the kind of policy that lacks the right, or that denies it."""

    role: str
    action: str
    resource: str
    policy: str
    explicit: bool


def read(text: str) -> Denial | None:
    """The last refusal of IAM's in a text; None if there is none."""
    found = list(_DENIED.finditer(text))
    if not found:
        return None
    given = found[-1].groupdict()
    name = given["principal"].partition(":assumed-role/")[2].partition("/")[0]
    return Denial(
        role=name or given["principal"].rpartition("/")[2],
        action=given["action"],
        resource=given["resource"] or "*",
        policy=given["denying"] or given["missing"] or "identity-based policy",
        explicit=given["denying"] is not None,
    )


def remedy(text: str) -> str | None:
    """What mends the last refusal in a text; None if it has none."""
    denial = read(text)
    if denial is None:
        return None
    if "boundary" in denial.policy:
        place, then = f"{POLICIES}/boundary-policy.json", "workshop up (on AWS: whoever keeps that policy)"
    elif "resource-based" in denial.policy:
        return f"look at the policy of {denial.resource} itself: it decides on {denial.action} too"
    elif denial.role == LEARNER:
        place = f"{POLICIES}/learner{OF_SERVICES.get(denial.action.partition(':')[0], '')}-policy.json"
        then = "workshop up"
    else:
        matched = _STACK_ROLE.match(denial.role)
        if matched is None:
            own = f"the policy of the role or user {denial.role}"
            return f"{_change(denial)} {own}; {POLICIES}/learner-policy.json has all that the labs need"
        concern = matched["concern"]
        place = f"{matched['logical']} in {POLICIES}/{concern}.yaml"
        then = f"python -c \"from workshop.aws import stacks; stacks.deploy('{concern}')\""
    return f"{_change(denial)} {place}, then: {then}"


def _change(denial: Denial) -> str:
    if denial.explicit:
        return f"take the denial of {denial.action} out of"
    where = "" if denial.resource == "*" else f" on {denial.resource}"
    return f"add {denial.action}{where} to"
