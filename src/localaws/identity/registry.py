"""Who pushes and pulls: the registry's logins, and the rights that each of its requests needs.

Try it:  aws ecr get-login-password | docker login --username AWS --password-stdin 127.0.0.1:4566
A password from GetAuthorizationToken stands for whoever asked for it, for twelve hours; this server's own, for
the Docker engine, whose pulls were decided on before as the execution role's. Which action a request of the
registry's protocol is: ECR user guide, "Private repository policies", and its page on pushing an image. Knows
the paths, nothing of layers.
"""

import base64
import secrets
import time
from collections.abc import Mapping
from typing import Any

from localaws import identity

USER = "AWS"
VALID_SECONDS = 12 * 3600
LINK_SECONDS = 3600
GRANT = "grant"
# (verb as ministack names it, method): action
ACTIONS = {
    ("blob", "HEAD"): "BatchCheckLayerAvailability",
    ("blob", "GET"): "GetDownloadUrlForLayer",
    ("blob_uploads", "POST"): "InitiateLayerUpload",
    ("blob_upload_session", "GET"): "UploadLayerPart",
    ("blob_upload_session", "PATCH"): "UploadLayerPart",
    ("blob_upload_session", "PUT"): "CompleteLayerUpload",
    ("blob_upload_session", "DELETE"): "UploadLayerPart",
    ("manifest", "GET"): "BatchGetImage",
    ("manifest", "HEAD"): "BatchGetImage",
    ("manifest", "PUT"): "PutImage",
    ("manifest", "DELETE"): "BatchDeleteImage",
    ("tags_list", "GET"): "ListImages",
    ("catalog", "GET"): "DescribeRepositories",
}
OWN = "arn:aws:iam::000000000000:root"  # this server, not anybody of the account


class Logins:
    """Passwords that were given out, and links to single layers."""

    def __init__(self) -> None:
        self._principals: dict[str, tuple[str, float]] = {}
        self._links: dict[str, tuple[str, float]] = {}
        self.own = self.password(OWN, float("inf"))

    def password(self, principal_arn: str, valid_seconds: float = VALID_SECONDS) -> str:
        """A new password for a principal."""
        given = secrets.token_urlsafe(48)
        self._forget()
        self._principals[given] = (principal_arn, time.time() + valid_seconds)
        return given

    def principal(self, authorization: str) -> str | None:
        """Who a Basic Authorization header stands for; None for nobody."""
        kind, _, given = authorization.partition(" ")
        try:
            password = base64.b64decode(given).decode().partition(":")[2] if kind == "Basic" else ""
        except ValueError:
            return None
        found = self._principals.get(password)
        return found[0] if found and found[1] > time.time() else None

    def link(self, path: str) -> str:
        """The path with what lets anybody read it for an hour, as a presigned address does on AWS."""
        given = secrets.token_urlsafe(24)
        self._forget()
        self._links[given] = (path, time.time() + LINK_SECONDS)
        return f"{path}?{GRANT}={given}"

    def opens(self, path: str, given: str) -> bool:
        """Whether a link's secret is for this path, and its hour not over."""
        found = self._links.get(given)
        return bool(found and found[0] == path and found[1] > time.time())

    def _forget(self) -> None:
        now = time.time()
        for store in (self._principals, self._links):
            for key in [key for key, (_, until) in list(store.items()) if until < now]:
                store.pop(key, None)


logins = Logins()


def own_login() -> dict[str, str]:
    """What the Docker engine logs in with."""
    return {"username": USER, "password": logins.own}


def admits(authorization: str) -> bool:
    """Whether somebody with a login sends this; what others send is not even kept. All without enforcement."""
    import ministack.app

    return not ministack.app.AUTH or logins.principal(authorization) is not None


def install() -> None:
    """Take the place of ministack's token, and stand before its registry; nothing without enforcement."""
    import ministack.app

    if not ministack.app.AUTH:
        return
    from ministack.services import ecr

    ecr._get_authorization_token = _get_authorization_token
    original = ecr.handle_registry_request

    async def handle(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        refused = _refusal(method, path, headers or {}, query)
        return refused or await original(method, path, headers, body, _readable(headers or {}, query))

    ecr.handle_registry_request = handle


def _get_authorization_token(data: Mapping[str, Any]) -> Any:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import ecr

    password = logins.password(iam_evaluator.caller_arn())
    entry = {
        "authorizationToken": base64.b64encode(f"{USER}:{password}".encode()).decode(),
        "expiresAt": int(time.time()) + VALID_SECONDS,
        "proxyEndpoint": f"https://{get_account_id()}.dkr.ecr.{get_region()}.amazonaws.com",
    }
    return ecr.json_response({"authorizationData": [entry]})


def _refusal(method: str, path: str, headers: Mapping[str, str], query: Any) -> Any:
    """What the registry answers to somebody without a login or without the right; None to all others."""
    from ministack.services import ecr

    parsed = ecr._parse_v2_path(path)
    lower = {key.lower(): value for key, value in headers.items()}
    given = (query or {}).get(GRANT)
    if given and method == "GET" and logins.opens(path, given[0] if isinstance(given, list) else given):
        return None
    principal = logins.principal(lower.get("authorization", ""))
    if principal is None:
        status, answer, body = ecr._registry_error(401, "UNAUTHORIZED", "Not Authorized")
        challenge = f'Basic realm="http://{lower.get("host", "")}/",service="ecr.amazonaws.com"'
        return status, {**answer, "Www-Authenticate": challenge}, body
    if parsed is None or principal == OWN or parsed[0] == "ping":
        return None
    verb, repository, _ = parsed
    action = ACTIONS.get((verb, method.upper()))
    if action is None:
        return None  # the registry refuses it by itself
    ecr._select_registry_request_scope(repository, lower, query)
    denied = identity.authorize(principal, f"ecr:{action}", _arn(repository or "*"))
    return ecr._registry_error(403, "DENIED", denied.message) if denied else None


def _readable(headers: Mapping[str, str], query: Any) -> Any:
    """A request without its wish to have a layer of another repository, if its sender may not read there.

    It is then an upload like any other, which is what the registry's protocol has a client go on with.
    """
    source = (query or {}).get("from")
    lower = {key.lower(): value for key, value in headers.items()}
    principal = logins.principal(lower.get("authorization", ""))
    if not source or principal in (None, OWN):
        return query
    name = source[0] if isinstance(source, list) else source
    if not identity.authorize(str(principal), "ecr:GetDownloadUrlForLayer", _arn(name)):
        return query
    return {key: value for key, value in query.items() if key != "from"}


def _arn(repository: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{repository}"
