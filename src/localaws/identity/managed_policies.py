"""The managed policies that an account's administrator made before the learner came.

Try it:  python -m localaws serve --managed-policy workshop-boundary=cloudformation/boundary-policy.json
A learner who may make roles, and not choose what confines them, needs a policy that somebody else keeps. Made
or renewed at each start, so an edited file takes effect. Knows nothing of what a policy says.
"""

import json
from collections.abc import Mapping
from typing import Any

DESCRIPTION = "Made by the account's administrator"


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
