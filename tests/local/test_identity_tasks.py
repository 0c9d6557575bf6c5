"""What tasks may do, and what is done on their behalf: task roles, execution roles, instance roles."""

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ecs_world import wait_until
from identity_world import ACCOUNT, AGENT, LOG, PULL, Account, Policy, account, allow, refused

pytestmark = pytest.mark.local
PUT = """
import boto3, os
from botocore.config import Config
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
print(boto3.client("sts").get_caller_identity()["Arn"])
s3.put_object(Bucket="results", Key="k", Body=b"x")
print("written")
"""
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("identity")) as made:
        made.client("s3").create_bucket(Bucket="results")
        yield made


@pytest.fixture(scope="module")
def execution_role(aws: Account) -> str:
    return aws.role(allow(*PULL, *LOG))


def run(aws: Account, code: str, roles: dict[str, Any], **more: Any) -> str:
    return aws.run(aws.container(code), register={"family": f"job-{next(_numbers)}", **roles}, **more)


def test_a_task_has_the_rights_of_its_role_and_no_others(aws: Account, execution_role: str) -> None:
    writer, reader = aws.role(allow("s3:PutObject")), aws.role(allow("s3:GetObject"))
    may = run(aws, PUT, {"taskRoleArn": writer, "executionRoleArn": execution_role})
    may_not = run(aws, PUT, {"taskRoleArn": reader, "executionRoleArn": execution_role})
    assert aws.stopped(may)["containers"][0]["exitCode"] == 0
    session = f"assumed-role/{writer.rpartition('/')[2]}/{may.rpartition('/')[2]}"
    assert aws.lines(may) == [f"arn:aws:sts::{ACCOUNT}:{session}", "written"]
    assert aws.stopped(may_not)["containers"][0]["exitCode"] == 1
    last = aws.lines(may_not)[-1]
    assert "AccessDenied" in last
    assert "s3:PutObject on resource: arn:aws:s3:::results/k" in last


def test_an_override_of_the_task_role_counts(aws: Account, execution_role: str) -> None:
    writer, reader = aws.role(allow("s3:PutObject")), aws.role(allow("s3:GetObject"))
    roles = {"taskRoleArn": reader, "executionRoleArn": execution_role}
    task = run(aws, PUT, roles, overrides={"taskRoleArn": writer})
    assert aws.stopped(task)["containers"][0]["exitCode"] == 0


def test_a_task_without_a_role_has_no_credentials(aws: Account, execution_role: str) -> None:
    task = run(aws, PUT, {"executionRoleArn": execution_role})
    assert aws.stopped(task)["containers"][0]["exitCode"] == 1
    assert "Unable to locate credentials" in aws.lines(task)[-1]


def test_a_role_that_is_deleted_midway_gives_no_more_rights(aws: Account, execution_role: str) -> None:
    code = PUT.replace(
        's3.put_object(Bucket="results"', 'import time\nwhile True:\n s3.put_object(Bucket="results"'
    )
    role = aws.role(allow("s3:PutObject"))
    task = run(aws, code, {"taskRoleArn": role, "executionRoleArn": execution_role})
    aws.line(task)
    name = role.rpartition("/")[2]
    aws.iam.delete_role_policy(RoleName=name, PolicyName="own")
    aws.iam.delete_role(RoleName=name)
    assert aws.stopped(task)["containers"][0]["exitCode"] == 1
    assert "AccessDenied" in aws.lines(task)[-1]


@pytest.mark.parametrize("which", ["taskRoleArn", "executionRoleArn"])
@pytest.mark.parametrize(
    ("service", "conditions"),
    [
        ("lambda.amazonaws.com", {}),
        ("ecs-tasks.amazonaws.com", {"StringEquals": {"aws:SourceAccount": "210987654321"}}),
    ],
)
def test_a_role_that_does_not_trust_tasks_is_not_assumed(
    aws: Account, which: str, service: str, conditions: dict[str, Any]
) -> None:
    role = aws.role(allow("*"), service, **conditions)
    with refused(f"ECS was unable to assume the role '{role}'", "ClientException"):
        run(aws, "pass", {which: role})


