"""Who calls, and what that principal may do: IAM's decisions on requests, and on what we do ourselves on
behalf of a role.

Try it:  aws sts get-caller-identity; then call something that the learner's policy does not name
The key `local` is a session of the learner's role, whose only policy is the document that the server was
started with; without one it is an administrator's. ministack's root key, which may do everything, is random
and stays in this process. Which action and resource a request is about, `requests` says. Knows no service.
"""

import contextvars
import functools
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.errors import BadPolicy

LEARNER_KEY = LEARNER_SECRET = "local"
LEARNER_ROLE, ADMINISTRATOR_ROLE = "workshop-learner", "administrator"
LEARNER_SESSION = "local"
LOOPBACK = "127.0.0.1"
POLICY_NAME = "policy"
OURS = "What the access key `local` stands for"
# AWS's limit for all inline policies of a role together, white space not counted (IAM quotas).
POLICY_LIMIT_CHARACTERS = 10_240
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
Context = Mapping[str, Any]
Policy = dict[str, Any]


@dataclass(frozen=True)
class Denied:
    """A refusal. `reason` ends AWS's sentence: which kind of policy is missing, or which one denies."""

    principal_arn: str
    action: str
    resource_arn: str
    reason: str

    @property
    def message(self) -> str:
        """AWS's words (IAM user guide, "Troubleshoot access denied error messages")."""
        return (
            f"User: {self.principal_arn} is not authorized to perform: {self.action} "
            f"on resource: {self.resource_arn} {self.reason}"
        )


def root_credentials() -> tuple[str, str]:
    """A key and a secret for ministack's root, which nobody can guess."""
    return f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)


def read_policy(path: Path | None, most_characters: int = POLICY_LIMIT_CHARACTERS) -> Policy | None:
    """A policy document; None without a file. most_characters: white space not counted.

    Errors: BadPolicy if it is not there, not JSON, not a policy, or longer than IAM allows.
    """
    if path is None:
        return None
    try:
        text = path.read_text()
        document: Policy = json.loads(text)
    except (OSError, ValueError) as error:
        raise BadPolicy(f"the policy {path} can't be read: {error}", f"mend {path}") from error
    from ministack.core.iam_evaluator import validate_policy_document

    problem = validate_policy_document(document)
    characters = len("".join(text.split()))
    if not problem and characters > most_characters:
        problem = f"it has {characters} characters, and one of its kind may have {most_characters}"
    if problem:
        raise BadPolicy(f"the policy {path} is not one that IAM takes: {problem}", f"mend {path}")
    return document


def install() -> None:
    """Take from ministack the keys that everybody knows, and have refusals say what AWS says."""
    from ministack.core import iam_evaluator
    from ministack.services import sts

    iam_evaluator.is_root_access_key = sts.is_root_access_key = _is_root
    iam_evaluator.evaluate = _telling_reason(iam_evaluator.evaluate)
    iam_evaluator._permissions_boundary = _as_boundary(iam_evaluator._permissions_boundary)
    sts._evict_expired_sessions = _evict_expired_sessions
    iam_evaluator.parse_policy_document = _once_a_text(iam_evaluator.parse_policy_document)


def admit_learner(account: str, policy: Policy | None, attached: Sequence[str] = ()) -> None:
    """Make the learner's role and its session; after ministack has restored the roles of a former server.

    attached: names of managed policies, which are there already.
    """
    from ministack.core.responses import request_scope

    name = LEARNER_ROLE if policy else ADMINISTRATOR_ROLE
    with request_scope(account, ""):
        _forget_role(ADMINISTRATOR_ROLE if policy else LEARNER_ROLE)
        _put_role(name, account, policy or EVERYTHING, attached)
    role_arn = f"arn:aws:iam::{account}:role/{name}"
    _register(LEARNER_KEY, LEARNER_SECRET, session_arn(role_arn, LEARNER_SESSION))


def session_arn(role_arn: str, session: str) -> str:
    """The principal that acts with a role under the name of a session; a role's path is no part of it."""
    account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    return f"arn:aws:sts::{account}:assumed-role/{name}/{session}"


def authorize(
    principal_arn: str, action: str, resource_arn: str = "*", context: Context | None = None
) -> Denied | None:
    """Whether a principal may do something, by its policies, its boundary and the resource's own policy.

    principal_arn: a role, an assumed role (arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION), a user or root.
    resource_arn: "*" where the action knows no resource. context: condition keys beside the global ones, such
    as {"iam:PassedToService": "ecs-tasks.amazonaws.com"}.
    Returns None if allowed, and always while IAM is not enforced. A role that is gone may do nothing.
    """
    import ministack.app
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_region, request_scope

    service, region, account = action.partition(":")[0], get_region(), principal_arn.split(":")[4]
    # All of the ARN: a session may be called "me:root" by whoever assumes its role.
    if not ministack.app.AUTH or principal_arn == f"arn:aws:iam::{account}:root":
        return None

    def ask() -> Any:
        iam_evaluator.pin_request_origin(LOOPBACK, True)
        with request_scope(account, region):
            key = _key_of(principal_arn)
            return iam_evaluator.enforce(key, action, service, region, resource_arn, dict(context or {}))

    # In a context of its own: whatever request this thread works for is not authenticated once more as this one.
    return denial(contextvars.Context().run(ask), action, resource_arn, principal_arn)


