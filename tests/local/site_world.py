"""A load balancer made by the API, with targets that a test starts. Not a test."""

import itertools
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psutil
from attendee import free_port
from proxy_world import Target

QUICK = {"Delay": 1, "MaxAttempts": 20}
_numbers = itertools.count()


class Site:
    """A load balancer in a local AWS, with a target group and a listener."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self.elb, ec2 = client("elbv2"), client("ec2")
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]][:2]
        number = next(_numbers)
        made = self.elb.create_load_balancer(Name=f"lb-{number}", Subnets=self.subnets)
        self.balancer = made["LoadBalancers"][0]
        self.arn = self.balancer["LoadBalancerArn"]
        self.group = self.new_group(f"group-{number}")
        self.port = free_port()
        self.listener = self.listen(self.port, self.group)

    def new_group(self, name: str, **options: Any) -> str:
        given = {
            "Protocol": "HTTP",
            "Port": 80,
            "VpcId": self.vpc,
            "TargetType": "ip",
            "HealthCheckPath": "/healthz",
        }
        given |= {"HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 2, **options}
        arn = self.elb.create_target_group(Name=name, **given)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(
            TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
        )
        return str(arn)

    def listen(self, port: int, group: str, balancer: str = "") -> str:
        made = self.elb.create_listener(
            LoadBalancerArn=balancer or self.arn,
            Protocol="HTTP",
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    def register(self, *targets: Target) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[named(each) for each in targets])

    def deregister(self, target: Target) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[named(target)])

    def health(self) -> dict[int, str]:
        """States by port."""
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return {each["Target"]["Port"]: each["TargetHealth"]["State"] for each in found}

    def in_service(self, *targets: Target) -> None:
        waiter = self.elb.get_waiter("target_in_service")
        waiter.wait(TargetGroupArn=self.group, Targets=[named(each) for each in targets], WaiterConfig=QUICK)

    def ask(self, path: str = "/", port: int = 0) -> tuple[int, str]:
        url = f"http://{self.balancer['DNSName']}:{port or self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def named(target: Target) -> dict[str, Any]:
    return {"Id": "127.0.0.1", "Port": target.port}


def proxies(pid: int) -> list[psutil.Process]:
    """The processes that carry a server's requests."""
    children = psutil.Process(pid).children()
    return [each for each in children if "localaws.loadbalancer.proxy" in each.cmdline()]
