"""A local AWS of a test's own, with an image and a cluster to run tasks in.

Not a test. `World` wraps the few calls that the ECS tests make again and again.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from attendee import free_port

ROOT = Path(__file__).parents[2]
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
INDEX = "application/vnd.oci.image.{}.v1+json"
PATIENCE_SECONDS = 20


def wait_until(what: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """What `what` gives once it is true; fails the test when it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.03)
    pytest.fail(f"not true after {seconds} s: {what}")


class World:
    """A server, its clients, one image whose entry point is `python -u -c`, one cluster."""

    def __init__(self, folder: Path, engine: str = "process", enforce: bool = False) -> None:
        self.folder = folder
        self.enforce = enforce
        self.engine = engine
        self.options: list[str] = []  # further ones of `localaws serve`
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        session = boto3.Session("local", "local", region_name="us-east-1")
        self.client = lambda name: session.client(name, endpoint_url=f"http://127.0.0.1:{self.port}")
        self.ecs, self.logs = self.client("ecs"), self.client("logs")

    def start(self, **environment: str) -> None:
        command = [sys.executable, "-m", "localaws", "serve", "--state-dir", self.folder, "--port", self.port]
        venv = Path(sys.prefix)
        self.process = subprocess.Popen(
            [
                *map(str, command),
                "--engine",
                self.engine,
                "--environment",
                f"workshop={venv}",
                "--enforce" if self.enforce else "--no-enforce",
                *self.options,
            ],
            stdout=(self.folder / "server.log").open("ab"),
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        assert self.process and self.process.poll() is None, (self.folder / "server.log").read_text()
        return b"ready on" in (self.folder / "server.log").read_bytes().rpartition(b"BOUNDARY")[2]

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(20)
        with (self.folder / "server.log").open("ab") as log:
            log.write(b"BOUNDARY\n")

    def furnish(self) -> None:
        self.image = self.push("jobs")
        self.ecs.create_cluster(clusterName="c")
        self.logs.create_log_group(logGroupName="/tasks")

    def push(self, repository: str, tag: str = "latest", **config: Any) -> str:
        """Push an image as `docker push` does; config: members of the OCI config that differ."""
        with contextlib.suppress(self.client("ecr").exceptions.RepositoryAlreadyExistsException):
            self.client("ecr").create_repository(repositoryName=repository)
        given = {
            "Labels": {"workshop.environment": "workshop"},
            "Entrypoint": ["python", "-u", "-c"],
            "WorkingDir": "/srv",
            "Env": ["FROM_IMAGE=1"],
            **config,
        }
        blob = json.dumps({"architecture": "amd64", "os": "linux", "config": given}).encode()
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        base = f"http://127.0.0.1:{self.port}/v2/{repository}/"
        begin = urllib.request.Request(base + "blobs/uploads/", headers=self._login(), method="POST")
        with urllib.request.urlopen(begin) as answer:
            place = urllib.parse.urljoin(base, answer.headers["Location"])
        self._put(f"{place}?digest={digest}", blob, "application/octet-stream")
        entry = {"mediaType": INDEX.format("config"), "digest": digest, "size": len(blob)}
        manifest = {"schemaVersion": 2, "mediaType": INDEX.format("manifest"), "config": entry, "layers": []}
        self._put(base + f"manifests/{tag}", json.dumps(manifest).encode(), INDEX.format("manifest"))
        return f"{REGISTRY}/{repository}:{tag}"

    def _put(self, url: str, body: bytes, kind: str) -> None:
        request = urllib.request.Request(url, body, {"Content-Type": kind, **self._login()}, method="PUT")
        urllib.request.urlopen(request).close()

    def _login(self) -> dict[str, str]:
        token = self.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        return {"Authorization": f"Basic {token}"}

    def container(self, code: str, name: str = "app", **more: Any) -> dict[str, Any]:
        """A container definition that runs Python code and logs to /tasks."""
        options = {"awslogs-group": "/tasks", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t"}
        logging = {"logDriver": "awslogs", "options": options}
        return {
            "name": name,
            "image": self.image,
            "memory": 256,
            "command": [code],
            "logConfiguration": logging,
            **more,
        }

    def register(self, *containers: dict[str, Any], family: str = "job", **more: Any) -> str:
        made = self.ecs.register_task_definition(
            family=family, containerDefinitions=list(containers), **{"networkMode": "bridge", **more}
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def run(self, *containers: dict[str, Any], register: dict[str, Any] | None = None, **more: Any) -> str:
        """Register and run on no instance in particular; the task's ARN."""
        definition = self.register(*containers, **(register or {}))
        if (register or {}).get("networkMode") == "awsvpc":
            more.setdefault("networkConfiguration", self.network())
        answer = self.ecs.run_task(
            cluster="c", taskDefinition=definition, **{"launchType": "FARGATE", **more}
        )
        assert not answer["failures"], answer["failures"]
        return str(answer["tasks"][0]["taskArn"])

    def network(self) -> dict[str, Any]:
        """A networkConfiguration in the default VPC."""
        subnet = self.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        return {"awsvpcConfiguration": {"subnets": [subnet]}}

    def task(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"][0]
        return found

    def stopped(self, arn: str) -> dict[str, Any]:
        """The task once it has stopped."""
        return dict(wait_until(lambda: self._in_state(arn, "STOPPED")))

    def running(self, arn: str) -> dict[str, Any]:
        """The task once it runs."""
        return dict(wait_until(lambda: self._in_state(arn, "RUNNING")))

    def _in_state(self, arn: str, status: str) -> dict[str, Any] | None:
        task = self.task(arn)
        assert status == "STOPPED" or task["lastStatus"] != "STOPPED", task["stoppedReason"]
        return task if task["lastStatus"] == status else None

    def lines(self, arn: str, name: str = "app") -> list[str]:
        stream = f"t/{name}/{arn.rpartition('/')[2]}"
        got = self.logs.get_log_events(logGroupName="/tasks", logStreamName=stream, startFromHead=True)
        return [event["message"] for event in got["events"]]

    def line(self, arn: str, name: str = "app") -> str:
        """The first log line, once there is one."""

        def first() -> str:
            with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
                return next(iter(self.lines(arn, name)), "")
            return ""

        return str(wait_until(first))


def world(
    folder: Path, enforce: bool = False, **environment: str
) -> contextlib.AbstractContextManager[World]:
    """A furnished local AWS that is gone afterwards; enforce: whether it asks IAM."""
    return furnished(World(folder, enforce=enforce), **environment)


AnyWorld = TypeVar("AnyWorld", bound=World)


@contextlib.contextmanager
def furnished(made: AnyWorld, **environment: str) -> Iterator[AnyWorld]:
    """Start and furnish a world that is gone afterwards."""
    made.start(**environment)
    try:
        made.furnish()
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.stop()
