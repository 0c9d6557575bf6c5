"""The environment files of a container: objects of S3, read with the rights of the task's agent.

Try it:  "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::BUCKET/name.env"}] in a container definition
From the ECS developer guide, "Pass environment variables to an Amazon ECS container": lines NAME=VALUE, # begins
a comment, the first file that has a name wins, and the definition's own variables win over all files.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from localaws.ecs.agent import AgentRights
from localaws.engine import EngineError

Definition = Mapping[str, Any]
BUCKET = "arn:aws:s3:::"


class NoFile(EngineError):
    """A file is not there, so the container must not start without it."""

    kind = "ResourceInitializationError"


def read(definition: Definition, rights: AgentRights, account: str, region: str) -> dict[str, str]:
    """The variables of all the container's files. Errors: NoFile, or MayNotInitialize without the rights."""
    found: dict[str, str] = {}
    for each in definition.get("environmentFiles") or []:
        for name, value in _lines(_content(each["value"], rights, account, region)):
            found.setdefault(name, value)
    return found


def _content(arn: str, rights: AgentRights, account: str, region: str) -> str:
    from ministack.core.responses import request_scope
    from ministack.services import s3

    bucket, _, key = arn.removeprefix(BUCKET).partition("/")
    rights.refuse_file(bucket, key)
    with request_scope(account, region):
        content = s3._get_object_data(bucket, key)
    if content is None:
        raise NoFile(
            "failed to download env files: file download command: non empty error stream: service call has been "
            f"retried 1 time(s): NotFound: {arn}",
            f"aws s3 cp {key.rpartition('/')[2]} s3://{bucket}/{key}",
        )
    return content.decode(errors="replace")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and name.strip() and not line.startswith("#"):
            yield name.strip(), value


def problem(definition: Definition) -> str:
    """What AWS refuses of a container's files; empty if nothing."""
    for each in definition.get("environmentFiles") or []:
        value = str(each.get("value") or "")
        if each.get("type") != "s3" or not value.startswith(BUCKET):
            return f"The environment file '{value}' must be of type s3 and named by the object's ARN."
        if not value.endswith(".env"):
            return f"The environment file '{value}' must have a .env file extension."
    return ""
