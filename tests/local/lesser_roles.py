"""The stacks' own roles without one of their rights, for a while. Not a test.

Whoever calls needs the right to change a role's policy: an administrator, or a learner for the course's own roles.
"""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workshop.aws import stacks
from workshop.aws.session import Aws

CONCERNS = {
    "AirflowRole": "airflow",
    "FunctionRole": "upload",
    "PredictRole": "satisfaction",
    "SageMakerRole": "satisfaction",
    "ServingTaskRole": "sentiment",
}


@contextmanager
def lacking(aws: Aws, logical_id: str, sid: str, action: str) -> Iterator[None]:
    """One of the stacks' roles without one right of its own."""
    found = stacks.resources(CONCERNS.get(logical_id, "cluster"), aws)
    [role] = [name for logical, _, name in found if logical == logical_id]
    iam = aws.client("iam")
    name, document = next(
        (name, document)
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        for document in [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]]
        if any(each["Sid"] == sid for each in document["Statement"])
    )

    def put(wanted: dict[str, Any]) -> None:
        if wanted["Statement"]:
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(wanted))
        else:  # IAM takes no policy that says nothing
            iam.delete_role_policy(RoleName=role, PolicyName=name)

    put(without(document, sid, action))
    try:
        yield
    finally:
        put(document)


def without(document: dict[str, Any], sid: str, action: str) -> dict[str, Any]:
    mutant = copy.deepcopy(document)
    [statement] = [each for each in mutant["Statement"] if each["Sid"] == sid]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert action in actions
    statement["Action"] = [each for each in actions if each != action]
    if not statement["Action"]:
        mutant["Statement"].remove(statement)
    return mutant
