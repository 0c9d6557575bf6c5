"""The sentiment service with a learner's rights: its stacks, the deploy workflow's own commands, and nothing left."""

import base64
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import course_world
import pytest
import small_artefacts
import yaml
from attendee import free_port
from benchmarks._policy_holders import deploy_role
from benchmarks._policy_replay import allowing
from botocore.exceptions import ClientError

from workshop import local
from workshop.aws import cleaning, images, leftovers, services, session, stacks
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

pytestmark = pytest.mark.local
ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
LEARNER = "workshop-learner"
ROLES = {
    "ServingRepositoryArn": "arn:aws:ecr:eu-west-3:123456789012:repository/course-1-storage-servingrepository",
    "ClusterName": "course-1-cluster",
    "ServingTaskRoleArn": "arn:aws:iam::123456789012:role/course-1-sentiment-task",
    "ServingExecutionRoleArn": "arn:aws:iam::123456789012:role/course-1-sentiment-execution",
}
ADDRESS = """
Resources:
  Address: {Type: AWS::EC2::EIP, Properties: {Domain: vpc}}
Outputs:
  AllocationId: {Value: !GetAtt Address.AllocationId}
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A learner with the two policies on a local AWS that records what IAM decides; all stacks but the service's."""
    folder = tmp_path_factory.mktemp("service")
    settings = load(
        {}, state_dir=folder / "state", runs_dir=folder / "runs", port=free_port(), engine="process"
    )
    decisions(settings.state_dir).parent.mkdir(parents=True)
    decisions(settings.state_dir).touch()  # a server that finds one goes on with it
    local.up(settings)
    try:
        found = session.connect(settings, {})
        for concern in ("network", "storage", "cluster", "private-network", "sentiment", "airflow"):
            stacks.deploy(concern, aws=found)
        yield found
    finally:
        local.down(settings)


def decisions(state_dir: Path) -> Path:
    return state_dir / "localaws" / "decisions.jsonl"


def physical(concern: str, logical_id: str, aws: Aws) -> str:
    return next(physical_id for name, _, physical_id in stacks.resources(concern, aws) if name == logical_id)


def commands() -> list[list[str]]:
    """What the workflow runs of ours, as it is written there."""
    [job] = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    return [shlex.split(line) for line in runs if line.startswith("python -m workshop.cli ")]


def workflow(aws: Aws) -> str:
    """Run them all here; returns what the last one printed."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WORKSHOP_"))
    }
    variables |= aws.settings.environment() | {"PYTHONPATH": str(ROOT / "src")}
    said = ""
    for command in commands():
        ran = subprocess.run(
            [sys.executable, *command[1:]], env=variables, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        said = ran.stdout
    return said


def test_private_subnets_reach_out_by_the_nat_gateway_and_to_s3_by_their_endpoint(aws: Aws) -> None:
    ec2, table = aws.client("ec2"), physical("private-network", "PrivateRoutes", aws)
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    out = [route for route in found["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    assert [route["NatGatewayId"] for route in out] == [stacks.output("NatGatewayId", aws)]
    private = stacks.output("PrivateSubnets", aws).split(",")
    assert {each["SubnetId"] for each in found["Associations"] if "SubnetId" in each} == set(private)
    subnets = ec2.describe_subnets(SubnetIds=private)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    public = ec2.describe_subnets(SubnetIds=stacks.output("SubnetIds", aws).split(","))["Subnets"]
    assert len({subnet["CidrBlock"] for subnet in [*subnets, *public]}) == 4


def test_a_learner_cannot_let_anybody_from_outside_in(aws: Aws) -> None:
    with pytest.raises(AwsError, match=r"iam:(CreateOpenIDConnectProvider|CreateRole)"):
        stacks.deploy("deploy-role", aws=aws, GitHubRepository="somebody/else", **ROLES)
    stacks._delete_dead("workshop-deploy-role", aws)


@pytest.fixture(scope="module")
def served(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model is published, and the workflow has run once; what its last command printed."""
    made = small_artefacts.make(tmp_path_factory.mktemp("artefact"))
    assert made is not None
    from workshop.aws import models

    model = f"s3://{stacks.output('ModelBucket', aws)}/sentiment"
    metrics = {"accuracy": 0.9, "macro_f1": 0.9, "examples": 10, "data_sha256": "0" * 64}
    models.publish(str(made), model, "run-1", metrics, aws.client("s3"))
    return workflow(aws)


