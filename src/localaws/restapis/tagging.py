"""Tags of REST APIs, their stages, API keys and usage plans, for IAM's conditions and for searches by tag.

Try it:  aws resourcegroupstaggingapi get-resources --tag-filters Key=workshop
What belongs to an API or a usage plan has its tags, as far as IAM asks; only what has tags itself is found by them
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html).
"""

from collections.abc import Iterator
from typing import Any

PREFIX = "arn:aws:apigateway:"
Tags = dict[str, str]


def install() -> None:
    """Let IAM and the tagging API know the tags."""
    from ministack.services import tagging

    known = tagging.resource_tags
    tagging.resource_tags = lambda arn: of(arn) if arn.startswith(PREFIX) else known(arn)
    tagging._COLLECTORS["apigateway"] = tagged


def of(arn: str) -> Tags | None:
    """The tags that a condition sees on what an ARN names: its own, else those of what it belongs to."""
    kind, _, rest = arn.split(":", 5)[5].strip("/").partition("/")
    name, _, below = rest.partition("/")
    record = _stores().get(kind, {}).get(name)
    if record is None:
        return None
    tags = _tags(record, kind, name)
    if kind == "restapis" and below.startswith("stages/"):
        tags |= _of_stage(name, below.split("/")[1])
    return tags


def tagged() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(ARN, tags) of everything that has tags of its own."""
    for kind, store in _stores().items():
        for name, record in list(store.items()):
            yield from _entry(f"/{kind}/{name}", _tags(record, kind, name))
    for api, stages in list(_module()._stages_v1.items()):
        for stage in list(stages):
            yield from _entry(f"/restapis/{api}/stages/{stage}", _of_stage(api, stage))


def _entry(path: str, tags: Tags) -> Iterator[tuple[str, list[dict[str, str]]]]:
    if tags:
        yield _arn(path), [{"Key": key, "Value": value} for key, value in tags.items()]


def _stores() -> dict[str, Any]:
    module = _module()
    return {
        "restapis": module._rest_apis,
        "apikeys": module._api_keys,
        "usageplans": module._usage_plans,
    }


def _tags(record: dict[str, Any], kind: str, name: str) -> Tags:
    """Those it was made with, and those that TagResource has given it since: ministack keeps the latter apart."""
    later = _module()._v1_tags.get(_arn(f"/{kind}/{name}"))
    return dict(later if later is not None else record.get("tags") or {})


def _of_stage(api: str, stage: str) -> Tags:
    record = _module()._stages_v1.get(api, {}).get(stage)
    return _tags(record, f"restapis/{api}/stages", stage) if record else {}


def _arn(path: str) -> str:
    from ministack.core.responses import get_region

    return f"{PREFIX}{get_region()}::{path}"


def _module() -> Any:
    from ministack.services import apigateway_v1

    return apigateway_v1
