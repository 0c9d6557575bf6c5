"""Every answer and every error of the local ECS, held against botocore's own model of ECS."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape
from conformance import Watch
from ecs_world import World, wait_until
from enforced_world import INSTANCES, enforced_world

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
TAGS = [{"key": "a", "value": "b"}]
LISTS = (
    "list_task_definitions",
    "list_task_definition_families",
    "list_clusters",
    "describe_capacity_providers",
    "list_account_settings",
)
LISTS_OF_CLUSTER = ("list_tasks", "list_services", "list_container_instances")


@dataclass
class Walk:
    """A local AWS in which every operation has been called once, and what was seen meanwhile."""

    aws: World
    watch: Watch
    problems: list[str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with enforced_world(tmp_path_factory.mktemp("conformance")) as aws:
        watch = Watch(aws.ecs)
        for step in (definitions, clusters, instances, tasks, services, settings):
            step(aws)
        for name in LISTS:
            getattr(aws.ecs, name)()
        for name in LISTS_OF_CLUSTER:
            getattr(aws.ecs, name)(cluster="c")
        yield Walk(aws, watch, watch.checked())


def definitions(aws: World) -> None:
    rich = aws.container(
        SLEEP,
        portMappings=[{"containerPort": 80}],
        environment=[{"name": "EMPTY", "value": ""}],
        healthCheck={"command": ["CMD", "true"]},
        ulimits=[{"name": "nofile", "softLimit": 10, "hardLimit": 10}],
    )
    aws.register(rich, family="rich", tags=TAGS, volumes=[{"name": "v"}])
    aws.register(aws.container(SLEEP), family="rich", runtimePlatform={"cpuArchitecture": "X86_64"})
    aws.register(aws.container(SLEEP, portMappings=[{"containerPort": 80}]), family="job")
    aws.ecs.describe_task_definition(taskDefinition="rich:1", include=["TAGS"])
    aws.ecs.deregister_task_definition(taskDefinition="rich:1")
    aws.ecs.delete_task_definitions(taskDefinitions=["rich:1", "rich:2", "rich:9"])


def clusters(aws: World) -> None:
    setting = {"name": "containerInsights", "value": "enabled"}
    arn = aws.ecs.create_cluster(clusterName="k", tags=TAGS, settings=[setting])["cluster"]["clusterArn"]
    aws.ecs.update_cluster(cluster="k", settings=[setting])
    aws.ecs.update_cluster_settings(cluster="k", settings=[setting])
    aws.ecs.put_cluster_capacity_providers(
        cluster="k",
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
    )
    aws.ecs.describe_clusters(clusters=["k", "none"], include=["STATISTICS", "TAGS", "SETTINGS"])
    aws.ecs.tag_resource(resourceArn=arn, tags=[{"key": "x", "value": ""}])
    aws.ecs.list_tags_for_resource(resourceArn=arn)
    aws.ecs.untag_resource(resourceArn=arn, tagKeys=["x"])


def instances(aws: World) -> None:
    template = aws.client("ec2").create_launch_template(
        LaunchTemplateName="t",
        LaunchTemplateData={"InstanceType": "m5.large", "IamInstanceProfile": {"Name": INSTANCES}},
    )["LaunchTemplate"]["LaunchTemplateId"]
    groups = aws.client("autoscaling")
    groups.create_auto_scaling_group(
        AutoScalingGroupName="g",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateId": template},
        AvailabilityZones=["us-east-1a"],
    )
    [group] = groups.describe_auto_scaling_groups()["AutoScalingGroups"]
    provider = {"autoScalingGroupArn": group["AutoScalingGroupARN"]}
    aws.ecs.create_capacity_provider(name="p", autoScalingGroupProvider=provider, tags=TAGS)
    aws.ecs.update_capacity_provider(
        name="p", autoScalingGroupProvider={"managedScaling": {"status": "DISABLED"}}
    )
    aws.ecs.put_cluster_capacity_providers(
        cluster="k", capacityProviders=["p"], defaultCapacityProviderStrategy=[]
    )
    arns = aws.ecs.list_container_instances(cluster="k")["containerInstanceArns"]
    assert len(arns) == 1
    aws.ecs.describe_container_instances(cluster="k", containerInstances=[*arns, "none"], include=["TAGS"])
    aws.ecs.update_container_instances_state(cluster="k", containerInstances=arns, status="DRAINING")
    aws.ecs.create_capacity_provider(name="q", autoScalingGroupProvider=provider)
    aws.ecs.delete_capacity_provider(capacityProvider="q")


def tasks(aws: World) -> None:
    override = {"name": "app", "environment": [{"name": "q", "value": "1"}], "cpu": 10}
    how: dict[str, Any] = {"cluster": "c", "taskDefinition": "job", "launchType": "FARGATE"}
    started = aws.ecs.run_task(
        **how, startedBy="me", tags=TAGS, overrides={"containerOverrides": [override]}
    )["tasks"]
    arn = started[0]["taskArn"]
    aws.running(arn)
    aws.ecs.describe_tasks(cluster="c", tasks=[arn, "none"], include=["TAGS"])
    aws.ecs.stop_task(cluster="c", task=arn, reason="seen enough")
    aws.stopped(arn)


def services(aws: World) -> None:
    how: dict[str, Any] = {"cluster": "c", "taskDefinition": "job", "launchType": "FARGATE"}
    aws.ecs.create_service(**how, serviceName="s", desiredCount=1, tags=TAGS)
    aws.ecs.create_service(**how, serviceName="gone", desiredCount=0)
    aws.ecs.delete_service(cluster="c", service="gone")
    wait_until(lambda: _service(aws)["runningCount"] == 1)
    aws.ecs.update_service(cluster="c", service="s", desiredCount=0, forceNewDeployment=True)
    aws.ecs.describe_services(cluster="c", services=["s", "gone", "none"], include=["TAGS"])
    aws.ecs.list_services_by_namespace(namespace="x")


def settings(aws: World) -> None:
    aws.ecs.put_account_setting(name="taskLongArnFormat", value="enabled")
    aws.ecs.put_account_setting_default(name="containerInsights", value="enabled")
    aws.ecs.delete_account_setting(name="taskLongArnFormat")
    aws.ecs.delete_cluster(cluster=aws.ecs.create_cluster(clusterName="gone")["cluster"]["clusterArn"])


def _service(aws: World) -> dict[str, Any]:
    found: dict[str, Any] = aws.ecs.describe_services(cluster="c", services=["s"])["services"][0]
    return found


def _refusal(aws: World, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The error that a call ends in; empty if it succeeds."""
    from botocore import xform_name

    try:
        getattr(aws.ecs, xform_name(operation))(**arguments)
    except ClientError as error:
        found: dict[str, Any] = dict(error.response["Error"])
        return found
    return {}


