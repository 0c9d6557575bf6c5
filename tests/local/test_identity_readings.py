"""Requests that say one thing to IAM and another to the service, or come with nobody's signature."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from identity_world import ACCOUNT, Account, account, allow, refused

pytestmark = pytest.mark.local

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/x-amz-json-1.1"}
CREATE_CLUSTER = {**JSON, "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.CreateCluster"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("readings")) as made:
        made.client("s3").create_bucket(Bucket="private")
        made.client("s3").put_object(Bucket="private", Key="k", Body=b"secret")
        yield made


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/?Action=GetUser", b"Action=CreateUser&UserName=evil", FORM),
        ("/?UserName=evil", b"Action=GetUser", FORM),
        ("/", b"Action=GetUser&Action=CreateUser&UserName=evil", FORM),
        ("/", b"Action=CreateUser&UserName=evil", {"Content-Type": "text/plain"}),
        ("/", b'{"UserName": "evil"}', {**JSON, "X-Amz-Target": "IAMService.CreateUser"}),
        ("/?Action=GetUser", b'{"UserName": "evil"}', {**JSON, "X-Amz-Target": "IAMService.CreateUser"}),
    ],
)
def test_a_form_with_two_readings_is_refused(aws: Account, path: str, body: bytes, headers: Any) -> None:
    reader = aws.session(allow("iam:GetUser"))
    status, answer = aws.send(reader, "iam", "POST", path, body, headers)
    assert (status, b"MalformedQueryString" in answer) == (400, True), answer
    assert not any(each["UserName"] == "evil" for each in aws.iam.list_users()["Users"])


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/?Action=ListClusters", b'{"clusterName": "evil"}', CREATE_CLUSTER),
        ("/", b'{"clusterName": "evil", "x": "&Action=ListClusters&"}', {**CREATE_CLUSTER, **FORM}),
        ("/", b' {"clusterName": "evil"}', CREATE_CLUSTER),
        ("/", '{"clusterName": "evil"}'.encode("utf-16"), CREATE_CLUSTER),
    ],
)
def test_a_call_in_json_is_decided_on_as_it_is_carried_out(
    aws: Account, path: str, body: bytes, headers: Any
) -> None:
    default = f"arn:aws:ecs:us-east-1:{ACCOUNT}:cluster/default"
    policy = allow("ecs:CreateCluster", on=default)
    policy["Statement"] += allow("ecs:ListClusters")["Statement"]
    status, answer = aws.send(aws.session(policy), "ecs", "POST", path, body, headers)
    assert b"not authorized to perform: ecs:CreateCluster" in answer and status in (400, 403)
    assert not any(each.endswith("/evil") for each in aws.ecs.list_clusters()["clusterArns"])


def test_a_role_that_may_not_be_passed_is_seen_behind_white_space(aws: Account) -> None:
    role = aws.role(allow("s3:*"))
    container = {"name": "a", "image": "i", "memory": 64}
    body = json.dumps({"family": "f", "taskRoleArn": role, "containerDefinitions": [container]})
    target = {**JSON, "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition"}
    session = aws.session(allow("ecs:RegisterTaskDefinition"))
    _, answer = aws.send(session, "ecs", "POST", "/", f"\n {body}".encode(), target)
    assert b"not authorized to perform: iam:PassRole" in answer


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "/private/k?Action=PutObject", b"", {}),
        ("GET", "/private/k", b"", {"X-Amz-Target": "any.PutObject"}),
        ("DELETE", "/private/k", b"Action=PutObject", FORM),
    ],
)
def test_method_and_path_alone_say_what_is_done_to_an_object(
    aws: Account, method: str, path: str, body: bytes, headers: Any
) -> None:
    writer = aws.session(allow("s3:PutObject"))
    status, answer = aws.send(writer, "s3", method, path, body, headers)
    assert status == 403 and b"secret" not in answer
    assert aws.client("s3").get_object(Bucket="private", Key="k")["Body"].read() == b"secret"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("DELETE", "/2015-03-31/event-source-mappings/x", "DeleteEventSourceMapping"),
        ("DELETE", "/2018-10-31/layers/l/versions/1", "DeleteLayerVersion"),
        ("POST", "/2021-11-15/functions/f/response-streaming-invocations", "InvokeFunction"),
        ("GET", "/2016-08-19/account-settings", "GetAccountSettings"),
        ("POST", "/1999-01-01/functions/f/invocations", "UnknownOperation"),
    ],
)
def test_every_call_of_lambda_needs_its_right(aws: Account, method: str, path: str, action: str) -> None:
    status, answer = aws.send(aws.session(allow("s3:*")), "lambda", method, path)
    assert status == 403 and f"not authorized to perform: lambda:{action} ".encode() in answer
    status, answer = aws.send(None, "lambda", method, path)
    assert status == 403 and b"Missing Authentication Token" in answer


@pytest.mark.parametrize("path", ["/", "/v20180820/accesspoint", "/v20180820/mrap/instances"])
def test_nobody_in_particular_gets_no_list_of_the_account_from_s3(aws: Account, path: str) -> None:
    assert aws.send(None, "s3", "GET", path, headers={"x-amz-account-id": ACCOUNT})[0] == 403


def test_nobody_in_particular_makes_no_bucket(aws: Account) -> None:
    assert aws.send(None, "s3", "PUT", "/of-nobody")[0] == 403
    assert [each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]] == ["private"]


def test_to_describe_all_stacks_is_to_list_them(aws: Account) -> None:
    describer = aws.as_(aws.session(allow("cloudformation:DescribeStacks")), "cloudformation")
    with refused("cloudformation:ListStacks on resource: *"):
        describer.describe_stacks()


def test_a_session_that_is_called_root_is_not_the_accounts_root(aws: Account) -> None:
    """ECR's registry asks IAM by the caller's ARN, whose end the caller chooses."""
    ecr = aws.as_(aws.session(allow("ecr:GetAuthorizationToken"), "me:root"), "ecr")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    basic = {"Authorization": f"Basic {token}"}
    for path in ("/v2/images/tags/list", "/v2/_catalog"):
        status, answer = aws.send(None, "ecr", "GET", path, headers=basic)
        assert (status, b"not authorized to perform: ecr:" in answer) == (403, True), answer


def test_a_task_is_found_in_the_cluster_that_was_named_and_by_its_whole_id(aws: Account) -> None:
    aws.ecs.create_cluster(clusterName="other")
    execution = aws.role(allow("ecr:*", "logs:*"))
    aws.register(aws.container("input()"), family="waits", executionRoleArn=execution)
    started = aws.ecs.run_task(cluster="other", taskDefinition="waits", launchType="FARGATE")["tasks"][0]
    arn, number = started["taskArn"], started["taskArn"].rpartition("/")[2]
    session = aws.session(allow("ecs:*", on=f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/c/*"))
    ecs = aws.as_(session, "ecs")
    for name in (number, number[-6:], ""):
        assert ecs.describe_tasks(cluster="c", tasks=[name])["tasks"] == []
        with pytest.raises(ecs.exceptions.InvalidParameterException):
            ecs.stop_task(cluster="c", task=name)
    assert aws.ecs.describe_tasks(cluster="other", tasks=[number])["tasks"][0]["taskArn"] == arn
    aws.ecs.stop_task(cluster="other", task=arn)


def test_another_sites_page_reaches_nothing_with_the_key_that_everybody_knows(aws: Account) -> None:
    target = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}
    own = aws.administrator()
    assert aws.send(own, "ecs", "POST", "/", b"{}", target, presigned=True)[0] == 200
    for page in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        status, answer = aws.send(own, "ecs", "POST", "/", b"{}", {**target, **page}, presigned=True)
        assert (status, b"no pages of other sites" in answer) == (403, True)
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert aws.send(None, "ecs", "OPTIONS", "/", headers=asks)[0] == 403


def test_a_service_that_is_not_emulated_is_refused_however_it_is_addressed(aws: Account) -> None:
    headers = {**JSON, "X-Amz-Target": "AmazonAthena.ListWorkGroups"}
    status, answer = aws.send(aws.administrator(), "ecs", "POST", "/", b"{}", headers)
    assert (status, b"does not emulate athena" in answer) == (501, True)


def test_there_is_no_instance_whose_credentials_could_be_asked_for(aws: Account) -> None:
    assert aws.send(None, "ec2", "GET", "/latest/meta-data/iam/security-credentials/")[0] == 404


def test_layers_of_somebody_without_a_login_are_not_even_kept(aws: Account) -> None:
    path = "/v2/images/blobs/uploads/?digest=sha256:0"
    assert aws.send(None, "ecr", "POST", path, b"x" * 3_000_000)[0] == 401
    assert list((aws.folder / "localaws" / "uploads").iterdir()) == []


def test_a_layer_is_lent_only_to_who_may_read_it_where_it_is(aws: Account) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="mine")
    image = ecr.batch_get_image(repositoryName="jobs", imageIds=[{"imageTag": "latest"}])["images"][0]
    digest = json.loads(image["imageManifest"])["config"]["digest"]
    for repositories, status in (("mine", 202), ("*", 201)):
        policy = allow("ecr:GetAuthorizationToken")
        of = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{repositories}"
        policy["Statement"] += allow("ecr:*", on=of)["Statement"]
        given = aws.as_(aws.session(policy), "ecr").get_authorization_token()["authorizationData"][0]
        login = {"Authorization": f"Basic {given['authorizationToken']}"}
        path = f"/v2/mine/blobs/uploads/?mount={digest}&from=jobs"
        assert aws.send(None, "ecr", "POST", path, headers=login)[0] == status
