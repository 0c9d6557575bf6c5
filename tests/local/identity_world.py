"""An enforcing local AWS of a test's own, with the roles that tasks and functions need.

Not a test. The key `local` is the administrator here; other principals are sessions of roles that tests make.
"""

import contextlib
import http.client
import io
import itertools
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from ecs_world import World, furnished

ACCOUNT = "123456789012"
PULL = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
LOG = ["logs:CreateLogStream", "logs:PutLogEvents"]
AGENT = ["DiscoverPollEndpoint", "RegisterContainerInstance", "Poll", "StartTelemetrySession"]
AGENT = [f"ecs:{name}" for name in (*AGENT, "SubmitTaskStateChange", "SubmitContainerStateChange")]
_numbers = itertools.count()

Policy = dict[str, Any]


def allow(*actions: str, on: str | list[str] = "*", **conditions: Any) -> Policy:
    statement: Policy = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    if conditions:
        statement["Condition"] = conditions
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust(service: str, **conditions: Any) -> str:
    statement: Policy = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    if ":" in service:
        statement["Principal"] = {"AWS": service}
    if conditions:
        statement["Condition"] = conditions
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Account(World):
    """The world of the ECS tests, enforcing, with roles."""

    def __init__(self, folder: Path, engine: str = "process") -> None:
        super().__init__(folder, engine, enforce=True)
        self.iam = self.client("iam")

    def role(self, policy: Policy | None, service: str = "ecs-tasks.amazonaws.com", **conditions: Any) -> str:
        """A new role's ARN."""
        name = f"role-{next(_numbers)}"
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service, **conditions))
        if policy:
            self.put(made["Role"]["Arn"], policy)
        return str(made["Role"]["Arn"])

    def put(self, role: str, policy: Policy) -> None:
        name = role.rpartition("/")[2]
        self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))

    def session(self, policy: Policy, name: str = "me", **options: Any) -> boto3.Session:
        """A session, called `name`, of a new role with this policy."""
        role = self.role(policy, f"arn:aws:iam::{ACCOUNT}:root")
        given = self.client("sts").assume_role(RoleArn=role, RoleSessionName=name, **options)["Credentials"]
        return boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name="us-east-1"
        )

    def as_(self, session: boto3.Session, service: str) -> Any:
        """A client of that session."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=f"http://127.0.0.1:{self.port}", config=config)

    def administrator(self) -> boto3.Session:
        return boto3.Session("local", "local", region_name="us-east-1")

    def send(
        self,
        session: boto3.Session | None,
        service: str,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        presigned: bool = False,
    ) -> tuple[int, bytes]:
        """Status and body of a request as no SDK would make it; session: who signs it, None for nobody."""
        address = f"http://127.0.0.1:{self.port}{path}"
        request = AWSRequest(method, address, dict(headers or {}), body)
        if session:
            credentials = session.get_credentials().get_frozen_credentials()
            signer = S3SigV4Auth if service == "s3" else SigV4Auth
            signer = SigV4QueryAuth if presigned else signer
            signer(credentials, service, "us-east-1").add_auth(request)
        prepared = request.prepare()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            place = prepared.url.partition(str(self.port))[2]
            connection.request(method, place, body, dict(prepared.headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def container(self, code: str, name: str = "app", **more: Any) -> dict[str, Any]:
        return super().container(code, name, **{"stopTimeout": 2, **more})

    def function(self, code: str, role: str, **more: Any) -> str:
        """A new function's ARN; `code` is the body of its handler."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            body = "\n".join(f"    {line}" for line in code.splitlines())
            archive.writestr("code.py", f"import boto3, os\n\ndef handler(event, context):\n{body}\n")
        made = self.client("lambda").create_function(
            FunctionName=f"function-{next(_numbers)}",
            Runtime="python3.11",
            Handler="code.handler",
            Role=role,
            Code={"ZipFile": packed.getvalue()},
            Timeout=20,
            **more,
        )
        return str(made["FunctionArn"])

    def said(self) -> str:
        """The server's log."""
        return (self.folder / "server.log").read_text()


def account(folder: Path) -> contextlib.AbstractContextManager[Account]:
    """A furnished account that is gone afterwards."""
    return furnished(Account(folder))


@contextlib.contextmanager
def refused(words: str, code: str = "AccessDenied") -> Iterator[None]:
    """The block raises a ClientError with this code, and these words in its message."""
    with pytest.raises(ClientError) as raised:
        yield
    error = raised.value.response["Error"]
    assert error["Code"].startswith(code), error
    assert words in error["Message"], error
