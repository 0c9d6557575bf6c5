"""What the process that carries requests is told: every listener with its rules, every group that is in use.

Try it:  python -m pytest tests/local/test_loadbalancer_api.py
A target that stands for an instance of EC2 is reached on 127.0.0.1, where its containers' host ports are. Knows
no sockets; `proxy` is the reader.
"""

from typing import Any

from localaws.loadbalancer import attributes, records, targets
from localaws.loadbalancer.records import Record

LOOPBACK = "127.0.0.1"
Document = dict[str, Any]


def key_of(listener_arn: str, port: int) -> str:
    """What a listener's socket is called: a new port is a new socket."""
    return f"{listener_arn}|{port}"


def described() -> Document:
    """The whole of it, for all accounts and regions; `new` is the sender's to fill."""
    with records.changing:
        listeners, used = {}, set[str]()
        for listener in records.everywhere("listener"):
            with records.scope(listener["ListenerArn"]):
                rules = records.rules_of(listener["ListenerArn"])
                balancer = records.store("loadbalancer").get(listener["LoadBalancerArn"])
            if balancer:
                key = key_of(listener["ListenerArn"], listener["Port"])
                listeners[key] = _listener(listener, balancer, rules)
                used.update(group for rule in rules for group in records.groups_in(rule["Actions"]))
        groups = {each["TargetGroupArn"]: each for each in records.everywhere("targetgroup")}
        return {
            "new": [],
            "listeners": listeners,
            "groups": {arn: _group(groups[arn]) for arn in sorted(used) if arn in groups},
        }


def _listener(listener: Record, balancer: Record, rules: list[Record]) -> Document:
    given = attributes.values(balancer["LoadBalancerArn"])
    policy = {
        "address": balancer["DNSName"],
        "port": listener["Port"],
        "forwarded_for": given["routing.http.xff_header_processing.mode"],
        "client_port": given["routing.http.xff_client_port.enabled"] == "true",
        "preserve_host": given["routing.http.preserve_host_header.enabled"] == "true",
        "drop_invalid": given["routing.http.drop_invalid_header_fields.enabled"] == "true",
    }
    return {
        "balancer": balancer["LoadBalancerArn"],
        "rules": [{"Conditions": each["Conditions"], "Actions": each["Actions"]} for each in rules],
        "policy": policy,
        "idle_seconds": int(given["idle_timeout.timeout_seconds"]),
        "keep_alive_seconds": int(given["client_keep_alive.seconds"]),
    }


def _group(group: Record) -> Document:
    arn = group["TargetGroupArn"]
    return {
        "algorithm": attributes.values(arn)["load_balancing.algorithm.type"],
        "check": {
            "path": group["HealthCheckPath"],
            "port": str(group["HealthCheckPort"]),
            "interval_seconds": group["HealthCheckIntervalSeconds"],
            "timeout_seconds": group["HealthCheckTimeoutSeconds"],
            "healthy_threshold": group["HealthyThresholdCount"],
            "unhealthy_threshold": group["UnhealthyThresholdCount"],
            "matcher": group["Matcher"]["HttpCode"],
        },
        "targets": [_target(arn, each) for each in records.targets_of(arn)],
    }


def _target(arn: str, target: Record) -> Document:
    address = target["Id"]
    return {
        "address": address,
        "port": target["Port"],
        "host": LOOPBACK if address.startswith("i-") else address,
        "draining": targets.UNTIL in target,
        "since": target.get(targets.SINCE, 0.0),
    }
