"""Turn what boto3 raises into errors with a remedy.

Try it:  with explained("read the stack"): client.describe_stacks(StackName="none")
Knows only codes that a person can act on; every other answer of AWS is passed on in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from workshop.aws import denials
from workshop.errors import AwsError, TargetError, WorkshopError

# A stack that is there is not made again, even if something of it was deleted by hand.
STORAGE_AGAIN = "workshop prepare 2   (if it was deleted by hand: workshop clean --all before that)"
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
REMEDIES = {
    **dict.fromkeys(DENIED, "add the right named above to the policy of whoever made this call"),
    "ExpiredToken": "sign in again: aws sso login",
    "ExpiredTokenException": "sign in again: aws sso login",
    "InvalidClientTokenId": "check which credentials are in use: aws sts get-caller-identity",
    "NoSuchBucket": STORAGE_AGAIN,
    "ClusterNotFoundException": "workshop prepare 3   (makes the cluster stack)",
    "RepositoryNotFoundException": STORAGE_AGAIN,
    "ThrottlingException": "wait a minute and try again",
    "Throttling": "wait a minute and try again",
}


def code_of(error: ClientError) -> str:
    """AWS's error code, such as NoSuchBucket."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(error: ClientError) -> bool:
    """Whether IAM has refused: the same call is refused again."""
    return code_of(error) in DENIED


def message_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", "") or error)


def as_aws_error(error: ClientError, doing: str) -> AwsError:
    code = code_of(error)
    message = message_of(error)
    known = denials.remedy(message) or REMEDIES.get(code, "")
    if not known and NO_ENDPOINT.search(message):
        known = "workshop run 8"
    return AwsError(f"could not {doing}: {code}: {message}", known)


# What InvokeEndpoint says with the code ValidationError, which says too little by itself.
NO_ENDPOINT = re.compile(r"Endpoint \S+ of account \d+ not found")
NO_ANSWER = (EndpointConnectionError, ConnectionClosedError, ReadTimeoutError)


def expected(error: Exception, doing: str) -> WorkshopError | None:
    """Give what boto3 raised its remedy: a refusal is an AwsError, no answer a TargetError; None for others."""
    if isinstance(error, Boto3Error):  # S3UploadFailedError and its like hold what AWS said as their context
        within = error.__context__
        return (expected(within, doing) if isinstance(within, Exception) else None) or AwsError(
            f"could not {doing}: {error}"
        )
    if isinstance(error, ClientError):
        return as_aws_error(error, doing)
    if isinstance(error, NO_ANSWER):
        return TargetError(
            f"could not {doing}: AWS does not answer ({error})",
            "workshop up, then the same again: a run goes on with --resume",
        )
    if isinstance(error, NoCredentialsError):
        return TargetError(f"could not {doing}: there are no AWS credentials", "aws sso login")
    return AwsError(f"could not {doing}: {error}") if isinstance(error, BotoCoreError) else None


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Run AWS calls; a refusal becomes AwsError('could not <doing>: …'), no connection a TargetError."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise expected(error, doing) or error from error
