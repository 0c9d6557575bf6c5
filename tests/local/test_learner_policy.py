"""A learner with the published policy: makes and removes the course under another name, and gets no further."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import course_world
import pytest
from botocore.exceptions import ClientError

from localaws import daemon
from localaws.identity import decisions
from workshop import policies
from workshop.aws import boundary, cleaning, session, stacks
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

pytestmark = pytest.mark.local
NAME = "my-course"
ROLE = """
Resources:
  Mine:
    Type: AWS::IAM::Role
    Properties:
      RoleName: %s
      %s
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: sts:AssumeRole}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learner")


@pytest.fixture(scope="module")
def aws(folder: Path) -> Iterator[Aws]:
    """The learner's connection to a local AWS that an administrator has furnished with both policies."""
    root, state_dir = folder / "root", folder / "state"
    root.mkdir()
    course_world.lay_out(root)
    settings = load({}, root=root, state_dir=state_dir, name=NAME, region=course_world.REGION)
    running = daemon.start(
        state_dir,
        course_world.free_port(),
        course_world.REGION,
        "process",
        enforce=True,
        learner=policies.written(policies.LEARNER, settings),
        managed_policies={
            policies.managed_name(each, NAME): policies.written(each, settings)
            for each in (*policies.ATTACHED, policies.BOUNDARY)
        },
        learner_attached=[policies.managed_name(each, NAME) for each in policies.ATTACHED],
        record_decisions=True,
    )
    try:
        settings = load(
            {}, root=root, state_dir=state_dir, name=NAME, region=course_world.REGION, port=running.port
        )
        yield session.connect(settings, {})
    finally:
        daemon.stop(state_dir)


def deployed(aws: Aws, name: str, template: str) -> list[str]:
    """Deploy a template of one's own; returns why its resources failed."""
    cloudformation = aws.client("cloudformation")
    cloudformation.create_change_set(
        StackName=name,
        ChangeSetName="c",
        ChangeSetType="CREATE",
        TemplateBody=template,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloudformation.execute_change_set(StackName=name, ChangeSetName="c")
    final, happened = stacks.follow(aws, name, set(), None, 30)
    assert final.endswith("_COMPLETE")
    return [event.reason for event in happened if event.status == "CREATE_FAILED"]


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == "AccessDenied"
    return str(raised.value.response["Error"]["Message"])


def test_learner_makes_every_stack_and_removes_it_again(aws: Aws) -> None:
    # test_service_stacks.py makes the service, which needs an image and a model, under the course's own name.
    made = [each for each in stacks.COURSE if each not in ("sentiment-service", *stacks.ADMINISTRATORS)]
    for concern in made:
        stacks.deploy(concern, aws=aws)
    assert {stacks.status(concern, aws) for concern in made} == {"CREATE_COMPLETE"}
    cleaned = cleaning.clean(all=True, aws=aws)
    assert cleaned.left == []
    found = aws.client("iam").get_policy(PolicyArn=f"arn:aws:iam::{aws.account}:policy/{NAME}-boundary")
    assert found["Policy"]["PolicyName"] == f"{NAME}-boundary"  # an administrator's: it stays


@pytest.mark.parametrize(
    ("role", "confined", "action"),
    [
        (f"{NAME}-cluster-mine", "Description: without a boundary", "iam:CreateRole"),
        (f"{NAME}-cluster-mine", "PermissionsBoundary: arn:aws:iam::aws:policy/X", "iam:CreateRole"),
        ("administrators-mine", "PermissionsBoundary: BOUNDARY", "iam:CreateRole"),
    ],
)
def test_learner_makes_no_role_but_a_confined_one_of_the_course(
    aws: Aws, role: str, confined: str, action: str
) -> None:
    arn = f"arn:aws:iam::{aws.account}:policy/{NAME}-boundary"
    [reason] = deployed(aws, f"{NAME}-mine", ROLE % (role, confined.replace("BOUNDARY", arn)))
    assert f"is not authorized to perform: {action}" in reason
    stacks._delete_dead(f"{NAME}-mine", aws)


def test_learner_cannot_change_what_confines_roles(aws: Aws) -> None:
    iam, arn = aws.client("iam"), f"arn:aws:iam::{aws.account}:policy/{NAME}-boundary"
    everything = json.dumps({"Version": "2012-10-17", "Statement": []})
    assert "iam:CreatePolicyVersion" in refusal(
        iam.create_policy_version, PolicyArn=arn, PolicyDocument=everything
    )
    assert "iam:DeletePolicy" in refusal(iam.delete_policy, PolicyArn=arn)
    own = {"RoleName": "workshop-learner", "PolicyName": "more", "PolicyDocument": everything}
    assert "iam:PutRolePolicy" in refusal(iam.put_role_policy, **own)


def test_missing_boundary_is_told_with_what_an_administrator_does(aws: Aws) -> None:
    settings = load({}, root=aws.settings.root, name="nobody-s")
    other = session.replace(aws, name="nobody-s", settings=settings)
    with pytest.raises(AwsError) as raised:
        boundary.ensure(other)
    assert "nobody-s-boundary" in raised.value.message


def test_boundary_of_ones_own_account_is_made_and_removed(tmp_path: Path) -> None:
    with course_world.course(tmp_path) as owner:  # here the key `local` is the account's administrator
        boundary.ensure(owner)
        boundary.ensure(owner)
        assert boundary.remove(owner)
        assert not boundary.remove(owner)


def test_decisions_are_recorded_with_all_that_they_were_made_from(aws: Aws, folder: Path) -> None:
    aws.client("s3").list_buckets()
    lines = [
        json.loads(line) for line in (folder / "state/localaws" / decisions.FILE).read_text().splitlines()
    ]
    last = [line for line in lines if line["action"] == "s3:ListAllMyBuckets"][-1]
    assert last["allowed"] and last["asked_by"] == "request"
    assert last["principal"].endswith("assumed-role/workshop-learner/local")
    assert last["context"]["resource_arn"] == last["resource"]
    assert {line["asked_by"] for line in lines if line["action"] == "ec2:CreateVpc"} == {"service"}
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
