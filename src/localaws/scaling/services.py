"""The ECS service behind a scalable target: how many tasks it wants and runs, and setting that.

Try it:  aws ecs describe-services
Goes through ECS's own UpdateService, as Application Auto Scaling does. Knows no policies.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Of a service that is there and active."""

    desired: int
    running: int


def names(resource_id: str) -> tuple[str, str]:
    """(cluster, service) of service/CLUSTER/SERVICE; ('', '') for anything else."""
    parts = resource_id.split("/")
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "service" and all(parts) else ("", "")


def counts(resource_id: str) -> Counts | None:
    """How many tasks the service has; None if it is gone or going."""
    from ministack.services import ecs

    service = ecs._services.get("/".join(names(resource_id)))
    if not service or service.get("status") != "ACTIVE":
        return None
    return Counts(int(service.get("desiredCount", 0)), int(service.get("runningCount", 0)))


def set_desired(resource_id: str, count: int) -> str:
    """Have the service run so many tasks; why it does not, or ''."""
    from ministack.services import ecs

    cluster, service = names(resource_id)
    request: dict[str, Any] = {"cluster": cluster, "service": service, "desiredCount": count}
    status, _, body = ecs._dispatch_action("UpdateService", request)
    if status < 400:
        return ""
    answer = json.loads(body)
    return str(answer.get("message") or answer.get("Message") or answer)
