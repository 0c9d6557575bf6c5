"""An enforcing local AWS with REST APIs in front of one function, which does what a request's body says.

Not a test. A body may say `wait` (seconds), `fail`, or the `answer` that the function gives.
"""

import http.client
import io
import json
import zipfile
from typing import Any

from conftest import REGION, client_of

from localaws import daemon

ACCOUNT = "123456789012"
METRIC_SECONDS = 1.0
FUNCTION = """
import json, time

def handler(event, context):
    asked = json.loads(event["body"] or "{}")
    if asked.get("wait"):
        time.sleep(asked["wait"])
    if asked.get("fail"):
        raise RuntimeError("a secret of the function")
    return asked.get("answer", {"statusCode": 200, "body": json.dumps({"path": event["path"]})})
"""
SCHEMA = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
Answer = tuple[int, dict[str, str], Any]


class Api:
    """An API with one function behind it; methods come with `method`, and are served after `deploy`."""

    def __init__(self, running: daemon.Running, function: str, name: str, policy: bool = True) -> None:
        self.running, self.function = running, function
        self.gateway = client_of(running, "apigateway")
        self.id = self.gateway.create_rest_api(name=name)["id"]
        self.root = self.gateway.get_resources(restApiId=self.id)["items"][0]["id"]
        self.deployment = ""
        if policy:
            client_of(running, "lambda").add_permission(
                FunctionName=function,
                StatementId=f"of-{self.id}",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.id}/*/POST/*",
            )

    def method(self, path: str, milliseconds: int = 29_000, **settings: Any) -> str:
        """POST below the root; its resource's id."""
        made = self.gateway.create_resource(restApiId=self.id, parentId=self.root, pathPart=path)["id"]
        where = {"restApiId": self.id, "resourceId": made, "httpMethod": "POST"}
        self.gateway.put_method(**where, authorizationType="NONE", **settings)
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function}"
        self.gateway.put_integration(
            **where,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations",
            timeoutInMillis=milliseconds,
        )
        return str(made)

    def deploy(self, stage: str = "v1") -> "Api":
        self.deployment = self.gateway.create_deployment(restApiId=self.id, stageName=stage)["id"]
        return self

    def key(self, **plan: Any) -> str:
        """The value of a new key in a usage plan of its own."""
        made = self.gateway.create_api_key(name="k", enabled=True)
        stages = [{"apiId": self.id, "stage": "v1"}]
        plan_id = self.gateway.create_usage_plan(name="p", apiStages=stages, **plan)["id"]
        self.gateway.create_usage_plan_key(usagePlanId=plan_id, keyId=made["id"], keyType="API_KEY")
        return str(made["value"])

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, stage: str = "v1", **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=20)
        try:
            connection.request(
                method,
                f"/_aws/execute-api/{self.id}/{stage}{path}",
                content,
                {"Content-Type": "application/json", **sent},
            )
            answered = connection.getresponse()
            text = answered.read()
            told = {name.lower(): value for name, value in answered.getheaders()}
            return answered.status, told, json.loads(text) if text else None
        finally:
            connection.close()


def said(answer: Answer) -> tuple[int, str, str]:
    """Status, AWS's error type and message of a refusal of the gateway's own."""
    status, headers, body = answer
    return status, headers.get("x-amzn-errortype", ""), body["message"]


def made_function(running: daemon.Running) -> str:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = client_of(running, "iam").create_role(
        RoleName="function",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("code.py", FUNCTION)
    client_of(running, "lambda").create_function(
        FunctionName="answers",
        Runtime="python3.11",
        Handler="code.handler",
        Role=role,
        Code={"ZipFile": packed.getvalue()},
        Timeout=20,
    )
    return "answers"
