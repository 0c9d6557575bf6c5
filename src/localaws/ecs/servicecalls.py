"""CreateService, UpdateService, DeleteService.

Try it:  aws ecs create-service --cluster CLUSTER --service-name s --task-definition FAMILY --desired-count 1
Writes what was asked for into the service's record and begins a deployment where AWS begins one; the scheduler
does the rest. What is refused before is in `refusals`.
"""

import copy
from collections.abc import Callable
from typing import Any

from localaws.ecs import deployments
from localaws.ecs.deployments import Service
from localaws.ecs.services import Services
from localaws.ecs.taskrecord import now

Request = dict[str, Any]
Call = Callable[[Request], Any]
NOT_ABOVE_ZERO = "The service cannot be stopped while it is scaled above 0."
# Members of both calls that are kept as they come, with what AWS takes where nothing is given.
KEPT: dict[str, Any] = {
    "platformVersion": "",
    "networkConfiguration": {},
    "loadBalancers": [],
    "placementConstraints": [],
    "placementStrategy": [],
    "healthCheckGracePeriodSeconds": 0,
    "propagateTags": "NONE",
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "availabilityZoneRebalancing": "DISABLED",
}
# Changes of these wait for the next deployment (UpdateService in the API reference).
NO_DEPLOYMENT = ("enableExecuteCommand", "launchType", "capacityProviderStrategy")


def install(services: Services, actions: dict[str, Call]) -> None:
    """Put the calls into ECS's table."""
    calls = {"CreateService": _create, "UpdateService": _update, "DeleteService": _delete}
    for name, call in calls.items():
        actions[name] = _held(services, call)


def _held(services: Services, call: Callable[[Services, str, str, Request], Any]) -> Call:
    """The call with its service locked: neither the scheduler nor another call sees it half done."""

    def held(data: Request) -> Any:
        from ministack.services import ecs

        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        found = ecs._resolve_service_ref(str(data.get("service") or data.get("serviceName") or ""))
        if not found or not found[0] or found[1] not in (None, cluster):
            return ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
        with services.locked(f"{cluster}/{found[0]}"):
            return call(services, cluster, found[0], data)

    return held


def _create(services: Services, cluster: str, name: str, data: Request) -> Any:
    from ministack.core.responses import get_account_id
    from ministack.services import ecs

    key = f"{cluster}/{name}"
    other = ecs._services.get(key) or {}
    if other.get("status") == "ACTIVE":
        if data.get("clientToken") and data["clientToken"] == other.get("_token"):
            return _answer(other)
        message = "Creation of service was not idempotent."
        return ecs.error_response_json("InvalidParameterException", message, 400)
    if other.get("status") == "DRAINING":
        message = "Unable to Start a service that is still Draining."
        return ecs.error_response_json("InvalidParameterException", message, 400)
    launch_type, strategy, error = ecs._launch_choice(data, ecs._clusters[cluster])
    if error:
        return error
    arn = f"{ecs._clusters[cluster]['clusterArn'].replace(':cluster/', ':service/')}/{name}"
    service: Service = {
        "serviceArn": arn,
        "serviceName": name,
        "clusterArn": ecs._clusters[cluster]["clusterArn"],
        "status": "ACTIVE",
        "taskDefinition": _definition(data),
        "desiredCount": int(data.get("desiredCount") or 0),
        "runningCount": 0,
        "pendingCount": 0,
        "launchType": launch_type,
        "capacityProviderStrategy": strategy,
        **copy.deepcopy(KEPT),
        **{member: data[member] for member in KEPT if member in data},
        "serviceRegistries": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": _configuration({}, data),
        "deployments": [],
        "events": [],
        "roleArn": data.get("role", ""),
        "createdAt": now(),
        "createdBy": f"arn:aws:iam::{get_account_id()}:root",
        "tags": data.get("tags") or [],
        "_token": data.get("clientToken"),
    }
    if launch_type == "FARGATE":
        service |= {"platformVersion": service["platformVersion"] or "LATEST", "platformFamily": "Linux"}
    ecs._tags[arn] = list(service["tags"])
    deployments.new(service, now())
    ecs._services[key] = service
    services.reconcile(cluster, key)
    return _answer(service)


def _update(services: Services, cluster: str, name: str, data: Request) -> Any:
    from ministack.services import ecs

    key = f"{cluster}/{name}"
    service = ecs._services.get(key)
    if service is None:
        return ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
    before = {member: service.get(member) for member in deployments.REVISION}
    service |= {member: data[member] for member in KEPT if member in data}
    if data.get("taskDefinition"):
        service["taskDefinition"] = _definition(data)
    if "capacityProviderStrategy" in data:
        # An empty strategy moves the service back to a launch type.
        service["capacityProviderStrategy"] = data["capacityProviderStrategy"] or None
        service["launchType"] = None if data["capacityProviderStrategy"] else service["launchType"] or "EC2"
    if "deploymentConfiguration" in data:
        service["deploymentConfiguration"] = _configuration(service["deploymentConfiguration"], data)
    if data.get("desiredCount") is not None:
        service["desiredCount"] = int(data["desiredCount"])
        head = deployments.primary(service)
        if head and head["rolloutState"] != "FAILED":
            head |= {"desiredCount": service["desiredCount"], "updatedAt": now()}
    changed = {member for member, value in before.items() if service.get(member) != value}
    if data.get("forceNewDeployment") or changed - set(NO_DEPLOYMENT):
        deployments.new(service, now())
    services.reconcile(cluster, key)
    return _answer(service)


def _delete(services: Services, cluster: str, name: str, data: Request) -> Any:
    from ministack.services import ecs

    key = f"{cluster}/{name}"
    service = ecs._services.get(key)
    if service is None:
        return ecs.error_response_json("ServiceNotFoundException", "Service not found.", 400)
    if service["desiredCount"] and not data.get("force"):
        return ecs.error_response_json("InvalidParameterException", NOT_ABOVE_ZERO, 400)
    service |= {"status": "DRAINING", "desiredCount": 0}
    for each in service["deployments"]:
        each["desiredCount"] = 0
    answer = _answer(service)
    services.reconcile(cluster, key)
    return answer


def _answer(service: Service) -> Any:
    from ministack.services import ecs

    return ecs.json_response({"service": ecs._sanitize(service)})


def _definition(data: Request) -> str:
    from ministack.services import ecs

    return str(ecs._task_defs[ecs._resolve_td_key(data["taskDefinition"])]["taskDefinitionArn"])


def _configuration(before: Request, data: Request) -> Request:
    """The deployment configuration with what was given, and what AWS takes for what was not."""
    given = data.get("deploymentConfiguration") or {}
    breaker = {
        "enable": False,
        "rollback": False,
        **(before.get("deploymentCircuitBreaker") or {}),
        **(given.get("deploymentCircuitBreaker") or {}),
    }
    usual = {
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    return {**usual, **before, **given, "deploymentCircuitBreaker": breaker}
