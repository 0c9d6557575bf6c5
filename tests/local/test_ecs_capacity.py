"""Container instances of an Auto Scaling group: what fits, what does not, what makes the group grow."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world

from localaws.ecs import instance_types

pytestmark = pytest.mark.local
SLEEP = "import time; print('up'); time.sleep(60)"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("capacity")) as made:
        yield made


@pytest.fixture(scope="module")
def aws_with_gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A local AWS that finds two GPUs: a stand-in for NVIDIA's tool says so."""
    folder = tmp_path_factory.mktemp("gpus")
    tool = folder / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-aa-1)'\necho 'GPU 1: A (UUID: GPU-bb-2)'\n")
    tool.chmod(0o755)
    with world(folder, PATH=f"{folder}:{os.environ['PATH']}") as made:
        yield made


class Cluster:
    """A cluster of its own with one group behind one capacity provider."""

    def __init__(
        self, aws: World, instance_type: str, desired: int = 1, most: int = 1, scaling: bool = True
    ) -> None:
        self.aws = aws
        self.name = f"cluster-{next(_numbers)}"
        self.groups = aws.client("autoscaling")
        template = aws.client("ec2").create_launch_template(
            LaunchTemplateName=self.name,
            LaunchTemplateData={"InstanceType": instance_type, "ImageId": "ami-1"},
        )["LaunchTemplate"]
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=self.name,
            MinSize=0,
            MaxSize=most,
            DesiredCapacity=desired,
            LaunchTemplate={"LaunchTemplateId": template["LaunchTemplateId"]},
            AvailabilityZones=["us-east-1a"],
        )
        [group] = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])[
            "AutoScalingGroups"
        ]
        status = {"status": "ENABLED" if scaling else "DISABLED"}
        aws.ecs.create_capacity_provider(
            name=self.name,
            autoScalingGroupProvider={
                "autoScalingGroupArn": group["AutoScalingGroupARN"],
                "managedScaling": status,
            },
        )
        aws.ecs.create_cluster(clusterName=self.name)
        aws.ecs.put_cluster_capacity_providers(
            cluster=self.name, capacityProviders=[self.name], defaultCapacityProviderStrategy=[]
        )

    def run(self, definition: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.aws.ecs.run_task(
            cluster=self.name, taskDefinition=definition, **({"launchType": "EC2"} | more)
        )
        return answer

    def run_by_provider(self, definition: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.aws.ecs.run_task(
            cluster=self.name,
            taskDefinition=definition,
            capacityProviderStrategy=[{"capacityProvider": self.name}],
            **more,
        )
        return answer

    def instances(self) -> list[dict[str, Any]]:
        arns = self.aws.ecs.list_container_instances(cluster=self.name)["containerInstanceArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.aws.ecs.describe_container_instances(
            cluster=self.name, containerInstances=arns
        )["containerInstances"]
        return found

    def remaining(self, resource: str) -> Any:
        [instance] = self.instances()
        [found] = [each for each in instance["remainingResources"] if each["name"] == resource]
        return found.get("integerValue", found.get("stringSetValue"))

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.ecs.describe_tasks(cluster=self.name, tasks=[arn])["tasks"][0]
        return found

    def stop(self, arn: str) -> None:
        self.aws.ecs.stop_task(cluster=self.name, task=arn)
        wait_until(lambda: self.task(arn)["lastStatus"] == "STOPPED")


def gpu(value: int = 1) -> dict[str, Any]:
    return {"resourceRequirements": [{"type": "GPU", "value": str(value)}]}


def test_cluster_without_instances_refuses_ec2_tasks(aws: World) -> None:
    with pytest.raises(ClientError, match="No Container Instances were found in your cluster"):
        aws.ecs.run_task(cluster="c", taskDefinition=aws.register(aws.container(SLEEP)), launchType="EC2")


def test_instances_register_what_their_type_has(aws: World) -> None:
    cluster = Cluster(aws, "m5.xlarge")
    [instance] = cluster.instances()
    assert instance["status"] == "ACTIVE"
    assert cluster.remaining("CPU") == 4096
    assert 15000 < cluster.remaining("MEMORY") < 16384
    [described] = aws.ecs.describe_clusters(clusters=[cluster.name])["clusters"]
    assert described["registeredContainerInstancesCount"] == 1


def test_running_task_takes_its_part_and_gives_it_back(aws: World) -> None:
    cluster = Cluster(aws, "m5.xlarge")
    before = cluster.remaining("MEMORY")
    definition = aws.register(
        aws.container(SLEEP, cpu=1024, portMappings=[{"containerPort": 80, "hostPort": 21999}])
    )
    task = cluster.run(definition)["tasks"][0]
    assert task["containerInstanceArn"] == cluster.instances()[0]["containerInstanceArn"]
    assert (cluster.remaining("CPU"), cluster.remaining("MEMORY")) == (3072, before - 256)
    assert "21999" in cluster.remaining("PORTS")
    assert cluster.run(definition)["failures"][0]["reason"] == "RESOURCE:PORTS"
    cluster.stop(task["taskArn"])
    assert (cluster.remaining("CPU"), cluster.remaining("MEMORY")) == (4096, before)


@pytest.mark.parametrize(
    ("wanted", "reason"), [({"memory": 99999}, "RESOURCE:MEMORY"), ({"cpu": 99999}, "RESOURCE:CPU")]
)
def test_task_that_does_not_fit_names_the_resource_and_the_instance(
    aws: World, wanted: dict[str, int], reason: str
) -> None:
    cluster = Cluster(aws, "t3.large")
    answer = cluster.run(aws.register(aws.container(SLEEP, **wanted)))
    assert answer["tasks"] == []
    arn = cluster.instances()[0]["containerInstanceArn"]
    assert answer["failures"] == [{"arn": arn, "reason": reason}]


def test_awsvpc_tasks_take_a_network_interface_each_and_an_instance_has_few(aws: World) -> None:
    cluster = Cluster(aws, "m5.xlarge")
    definition = aws.register(aws.container(SLEEP), networkMode="awsvpc")
    answer = cluster.run(definition, count=4, networkConfiguration=aws.network())
    assert (len(answer["tasks"]), [each["reason"] for each in answer["failures"]]) == (3, ["RESOURCE:ENI"])
    cluster.stop(answer["tasks"][0]["taskArn"])
    again = cluster.run(definition, networkConfiguration=aws.network())
    assert len(again["tasks"]) == 1
    for task in (*answer["tasks"][1:], *again["tasks"]):
        cluster.stop(task["taskArn"])


@pytest.mark.skipif(bool(instance_types.gpus_here()), reason="this machine has a GPU to give")
@pytest.mark.parametrize("instance_type", ["m5.large", "g4dn.xlarge"])
def test_gpu_task_is_refused_where_the_machine_has_no_gpu(aws: World, instance_type: str) -> None:
    cluster = Cluster(aws, instance_type, most=3)
    definition = aws.register(aws.container(SLEEP, **gpu()))
    assert cluster.run(definition)["failures"][0]["reason"] == "RESOURCE:GPU"
    assert cluster.run_by_provider(definition)["failures"][0]["reason"] == "RESOURCE:GPU"
    assert len(cluster.instances()) == 1


def test_count_is_placed_as_far_as_it_fits(aws: World) -> None:
    cluster = Cluster(aws, "t3.large")
    answer = cluster.run(aws.register(aws.container(SLEEP, cpu=1024)), count=3)
    assert len(answer["tasks"]) == 2
    assert [each["reason"] for each in answer["failures"]] == ["RESOURCE:CPU"]
    for task in answer["tasks"]:
        cluster.stop(task["taskArn"])


def test_managed_scaling_adds_an_instance_for_a_waiting_task(aws: World) -> None:
    cluster = Cluster(aws, "t3.large", desired=0, most=2)
    definition = aws.register(aws.container(SLEEP, cpu=2048))
    answer = cluster.run_by_provider(definition, count=2)
    assert [task["lastStatus"] for task in answer["tasks"]] == ["PROVISIONING"] * 2
    arns = [task["taskArn"] for task in answer["tasks"]]
    for arn in arns:
        wait_until(lambda arn=arn: cluster.task(arn)["lastStatus"] == "RUNNING")
    assert len({cluster.task(arn)["containerInstanceArn"] for arn in arns}) == 2
    [group] = cluster.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[cluster.name])[
        "AutoScalingGroups"
    ]
    assert group["DesiredCapacity"] == 2
    for arn in arns:
        cluster.stop(arn)


def test_task_waits_at_the_groups_maximum_until_there_is_room(aws: World) -> None:
    cluster = Cluster(aws, "t3.large", most=1)
    definition = aws.register(aws.container(SLEEP, cpu=2048))
    first = cluster.run_by_provider(definition)["tasks"][0]["taskArn"]
    second = cluster.run_by_provider(definition)["tasks"][0]["taskArn"]
    wait_until(lambda: cluster.task(first)["lastStatus"] == "RUNNING")
    assert cluster.task(second)["lastStatus"] == "PROVISIONING"
    assert "containerInstanceArn" not in cluster.task(second)
    cluster.stop(first)
    wait_until(lambda: cluster.task(second)["lastStatus"] == "RUNNING")
    cluster.stop(second)


def test_waiting_task_can_be_stopped(aws: World) -> None:
    cluster = Cluster(aws, "t3.large", desired=0, most=0)
    arn = cluster.run_by_provider(aws.register(aws.container(SLEEP)))["tasks"][0]["taskArn"]
    cluster.stop(arn)
    assert "exitCode" not in cluster.task(arn)["containers"][0]


def test_provider_without_managed_scaling_and_instances_fails_the_request(aws: World) -> None:
    cluster = Cluster(aws, "t3.large", desired=0, scaling=False)
    failures = cluster.run_by_provider(aws.register(aws.container(SLEEP)))["failures"]
    assert failures[0]["reason"] == "No Container Instances were found in your capacity provider."


def test_draining_instance_takes_no_task_also_after_a_restart_of_the_server(aws: World) -> None:
    cluster = Cluster(aws, "t3.large")
    [instance] = cluster.instances()
    arn = instance["containerInstanceArn"]
    aws.ecs.update_container_instances_state(
        cluster=cluster.name, containerInstances=[arn], status="DRAINING"
    )
    assert cluster.instances()[0]["status"] == "DRAINING"
    assert cluster.run(aws.register(aws.container(SLEEP)))["tasks"] == []
    aws.stop()
    aws.start()
    assert cluster.instances()[0]["status"] == "DRAINING"
    assert "_draining" not in aws.ecs.describe_clusters(clusters=[cluster.name])["clusters"][0]
    aws.ecs.update_container_instances_state(cluster=cluster.name, containerInstances=[arn], status="ACTIVE")
    task = cluster.run(aws.register(aws.container(SLEEP)))["tasks"][0]
    cluster.stop(task["taskArn"])


def test_task_ends_with_its_instance(aws: World) -> None:
    cluster = Cluster(aws, "t3.large")
    arn = cluster.run(aws.register(aws.container(SLEEP)))["tasks"][0]["taskArn"]
    wait_until(lambda: cluster.task(arn)["lastStatus"] == "RUNNING")
    cluster.groups.set_desired_capacity(AutoScalingGroupName=cluster.name, DesiredCapacity=0)
    wait_until(lambda: cluster.task(arn)["lastStatus"] == "STOPPED")
    assert "terminated" in cluster.task(arn)["stoppedReason"]


def test_used_cluster_can_not_be_deleted(aws: World) -> None:
    cluster = Cluster(aws, "t3.large")
    with pytest.raises(ClientError, match="ClusterContainsContainerInstancesException"):
        aws.ecs.delete_cluster(cluster=cluster.name)


def test_gpus_of_the_machine_are_registered_once_and_given_to_tasks(aws_with_gpus: World) -> None:
    aws = aws_with_gpus
    cluster = Cluster(aws, "g4dn.xlarge", desired=3, most=3)
    by_instance = [
        next(
            (each["stringSetValue"] for each in instance["registeredResources"] if each["name"] == "GPU"), []
        )
        for instance in cluster.instances()
    ]
    assert by_instance == [["GPU-aa-1"], ["GPU-bb-2"], []]
    code = "import os, time; print(os.environ['NVIDIA_VISIBLE_DEVICES']); time.sleep(60)"
    definition = aws.register(aws.container(code, **gpu()))
    answer = cluster.run(definition, count=3)
    assert len(answer["tasks"]) == 2
    assert {each["reason"] for each in answer["failures"]} == {"RESOURCE:GPU"}
    for task in answer["tasks"]:
        arn = task["taskArn"]
        wait_until(lambda arn=arn: cluster.task(arn)["lastStatus"] == "RUNNING")
        assert cluster.task(arn)["containers"][0]["gpuIds"] == [aws.line(arn)]
    cluster.stop(answer["tasks"][0]["taskArn"])
    assert len(cluster.run(definition)["tasks"]) == 1