def test_the_workflows_commands_build_push_deploy_and_ask(aws: Aws, served: str) -> None:
    assert "(model run-1)" in served
    found = services.describe(aws=aws)
    assert found.is_stable and (found.desired, found.healthy) == (1, 1)
    [task] = services.tasks(aws=aws)
    assert task.service == found.name and task.address == found.targets[0].address
    assert found.url == services.url(aws=aws) and found.url in str(found)


def test_releasing_the_same_again_replaces_no_task(aws: Aws, served: str) -> None:
    before = [task.id for task in services.tasks(aws=aws)]
    assert services.release(aws=aws).is_stable
    assert [task.id for task in services.tasks(aws=aws)] == before


def test_the_deploy_role_has_what_the_workflow_asks_for(aws: Aws, served: str) -> None:
    """A new revision, so that the stack is updated; IAM's questions meanwhile, asked again of the role alone."""
    [old] = aws.client("ecs").list_task_definitions(familyPrefix="sentiment")["taskDefinitionArns"]
    aws.client("ecs").deregister_task_definition(taskDefinition=old)
    began = time.time()
    images.push("serving", aws=aws)
    assert services.release(aws=aws).primary.revision == "sentiment:2"
    asked = [
        line
        for line in map(json.loads, decisions(aws.settings.state_dir).read_text().splitlines())
        if line["time"] >= began and f"/{LEARNER}/" in line["principal"]
    ]
    allows = allowing(deploy_role(aws, "the release"))
    assert {line["action"] for line in asked} >= {"ecr:PutImage", "ecs:UpdateService", "iam:PassRole"}
    assert sorted({f"{x['action']} {x['resource']}" for x in asked if not allows(x)}) == []


def test_clean_up_ends_the_service_first_and_leaves_nothing(aws: Aws, served: str) -> None:
    kinds = {each.kind for each in leftovers.find(aws)}
    made = {"service", "scalable target", "alarm", "load balancer", "target group", "NAT gateway"}
    assert made | {"elastic address", "bucket", "repository"} <= kinds
    said: list[str] = []
    cleaned = cleaning.clean(all=True, on_line=said.append, aws=aws)
    assert cleaned.left == []
    assert said[0] == "deleted stack workshop-sentiment-service"
    assert any("servingrepository" in line for line in said) and any("modelbucket" in line for line in said)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """Whoever owns the account, on a local AWS without a stack."""
    with course_world.course(tmp_path_factory.mktemp("owner")) as found:
        yield found


def test_an_administrator_makes_the_deploy_role_once_and_takes_it_away(owner: Aws) -> None:
    made = stacks.deploy("deploy-role", aws=owner, GitHubRepository="somebody/course", **ROLES)
    iam, name = owner.client("iam"), made["DeployRoleArn"].rpartition("/")[2]
    [statement] = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    said = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert said == "repo:somebody/course:environment:production"
    [provider] = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert statement["Principal"] == {"Federated": provider["Arn"]}
    assert web_identity(made["DeployRoleArn"], owner, said).startswith("ASIA")
    for other_sub in (
        "repo:somebody/else:environment:production",
        "repo:somebody/course:ref:refs/heads/main",
    ):
        assert web_identity(made["DeployRoleArn"], owner, other_sub) == "AccessDenied"
    other = session.replace(owner, name="course-2")
    with pytest.raises(AwsError, match="already exists"):
        stacks.deploy("deploy-role", aws=other, GitHubRepository="somebody/course", **ROLES)
    stacks._delete_dead("course-2-deploy-role", owner)
    assert cleaning.clean(all=True, aws=owner).left == []
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def web_identity(role: str, aws: Aws, subject: str) -> str:
    """The key that a job with this subject is given, or the code of the refusal. Nobody checks signatures here."""
    claims = {
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": subject,
    }
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in ({"alg": "none"}, claims)
    ]
    sts = aws.client("sts")
    try:
        given = sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="deploy", WebIdentityToken=".".join([*parts, "unsigned"])
        )
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return str(given["Credentials"]["AccessKeyId"])


def test_an_address_is_not_released_while_a_nat_gateway_holds_it(
    owner: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "_template", lambda concern, aws: ADDRESS)
    allocation = stacks.deploy("address", aws=owner)["AllocationId"]
    ec2 = owner.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]
    with pytest.raises(AwsError, match=f"in use by {gateway}"):
        stacks.delete("address", aws=owner)
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert stacks.delete("address", aws=owner)
    assert ec2.describe_addresses()["Addresses"] == []