def test_a_role_that_trusts_tasks_of_this_account_is_assumed(aws: Account) -> None:
    own = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    role = aws.role(allow(*PULL, *LOG), "ecs-tasks.amazonaws.com", **own)
    assert aws.stopped(run(aws, "pass", {"executionRoleArn": role}))["containers"][0]["exitCode"] == 0


@pytest.mark.parametrize(
    ("missing", "begins"),
    [
        ("ecr:GetAuthorizationToken", "ResourceInitializationError: unable to pull secrets or registry auth"),
        ("ecr:BatchGetImage", "CannotPullContainerError: Error response from daemon: pull access denied"),
        ("ecr:GetDownloadUrlForLayer", "CannotPullContainerError: Error response from daemon"),
        ("logs:CreateLogStream", "ResourceInitializationError: failed to validate logger args"),
    ],
)
def test_a_right_that_the_execution_role_lacks_is_the_reason_why_the_task_stopped(
    aws: Account, missing: str, begins: str
) -> None:
    role = aws.role(allow(*(each for each in (*PULL, *LOG) if each != missing)))
    task = aws.stopped(run(aws, "pass", {"executionRoleArn": role}))
    assert task["stoppedReason"].startswith(begins)
    assert f"is not authorized to perform: {missing}" in task["stoppedReason"]
    assert f"/{role.rpartition('/')[2]}/" in task["stoppedReason"]
    assert task["stopCode"] == "TaskFailedToStart"


def test_without_the_right_to_write_a_task_runs_and_its_log_is_empty(aws: Account) -> None:
    role = aws.role(allow(*PULL, "logs:CreateLogStream"))
    task = run(aws, "print('lost')", {"executionRoleArn": role})
    assert aws.stopped(task)["containers"][0]["exitCode"] == 0
    assert aws.lines(task) == []
    assert "are lost: User:" in aws.said()


def test_without_an_execution_role_nothing_is_pulled(aws: Account) -> None:
    assert "names no execution role" in aws.stopped(run(aws, "pass", {}))["stoppedReason"]


def test_a_secret_needs_the_execution_roles_right_to_read_it(aws: Account, execution_role: str) -> None:
    aws.client("ssm").put_parameter(Name="/mine", Value="secret", Type="String")
    secrets = [{"name": "MINE", "valueFrom": "/mine"}]
    code = "import os; print(os.environ['MINE'])"
    role = aws.role(allow(*PULL, *LOG, "ssm:GetParameters"))
    for given, expected in ((role, "secret"), (execution_role, "ssm:GetParameters")):
        container = aws.container(code, secrets=secrets)
        task = aws.run(container, register={"family": "secret", "executionRoleArn": given})
        stopped = aws.stopped(task)
        said = aws.lines(task)[0] if expected == "secret" else stopped["stoppedReason"]
        assert expected in said


# ---- instances -----------------------------------------------------------------------------------------------


def cluster(aws: Account, role: str | None) -> str:
    """A new cluster with one instance, whose profile has this role."""
    name = f"cluster-{next(_numbers)}"
    data: dict[str, Any] = {"InstanceType": "t3.large", "ImageId": "ami-1"}
    if role:
        aws.iam.create_instance_profile(InstanceProfileName=name)
        aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role.rpartition("/")[2])
        data["IamInstanceProfile"] = {"Name": name}
    template = aws.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    groups = aws.client("autoscaling")
    groups.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=1,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]},
        AvailabilityZones=["us-east-1a"],
    )
    [group] = groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    aws.ecs.create_capacity_provider(
        name=name, autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"]}
    )
    aws.ecs.create_cluster(clusterName=name)
    aws.ecs.put_cluster_capacity_providers(
        cluster=name, capacityProviders=[name], defaultCapacityProviderStrategy=[]
    )
    return name


