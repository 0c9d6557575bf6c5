"""What of a request its operation has: anything else in it is nothing to the service, and must be nothing to IAM.

Try it:  python -m pytest tests/fast/test_identity_members.py
A caller could name a service that it may change beside the one that the call does change. Which members an operation
has is from botocore's models. Left out: EC2, which IAM asks about everything that a request names, and services whose
resources ministack reads. Knows no policies.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from localaws import shapes

# botocore's name by ministack's.
MODELS = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}
MODELS |= {
    name: name
    for name in (
        "application-autoscaling",
        "autoscaling",
        "cloudformation",
        "dynamodb",
        "ecr",
        "ecs",
        "events",
        "iam",
        "logs",
        "sagemaker",
        "ssm",
    )
}


def known(service: str, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The members that the operation has; of a form, whose names have dots, by what stands before the first."""
    names = _names(service, operation)
    if names is None:
        return dict(given)
    return {name: value for name, value in given.items() if name.partition(".")[0] in names}


@cache
def _names(service: str, operation: str) -> frozenset[str] | None:
    """The operation's members as a request spells them; None if there is no model of it."""
    if service not in MODELS:
        return None
    model = shapes.model(MODELS[service])
    if operation not in model.operation_names:
        return None
    shape = model.operation_model(operation).input_shape
    members = shape.members.items() if shape is not None else ()
    return frozenset(member.serialization.get("name", name) for name, member in members)
