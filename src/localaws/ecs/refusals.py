"""What ECS refuses, or fills in, before a call does anything, where ministack takes the request as it is.

Try it:  aws ecs list-tasks --cluster nowhere
Knows requests and the names of what there is; the calls themselves are `hooks`' and ministack's. Codes are those
of botocore's model, words those that AWS was seen to use.
"""

import re
from collections.abc import Callable
from typing import Any

from localaws.ecs import execute, servicetargets, taskdefinitions, taskinterface

Request = dict[str, Any]
Refusal = tuple[str, str]  # error code, message

INVALID = "InvalidParameterException"
CLIENT = "ClientException"
UNSUPPORTED = "UnsupportedFeatureException"
NO_CLUSTER = ("ClusterNotFoundException", "Cluster not found.")
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
# Names that a capacity provider may not begin with (CreateCapacityProvider in the API reference).
RESERVED = ("aws", "ecs", "fargate")
BUILT_IN = ("FARGATE", "FARGATE_SPOT")
ACCOUNT_SETTINGS = {"enabled", "disabled", "on", "off", "enhanced", "blocking", "non-blocking"}
# The most that one call may name ("Array Members" in the API reference of each).
MOST_NAMED = {
    "DescribeClusters": ("clusters", 100),
    "DescribeContainerInstances": ("containerInstances", 100),
    "DescribeServices": ("services", 10),
    "DescribeTasks": ("tasks", 100),
    "UpdateContainerInstancesState": ("containerInstances", 10),
}
# Answered by ministack with a success that nothing stands behind, or with a list that is always empty.
REFUSED_CALLS = {
    "PutAttributes": "container instances have ECS's own attributes only",
    "DeleteAttributes": "container instances have ECS's own attributes only",
    "ListAttributes": "DescribeContainerInstances shows an instance's attributes",
    "SubmitAttachmentStateChanges": "the ECS agent's call; the engine reports what happens to tasks",
    "SubmitContainerStateChange": "the ECS agent's call; the engine reports what happens to tasks",
    "SubmitTaskStateChange": "the ECS agent's call; the engine reports what happens to tasks",
}
# Calls that belong to something of `taskdefinitions.NOT_EMULATED`.
CALLS_OF = {
    "DescribeServiceDeployments": "service deployments and revisions as resources",
    "DescribeServiceRevisions": "service deployments and revisions as resources",
    "GetTaskProtection": "task scale-in protection",
    "ListServiceDeployments": "service deployments and revisions as resources",
    "UpdateTaskProtection": "task scale-in protection",
}


def refusal(action: str, data: Request) -> Refusal | None:
    """Why ECS would not take this request; None if it would, as far as is known here."""
    if action in REFUSED_CALLS:
        return UNSUPPORTED, f"{action}: not emulated by the local AWS ({REFUSED_CALLS[action]})"
    if action in CALLS_OF:
        return UNSUPPORTED, taskdefinitions.unsupported(CALLS_OF[action])
    member, most = MOST_NAMED.get(action, ("", 0))
    if member and len(data.get(member) or []) > most:
        return INVALID, f"{member} can have at most {most} items."
    check = CHECKS.get(action)
    return check(data) if check else None


def completed(action: str, data: Request) -> Request:
    """The request with what ECS fills in itself, which its answers show from then on; what begins with an underscore
    is between ECS's parts, and no client's to say.
    """
    data = {name: value for name, value in data.items() if not name.startswith("_")}
    if action == "RunTask" and not data.get("group"):
        family = str(data.get("taskDefinition", "")).rpartition("/")[2].partition(":")[0]
        return {**data, "group": f"family:{family}"}
    if action == "RegisterTaskDefinition" and isinstance(data.get("containerDefinitions"), list):
        same_port = data.get("networkMode") in ("awsvpc", "host")
        containers = [_completed_container(each, same_port) for each in data["containerDefinitions"]]
        return {**data, "containerDefinitions": containers}
    return data


def _completed_container(container: Request, same_port: bool) -> Request:
    ports = [
        {"hostPort": each.get("containerPort") if same_port else 0, "protocol": "tcp", **each}
        for each in container.get("portMappings") or []
    ]
    empty: Request = {"environment": [], "mountPoints": [], "volumesFrom": [], "systemControls": []}
    return {"cpu": 0, "essential": True, **empty, **container, "portMappings": ports}


def _in_cluster(data: Request) -> Refusal | None:
    from ministack.services import ecs

    name = ecs._resolve_cluster_name(data.get("cluster", "default"))
    known = name is not None and name in ecs._clusters
    return None if known else NO_CLUSTER


def _new_cluster(data: Request) -> Refusal | None:
    if NAME.fullmatch(data.get("clusterName") or "default"):
        return None
    return INVALID, "Identifier was invalid: up to 255 letters, numbers, underscores and hyphens."


def _definition(data: Request) -> Refusal | None:
    if not NAME.fullmatch(str(data.get("family", ""))):
        return (
            CLIENT,
            "Family contains invalid characters: letters, numbers, underscores and hyphens, up to 255.",
        )
    if not data.get("containerDefinitions"):
        return None  # ministack's to refuse
    problems = dict.fromkeys([*taskdefinitions.invalid(data), *taskdefinitions.not_emulated(data)])
    return (CLIENT, " ".join(problems)) if problems else None


