"""Task definitions and requests that AWS would refuse, or that this AWS can't honour: refused by name.

Try it:  aws ecs register-task-definition --family x --container-definitions '[{"name":"a","image":"i"}]'
Pure: a request in, a reason out. What is accepted and has no effect in processes (users, capabilities,
read-only root file systems, ulimits, CPU shares) is in the process engine's docstring.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from localaws.ecs import dependencies, environmentfiles

Request = Mapping[str, Any]
INVALID = "Invalid setting for container"
SMALLEST_MEMORY_MIB = 6
LOG_DRIVERS = ("awslogs", "json-file", "none")

# What the local ECS does not do: name and why. Requests that ask for it are refused with these words.
NOT_EMULATED = {
    "EFS and FSx volumes": "there is no network file system here; use a host path or an S3 bucket",
    "FireLens and other log drivers": "only awslogs reaches CloudWatch Logs here",
    "private registry credentials": "only images of the local ECR can be run",
    "Docker volume drivers and their options": "a volume is a folder of this machine",
    "links between containers": "a container finds others by DescribeTasks' network bindings",
    "App Mesh proxies, Service Connect and Cloud Map registries": "there is no service mesh here",
    "Windows containers": "there is no such machine here",
    "container restart policies": "use a service, which replaces tasks",
    "Elastic Inference": "AWS has ended it",
    "placement constraints of type memberOf": "instances have no queryable attributes here",
    "launch types EXTERNAL and MANAGED_INSTANCES": "there are EC2 and FARGATE",
    "daemon services and deployments by CodeDeploy or external controllers": "there are rolling replicas",
    "deployment strategies other than ROLLING, their hooks, alarms and early success": "there are rolling replicas",
    "volumes that a service configures at launch": "a volume is a folder of this machine",
    "VPC Lattice target groups": "use a target group of an Application Load Balancer",
    "Availability Zone rebalancing": "there is one machine here",
    "metrics of a service at a resolution of its own": "metrics are put once a minute",
    "Classic Load Balancers": "use a target group of an Application Load Balancer",
    "task scale-in protection": "managed scaling never lowers capacity here",
    "service deployments and revisions as resources": "DescribeServices shows a service's deployments",
    "managed scale-in": "lower the Auto Scaling group's desired capacity yourself",
    "UDP port mappings": "the port forwarder carries TCP",
}


# Members of CreateService and UpdateService that belong to something of NOT_EMULATED.
IN_SERVICES = {
    "volumeConfigurations": "volumes that a service configures at launch",
    "vpcLatticeConfigurations": "VPC Lattice target groups",
    "monitoring": "metrics of a service at a resolution of its own",
}


def unsupported(name: str) -> str:
    """The sentence that refuses something of NOT_EMULATED."""
    return f"{name}: not emulated by the local AWS ({NOT_EMULATED[name]})"


def not_emulated(data: Request) -> Iterator[str]:
    """Everything in a task definition that the local AWS can't do."""
    for volume in data.get("volumes") or []:
        if volume.get("efsVolumeConfiguration") or volume.get("fsxWindowsFileServerVolumeConfiguration"):
            yield unsupported("EFS and FSx volumes")
        docker = volume.get("dockerVolumeConfiguration") or {}
        if docker.get("driver", "local") != "local" or docker.get("driverOpts"):
            yield unsupported("Docker volume drivers and their options")
    if data.get("proxyConfiguration"):
        yield unsupported("App Mesh proxies, Service Connect and Cloud Map registries")
    if data.get("inferenceAccelerators"):
        yield unsupported("Elastic Inference")
    if str((data.get("runtimePlatform") or {}).get("operatingSystemFamily", "")).startswith("WINDOWS"):
        yield unsupported("Windows containers")
    if _has_member_of(data):
        yield unsupported("placement constraints of type memberOf")
    for container in data.get("containerDefinitions") or []:
        yield from _not_emulated_in_container(container)


def _not_emulated_in_container(container: Request) -> Iterator[str]:
    driver = (container.get("logConfiguration") or {}).get("logDriver", "none")
    if driver not in LOG_DRIVERS or container.get("firelensConfiguration"):
        yield unsupported("FireLens and other log drivers")
    for member, name in (
        ("repositoryCredentials", "private registry credentials"),
        ("links", "links between containers"),
    ):
        if container.get(member):
            yield unsupported(name)
    if (container.get("restartPolicy") or {}).get("enabled"):
        yield unsupported("container restart policies")
    if any(port.get("protocol", "tcp") != "tcp" for port in container.get("portMappings") or []):
        yield unsupported("UDP port mappings")


def _has_member_of(data: Request) -> bool:
    return any(each.get("type") == "memberOf" for each in data.get("placementConstraints") or [])


def invalid(data: Request) -> Iterator[str]:
    """Everything in a task definition that AWS refuses and ministack does not."""
    containers = list(data.get("containerDefinitions") or [])
    names = [each.get("name") for each in containers]
    if len(set(names)) < len(names):
        yield "Container names must be unique within a task definition."
    if containers and not any(each.get("essential", True) for each in containers):
        yield "A task definition must have at least one essential container."
    wrong = dependencies.problem(containers)
    if wrong:
        yield wrong
    volumes = {each.get("name") for each in data.get("volumes") or []}
    for container in containers:
        yield from _invalid_container(container, data, volumes)
    if "FARGATE" in (data.get("requiresCompatibilities") or []):
        yield from _invalid_for_fargate(data, containers)


