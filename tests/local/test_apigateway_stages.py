"""Contract: deployments, metrics and stacks of REST APIs are as on AWS."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import METRIC_SECONDS, Api, made_function, said
from attendee import free_port
from conftest import REGION, client_of, refused

from localaws import daemon

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    folder = tmp_path_factory.mktemp("apis")
    yield daemon.start(folder, free_port(), REGION, "process", enforce=True, metric_seconds=METRIC_SECONDS)
    daemon.stop(folder)


@pytest.fixture(scope="module")
def function(world: daemon.Running) -> str:
    return made_function(world)


# ---- deployments --------------------------------------------------------------------------------------------------


def test_what_changes_after_a_deployment_is_served_with_the_next_one(
    world: daemon.Running, function: str
) -> None:
    made = Api(world, function, "changing")
    resource = made.method("first")
    made.deploy()
    where = {"restApiId": made.id, "resourceId": resource, "httpMethod": "POST"}
    closing = [{"op": "replace", "path": "/apiKeyRequired", "value": "true"}]
    made.gateway.update_method(**where, patchOperations=closing)
    made.method("second")
    assert (made.post("/first")[0], made.post("/second")[0]) == (200, 403)
    former = made.deployment
    made.deploy()
    assert (made.post("/first")[0], made.post("/second")[0]) == (403, 200)
    back = [{"op": "replace", "path": "/deploymentId", "value": former}]
    made.gateway.update_stage(restApiId=made.id, stageName="v1", patchOperations=back)
    assert (made.post("/first")[0], made.post("/second")[0]) == (200, 403)


def test_deployments_and_stages_are_refused_as_on_aws(world: daemon.Running, function: str) -> None:
    made = Api(world, function, "refusing")
    code = "BadRequestException"
    assert refused(made.gateway.create_deployment, restApiId=made.id) == (
        code,
        "The REST API doesn't contain any methods",
    )
    made.method("open")
    made.deploy()
    assert refused(made.gateway.delete_deployment, restApiId=made.id, deploymentId=made.deployment) == (
        code,
        "Active stages pointing to this deployment must be moved or deleted",
    )
    named = {"restApiId": made.id, "stageName": "v2"}
    assert refused(made.gateway.create_stage, **named, deploymentId="none") == (
        code,
        "Invalid Deployment identifier specified",
    )
    again = {"restApiId": made.id, "stageName": "v1", "deploymentId": made.deployment}
    assert refused(made.gateway.create_stage, **again) == ("ConflictException", "Stage already exists")
    made.gateway.delete_stage(restApiId=made.id, stageName="v1")
    made.gateway.delete_deployment(restApiId=made.id, deploymentId=made.deployment)
    made.gateway.delete_rest_api(restApiId=made.id)


def test_a_deployment_outlives_the_server(start: Callable[..., daemon.Running], tmp_path: Path) -> None:
    running = start()
    made = Api(running, made_function(running), "lasting")
    made.method("first")
    made.deploy()
    made.method("second")
    daemon.stop(tmp_path)
    made.running = start()
    assert (made.post("/first")[0], made.post("/second")[0]) == (200, 403)


# ---- metrics ------------------------------------------------------------------------------------------------------


def test_requests_errors_and_times_are_counted_by_api_and_stage(world: daemon.Running, function: str) -> None:
    made = Api(world, function, "counted")
    made.method("open")
    made.deploy()
    for body in ({}, {}, {"fail": True}):
        made.post("/open", body)
    made.post("/nothing")
    cloudwatch = client_of(world, "cloudwatch")
    stage = [{"Name": "ApiName", "Value": "counted"}, {"Name": "Stage", "Value": "v1"}]

    def total(metric: str, dimensions: list[dict[str, str]] = stage) -> dict[str, float]:
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApiGateway",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - 300,
            EndTime=now + 60,
            Period=3600,
            Statistics=["Sum", "SampleCount", "Maximum"],
        )["Datapoints"]
        names = ("Sum", "SampleCount", "Maximum")
        return {name: sum(point[name] for point in points) for name in names}

    end = time.monotonic() + 10 * METRIC_SECONDS
    while total("Count")["Sum"] < 4:
        assert time.monotonic() < end, "nothing was published"
        time.sleep(0.1)
    assert (total("4XXError")["Sum"], total("5XXError")["Sum"]) == (1, 1)
    assert total("5XXError")["SampleCount"] == 4  # so that the average is the part that failed
    assert total("Latency")["SampleCount"] == 4 and total("IntegrationLatency")["SampleCount"] == 3
    assert 0 < total("IntegrationLatency")["Maximum"] <= total("Latency")["Maximum"] < 20_000
    assert total("Count", stage[:1])["Sum"] == 4


# ---- CloudFormation -----------------------------------------------------------------------------------------------

STACK = """
Parameters: {Check: {Type: String}}
Resources:
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: stacked}}
  Body:
    Type: AWS::ApiGateway::Model
    Properties:
      RestApiId: !Ref Api
      ContentType: application/json
      Schema: {type: object, required: [n]}
  Validator:
    Type: AWS::ApiGateway::RequestValidator
    Properties: {RestApiId: !Ref Api, Name: body, ValidateRequestBody: !Ref Check}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: POST
      AuthorizationType: NONE
      RequestValidatorId: !Ref Validator
      RequestModels: {application/json: !Ref Body}
      Integration:
        Type: AWS_PROXY
        IntegrationHttpMethod: POST
        Uri: !Sub
          - "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function}/invocations"
          - {Function: !Sub "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:answers"}
  Deployment: {Type: AWS::ApiGateway::Deployment, DependsOn: Method, Properties: {RestApiId: !Ref Api}}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties: {RestApiId: !Ref Api, DeploymentId: !Ref Deployment, StageName: v1}
Outputs: {Api: {Value: !Ref Api}}
"""


def test_a_stacks_api_validates_and_is_gone_with_the_stack(world: daemon.Running, function: str) -> None:
    cloudformation, gateway = client_of(world, "cloudformation"), client_of(world, "apigateway")

    def settle(name: str) -> None:
        cloudformation.get_waiter(name).wait(
            StackName="stacked", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2000}
        )

    def given(check: str) -> dict[str, Any]:
        return {"Parameters": [{"ParameterKey": "Check", "ParameterValue": check}]}

    cloudformation.create_stack(StackName="stacked", TemplateBody=STACK, **given("true"))
    settle("stack_create_complete")
    made = object.__new__(Api)
    made.running = world
    made.id = cloudformation.describe_stacks(StackName="stacked")["Stacks"][0]["Outputs"][0]["OutputValue"]
    assert said(made.post("/", {}))[2] == "Invalid request body"

    [validator] = gateway.get_request_validators(restApiId=made.id)["items"]
    assert validator["validateRequestBody"] is True
    cloudformation.update_stack(StackName="stacked", UsePreviousTemplate=True, **given("false"))
    settle("stack_update_complete")
    [after] = gateway.get_request_validators(restApiId=made.id)["items"]
    assert (after["id"], after["validateRequestBody"]) == (validator["id"], False)
    assert said(made.post("/", {}))[2] == "Invalid request body"  # until it is deployed anew

    cloudformation.delete_stack(StackName="stacked")
    settle("stack_delete_complete")
    assert made.id not in [each["id"] for each in gateway.get_rest_apis()["items"]]
