"""Stacks by hand, from nothing to nothing: the AWS CLI with the rights of the learner's policy alone.

What docs/by-hand.md says is in test_by_hand.py; here are another course's name, another region and a change set.
Each test goes on where the one before it ended, as a learner does.
"""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from attendee import free_port
from cli_world import Cli
from course_world import REGION, lay_out

from localaws import daemon
from workshop import policies
from workshop.settings import Settings, load

NEEDED = "Parameters[?DefaultValue==null].ParameterKey"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A local AWS that `local` may use as the learner's policy says."""
    folder = tmp_path_factory.mktemp("by-hand")
    root = folder / "root"
    root.mkdir()
    lay_out(root)
    made = load({}, root=root, state_dir=folder / "state", port=free_port(), region=REGION, name="course-1")
    managed = {
        policies.managed_name(each, made.name): policies.written(each, made)
        for each in (*policies.ATTACHED, policies.BOUNDARY)
    }
    daemon.start(
        made.state_dir,
        made.port,
        REGION,
        "process",
        {"workshop": root / ".venvs" / "workshop"},
        enforce=True,
        learner=policies.written(policies.LEARNER, made),
        managed_policies=managed,
        learner_attached=[policies.managed_name(each, made.name) for each in policies.ATTACHED],
    )
    yield made
    daemon.stop(made.state_dir)


@pytest.fixture(scope="module")
def cli(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return Cli(settings, tmp_path_factory.mktemp("home"))


def outputs(cli: Cli) -> dict[str, str]:
    """Every output of every course stack that is up, as a learner copies them."""
    if not cli.copied:
        found = cli.json("cloudformation describe-stacks --query 'Stacks[].Outputs[]'")
        cli.copied = {each["OutputKey"]: each["OutputValue"] for each in found}
    return cli.copied


def overrides(cli: Cli, template: str, **given: str) -> str:
    """NAME=VALUE for each parameter that a template has no default for."""
    names = cli.text(
        f"cloudformation validate-template --template-body file://{template} --query '{NEEDED}'"
    ).split()
    have = {**(outputs(cli) if names else {}), **given}
    return " ".join(f"{name}={have[name]}" for name in names if name != "None")


def deploy(cli: Cli, concern: str, **given: str) -> str:
    """`aws cloudformation deploy`, as lab 1 would have it typed."""
    template = f"cloudformation/{concern}.yaml"
    parameters = f"WorkshopName={cli.settings.name} {overrides(cli, template, **given)}"
    cli.copied = {}
    return cli.shell(
        f"aws cloudformation deploy --stack-name {cli.stack(concern)} --template-file {template} "
        f"--capabilities CAPABILITY_IAM --parameter-overrides {parameters} --no-fail-on-empty-changeset "
        f"--tags workshop={cli.settings.name}"
    )


def test_the_caller_is_the_learner_whatever_the_machine_holds(cli: Cli) -> None:
    arn = cli.text("sts get-caller-identity --query Arn")
    assert arn.startswith("arn:aws:sts::123456789012:assumed-role/workshop-learner/")


def test_stacks_are_deployed_and_looked_at(cli: Cli) -> None:
    assert "Successfully created" in deploy(cli, "network", SourceCidr="127.0.0.1/32")
    assert "No changes to deploy" in deploy(cli, "network", SourceCidr="127.0.0.1/32")
    deploy(cli, "storage")
    assert len(outputs(cli)["SubnetIds"].split(",")) == 2
    name = cli.stack("network")
    events = cli.json(f"cloudformation describe-stack-events --stack-name {name} --query 'StackEvents[]'")
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[0]["LogicalResourceId"] == name
    assert {each["LogicalResourceId"] for each in events} >= {"Vpc", name}


def test_cluster_comes_by_a_change_set_that_is_read_first(cli: Cli) -> None:
    name, template = cli.stack("cluster"), "cloudformation/cluster.yaml"
    given = f"WorkshopName={cli.settings.name} {overrides(cli, template)}".split()
    parameters = json.dumps(
        [dict(zip(("ParameterKey", "ParameterValue"), each.split("=", 1), strict=True)) for each in given]
    )
    which = f"--stack-name {name} --change-set-name first"
    cli.shell(
        f"aws cloudformation create-change-set {which} --change-set-type CREATE --capabilities CAPABILITY_IAM "
        f"--tags Key=workshop,Value={cli.settings.name} --template-body file://{template} "
        f"--parameters '{parameters}'"
    )
    cli.shell(f"aws cloudformation wait change-set-create-complete {which}")
    query = "Changes[].ResourceChange.[Action,LogicalResourceId]"
    changes = cli.json(f"cloudformation describe-change-set {which} --query '{query}'")
    assert ["Add", "Cluster"] in changes and {each[0] for each in changes} == {"Add"}
    cli.shell(f"aws cloudformation execute-change-set {which}")
    cli.copied = {}
    cli.shell(f"aws cloudformation wait stack-create-complete --stack-name {name}")


def test_cluster_has_one_instance_of_the_groups_type(cli: Cli) -> None:
    cluster = outputs(cli)["ClusterName"]
    listed = cli.text(f"ecs list-container-instances --cluster {cluster} --query containerInstanceArns")
    query = "containerInstances[0].attributes[?name==`ecs.instance-type`].value"
    which = f"--cluster {cluster} --container-instances {listed}"
    assert cli.text(f"ecs describe-container-instances {which} --query '{query}'") == "m6i.xlarge"
    shown = f"ecs describe-clusters --clusters {cluster} --query 'clusters[0].status'"
    assert cli.text(shown) == "ACTIVE"
    group = outputs(cli)["AutoScalingGroupName"]
    query = "AutoScalingGroups[0].[DesiredCapacity,length(Instances)]"
    asked = f"autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} --query '{query}'"
    assert cli.json(asked) == [1, 1]


def test_everything_of_the_course_is_found_by_its_tag(cli: Cli) -> None:
    tag = f"Key=workshop,Values={cli.settings.name}"
    query = "ResourceTagMappingList[].ResourceARN"
    arns = cli.text(f"resourcegroupstaggingapi get-resources --tag-filters {tag} --query '{query}'")
    assert all(f":{service}:" in arns for service in ("s3", "ecr", "ecs", "ec2", "logs"))


def test_password_of_ecr_opens_the_registry_and_another_does_not(cli: Cli, settings: Settings) -> None:
    password = cli.shell("aws ecr get-login-password")
    repository = outputs(cli)["MxnetRepository"]
    address = f"http://127.0.0.1:{settings.port}/v2/{repository}/tags/list"

    def status(word: str) -> int:
        token = base64.b64encode(f"AWS:{word}".encode()).decode()
        request = urllib.request.Request(address, headers={"Authorization": f"Basic {token}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return int(error.code)

    assert status("made-up") == 401
    assert status(password) != 401


def test_right_that_the_policy_lacks_is_denied_with_its_name(cli: Cli) -> None:
    said = cli.refused("aws iam create-user --user-name mallory")
    assert "AccessDenied" in said and "iam:CreateUser" in said


def test_stacks_are_deleted_and_waited_for(cli: Cli) -> None:
    name = cli.stack("cluster")
    cli.shell(f"aws cloudformation delete-stack --stack-name {name}")
    cli.shell(f"aws cloudformation wait stack-delete-complete --stack-name {name}")
    left = set(cli.text("cloudformation describe-stacks --query 'Stacks[].StackName'").split())
    assert left == {cli.stack("network"), cli.stack("storage")}
