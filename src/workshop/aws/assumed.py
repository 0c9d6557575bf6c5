"""Take on a role for a while: the variables that give another program its rights and no others.

Try it:  from workshop.aws import assumed; sorted(assumed.variables("AirflowRoleArn", "try-it"))
Knows no role by itself: the stack's output names it.
"""

from __future__ import annotations

import re

from workshop.aws import session, stacks
from workshop.aws.failures import explained
from workshop.aws.session import Aws

# The longest that AWS gives to whoever is already a session of a role.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html (role chaining)
DURATION_SECONDS = 3600


def variables(role_output: str, name: str, aws: Aws | None = None) -> dict[str, str]:
    """Variables for a program that acts with the role of this stack output for the next hour.

    name: of the session, in every record that AWS keeps of what it does.
    """
    aws = aws or session.current()
    arn = stacks.output(role_output, aws)
    with explained(f"take on the role {arn.rpartition('/')[2]}"):
        answer = aws.client("sts").assume_role(
            RoleArn=arn, RoleSessionName=_session_name(name), DurationSeconds=DURATION_SECONDS
        )
    given = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def _session_name(name: str) -> str:
    """What STS takes for one: at most 64 characters, and not all of them (API reference, RoleSessionName)."""
    return re.sub(r"[^A-Za-z0-9_+=,.@-]", "-", name)[:64]
