"""CloudFormation's roles: the permissions boundary, which ministack's own handler leaves out.

Try it:  tests/local/test_resource_rights.py -k boundary
Without it a role that a template confines would have all that its policies say. Knows only this property.
"""

from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties

TYPE = "AWS::IAM::Role"


def install() -> None:
    """Amend the type in ministack's table."""
    entry = provisioning.table()[TYPE]
    create, update = entry["create"], entry["update"]

    def confined_create(logical_id: str, properties: Properties, stack_name: str) -> Made:
        _expect_policy(properties)
        made: Made = create(logical_id, properties, stack_name)
        _confine(made[0], properties)
        return made

    def confined_update(physical_id: str, before: Properties, after: Properties, *rest: str) -> Made:
        _expect_policy(after)
        made: Made = update(physical_id, before, after, *rest)
        _confine(made[0], after)
        return made

    entry |= {"create": confined_create, "update": confined_update}


def _expect_policy(properties: Properties) -> None:
    """Before anything is made: AWS refuses a boundary that is not there."""
    from ministack.services import iam

    boundary = properties.get("PermissionsBoundary")
    if boundary and not iam._policy_exists(boundary):
        raise provisioning.failed(
            f"Scope ARN: {boundary} does not exist or is not attachable. (Service: Iam, Status Code: 404)",
            "NotFound",
        )


def _confine(role_name: str, properties: Properties) -> None:
    from ministack.services import iam

    role: dict[str, Any] = iam._roles[role_name]
    role["PermissionsBoundary"] = properties.get("PermissionsBoundary")
