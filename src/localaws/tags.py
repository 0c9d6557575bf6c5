"""Resources by tag, for the services whose resources ministack's tagging API leaves out.

Try it:  aws resourcegroupstaggingapi get-resources --tag-filters Key=workshop
A search by tag that skips the network would call a half-deleted course clean. Reading only: tags are written
through the services' own calls.
"""

from collections.abc import Callable, Iterator
from typing import Any

from localaws.cloudformation import late

Tagged = tuple[str, list[dict[str, str]]]

ENDED = ("", "INACTIVE", "DELETE_IN_PROGRESS", "STOPPED", "DRAINING")
EC2_TYPES = {
    "eipalloc": "elastic-ip",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}


def install() -> None:
    """Add our collectors to ministack's, and have two of its own pass over what has been deleted."""
    from ministack.services import tagging

    collectors = tagging._COLLECTORS
    collectors.update(ec2=_ec2, logs=_logs, cloudformation=_stacks)
    collectors.update(elasticloadbalancing=_load_balancing, cloudwatch=_alarms)
    collectors["ecs"] = _only(collectors["ecs"], _is_in_ecs)
    collectors["dynamodb"] = _only(collectors["dynamodb"], _is_table)


def _ec2() -> Iterator[Tagged]:
    from ministack.services import ec2

    for identifier, tags in list(ec2._tags.items()):
        kind = EC2_TYPES.get(identifier.partition("-")[0])
        instance = ec2._instances.get(identifier) if kind == "instance" else None
        # One that has ended is forgotten by the next server, and ministack keeps its tags for ever.
        ended = kind == "instance" and (instance is None or instance["State"]["Name"] == "terminated")
        if kind == "natgateway":
            ended = ec2._nat_gateways.get(identifier, {}).get("State", "deleted") == "deleted"
        if kind and tags and not ended:
            yield _arn("ec2", f"{kind}/{identifier}"), tags


def _logs() -> Iterator[Tagged]:
    from ministack.services import cloudwatch_logs

    for name, group in list(cloudwatch_logs._log_groups.items()):
        tags = group.get("tags") or {}
        if tags:
            yield _arn("logs", f"log-group:{name}"), _pairs(tags)


def _load_balancing() -> Iterator[Tagged]:
    from ministack.services import alb

    for arn, tags in list(alb._tags.items()):
        if tags and any(arn in store for store in (alb._lbs, alb._tgs, alb._listeners, alb._rules)):
            yield arn, tags


def _alarms() -> Iterator[Tagged]:
    from ministack.services import cloudwatch

    start = _arn("cloudwatch", "alarm:")
    for arn, tags in list(cloudwatch._resource_tags.items()):
        if tags and arn.startswith(start):
            yield arn, _pairs(tags)


def _stacks() -> Iterator[Tagged]:
    late.load()
    from ministack.services import cloudformation

    for stack in list(cloudformation._stacks.values()):
        tags = stack.get("Tags") or []
        if tags and stack.get("StackStatus") != "DELETE_COMPLETE":
            yield stack["StackId"], [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in tags]


def _only(original: Callable[[], Iterator[Tagged]], exists: Callable[[str], bool]) -> Any:
    return lambda: ((arn, tags) for arn, tags in list(original()) if exists(arn))


def _is_in_ecs(arn: str) -> bool:
    """Whether an ECS resource is there and active: ministack keeps the tags of those that are gone."""
    from ministack.services import ecs

    kind, _, name = arn.split(":", 5)[5].partition("/")
    stores = {
        "capacity-provider": ecs._capacity_providers,
        "cluster": ecs._clusters,
        "service": ecs._services,
        "task-definition": ecs._task_defs,
        "task": ecs._tasks,
    }
    if kind not in stores:
        return True
    record = stores[kind].get(arn if kind == "task" else name) or {}
    return record.get("status", record.get("lastStatus", "")) not in ENDED


def _is_table(arn: str) -> bool:
    from ministack.services import dynamodb

    return arn.rpartition("/")[2] in dynamodb._tables


def _pairs(tags: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": str(value)} for key, value in tags.items()]


def _arn(service: str, resource: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"
