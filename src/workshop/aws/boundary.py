"""The permissions boundary of the course's roles: there before a stack makes a role, gone with what made it.

Try it:  aws iam get-policy --policy-arn arn:aws:iam::123456789012:policy/workshop-boundary
A learner may make roles, but only confined ones (cloudformation/README.md says why), so what confines them is
an administrator's: locally the local AWS has it from its start. In an account of one's own there is nobody
else, and it is made here, with a tag that lets the clean-up know. Knows not what the document says.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from workshop import policies
from workshop.aws.failures import explained, message_of
from workshop.aws.session import Aws
from workshop.errors import AwsError

TAG = {"Key": "made-by", "Value": "workshop"}


def ensure(aws: Aws) -> None:
    """Make the policy if the account has none by its name.

    Errors: AwsError with what to ask an administrator for, if the caller may not make it.
    """
    if _find(aws) is not None:
        return
    request = {
        "PolicyName": policies.boundary_name(aws.name),
        "PolicyDocument": policies.text(policies.BOUNDARY, aws.settings),
        "Description": "The most that a role of the course may do",
        "Tags": [TAG],
    }
    try:
        aws.client("iam").create_policy(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise AwsError(
                f"could not make the policy {request['PolicyName']}: {message_of(error)}"
            ) from error
        path = policies.path(policies.BOUNDARY, aws.settings.root).relative_to(aws.settings.root)
        raise AwsError(
            f"the account has no policy '{request['PolicyName']}', which confines the course's roles, and you "
            "may not make it",
            "an administrator does so once: "
            f"aws iam create-policy --policy-name {request['PolicyName']} --policy-document file://{path}",
        ) from error


def remove(aws: Aws) -> bool:
    """Delete the policy if `ensure` made it; False if it did not. An administrator's stays."""
    found = _find(aws)
    if found is None or TAG not in found.get("Tags", []):
        return False
    with explained(f"delete the policy {found['PolicyName']}"):
        aws.client("iam").delete_policy(PolicyArn=found["Arn"])
    return True


def _find(aws: Aws) -> dict[str, Any] | None:
    arn = f"arn:{_partition(aws)}:iam::{aws.account}:policy/{policies.boundary_name(aws.name)}"
    iam = aws.client("iam")
    try:
        found: dict[str, Any] = iam.get_policy(PolicyArn=arn)["Policy"]
    except iam.exceptions.NoSuchEntityException:
        return None
    except ClientError as error:
        raise AwsError(f"could not look for the policy {arn}: {message_of(error)}") from error
    return found


def _partition(aws: Aws) -> str:
    return str(aws.session.get_partition_for_region(aws.region))
