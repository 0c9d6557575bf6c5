"""Functions and IAM: what a function may do, and which services may call it."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ecs_world import wait_until
from identity_world import ACCOUNT, LOG, Account, account, allow, refused

pytestmark = pytest.mark.local
_numbers = itertools.count()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with account(tmp_path_factory.mktemp("functions")) as made:
        yield made


CALL = "print('called'); return boto3.client('s3').list_buckets()['Owner'] and 'listed'"


def invoke(aws: Account, arn: str) -> tuple[Any, str]:
    answer = aws.client("lambda").invoke(FunctionName=arn)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")


def role_of_function(aws: Account, *actions: str) -> str:
    return aws.role(allow("sts:GetCallerIdentity", *actions), "lambda.amazonaws.com")


def test_a_function_has_the_rights_of_its_role_also_when_it_is_warm(aws: Account) -> None:
    role = role_of_function(aws, "s3:ListAllMyBuckets")
    arn = aws.function(CALL, role)
    assert invoke(aws, arn) == ("listed", "")
    aws.put(role, allow("s3:GetObject"))
    said, error = invoke(aws, arn)
    assert (error, "AccessDenied" in said["errorMessage"]) == ("Unhandled", True)
    aws.put(role, allow("s3:ListAllMyBuckets"))
    assert invoke(aws, arn) == ("listed", "")


def test_a_functions_credentials_are_a_session_of_its_role_that_nobody_can_compute(aws: Account) -> None:
    role = role_of_function(aws)
    code = "return [boto3.client('sts').get_caller_identity()['Arn'], os.environ['AWS_SECRET_ACCESS_KEY']]"
    seen = [invoke(aws, aws.function(code, role))[0] for _ in range(2)]
    assert all(
        arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/") for arn, _ in seen
    )
    assert len({secret for _, secret in seen}) == 2


def test_a_function_is_not_made_with_a_role_that_lambda_cannot_assume(aws: Account) -> None:
    role = aws.role(allow("*"))
    with refused("cannot be assumed by Lambda", "InvalidParameterValue"):
        aws.function("return 1", role)


def groups_of(aws: Account, arn: str) -> list[Any]:
    name = "/aws/lambda/" + arn.rpartition(":")[2]
    return list(aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"])


@pytest.mark.parametrize("missing", ["logs:CreateLogGroup", *LOG])
def test_a_functions_log_is_written_with_its_roles_rights(aws: Account, missing: str) -> None:
    rights = ["logs:CreateLogGroup", *LOG]
    arn = aws.function("print('x')", role_of_function(aws, *(each for each in rights if each != missing)))
    invoke(aws, arn)
    assert groups_of(aws, arn) == []
    assert f"not authorized to perform: {missing}" in aws.said()


def test_a_function_with_the_rights_of_the_basic_execution_role_has_a_log(aws: Account) -> None:
    arn = aws.function("print('x')", role_of_function(aws, "logs:CreateLogGroup", *LOG))
    invoke(aws, arn)
    assert len(groups_of(aws, arn)) == 1


def called(aws: Account, arn: str) -> bool:
    return bool(groups_of(aws, arn))


def permit(aws: Account, arn: str, service: str, source: str) -> None:
    aws.client("lambda").add_permission(
        FunctionName=arn,
        StatementId=f"s{next(_numbers)}",
        Action="lambda:InvokeFunction",
        Principal=service,
        SourceArn=source,
    )


def test_eventbridge_calls_a_function_only_with_its_permission(aws: Account) -> None:
    events = aws.client("events")
    role = role_of_function(aws, "logs:CreateLogGroup", *LOG)
    allowed, other, denied = (aws.function("return 1", role) for _ in range(3))
    rule = events.put_rule(Name="r", EventPattern=json.dumps({"source": ["me"]}))["RuleArn"]
    permit(aws, allowed, "events.amazonaws.com", rule)
    permit(aws, other, "events.amazonaws.com", rule + "-other")
    targets = [{"Id": str(number), "Arn": arn} for number, arn in enumerate((allowed, other, denied))]
    events.put_targets(Rule="r", Targets=targets)
    events.put_events(Entries=[{"Source": "me", "DetailType": "d", "Detail": "{}"}])
    wait_until(lambda: called(aws, allowed))
    for arn in (other, denied):
        wait_until(
            lambda arn=arn: f"may not call the function {arn.rpartition(':')[2]} for {rule}" in aws.said()
        )
        assert not called(aws, arn)


def test_a_bucket_calls_a_function_only_with_its_permission(aws: Account) -> None:
    s3 = aws.client("s3")
    role = role_of_function(aws, "logs:CreateLogGroup", *LOG)
    for permitted in (True, False):
        bucket = f"calls-{permitted}".lower()
        s3.create_bucket(Bucket=bucket)
        arn = aws.function("return 1", role)
        if permitted:
            permit(aws, arn, "s3.amazonaws.com", f"arn:aws:s3:::{bucket}")
        configuration = [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": configuration}
        )
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        if permitted:
            wait_until(lambda arn=arn: called(aws, arn))
        else:
            wait_until(lambda bucket=bucket: f"for arn:aws:s3:::{bucket}: its policy has no" in aws.said())
            assert not called(aws, arn)


def test_a_topic_calls_a_function_only_with_its_permission(aws: Account) -> None:
    sns = aws.client("sns")
    role = role_of_function(aws, "logs:CreateLogGroup", *LOG)
    topic = sns.create_topic(Name="t")["TopicArn"]
    allowed, other, denied = (aws.function("return 1", role) for _ in range(3))
    permit(aws, allowed, "sns.amazonaws.com", topic)
    permit(aws, other, "sns.amazonaws.com", topic + "-other")
    for arn in (allowed, other, denied):
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="m")
    wait_until(lambda: called(aws, allowed))
    for arn in (other, denied):
        wait_until(
            lambda arn=arn: f"may not call the function {arn.rpartition(':')[2]} for {topic}" in aws.said()
        )
        assert not called(aws, arn)


def status_of(aws: Account, api: str, path: str) -> int:
    """Of a request to an API, at the name by which clients know it."""
    host = {"Host": f"{api}.execute-api.localhost:{aws.port}"}
    return aws.send(None, "execute-api", "GET", path, headers=host)[0]


def test_an_http_api_calls_a_function_only_with_its_permission(aws: Account) -> None:
    apis = aws.client("apigatewayv2")
    role = role_of_function(aws, "logs:CreateLogGroup", *LOG)
    api = apis.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    apis.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    of_api = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}"
    seen = {}
    for path, source in (("one", f"{of_api}/*/GET/one"), ("two", f"{of_api}/*/GET/other"), ("three", "")):
        arn = aws.function("return {'statusCode': 200, 'body': 'x'}", role)
        if source:
            permit(aws, arn, "apigateway.amazonaws.com", source)
        target = apis.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        apis.create_route(ApiId=api, RouteKey=f"GET /{path}", Target=f"integrations/{target}")
        seen[path] = status_of(aws, api, f"/{path}") == 200, called(aws, arn)
    assert seen == {"one": (True, True), "two": (False, False), "three": (False, False)}


def test_a_rest_api_calls_a_function_only_with_its_permission(aws: Account) -> None:
    apis = aws.client("apigateway")
    role = role_of_function(aws, "logs:CreateLogGroup", *LOG)
    api = apis.create_rest_api(name="r")["id"]
    root = apis.get_resources(restApiId=api)["items"][0]["id"]
    of_api, made = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}", {}
    for path, source in (("one", f"{of_api}/s/GET/one"), ("two", f"{of_api}/s/GET/other"), ("three", "")):
        made[path] = arn = aws.function("return {'statusCode': 200, 'body': 'x'}", role)
        if source:
            permit(aws, arn, "apigateway.amazonaws.com", source)
        place = {
            "restApiId": api,
            "resourceId": apis.create_resource(restApiId=api, parentId=root, pathPart=path)["id"],
            "httpMethod": "GET",
        }
        apis.put_method(**place, authorizationType="NONE")
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
        apis.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    apis.create_deployment(restApiId=api, stageName="s")
    seen = {path: (status_of(aws, api, f"/s/{path}") == 200, called(aws, arn)) for path, arn in made.items()}
    assert seen == {"one": (True, True), "two": (False, False), "three": (False, False)}
