"""Attributes of load balancers, target groups and listeners: AWS's keys and defaults, and which take effect here.

Try it:  aws elbv2 describe-target-group-attributes --target-group-arn ARN
From the user guide's "Load balancer attributes", "Target group attributes" and "Listener attributes". One that
has no effect here takes its default alone: another value is refused by name.
"""

import re
from dataclasses import dataclass

from localaws.loadbalancer import records
from localaws.loadbalancer.records import Record
from localaws.loadbalancer.wire import Refused, not_emulated


@dataclass(frozen=True)
class Attribute:
    """allowed: a pattern for values that take effect; '' if the default is the only one."""

    default: str
    allowed: str = ""


SWITCH = "true|false"
SECONDS = r"\d{1,6}"
BALANCER = {
    "deletion_protection.enabled": Attribute("false", SWITCH),
    "idle_timeout.timeout_seconds": Attribute("60", r"[1-9]\d{0,3}"),
    "client_keep_alive.seconds": Attribute("3600", SECONDS),
    "routing.http.drop_invalid_header_fields.enabled": Attribute("false", SWITCH),
    "routing.http.preserve_host_header.enabled": Attribute("false", SWITCH),
    "routing.http.xff_client_port.enabled": Attribute("false", SWITCH),
    "routing.http.xff_header_processing.mode": Attribute("append", "append|preserve|remove"),
    "routing.http.desync_mitigation_mode": Attribute("defensive", "defensive|strictest"),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": Attribute("false"),
    "routing.http2.enabled": Attribute("true"),  # over TLS only, and there are no HTTPS listeners
    "waf.fail_open.enabled": Attribute("false"),
    "access_logs.s3.enabled": Attribute("false"),
    "access_logs.s3.bucket": Attribute(""),
    "access_logs.s3.prefix": Attribute(""),
    "connection_logs.s3.enabled": Attribute("false"),
    "connection_logs.s3.bucket": Attribute(""),
    "connection_logs.s3.prefix": Attribute(""),
    "health_check_logs.s3.enabled": Attribute("false"),
    "health_check_logs.s3.bucket": Attribute(""),
    "health_check_logs.s3.prefix": Attribute(""),
    "load_balancing.cross_zone.enabled": Attribute("true"),
    "zonal_shift.config.enabled": Attribute("false"),
}
GROUP = {
    "deregistration_delay.timeout_seconds": Attribute("300", r"\d{1,4}"),
    "load_balancing.algorithm.type": Attribute("round_robin", "round_robin|least_outstanding_requests"),
    "load_balancing.algorithm.anomaly_mitigation": Attribute("off"),
    "load_balancing.cross_zone.enabled": Attribute("use_load_balancer_configuration"),
    "slow_start.duration_seconds": Attribute("0"),
    "stickiness.enabled": Attribute("false"),
    "stickiness.type": Attribute("lb_cookie", "lb_cookie|app_cookie"),
    "stickiness.lb_cookie.duration_seconds": Attribute("86400", SECONDS),
    "stickiness.app_cookie.duration_seconds": Attribute("86400", SECONDS),
    "stickiness.app_cookie.cookie_name": Attribute("", ".*"),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute("1"),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute("1"),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute("off"),
}
LISTENER = {"routing.http.response.server.enabled": Attribute("true")}
TABLES = {"loadbalancer": BALANCER, "targetgroup": GROUP, "listener": LISTENER}
WORDS = {"loadbalancer": "Load balancer", "targetgroup": "Target group", "listener": "Listener"}


def values(arn: str) -> dict[str, str]:
    """All attributes, the ones that nobody set by their defaults."""
    found = {key: attribute.default for key, attribute in TABLES[records.kind_of(arn)].items()}
    return found | {each["Key"]: each["Value"] for each in records.attributes_of(arn)}


def listed(arn: str) -> list[Record]:
    return [{"Key": key, "Value": value} for key, value in values(arn).items()]


def put(arn: str, given: list[Record]) -> None:
    """Set attributes; none of them if one is refused.

    Errors: Refused.
    """
    kind = records.kind_of(arn)
    for each in given:
        _check(kind, each["Key"], str(each.get("Value", "")))
    kept = records.attributes_of(arn)
    for each in given:
        kept[:] = [other for other in kept if other["Key"] != each["Key"]]
        kept.append({"Key": each["Key"], "Value": str(each.get("Value", ""))})


def _check(kind: str, key: str, value: str) -> None:
    attribute = TABLES[kind].get(key)
    if attribute is None:
        if kind == "listener" and key.startswith("routing.http.re"):
            raise not_emulated(f"the listener attribute {key}")
        raise Refused("ValidationError", f"{WORDS[kind]} attribute key '{key}' is not recognized")
    if value == attribute.default or (attribute.allowed and re.fullmatch(attribute.allowed, value)):
        return
    if attribute.allowed:
        raise Refused(
            "ValidationError",
            f"{WORDS[kind]} attribute value '{value}' is not valid for attribute key '{key}'",
        )
    raise not_emulated(f"the {WORDS[kind].lower()} attribute {key}={value}")
