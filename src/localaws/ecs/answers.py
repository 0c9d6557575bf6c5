"""ECS answers in the shape that botocore's model and AWS give them: nothing empty, in pages, tags when asked for.

Try it:  aws ecs describe-task-definition --task-definition jobs-mxnet
Stands before every ECS call, whoever answers it: `refusals` says what is refused, the call is made, and its
answer is put into shape here. Knows no task and no cluster.
"""

import json
from collections.abc import Callable
from typing import Any

from localaws.ecs import refusals as ecs_requests

Request = dict[str, Any]
Call = Callable[[Request], Any]

# Pages: the member that is cut, and how many items a page has when the request does not say (API reference).
PAGES = {
    "DescribeCapacityProviders": ("capacityProviders", 10),
    "ListAccountSettings": ("settings", 100),
    "ListAttributes": ("attributes", 100),
    "ListClusters": ("clusterArns", 100),
    "ListContainerInstances": ("containerInstanceArns", 100),
    "ListServices": ("serviceArns", 10),
    "ListServicesByNamespace": ("serviceArns", 10),
    "ListTaskDefinitionFamilies": ("families", 100),
    "ListTaskDefinitions": ("taskDefinitionArns", 100),
    "ListTasks": ("taskArns", 100),
}
ALL = 1_000_000_000
# Given only to who asks with include=["TAGS"]: the member that holds the resources.
WITH_TAGS = {
    "DescribeCapacityProviders": "capacityProviders",
    "DescribeClusters": "clusters",
    "DescribeContainerInstances": "containerInstances",
    "DescribeServices": "services",
    "DescribeTasks": "tasks",
}
# Maps whose keys and values are the user's own, and an environment variable's or a tag's value: kept as they are.
FREE = ("options", "dockerLabels", "driverOpts", "labels", "value")
# Structures that AWS leaves out when nothing is in them; others (overrides, deploymentConfiguration) it shows.
NEVER_HOLLOW = ("autoScalingGroupProvider", "networkConfiguration")


def install() -> None:
    """Once ministack's table holds every call of ours: have each go through here."""
    from ministack.services import ecs

    ecs._ACTION_MAP = Actions(ecs._ACTION_MAP)


class Actions(dict[str, Call]):
    """ECS's calls by name, as ministack looks them up; a name that has none refuses in ECS's words."""

    def get(self, name: str, default: Any = None) -> Any:
        call = super().get(name)
        return (lambda data: answer(name, call, data)) if call else _refusing(name)


def answer(name: str, call: Call, data: Request) -> Any:
    """Refuse, or make the call and shape what it answers."""
    from ministack.services import ecs

    refusal = ecs_requests.refusal(name, data)
    start = str(data.get("nextToken") or "0")
    if refusal is None and not start.isdecimal():
        refusal = (ecs_requests.INVALID, "Invalid token.")
    if refusal:
        return ecs.error_response_json(*refusal, 400)
    asked = ecs_requests.completed(name, data)
    if name in PAGES:
        asked = {**asked, "maxResults": ALL, "nextToken": None}
    status, headers, body = _delete_inactive(call, asked) if name == "DeleteTaskDefinitions" else call(asked)
    if status >= 400:
        return status, headers, body
    document = without_blanks(json.loads(body))
    if name in PAGES:
        _cut(document, *PAGES[name], int(start), data.get("maxResults"))
    _shape(name, document, data)
    return ecs.json_response(document)


def _delete_inactive(call: Call, data: Request) -> Any:
    """Only what was deregistered can be deleted; ministack deletes an active revision too."""
    from ministack.services import ecs

    named = data.get("taskDefinitions") or []
    active = [each for each in named if _status_of_definition(each) == "ACTIVE"]
    status, _, body = call({**data, "taskDefinitions": [each for each in named if each not in active]})
    document = json.loads(body)
    reason = (
        "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
    )
    document["failures"] += [{"arn": each, "reason": reason} for each in active]
    return ecs.json_response(document, status)


def _status_of_definition(reference: str) -> str | None:
    from ministack.services import ecs

    return (ecs._task_defs.get(ecs._resolve_td_key(reference) or "") or {}).get("status")


def without_blanks(value: Any) -> Any:
    """The value without members that hold null or an empty word."""
    if isinstance(value, list):
        return [without_blanks(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: each if name in FREE else without_blanks(each)
        for name, each in value.items()
        if each is not None and (each != "" or name in FREE) and not (each == {} and name in NEVER_HOLLOW)
    }


def _cut(document: Request, member: str, usual: int, start: int, most: Any) -> None:
    items = document.get(member) or []
    end = start + int(most or usual)
    document[member] = items[start:end]
    document.pop("nextToken", None)
    if end < len(items):
        document["nextToken"] = str(end)


def _shape(name: str, document: Request, data: Request) -> None:
    """What is particular to one call."""
    asks_for_tags = "TAGS" in (data.get("include") or [])
    if name in WITH_TAGS and not asks_for_tags:
        for each in document[WITH_TAGS[name]]:
            if "tags" in each:
                each["tags"] = []
    if name == "DescribeTaskDefinition" and not asks_for_tags:
        document.pop("tags", None)
    if name == "DescribeCapacityProviders":
        _tell_missing(document, data)
    if "setting" in document or name == "ListAccountSettings":
        _settings(document)


def _tell_missing(document: Request, data: Request) -> None:
    """Names that are no capacity provider's are failures, not silence."""
    from ministack.core.responses import get_account_id, get_region

    known = {each["name"] for each in document["capacityProviders"]}
    names = [each.rpartition("/")[2] for each in data.get("capacityProviders") or []]
    place = f"arn:aws:ecs:{get_region()}:{get_account_id()}:capacity-provider"
    document["failures"] = [
        {"arn": f"{place}/{name}", "reason": "MISSING"} for name in names if name not in known
    ]


def _settings(document: Request) -> None:
    """ministack has a setting that is none and says `aws` and `account` where the model has its own words."""
    settings = document.get("settings") or [document.get("setting") or {}]
    for each in settings:
        each["type"] = "aws_managed" if each.get("type") == "aws" else "user"
    if "settings" in document:
        document["settings"] = [each for each in settings if each["name"] != "dualStackIPv6"]


def _refusing(name: str) -> Call:
    def refuse(data: Request) -> Any:
        from ministack.services import ecs

        message = f"{name}: not emulated by the local AWS; help('localaws') lists what it leaves out"
        return ecs.error_response_json("UnsupportedFeatureException", message, 400)

    return refuse
