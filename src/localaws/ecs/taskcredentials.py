"""Temporary credentials of a task's own role, served as on AWS at a path that only the task knows.

Try it:  run a task that calls `aws sts get-caller-identity`
Knows roles' ARNs and session tokens; whether a role may do something is for IAM to say.
"""

import json
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from localaws import identity
from localaws.identity import roles as identity_roles

PATH = "/v2/credentials/"
VALID_SECONDS = 6 * 3600  # as on AWS; the SDKs ask again before the end
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Grant:
    """A container's right to ask for its role. principal: the service that assumes it."""

    role_arn: str
    owner: str
    session: str
    principal: str
    token: str


class TaskCredentials:
    """Grants by path; a task that has stopped has none."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def install(self) -> None:
        """Answer the path instead of ministack, whose keys belong to no role."""
        import ministack.app

        ministack.app.SERVICE_HANDLERS["imds"] = self._answering()

    def grant(
        self, role_arn: str, owner: str, session: str = "", principal: str = identity_roles.TASKS
    ) -> tuple[str, str]:
        """(path, authorization token) for a container of the owner, a task; its session is called as the task is."""
        path, token = PATH + secrets.token_hex(16), secrets.token_urlsafe(32)
        grant = Grant(role_arn, owner, session or owner, principal, token)
        with self._lock:
            self._grants[path] = grant
        return path, grant.token

    def revoke(self, owner: str) -> None:
        """Forget an owner's grants."""
        with self._lock:
            self._grants = {path: each for path, each in self._grants.items() if each.owner != owner}

    def _answering(self) -> Callable[..., Awaitable[Any]]:
        async def answer(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
            if path.startswith(PATH):
                return self.answer(path, headers.get("authorization", ""))
            # Instances are records: ministack would answer for one that is not there.
            return 404, {"Content-Type": "text/plain"}, b"there is no instance metadata"

        return answer

    def answer(self, path: str, token: str) -> Answer:
        """The credentials document, or why not."""
        with self._lock:
            grant = self._grants.get(path)
        if not grant or not secrets.compare_digest(grant.token.encode(), token.encode()):
            return 403, {"Content-Type": "application/json"}, b'{"message":"no task has these credentials"}'
        if not identity_roles.trusts(grant.role_arn, grant.principal):
            # Since the task began the role was deleted, or trusts the service no longer.
            body = json.dumps({"message": f"the role {grant.role_arn} can't be assumed"})
            return 400, {"Content-Type": "application/json"}, body.encode()
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps(session(grant.role_arn, grant.session)).encode(),
        )


def session(role_arn: str, name: str) -> dict[str, str]:
    """A session of the role, registered so that requests signed with it are known."""
    from ministack.services import iam, sts

    key, secret = iam._gen_session_access_key(), iam._gen_secret()
    token = iam._gen_session_token()
    sts.register_session(
        key,
        {
            "Arn": identity.session_arn(role_arn, name),
            "UserId": f"AROA{secrets.token_hex(8).upper()}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + VALID_SECONDS,
        },
    )
    return {
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": iam._future(VALID_SECONDS),
        "RoleArn": role_arn,
    }
