"""A picture in the bucket starts a function that starts a task: S3, EventBridge, Lambda, ECS in one chain."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import REGION

pytestmark = pytest.mark.local
Client = Callable[..., Any]

FUNCTION = """
import json, os
import boto3

def handler(event, context):
    detail = event["detail"]
    bucket, key = detail["bucket"]["name"], detail["object"]["key"]
    environment = [{"name": "KEY", "value": key}]
    try:
        answer = boto3.client("ecs").run_task(
            cluster=os.environ["CLUSTER"], taskDefinition=os.environ["TASK"], count=1,
            overrides={"containerOverrides": [{"name": "classify", "environment": environment}]},
        )
    except Exception as error:
        answer = {"error": str(error)}
    boto3.client("s3").put_object(Bucket=bucket, Key="answers/1", Body=json.dumps(answer, default=str))
"""
TEMPLATE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - {Effect: Allow, Action: "ecs:RunTask", Resource: !Sub "${Task}"}
              - {Effect: Allow, Action: "s3:PutObject", Resource: !Sub "arn:aws:s3:::${Bucket}/*"}
  Cluster: {Type: AWS::ECS::Cluster}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [EC2]
      ContainerDefinitions: [{Name: classify, Image: none, Memory: 128}]
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {NotificationConfiguration: {EventBridgeConfiguration: {EventBridgeEnabled: true}}}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: on_upload.handler
      Role: !GetAtt Role.Arn
      Timeout: 30
      Environment: {Variables: {CLUSTER: !Ref Cluster, TASK: !Ref Task}}
      Code: {S3Bucket: code, S3Key: on_upload.zip}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.s3]
        detail-type: [Object Created]
        detail: {bucket: {name: [!Ref Bucket]}, object: {key: [{prefix: pictures/}]}}
      Targets: [{Id: function, Arn: !GetAtt Function.Arn}]
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Function
      Action: lambda:InvokeFunction
      Principal: events.amazonaws.com
      SourceArn: !GetAtt Rule.Arn
"""


def test_upload_reaches_ecs_through_rule_and_function(client: Client) -> None:
    s3, cloudformation = client("s3"), client("cloudformation")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("on_upload.py", FUNCTION)
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="code", Key="on_upload.zip", Body=packed.getvalue())
    cloudformation.create_stack(
        StackName="upload", TemplateBody=dedent(TEMPLATE), Capabilities=["CAPABILITY_IAM"]
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="upload", WaiterConfig={"Delay": 1})
    resources = cloudformation.describe_stack_resources(StackName="upload")["StackResources"]
    bucket = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}["Bucket"]

    s3.put_object(Bucket=bucket, Key="elsewhere/ignored.jpg", Body=b"x")
    s3.put_object(Bucket=bucket, Key="pictures/cat 1.jpg", Body=b"meow")
    answer = read_when_there(s3, bucket, "answers/1")
    # The cluster has no instances: what matters is that ECS was asked, for our task, and said what it says
    # then.
    assert "RunTask" in answer["error"] and "No Container Instances were found" in answer["error"]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="answers/")["KeyCount"] == 1


def read_when_there(s3: Any, bucket: str, key: str) -> Any:
    ends = time.monotonic() + 10
    while True:
        try:
            return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError:
            assert time.monotonic() < ends, f"the function has not written {key}"
            time.sleep(0.05)