def instances(aws: Account, name: str) -> list[str]:
    return list(aws.ecs.list_container_instances(cluster=name)["containerInstanceArns"])


@pytest.mark.parametrize("missing", AGENT)
def test_an_instance_joins_once_its_role_has_every_right_of_the_agent(aws: Account, missing: str) -> None:
    role = aws.role(allow(*(each for each in AGENT if each != missing)), "ec2.amazonaws.com")
    name = cluster(aws, role)
    assert instances(aws, name) == []
    assert f"does not register with cluster {name}" in aws.said()
    assert f"not authorized to perform: {missing} on" in aws.said()
    aws.put(role, allow(*AGENT))
    assert len(instances(aws, name)) == 1
    assert aws.ecs.describe_clusters(clusters=[name])["clusters"][0]["registeredContainerInstancesCount"] == 1


@pytest.mark.parametrize("service", ["", "ecs-tasks.amazonaws.com"])
def test_an_instance_without_a_role_of_its_own_does_not_join(aws: Account, service: str) -> None:
    name = cluster(aws, aws.role(allow("*"), service) if service else None)
    assert instances(aws, name) == []
    assert f"does not register with cluster {name}: it has no instance profile" in aws.said()


def test_where_a_task_names_no_execution_role_its_instances_own_is_used(aws: Account) -> None:
    name = cluster(aws, aws.role(allow(*AGENT, *PULL, *LOG), "ec2.amazonaws.com"))
    assert wait_until(lambda: instances(aws, name))
    definition = aws.register(aws.container("print('pulled')"), family="by-instance")
    started = aws.ecs.run_task(cluster=name, taskDefinition=definition, launchType="EC2")["tasks"][0][
        "taskArn"
    ]

    def stopped() -> Any:
        task = aws.ecs.describe_tasks(cluster=name, tasks=[started])["tasks"][0]
        return task if task["lastStatus"] == "STOPPED" else None

    assert wait_until(stopped)["containers"][0]["exitCode"] == 0
    assert aws.lines(started) == ["pulled"]


# ---- the registry --------------------------------------------------------------------------------------------


def pushing(aws: Account, actions: list[str]) -> Account:
    """The same world, whose pushes are made by somebody with these rights."""
    policy: Policy = allow("ecr:GetAuthorizationToken", "ecr:CreateRepository", *actions)
    session = aws.session(policy)
    other = copy.copy(aws)
    other.client = lambda name: aws.as_(session, name)
    return other


PUSH = ["ecr:InitiateLayerUpload", "ecr:CompleteLayerUpload", "ecr:PutImage"]


def test_a_push_needs_the_rights_of_each_of_its_steps(aws: Account) -> None:
    import urllib.error

    assert pushing(aws, PUSH).push("pushed")
    for missing in PUSH:
        with pytest.raises(urllib.error.HTTPError) as raised:
            pushing(aws, [each for each in PUSH if each != missing]).push(f"not-{next(_numbers)}")
        assert raised.value.code == 403
        assert f"not authorized to perform: {missing}" in raised.value.read().decode()


def test_the_registry_asks_for_a_login(aws: Account) -> None:
    import urllib.error
    import urllib.request

    for path in ("", "jobs/manifests/latest"):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"http://127.0.0.1:{aws.port}/v2/{path}")
        assert raised.value.code == 401
        assert raised.value.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_a_layers_address_needs_no_login_and_opens_that_layer_alone(aws: Account) -> None:
    import urllib.error
    import urllib.request

    ecr = aws.client("ecr")
    image = ecr.batch_get_image(repositoryName="jobs", imageIds=[{"imageTag": "latest"}])["images"][0]
    digest = json.loads(image["imageManifest"])["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName="jobs", layerDigest=digest)["downloadUrl"]
    assert b"Entrypoint" in urllib.request.urlopen(url).read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url.replace(digest, "sha256:" + "0" * 64))
