"""An ECS service in a stack is made, or changed, only when it is stable.

Try it:  tests/local/test_ecs_service_stack.py
As CloudFormation does (user guide, AWS::ECS::Service; AWS Knowledge Center, "How do I resolve a stuck
AWS::ECS::Service resource"): it waits for the deployment to complete, and fails when the deployment circuit
breaker ends it. Knows the service's record only.
"""

import threading
import time
from typing import Any

from localaws.cloudformation import provisioning
from localaws.ecs import hooks

Service = dict[str, Any]
BREAKER = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."
# "it can take up to three hours before the resource fails to stabilize"
MOST_SECONDS = 3 * 3600.0
LOOK_SECONDS = 0.1


def wait_for_service(service: Service) -> None:
    """Return when what the call that answered `service` began is completed.

    Errors: ResourceFailed if the circuit breaker ended it, the service was deleted or the time is over.
    """
    wanted = {each["id"] for each in service["deployments"] if each["status"] == "PRIMARY"}
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        if hooks.is_closing():  # a thread that waits on would hold up the server's end
            raise provisioning.failed("The local AWS was stopped", "NotStabilized")
        now = _record(service)
        if now.get("status") != "ACTIVE":
            raise provisioning.failed(f"Service {service['serviceName']} was deleted", "NotStabilized")
        if wanted & set(now.get("_failed") or []):
            raise provisioning.failed(BREAKER)
        if _is_stable(now):
            return
        _pause()
    raise provisioning.failed("Exceeded attempts to wait", "NotStabilized")


def wait_until_gone(service: Service) -> None:
    """Return when a deleted service's tasks have been told to stop."""
    while _record(service).get("status") == "DRAINING" and not hooks.is_closing():
        _pause()


def _is_stable(service: Service) -> bool:
    """What the waiter services_stable asks for, and that the deployment says so too."""
    deployments = service["deployments"]
    return (
        len(deployments) == 1
        and deployments[0]["rolloutState"] == "COMPLETED"
        and service["runningCount"] == service["desiredCount"]
    )


def _record(service: Service) -> Service:
    from ministack.services import ecs

    cluster = service["clusterArn"].rpartition("/")[2]
    found: Service = ecs._services.get(f"{cluster}/{service['serviceName']}") or {}
    return found


def _pause() -> None:
    threading.Event().wait(LOOK_SECONDS)
