"""The managed policies that an account's administrator made before the learner came.

Try it:  python -m localaws serve --managed-policy workshop-boundary=cloudformation/boundary-policy.json
A learner who may make roles, and not choose what confines them, needs a policy that somebody else keeps. Made
or renewed at each start, so an edited file takes effect. Knows nothing of what a policy says.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from localaws import identity
from localaws.errors import BadPolicy

DESCRIPTION = "Made by the account's administrator"
LIMIT_CHARACTERS = 6_144  # of a managed policy (IAM quotas)


def read(path: Path) -> identity.Policy | None:
    """A managed policy's document. Errors: BadPolicy."""
    return identity.read_policy(path, LIMIT_CHARACTERS)


def expect(names: Iterable[str], policies: Mapping[str, Any]) -> None:
    """Errors: BadPolicy for a name that no managed policy has."""
    unknown = sorted(set(names) - set(policies))
    if unknown:
        have = ", ".join(sorted(policies)) or "none"
        raise BadPolicy(f"there is no managed policy {', '.join(unknown)} (there are: {have})")


def put(account: str, policies: Mapping[str, Any]) -> None:
    """Make each document the default version of the managed policy of that name."""
    from ministack.core.responses import request_scope
    from ministack.services import iam

    with request_scope(account, ""):
        for name, document in policies.items():
            arn = f"arn:aws:iam::{account}:policy/{name}"
            text = json.dumps(document)
            kept = iam._policies.get(arn)
            if kept is None:
                iam.store_policy(arn, name, "/", text, description=DESCRIPTION)
            else:
                kept["Versions"][kept["DefaultVersionId"]]["Document"] = text
