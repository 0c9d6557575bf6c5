"""The role that SageMaker does a job with: is it there, what may it do, and a client with a session of it.

Try it:  take s3:GetObject out of a training job's role and start one: its FailureReason says so
Everything that SageMaker itself does for a job in S3, ECR, CloudWatch and Logs it does as the job's role
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html). Knows no job.
"""

import functools
import threading
from collections.abc import Mapping
from typing import Any

from localaws import identity
from localaws.ecs import taskcredentials
from localaws.identity import roles as identity_roles
from localaws.sagemaker.context import Context
from localaws.sagemaker.refusals import Refused, invalid

PRINCIPAL = identity_roles.SAGEMAKER
SESSION = "SageMaker"  # what AWS calls it, as CloudTrail and messages about missing rights show
_making = threading.Lock()


def check(role_arn: str) -> None:
    """Refuse a role that is not there or does not trust SageMaker, as the Create* calls do."""
    if role_arn.split(":")[4] != _account() or not trusted(role_arn):
        raise cannot_assume(role_arn)


def trusted(role_arn: str) -> bool:
    """Whether SageMaker can assume the role now."""
    return identity_roles.trusts(role_arn, PRINCIPAL)


def cannot_assume(role_arn: str) -> Refused:
    return invalid(
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
        f"'{PRINCIPAL}' to assume the role."
    )


def session_arn(role_arn: str) -> str:
    """The principal that SageMaker and the job's container are."""
    return identity.session_arn(role_arn, SESSION)


def denied(
    role_arn: str, action: str, resource_arn: str = "*", context: Mapping[str, Any] | None = None
) -> str | None:
    """Why the role may not do something, in AWS's words; None if it may."""
    found = identity.authorize(session_arn(role_arn), action, resource_arn, context)
    return found.message if found else None


def client(context: Context, role_arn: str, service: str = "s3") -> Any:
    """A client of this server with a new session of the role, in the region of the calling context.

    Not for the event loop, which would wait for itself. The session is good for some hours.
    """
    from botocore.config import Config
    from ministack.core.responses import get_region

    given = taskcredentials.session(role_arn, SESSION)
    # One after the other: a session of botocore's may not make two clients at once.
    with _making:
        return _botocore().create_client(
            service,
            region_name=get_region(),
            endpoint_url=context.endpoint,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["Token"],
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )


@functools.cache
def _botocore() -> Any:
    from botocore.session import Session

    return Session()


def _account() -> str:
    from ministack.core.responses import get_account_id

    return str(get_account_id())
