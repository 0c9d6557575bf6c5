"""What an AWS account may have at most, against what the course is about to make: asked before money is spent.

Try it:  python -c "from workshop.aws import quotas, session; print(*quotas.check(['sentiment'], session.connect()))"
Service Quotas says the limit, the services themselves what is used already. What can't be asked is named and stops
nobody. The local AWS has no limits, so nothing is asked there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from workshop.aws import task_definitions, templates
from workshop.aws.session import Aws


@dataclass(frozen=True)
class Quota:
    """One limit of the account, and how much of it the course needs."""

    stack: str
    what: str
    service: str
    code: str
    needed: Callable[[Aws], float]
    used: Callable[[Aws], float] = lambda aws: 0.0


def check(concerns: Iterable[str], aws: Aws) -> list[str]:
    """A line for each limit that is too low or can't be read; none if there is room for all."""
    if aws.is_local:
        return []
    wanted = set(concerns)
    return [line for quota in QUOTAS if quota.stack in wanted for line in _look(quota, aws)]


def _look(quota: Quota, aws: Aws) -> list[str]:
    try:
        answer = aws.client("service-quotas").get_service_quota(
            ServiceCode=quota.service, QuotaCode=quota.code
        )
        limit, used = float(answer["Quota"]["Value"]), quota.used(aws)
    except (ClientError, BotoCoreError) as error:
        return [f"{quota.what}: the account's limit could not be read ({error})"]
    needed = quota.needed(aws)
    if used + needed <= limit:
        return []
    asked = math.ceil(used + needed)
    more = (
        f"aws service-quotas request-service-quota-increase --service-code {quota.service} "
        f"--quota-code {quota.code} --desired-value {asked}"
    )
    return [f"{quota.what}: {needed:g} needed, {used:g} in use, at most {limit:g} allowed; more by: {more}"]


def _fargate_vcpus(aws: Aws) -> float:
    """The service at its largest, and in a deployment twice that."""
    vcpu = int(task_definitions.read("sentiment", aws.settings.root)["cpu"]) / 1024
    template = templates.read("sentiment-service", aws.settings.root)
    return 2 * int(template.values["MaxTasks"]) * vcpu


def _addresses(aws: Aws) -> float:
    return float(len(aws.client("ec2").describe_addresses()["Addresses"]))


def _load_balancers(aws: Aws) -> float:
    pages = aws.client("elbv2").get_paginator("describe_load_balancers").paginate()
    found: list[dict[str, Any]] = [each for page in pages for each in page["LoadBalancers"]]
    return float(sum(each["Type"] == "application" for each in found))


def _one(aws: Aws) -> float:
    return 1.0


def _two(aws: Aws) -> float:
    return 2.0


# The codes are those of `aws service-quotas list-service-quotas --service-code …`.
QUOTAS = (
    Quota("private-network", "elastic addresses of the region", "ec2", "L-0263D0A3", _one, _addresses),
    Quota("private-network", "NAT gateways of a zone", "vpc", "L-FE5A380F", _one),
    Quota(
        "sentiment",
        "application load balancers of the region",
        "elasticloadbalancing",
        "L-53DA6B97",
        _one,
        _load_balancers,
    ),
    Quota("sentiment-service", "vCPUs of Fargate", "fargate", "L-3032A538", _fargate_vcpus),
    # Both are 0 in a new account. Lab 8 has two endpoints for a while, its own and the SDK's.
    Quota("satisfaction", "ml.m5.large for training job usage", "sagemaker", "L-611FA074", _one),
    Quota("satisfaction", "ml.m5.large for endpoint usage", "sagemaker", "L-614B09FD", _two),
)