def _revision(data: Request) -> Refusal | None:
    if re.search(r":\d+$", str(data.get("taskDefinition", ""))):
        return None
    return CLIENT, "Invalid revision number. Number: null; a task definition is named FAMILY:REVISION."


def _status_of_service(data: Request) -> str | None:
    from ministack.services import ecs

    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    name = str(data.get("service", "")).rpartition("/")[2]
    return (ecs._services.get(f"{cluster}/{name}") or {}).get("status")


def _new_service(data: Request) -> Refusal | None:
    return _strategy(data) or _service(data)


def _updated_service(data: Request) -> Refusal | None:
    if _status_of_service(data) in (None, "ACTIVE"):
        return _service(data)
    return "ServiceNotActiveException", "Service was not ACTIVE."


def _service(data: Request) -> Refusal | None:
    """What is wrong with a service as it would be, made or changed by this request."""
    from ministack.services import ecs

    unsupported = taskdefinitions.not_emulated_in_service(data)
    if unsupported:
        return UNSUPPORTED, unsupported
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    if cluster is None or cluster not in ecs._clusters:
        return NO_CLUSTER
    reference = data.get("taskDefinition")
    if reference and ecs._task_defs.get(ecs._resolve_td_key(reference) or "") is None:
        return CLIENT, f"TaskDefinition not found: {reference}."
    name = str(data.get("service", "")).rpartition("/")[2]
    after = {**(ecs._services.get(f"{cluster}/{name}") or {}), **data}
    definition = ecs._task_defs.get(ecs._resolve_td_key(after.get("taskDefinition", "")) or "")
    launch, strategy, error = ecs._launch_choice(after, ecs._clusters[cluster])
    if definition is None or error:
        return None  # ministack's to refuse
    on_fargate = ecs._task_capacity(launch, strategy)[0] == "FARGATE"
    done = "updated" if name else "created"
    problem = (
        taskinterface.problem(definition, after, on_fargate)
        or execute.problem(definition, after, f"service couldn't be {done}")
        or servicetargets.problem(after.get("loadBalancers") or [], definition)
    )
    return (INVALID, problem) if problem else None


def _deleted_service(data: Request) -> Refusal | None:
    gone = _status_of_service(data) == "INACTIVE"
    return _in_cluster(data) or (("ServiceNotFoundException", "Service not found.") if gone else None)


def _new_provider(data: Request) -> Refusal | None:
    from ministack.services import autoscaling

    name = str(data.get("name", ""))
    if not NAME.fullmatch(name) or name.lower().startswith(RESERVED):
        return (
            CLIENT,
            "The specified capacity provider name is invalid. It can't begin with aws, ecs or fargate.",
        )
    arn = (data.get("autoScalingGroupProvider") or {}).get("autoScalingGroupArn", "")
    groups = [each.get("AutoScalingGroupARN") for each in autoscaling._asgs.values()]
    if arn and arn not in groups and arn not in autoscaling._asgs:
        return CLIENT, "The specified Auto Scaling group ARN is not valid. Make sure the ARN is correct."
    return None


def _providers(references: list[str]) -> Refusal | None:
    from ministack.services import ecs

    for reference in references:
        name = ecs._resolve_capacity_provider_name(reference)
        if name not in BUILT_IN and name not in ecs._capacity_providers:
            return (
                INVALID,
                f"The specified capacity provider '{name}' was not found. Specify a valid name or ARN.",
            )
    return None


def _providers_of_cluster(data: Request) -> Refusal | None:
    return _providers(data.get("capacityProviders") or []) or _in_cluster(data)


def _strategy(data: Request) -> Refusal | None:
    strategy = data.get("capacityProviderStrategy") or []
    return _providers([str(each.get("capacityProvider")) for each in strategy])


def _tagged(data: Request) -> Refusal | None:
    from ministack.services import ecs

    arn = str(data.get("resourceArn", ""))
    kinds = (
        (ecs._clusters, "clusterArn"),
        (ecs._task_defs, "taskDefinitionArn"),
        (ecs._services, "serviceArn"),
        (ecs._tasks, "taskArn"),
        (ecs._capacity_providers, "capacityProviderArn"),
    )
    known = any(each.get(member) == arn for kept, member in kinds for each in kept.values())
    if known or ":container-instance/" in arn:
        return None
    return INVALID, "The specified resource is not valid."


def _setting(data: Request) -> Refusal | None:
    value = str(data.get("value", ""))
    if value in ACCOUNT_SETTINGS or (value.isdigit() and "Period" in str(data.get("name", ""))):
        return None
    return INVALID, f"Invalid setting value '{value}'."


CHECKS: dict[str, Callable[[Request], Refusal | None]] = {
    "CreateCapacityProvider": _new_provider,
    "CreateCluster": _new_cluster,
    "CreateService": _new_service,
    "DeleteService": _deleted_service,
    "DeregisterTaskDefinition": _revision,
    "DescribeTasks": _in_cluster,
    "ListServices": _in_cluster,
    "ListTagsForResource": _tagged,
    "ListTasks": _in_cluster,
    "PutAccountSetting": _setting,
    "PutAccountSettingDefault": _setting,
    "PutClusterCapacityProviders": _providers_of_cluster,
    "RegisterTaskDefinition": _definition,
    "RunTask": _strategy,
    "UpdateService": _updated_service,
}