def denial(answer: Any, action: str, resource_arn: str, principal_arn: str = "") -> Denied | None:
    """What ministack's evaluator answered, as ours."""
    if answer is None:
        return None
    if not hasattr(answer, "decision"):  # not a decision: nobody has this key
        return Denied(principal_arn, action, resource_arn, f"because {answer.message}")
    kind = answer.reason if answer.reason in (BOUNDARY, SESSION) else "identity-based policy"
    if answer.resource_policy_arn:
        kind = "resource-based policy"
    if answer.decision == "Deny":
        reason = f"with an explicit deny in {'an' if kind[0] == 'i' else 'a'} {kind}"
    else:
        reason = f"because no {kind} allows the {action} action"
    return Denied(answer.principal_arn or principal_arn, action, resource_arn, reason)


BOUNDARY, SESSION = "permissions boundary", "session policy"


class _Boundary(list[Any]):
    """A permissions boundary among a principal's limits; the others are session policies."""


def _as_boundary(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    return lambda *arguments: [_Boundary(each) for each in original(*arguments)]


def _telling_reason(original: Callable[..., Any]) -> Callable[..., Any]:
    """Note in a refusal which kind of policy it comes from."""

    def evaluate(context: Any, policies: Any, *limits: Any) -> Any:
        answer = original(context, policies, *limits)
        if answer.decision != "Allow" and limits:
            wanted = "Deny" if answer.decision == "Deny" else "ImplicitDeny"
            if original(context, policies).decision != wanted:
                guilty = next(each for each in limits if original(context, each).decision == wanted)
                answer.reason = BOUNDARY if isinstance(guilty, _Boundary) else SESSION
        return answer

    return evaluate


def _once_a_text(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """ministack reads each policy anew with every call: 0.05 of the 0.08 ms of a decision."""
    remembered = functools.lru_cache(maxsize=1024)(original)
    return lambda document: remembered(document) if isinstance(document, str) else original(document)


def _is_root(access_key_id: str) -> bool:
    """ministack's root: our random key, and no key at all, which is its services' word for themselves.

    An unsigned request gets nowhere by that: `enforce` refuses it before, and S3 knows it as anonymous.
    """
    return not access_key_id or secrets.compare_digest(
        access_key_id.encode(), os.environ["AWS_ACCESS_KEY_ID"].encode()
    )


def _put_role(name: str, account: str, policy: Policy, attached: Sequence[str]) -> None:
    from ministack.services import iam

    root = f"arn:aws:iam::{account}:root"
    trust = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}
    if name not in iam._roles:
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        wanted = {"RoleName": name, "AssumeRolePolicyDocument": document, "Description": OURS}
        iam._create_role({key: [value] for key, value in wanted.items()})
    role = iam._roles[name]
    role["InlinePolicies"] = {POLICY_NAME: json.dumps(policy)}
    role["AttachedPolicies"] = [f"arn:aws:iam::{account}:policy/{each}" for each in attached]


def _forget_role(name: str) -> None:
    """Take away the role that a former server's key stood for, and no other of that name."""
    from ministack.services import iam

    if (iam._roles.get(name) or {}).get("Description") == OURS:
        iam._roles.pop(name)


def _key_of(principal_arn: str) -> str:
    """An access key for a principal that we act for: no secret leaves this process."""
    from ministack.services import sts

    arn = session_arn(principal_arn, "localaws") if ":role/" in principal_arn else principal_arn
    key = _keys.setdefault(arn, f"ASIA{secrets.token_hex(8).upper()}")
    if key not in sts._sessions:
        _register(key, secrets.token_urlsafe(30), arn, secrets.token_urlsafe(30))
    return key


_keys: dict[str, str] = {}


def _register(key: str, secret: str, arn: str, token: str | None = None) -> None:
    from ministack.services import iam, sts

    name = arn.split("/")[1]
    kind = "User" if ":user/" in arn else "AssumedRole"
    role_id = (iam._roles.get_scoped(arn.split(":")[4], None, name) or {}).get("RoleId", "AROA")
    session: dict[str, str | None] = {
        "Arn": arn,
        "UserId": f"{role_id}:{arn.rpartition('/')[2]}",
        "PrincipalType": kind,
    }
    session |= {"SecretAccessKey": secret, "SessionToken": token}
    sts.register_session(key, session)


def _evict_expired_sessions() -> None:
    """As ministack's, which fails when another thread adds a session meanwhile."""
    from ministack.services import sts

    now = time.time()
    for key, session in list(sts._sessions.items()):
        if (session.get("Expiration") or now) < now:
            sts._sessions.pop(key, None)
