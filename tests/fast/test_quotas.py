"""Before money is spent, limits of the account that the course would run into are told."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from workshop.aws import consent, quotas
from workshop.settings import load

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetServiceQuota")


class Account:
    """An account with the same limit everywhere, some addresses and load balancers."""

    is_local, account, region = False, "123456789012", "us-east-1"

    def __init__(self, limit: float, addresses: int = 0, balancers: int = 0) -> None:
        self.settings = load({})
        pages = [{"LoadBalancers": [{"Type": "application"}] * balancers + [{"Type": "network"}]}]
        self._answers: dict[str, Any] = {
            "service-quotas": SimpleNamespace(get_service_quota=self._quota),
            "ec2": SimpleNamespace(describe_addresses=lambda: {"Addresses": [{}] * addresses}),
            "elbv2": SimpleNamespace(get_paginator=lambda operation: SimpleNamespace(paginate=lambda: pages)),
        }
        self.limit = limit

    def _quota(self, **asked: str) -> dict[str, Any]:
        if self.limit < 0:
            raise DENIED
        return {"Quota": {"Value": self.limit}}

    def client(self, service: str) -> Any:
        return self._answers[service]


STACKS = ("private-network", "sentiment", "sentiment-service", "satisfaction")


def test_an_account_with_room_for_everything_is_told_nothing():
    assert quotas.check(STACKS, Account(100, addresses=4, balancers=20)) == []


def test_a_limit_counts_what_is_in_use_already():
    assert quotas.check(["private-network"], Account(5, addresses=4)) == []
    [line] = quotas.check(["private-network"], Account(5, addresses=5))
    assert "elastic addresses" in line and "1 needed, 5 in use, at most 5" in line
    assert line.endswith("--service-code ec2 --quota-code L-0263D0A3 --desired-value 6")
    assert quotas.check(["sentiment"], Account(2, balancers=1)) == []
    assert "load balancers" in quotas.check(["sentiment"], Account(2, balancers=2))[0]


def test_fargate_is_needed_twice_over_while_all_tasks_are_replaced():
    [line] = quotas.check(["sentiment-service"], Account(2))
    assert "vCPUs of Fargate: 3 needed" in line  # three tasks of half a vCPU, and their successors


def test_a_new_account_may_neither_train_nor_host_and_is_told_how_to_ask():
    training, hosting = quotas.check(["satisfaction"], Account(0))
    assert "ml.m5.large for training job usage: 1 needed" in training and "L-611FA074" in training
    assert "ml.m5.large for endpoint usage: 2 needed" in hosting and hosting.endswith("--desired-value 2")


def test_only_what_is_about_to_be_made_is_asked_for():
    assert quotas.check(["network", "storage"], Account(0)) == []


def test_a_limit_that_cannot_be_read_is_named_and_stops_nobody():
    lines = quotas.check(STACKS, Account(-1))
    assert len(lines) == len(quotas.QUOTAS) and all("could not be read" in line for line in lines)


def test_the_local_aws_has_no_limits():
    assert quotas.check(STACKS, SimpleNamespace(is_local=True)) == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_plan_shows_what_is_in_the_way(stack):
    aws = Account(0)
    plan = consent.Plan("prepare 7", [f"stack {stack}"], 10, 1.0, warnings=quotas.check([stack], aws))
    assert "  limit  " in consent.describe(plan, aws)
