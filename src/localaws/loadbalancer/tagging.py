"""Tags of load balancers, target groups, listeners and rules.

Try it:  aws elbv2 describe-tags --resource-arns ARN
Knows nothing of what has the tags.
"""

from collections.abc import Iterator
from typing import Any

from localaws.loadbalancer import records
from localaws.loadbalancer.wire import Document, Refused


def install() -> None:
    """Let IAM know the tags, for conditions on aws:ResourceTag."""
    from ministack.services import tagging

    def tagged() -> Iterator[tuple[str, list[records.Record]]]:
        for kind in records.KINDS:
            for arn in records.store(kind):
                yield arn, records.tags_of(arn)

    tagging._RESOURCE_TAG_COLLECTORS["elasticloadbalancing"] = tagged


def _known(arns: list[str]) -> list[str]:
    for arn in arns:
        kind = records.kind_of(arn)
        if not kind:
            raise Refused("ValidationError", f"'{arn}' is not a valid resource ARN")
        records.find(kind, arn)
    return arns


def add(given: Document) -> Document:
    for arn in _known(given["ResourceArns"]):
        records.put_tags(arn, given["Tags"])
    return {}


def remove(given: Document) -> Document:
    for arn in _known(given["ResourceArns"]):
        kept = records.tags_of(arn)
        kept[:] = [each for each in kept if each["Key"] not in given["TagKeys"]]
    return {}


def describe(given: Document) -> Document:
    arns = _known(given["ResourceArns"])
    return {"TagDescriptions": [{"ResourceArn": arn, "Tags": records.tags_of(arn)} for arn in arns]}


CALLS: dict[str, Any] = {"AddTags": add, "RemoveTags": remove, "DescribeTags": describe}