def _invalid_memory(container: Request, task: Request) -> Iterator[str]:
    name = container.get("name")
    memory, reservation = container.get("memory"), container.get("memoryReservation")
    if not (memory or reservation or task.get("memory")):
        yield (f"{INVALID} '{name}'. At least one of 'memory' or 'memoryReservation' must be specified.")
    if memory and int(memory) < SMALLEST_MEMORY_MIB:
        yield f"{INVALID} '{name}'. 'memory' must be at least {SMALLEST_MEMORY_MIB}."
    if memory and reservation and int(reservation) > int(memory):
        yield f"{INVALID} '{name}'. 'memoryReservation' must not exceed 'memory'."


def _invalid_sources(container: Request, task: Request, volumes: set[str]) -> Iterator[str]:
    """What is wrong with where a container gets its files and variables from."""
    for mount in container.get("mountPoints") or []:
        if mount.get("sourceVolume") not in volumes:
            yield f"Unknown volume '{mount.get('sourceVolume')}'."
    names = {each.get("name") for each in task.get("containerDefinitions") or []} - {container.get("name")}
    for each in container.get("volumesFrom") or []:
        if each.get("sourceContainer") not in names:
            yield f"Unknown container '{each.get('sourceContainer')}' in volumesFrom."
    wrong_file = environmentfiles.problem(container)
    if wrong_file:
        yield wrong_file


def _invalid_container(container: Request, task: Request, volumes: set[str]) -> Iterator[str]:
    yield from _invalid_memory(container, task)
    yield from _invalid_sources(container, task, volumes)
    if task.get("networkMode") in ("awsvpc", "host"):
        for port in container.get("portMappings") or []:
            if port.get("hostPort") not in (None, 0, port.get("containerPort")):
                yield (
                    f"When networkMode={task['networkMode']}, the host ports and container ports in port "
                    "mappings must match."
                )
    logging = container.get("logConfiguration") or {}
    if logging.get("logDriver") == "awslogs":
        missing = [
            option
            for option in ("awslogs-group", "awslogs-region")
            if not (logging.get("options") or {}).get(option)
        ]
        if missing:
            yield f"Log driver awslogs requires options: {', '.join(missing)}"


def _invalid_for_fargate(task: Request, containers: list[Request]) -> Iterator[str]:
    for member in ("cpu", "memory"):
        if not task.get(member):
            yield f"Fargate requires that '{member}' be defined at the task level."
    if task.get("networkMode") not in (None, "awsvpc"):
        yield "Fargate only supports network mode ‘awsvpc’."
    if any(each.get("resourceRequirements") for each in containers):
        yield "Fargate does not support GPU resource requirements."


def not_emulated_in_run(data: Request) -> str:
    """What a RunTask request asks for that can't be done here; empty if nothing."""
    if data.get("launchType") in ("EXTERNAL", "MANAGED_INSTANCES"):
        return unsupported("launch types EXTERNAL and MANAGED_INSTANCES")
    if _has_member_of(data):
        return unsupported("placement constraints of type memberOf")
    if (data.get("overrides") or {}).get("inferenceAcceleratorOverrides"):
        return unsupported("Elastic Inference")
    return ""


def not_emulated_in_service(data: Request) -> str:
    """What a CreateService or UpdateService request asks for that can't be done here; empty if nothing."""
    controller = (data.get("deploymentController") or {}).get("type", "ECS")
    if data.get("schedulingStrategy") == "DAEMON" or controller != "ECS":
        return unsupported("daemon services and deployments by CodeDeploy or external controllers")
    if (data.get("serviceConnectConfiguration") or {}).get("enabled") or data.get("serviceRegistries"):
        return unsupported("App Mesh proxies, Service Connect and Cloud Map registries")
    if any(each.get("loadBalancerName") for each in data.get("loadBalancers") or []):
        return unsupported("Classic Load Balancers")
    for member, name in IN_SERVICES.items():
        if data.get(member):
            return unsupported(name)
    if data.get("availabilityZoneRebalancing") == "ENABLED":
        return unsupported("Availability Zone rebalancing")
    return _not_emulated_deployment(data.get("deploymentConfiguration") or {}) or not_emulated_in_run(data)


def _not_emulated_deployment(configuration: Request) -> str:
    others = ("lifecycleHooks", "bakeTimeInMinutes", "linearConfiguration", "canaryConfiguration")
    wanted = [configuration.get(each) for each in others]
    wanted += [(configuration.get(each) or {}).get("enable") for each in ("alarms", "earlySuccessCriteria")]
    if configuration.get("strategy", "ROLLING") != "ROLLING" or any(wanted):
        return unsupported("deployment strategies other than ROLLING, their hooks, alarms and early success")
    return ""


def wrong_overrides(task: Request, data: Request) -> str:
    """What AWS refuses of RunTask's overrides: containers that the task definition has not."""
    names = {each["name"] for each in task["containerDefinitions"]}
    for each in (data.get("overrides") or {}).get("containerOverrides") or []:
        if each.get("name") not in names:
            return (
                f"Override for container named {each.get('name')} is not a container in the TaskDefinition."
            )
    return ""
