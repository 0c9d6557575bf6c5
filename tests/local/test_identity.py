"""Who calls: keys, sessions and what they may do; every call with an enforcing local AWS."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from attendee import free_port
from botocore.exceptions import ClientError
from identity_world import ACCOUNT, Account, account, allow, refused

from localaws import daemon
from localaws.errors import BadPolicy

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("identity")) as made:
        yield made


def code_of(aws: Account, session: boto3.Session, service: str, operation: str) -> str:
    with pytest.raises(ClientError) as raised:
        getattr(aws.as_(session, service), operation)()
    return str(raised.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("key", "secret", "codes"),
    [
        ("local", "wrong", ["SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"]),
        (
            "AKIAUNKNOWN",
            "local",
            ["InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"],
        ),
        # What ministack would take for the account's root, whoever says it.
        ("test", "test", ["InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"]),
        (ACCOUNT, "test", ["InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"]),
    ],
)
def test_a_key_that_nobody_has_and_a_wrong_secret_get_the_codes_of_aws(
    aws: Account, key: str, secret: str, codes: list[str]
) -> None:
    session = boto3.Session(key, secret, region_name="us-east-1")
    calls = [("sts", "get_caller_identity"), ("s3", "list_buckets"), ("ecs", "list_clusters")]
    assert [code_of(aws, session, *call) for call in calls] == codes


def test_a_session_without_its_token_is_nobody(aws: Account) -> None:
    given = aws.session(allow("s3:ListAllMyBuckets")).get_credentials().get_frozen_credentials()
    session = boto3.Session(given.access_key, given.secret_key, region_name="us-east-1")
    assert code_of(aws, session, "s3", "list_buckets") == "InvalidAccessKeyId"


def test_an_unsigned_request_is_refused(aws: Account) -> None:
    aws.client("s3").create_bucket(Bucket="not-public")
    aws.client("s3").put_object(Bucket="not-public", Key="k", Body=b"secret")
    for path in ("not-public/k", "not-public"):
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"http://127.0.0.1:{aws.port}/{path}")
        assert raised.value.code == 403


@pytest.mark.parametrize("path", ["_ministack/reset", "_ministack/config", "_localstack/state/reset"])
def test_ministacks_own_paths_are_closed(aws: Account, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{aws.port}/{path}", b"{}", method="POST")
        )
    assert raised.value.code == 404
    assert aws.ecs.describe_clusters(clusters=["c"])["clusters"]


def test_a_presigned_address_has_the_rights_of_who_signed_it(aws: Account) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="k", Body=b"content")
    reader = aws.as_(aws.session(allow("s3:GetObject", on="arn:aws:s3:::signed/*")), "s3")
    other = aws.as_(aws.session(allow("s3:PutObject")), "s3")
    place = {"Bucket": "signed", "Key": "k"}
    assert urllib.request.urlopen(reader.generate_presigned_url("get_object", place)).read() == b"content"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(other.generate_presigned_url("get_object", place))


def test_a_refusal_says_who_may_not_do_what_to_what(aws: Account) -> None:
    aws.client("s3").create_bucket(Bucket="bucket")
    s3 = aws.as_(aws.session(allow("s3:GetObject")), "s3")
    with refused(
        "s3:PutObject on resource: arn:aws:s3:::bucket/key because no identity-based policy allows the"
    ):
        s3.put_object(Bucket="bucket", Key="key")


def test_a_boundary_and_a_session_policy_are_named_as_what_is_missing(aws: Account) -> None:
    limited = aws.session(allow("s3:*"), Policy=json.dumps(allow("s3:GetObject")))
    with refused("because no session policy allows the s3:ListAllMyBuckets action"):
        aws.as_(limited, "s3").list_buckets()
    boundary = aws.iam.create_policy(PolicyName="b", PolicyDocument=json.dumps(allow("ecs:*")))["Policy"][
        "Arn"
    ]
    role = aws.role(allow("s3:*"), f"arn:aws:iam::{ACCOUNT}:root")
    aws.iam.put_role_permissions_boundary(RoleName=role.rpartition("/")[2], PermissionsBoundary=boundary)
    given = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    bounded = boto3.Session(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name="us-east-1"
    )
    with refused("because no permissions boundary allows the s3:ListAllMyBuckets action"):
        aws.as_(bounded, "s3").list_buckets()


def test_a_bucket_policy_that_insists_on_https_lets_the_loopback_address_pass(aws: Account) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="only-https")
    policy = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::only-https", "arn:aws:s3:::only-https/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(
        Bucket="only-https", Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    )
    s3.put_object(Bucket="only-https", Key="k", Body=b"x")


def run_task(aws: Account, session: boto3.Session, **more: Any) -> str:
    answer = aws.as_(session, "ecs").run_task(
        cluster="c", taskDefinition="other", launchType="FARGATE", **more
    )
    return str(answer["tasks"][0]["taskArn"])


def test_run_task_is_about_the_task_definition_and_its_cluster(aws: Account) -> None:
    role = aws.role(allow(*("ecr:*", "logs:*")))
    aws.register(aws.container("pass"), family="other", executionRoleArn=role)
    of = "arn:aws:ecs:us-east-1:123456789012:task-definition/"
    here = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/c"}}
    there = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/d"}}
    passing = allow("iam:PassRole")["Statement"]
    run_task(
        aws,
        aws.session(
            {
                **allow("ecs:RunTask", on=of + "other", **here),
                "Statement": [*allow("ecs:RunTask", on=of + "other", **here)["Statement"], *passing],
            }
        ),
    )
    for policy in (allow("ecs:RunTask", on=of + "job"), allow("ecs:RunTask", on=of + "other", **there)):
        policy["Statement"] += passing
        with refused(f"ecs:RunTask on resource: {of}other"):
            run_task(aws, aws.session(policy))


def test_a_role_is_passed_only_by_who_may_pass_it_to_that_service(aws: Account) -> None:
    role = aws.role(None)
    own = aws.role(None, "lambda.amazonaws.com")
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    policy = allow("ecs:*", "lambda:*", "cloudformation:*", "ec2:*", "autoscaling:*")
    policy["Statement"] += allow("iam:PassRole", on=role, **to_tasks)["Statement"]
    session = aws.session(policy)
    ecs = aws.as_(session, "ecs")
    containers = [aws.container("pass")]
    ecs.register_task_definition(family="passing", containerDefinitions=containers, taskRoleArn=role)
    with refused(f"iam:PassRole on resource: {own}"):
        ecs.register_task_definition(family="passing", containerDefinitions=containers, taskRoleArn=own)
    with refused(f"iam:PassRole on resource: {own}"):
        ecs.run_task(
            cluster="c", taskDefinition="passing", launchType="FARGATE", overrides={"taskRoleArn": own}
        )
    for passed in (role, own):  # the first may be passed to tasks alone
        with refused(f"iam:PassRole on resource: {passed}"):
            aws.as_(session, "lambda").create_function(
                FunctionName="f", Runtime="python3.11", Handler="h.h", Role=passed, Code={"ZipFile": b"PK"}
            )
    with refused(f"iam:PassRole on resource: {own}"):
        aws.as_(session, "cloudformation").create_stack(StackName="s", TemplateBody="{}", RoleARN=own)


def test_an_instance_profile_is_passed_with_the_group_that_uses_it(aws: Account) -> None:
    role = aws.role(None, "ec2.amazonaws.com")
    aws.iam.create_instance_profile(InstanceProfileName="passed")
    aws.iam.add_role_to_instance_profile(InstanceProfileName="passed", RoleName=role.rpartition("/")[2])
    template = aws.client("ec2").create_launch_template(
        LaunchTemplateName="passed",
        LaunchTemplateData={"ImageId": "ami-1", "IamInstanceProfile": {"Name": "passed"}},
    )["LaunchTemplate"]["LaunchTemplateId"]
    groups = aws.as_(aws.session(allow("autoscaling:*", "ec2:*")), "autoscaling")
    with refused(f"iam:PassRole on resource: {role}"):
        groups.create_auto_scaling_group(
            AutoScalingGroupName="g",
            MinSize=0,
            MaxSize=0,
            LaunchTemplate={"LaunchTemplateId": template},
            AvailabilityZones=["us-east-1a"],
        )


def test_tags_for_what_is_made_need_the_right_to_tag(aws: Account) -> None:
    ecr = aws.as_(aws.session(allow("ecr:CreateRepository")), "ecr")
    ecr.create_repository(repositoryName="plain")
    with refused("ecr:TagResource on resource: arn:aws:ecr:us-east-1:123456789012:repository/tagged"):
        ecr.create_repository(repositoryName="tagged", tags=[{"Key": "a", "Value": "b"}])


def test_one_repository_can_be_described_by_who_may_describe_that_one(aws: Account) -> None:
    aws.client("ecr").create_repository(repositoryName="mine")
    aws.client("ecr").create_repository(repositoryName="yours")
    mine = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/mine"
    ecr = aws.as_(aws.session(allow("ecr:DescribeRepositories", on=mine)), "ecr")
    assert ecr.describe_repositories(repositoryNames=["mine"])["repositories"]
    for names in (["mine", "yours"], ["yours"]):
        with refused("repository/yours"):
            ecr.describe_repositories(repositoryNames=names)
    with refused("repository/*"):
        ecr.describe_repositories()


def test_a_metric_namespace_can_be_the_condition(aws: Account) -> None:
    mine = {"StringEquals": {"cloudwatch:namespace": "Mine"}}
    metrics = aws.as_(aws.session(allow("cloudwatch:PutMetricData", **mine)), "cloudwatch")
    data = [{"MetricName": "m", "Value": 1}]
    metrics.put_metric_data(Namespace="Mine", MetricData=data)
    with refused("cloudwatch:PutMetricData"):
        metrics.put_metric_data(Namespace="Yours", MetricData=data)


def test_the_partition_key_can_be_the_condition(aws: Account) -> None:
    aws.client("dynamodb").create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    mine = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["me"]}}
    table = aws.as_(aws.session(allow("dynamodb:*", **mine)), "dynamodb")
    key = {"pk": {"S": "me"}}
    table.put_item(TableName="table", Item=key)
    query = {
        "TableName": "table",
        "KeyConditionExpression": "#p = :v",
        "ExpressionAttributeNames": {"#p": "pk"},
    }
    assert table.query(**query, ExpressionAttributeValues={":v": {"S": "me"}})["Count"] == 1
    for call in (
        lambda: table.put_item(TableName="table", Item={"pk": {"S": "you"}}),
        lambda: table.get_item(TableName="table", Key={"pk": {"S": "you"}}),
        lambda: table.query(**query, ExpressionAttributeValues={":v": {"S": "you"}}),
    ):
        with refused("dynamodb:"):
            call()


# ---- the learner ---------------------------------------------------------------------------------------------


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(allow("s3:CreateBucket")))
    return file


def learner(running: daemon.Running, service: str) -> Any:
    session = boto3.Session("local", "local", region_name="us-east-1")
    return session.client(service, endpoint_url=running.endpoint)


def test_the_learner_is_a_role_session_and_an_edited_policy_counts_from_the_next_start(
    tmp_path: Path, policy: Path
) -> None:
    port, state = free_port(), tmp_path / "state"
    try:
        first = daemon.start(state, port, engine="process", learner=policy, enforce=True)
        me = learner(first, "sts").get_caller_identity()
        assert me["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/workshop-learner/local"
        learner(first, "s3").create_bucket(Bucket="mine")
        with refused("s3:ListAllMyBuckets"):
            learner(first, "s3").list_buckets()
        daemon.stop(state)
        policy.write_text(json.dumps(allow("s3:ListAllMyBuckets")))
        second = daemon.start(state, port, engine="process", learner=policy, enforce=True)
        assert [each["Name"] for each in learner(second, "s3").list_buckets()["Buckets"]] == ["mine"]
        assert learner(second, "sts").get_caller_identity()["UserId"] == me["UserId"]
        with refused("s3:CreateBucket"):
            learner(second, "s3").create_bucket(Bucket="other")
        daemon.stop(state)
        third = daemon.start(state, port, engine="process")
        roles = [each["RoleName"] for each in learner(third, "iam").list_roles()["Roles"]]
        assert roles == ["administrator"]
    finally:
        daemon.stop(state)


@pytest.mark.parametrize("text", ["not json", "{}", json.dumps(allow("s3:" + "x" * 10_300))])
def test_a_policy_that_iam_would_not_take_stops_the_start_and_names_the_file(
    tmp_path: Path, policy: Path, text: str
) -> None:
    policy.write_text(text)
    with pytest.raises(BadPolicy) as raised:
        daemon.start(tmp_path / "state", free_port(), engine="process", learner=policy, enforce=True)
    assert str(policy) in str(raised.value)
