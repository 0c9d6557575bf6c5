"""A local AWS with a load balancer and HTTP services behind it. Not a test."""

import contextlib
import urllib.request
from typing import Any

from ecs_world import World, wait_until

# An HTTP server that says which task it is, can be made sick, ends requests under way at SIGTERM.
SERVER = """
import http.server, os, signal, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sick = False
    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.rpartition("/")[2]))
        status = 503 if self.path == "/healthz" and Handler.sick else 200
        self.answer(status, f"{os.getpid()} {os.environ.get('VERSION', '')}")
    def do_POST(self):
        Handler.sick = True
        self.answer(200, "sick")
    def log_message(self, *text):
        pass
server = http.server.ThreadingHTTPServer((os.environ.get("WORKSHOP_BIND_ADDRESS", "0.0.0.0"), 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(os.getpid())
server.serve_forever()
print("ended in order")
"""
PORT = {"containerPort": 8080}


class Balancer:
    """A load balancer with one listener and one target group."""

    def __init__(self, aws: World, name: str, port: int, drain_seconds: int = 1, **group: Any) -> None:
        self.aws, self.name, self.port = aws, name, port
        self.elb = aws.client("elbv2")
        subnets = aws.client("ec2").describe_subnets()["Subnets"][:2]
        given = {"TargetType": "ip", "Protocol": "HTTP", "Port": 8080, "VpcId": subnets[0]["VpcId"]}
        check = {
            "HealthCheckPath": "/healthz",
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 2,
        }
        count = {"HealthyThresholdCount": 2, "UnhealthyThresholdCount": 2}
        made = self.elb.create_target_group(Name=name, **{**given, **check, **count, **group})
        self.group: str = made["TargetGroups"][0]["TargetGroupArn"]
        self.drain_for(drain_seconds)
        balancer = self.elb.create_load_balancer(Name=name, Subnets=[each["SubnetId"] for each in subnets])
        self.arn, self.host = (balancer["LoadBalancers"][0][each] for each in ("LoadBalancerArn", "DNSName"))
        forward = [{"Type": "forward", "TargetGroupArn": self.group}]
        self.elb.create_listener(LoadBalancerArn=self.arn, Protocol="HTTP", Port=port, DefaultActions=forward)

    def drain_for(self, seconds: int) -> None:
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
        self.elb.modify_target_group_attributes(TargetGroupArn=self.group, Attributes=[delay])

    def health(self) -> dict[str, str]:
        """State by address."""
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in found}

    def healthy_targets(self) -> list[dict[str, Any]]:
        """Id and port of each."""
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return [each["Target"] for each in found if each["TargetHealth"]["State"] == "healthy"]

    def get(self, path: str = "/") -> str:
        with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


class BalancedService:
    """A Fargate service behind a balancer."""

    def __init__(self, aws: World, name: str, balancer: Balancer, count: int = 1, **more: Any) -> None:
        self.aws, self.name, self.balancer = aws, name, balancer
        target = {"targetGroupArn": balancer.group, "containerName": "app", "containerPort": 8080}
        request = {
            "cluster": "c",
            "serviceName": name,
            "taskDefinition": self.define("1"),
            "desiredCount": count,
            "launchType": "FARGATE",
            "networkConfiguration": aws.network(),
            "loadBalancers": [target],
            **more,
        }
        aws.ecs.create_service(**request)

    def define(self, version: str, code: str = SERVER) -> str:
        """A task definition."""
        environment = [{"name": "VERSION", "value": version}]
        container = self.aws.container(code, environment=environment, portMappings=[PORT])
        more = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}
        return self.aws.register(container, family=self.name, cpu="256", memory="512", **more)

    def update(self, **changes: Any) -> None:
        self.aws.ecs.update_service(cluster="c", service=self.name, **changes)

    def describe(self) -> dict[str, Any]:
        [found] = self.aws.ecs.describe_services(cluster="c", services=[self.name])["services"]
        return dict(found)

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        """Tasks by desired status, the oldest first."""
        arns = self.aws.ecs.list_tasks(cluster="c", serviceName=self.name, desiredStatus=status)["taskArns"]
        found = self.aws.ecs.describe_tasks(cluster="c", tasks=arns)["tasks"] if arns else []
        return sorted(found, key=lambda each: each["createdAt"])

    def stable(self, seconds: float = 40) -> list[dict[str, Any]]:
        """The tasks once the service is in a steady state."""

        def steady() -> list[dict[str, Any]]:
            now = self.describe()
            done = [each["rolloutState"] for each in now["deployments"]] == ["COMPLETED"]
            return self.tasks() if done and now["runningCount"] == now["desiredCount"] else []

        return list(wait_until(steady, seconds))

    def messages(self) -> list[str]:
        """Events, the oldest first, without the service's name."""
        begin = f"(service {self.name}) "
        return [each["message"].removeprefix(begin) for each in reversed(self.describe()["events"])]

    def delete(self) -> None:
        with contextlib.suppress(self.aws.ecs.exceptions.ServiceNotFoundException):
            self.aws.ecs.delete_service(cluster="c", service=self.name, force=True)
            wait_until(lambda: self.describe()["status"] == "INACTIVE")


def address(task: dict[str, Any]) -> str:
    """The address of an awsvpc task's interface."""
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def make_sick(task: dict[str, Any]) -> None:
    """Have a task's health check fail from now on."""
    request = urllib.request.Request(f"http://{address(task)}:8080/", b"", method="POST")
    urllib.request.urlopen(request, timeout=5).close()