def _least(shape: Shape | None) -> Any:
    """The smallest value that a model accepts."""
    kind = shape.type_name if shape else "structure"
    if kind == "structure":
        return {name: _least(shape.members[name]) for name in (shape.required_members if shape else [])}
    if kind == "list":
        return [_least(shape.member)] if shape else []
    words = getattr(shape, "enum", None) or ["x"]
    values: dict[str, Any] = {"string": words[0], "boolean": True, "map": {}, "timestamp": 0}
    return values.get(kind, 1)


def test_every_answer_has_the_shape_that_botocore_knows(walk: Walk) -> None:
    assert walk.problems == []


def test_what_is_not_answered_is_refused_by_name(walk: Walk) -> None:
    model = walk.aws.ecs.meta.service_model
    made_up = []
    for name in set(model.operation_names) - walk.watch.answered - {"DiscoverPollEndpoint", "ExecuteCommand"}:
        refusal = _refusal(walk.aws, name, _least(model.operation_model(name).input_shape))
        if refusal.get("Code") != "UnsupportedFeatureException" or "not emulated" not in refusal["Message"]:
            made_up.append((name, refusal))
    assert made_up == []


ERRORS = [
    ("DescribeTasks", {"cluster": "none", "tasks": ["x"]}, "ClusterNotFoundException"),
    ("ListTasks", {"cluster": "none"}, "ClusterNotFoundException"),
    ("ListTasks", {"cluster": "c", "nextToken": "junk"}, "InvalidParameterException"),
    ("ListServices", {"cluster": "none"}, "ClusterNotFoundException"),
    ("ListContainerInstances", {"cluster": "none"}, "ClusterNotFoundException"),
    (
        "DescribeContainerInstances",
        {"cluster": "none", "containerInstances": ["x"]},
        "ClusterNotFoundException",
    ),
    ("DescribeServices", {"cluster": "none", "services": ["x"]}, "ClusterNotFoundException"),
    ("DescribeServices", {"cluster": "c", "services": ["x"] * 11}, "InvalidParameterException"),
    ("DescribeTasks", {"cluster": "c", "tasks": ["x"] * 101}, "InvalidParameterException"),
    ("RunTask", {"cluster": "none", "taskDefinition": "job"}, "ClusterNotFoundException"),
    ("RunTask", {"cluster": "c", "taskDefinition": "none"}, "ClientException"),
    ("RunTask", {"cluster": "c", "taskDefinition": "job", "count": 11}, "InvalidParameterException"),
    ("RunTask", {"cluster": "c", "taskDefinition": "job"}, "InvalidParameterException"),
    (
        "RunTask",
        {"cluster": "c", "taskDefinition": "job", "capacityProviderStrategy": [{"capacityProvider": "none"}]},
        "InvalidParameterException",
    ),
    ("StopTask", {"cluster": "c", "task": "none"}, "InvalidParameterException"),
    ("StopTask", {"cluster": "none", "task": "x"}, "ClusterNotFoundException"),
    ("DescribeTaskDefinition", {"taskDefinition": "none"}, "ClientException"),
    ("DeregisterTaskDefinition", {"taskDefinition": "none:1"}, "ClientException"),
    ("DeregisterTaskDefinition", {"taskDefinition": "job"}, "ClientException"),
    ("RegisterTaskDefinition", {"family": "x", "containerDefinitions": []}, "ClientException"),
    (
        "RegisterTaskDefinition",
        {"family": "a b", "containerDefinitions": [{"name": "a", "image": "i", "memory": 9}]},
        "ClientException",
    ),
    (
        "CreateService",
        {"cluster": "none", "serviceName": "x", "taskDefinition": "job"},
        "ClusterNotFoundException",
    ),
    ("CreateService", {"cluster": "c", "serviceName": "x", "taskDefinition": "none"}, "ClientException"),
    ("UpdateService", {"cluster": "c", "service": "none"}, "ServiceNotFoundException"),
    ("UpdateService", {"cluster": "c", "service": "gone"}, "ServiceNotActiveException"),
    ("DeleteService", {"cluster": "c", "service": "none"}, "ServiceNotFoundException"),
    ("DeleteService", {"cluster": "c", "service": "gone"}, "ServiceNotFoundException"),
    ("DeleteCluster", {"cluster": "none"}, "ClusterNotFoundException"),
    ("CreateCluster", {"clusterName": "a b"}, "InvalidParameterException"),
    (
        "CreateCapacityProvider",
        {"name": "aws-x", "autoScalingGroupProvider": {"autoScalingGroupArn": "arn:x"}},
        "ClientException",
    ),
    (
        "CreateCapacityProvider",
        {"name": "x", "autoScalingGroupProvider": {"autoScalingGroupArn": "arn:x"}},
        "ClientException",
    ),
    ("DeleteCapacityProvider", {"capacityProvider": "none"}, "InvalidParameterException"),
    (
        "PutClusterCapacityProviders",
        {"cluster": "c", "capacityProviders": ["none"], "defaultCapacityProviderStrategy": []},
        "InvalidParameterException",
    ),
    (
        "ListTagsForResource",
        {"resourceArn": "arn:aws:ecs:us-east-1:1:cluster/x"},
        "InvalidParameterException",
    ),
    (
        "TagResource",
        {"resourceArn": "arn:aws:ecs:us-east-1:1:cluster/x", "tags": TAGS},
        "InvalidParameterException",
    ),
    ("UpdateCluster", {"cluster": "none"}, "ClusterNotFoundException"),
    ("PutAccountSetting", {"name": "taskLongArnFormat", "value": "maybe"}, "InvalidParameterException"),
]


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    ERRORS,
    ids=[f"{each[0]}-{number}" for number, each in enumerate(ERRORS)],
)
def test_error_is_the_one_that_ecs_gives(
    walk: Walk, operation: str, arguments: dict[str, Any], code: str
) -> None:
    walk.watch.checked()
    assert _refusal(walk.aws, operation, arguments).get("Code") == code
    assert walk.watch.checked() == []  # and it is one that botocore expects of this operation


def test_active_revision_is_not_deleted_and_said_so(walk: Walk) -> None:
    answer = walk.aws.ecs.delete_task_definitions(taskDefinitions=["job:1"])
    assert answer["taskDefinitions"] == []
    assert "still in ACTIVE status" in answer["failures"][0]["reason"]
    assert walk.aws.ecs.describe_task_definition(taskDefinition="job")["taskDefinition"]["status"] == "ACTIVE"


def test_definition_shows_what_ecs_fills_in(walk: Walk) -> None:
    shown = walk.aws.ecs.describe_task_definition(taskDefinition="job")
    [container] = shown["taskDefinition"]["containerDefinitions"]
    assert container["portMappings"] == [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]
    assert [container[each] for each in ("environment", "mountPoints", "volumesFrom")] == [[], [], []]
    assert "tags" not in shown


def test_task_of_its_own_has_the_group_of_its_family(walk: Walk) -> None:
    arn = walk.aws.run(walk.aws.container("pass"), register={"family": "alone"})
    assert walk.aws.task(arn)["group"] == "family:alone"
