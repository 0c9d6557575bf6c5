"""Load balancers by the API: what AWS's clients are told, what is refused, and that it all survives a restart."""

import contextlib
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attendee import free_port
from botocore.exceptions import ClientError
from conftest import REGION
from ecs_world import wait_until
from proxy_world import Target
from site_world import QUICK, Site, named, proxies

from localaws import daemon

pytestmark = pytest.mark.local
METRIC_SECONDS = 1.0


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    state_dir = tmp_path_factory.mktemp("state")
    yield daemon.start(state_dir, free_port(), REGION, "process", metric_seconds=METRIC_SECONDS)
    daemon.stop(state_dir)


@pytest.fixture
def site(client: Callable[..., Any]) -> Site:
    return Site(client)


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code, caught.value


# ---- what it does --------------------------------------------------------------------------------------------


def test_load_balancer_answers_on_an_address_and_port_of_its_own(
    site: Site, target: Callable[..., Target]
) -> None:
    only = target("me")
    site.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[site.arn], WaiterConfig=QUICK)
    site.register(only)
    site.in_service(only)
    assert site.balancer["DNSName"].startswith("127.") and site.balancer["DNSName"] != "127.0.0.1"
    assert site.ask() == (200, "me")


def test_load_balancer_answers_on_the_servers_port_for_its_name(
    site: Site, target: Callable[..., Target], local_aws: daemon.Running
) -> None:
    only = target("me")
    site.register(only)
    site.in_service(only)
    name = f"{site.balancer['LoadBalancerName']}.alb.localhost"
    request = urllib.request.Request(f"{local_aws.endpoint}/a%20b?c=1", b"body", {"Host": name})
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"me"
    [seen] = only.seen
    assert (seen.line, seen.body) == ("POST /a%20b?c=1 HTTP/1.1", b"body")


def test_targets_on_one_address_with_two_ports_are_two(site: Site, target: Callable[..., Target]) -> None:
    one, two = target("1"), target("2")
    site.register(one, two)
    site.in_service(one, two)
    assert {site.ask()[1] for _ in range(6)} == {"1", "2"}
    site.deregister(one)
    assert site.health() == {one.port: "draining", two.port: "healthy"}
    assert {site.ask()[1] for _ in range(6)} == {"2"}
    waiter = site.elb.get_waiter("target_deregistered")
    waiter.wait(TargetGroupArn=site.group, Targets=[named(one)], WaiterConfig=QUICK)
    assert site.health() == {two.port: "healthy"}


def test_health_of_what_is_not_registered_or_not_in_use_says_so(
    site: Site, target: Callable[..., Target]
) -> None:
    [found] = site.elb.describe_target_health(TargetGroupArn=site.group, Targets=[{"Id": "10.0.0.1"}])[
        "TargetHealthDescriptions"
    ]
    assert (
        found["TargetHealth"]["State"] == "unused"
        and found["TargetHealth"]["Reason"] == "Target.NotRegistered"
    )
    only = target()
    site.register(only)
    site.in_service(only)
    site.elb.delete_listener(ListenerArn=site.listener)
    assert site.health() == {only.port: "unused"}


def test_rule_sends_a_path_to_another_group_and_changes_at_once(
    site: Site, target: Callable[..., Target]
) -> None:
    one, two = target("1"), target("2")
    site.register(one)
    other = site.new_group("other")
    site.elb.register_targets(TargetGroupArn=other, Targets=[named(two)])
    made = site.elb.create_rule(
        ListenerArn=site.listener,
        Priority=5,
        Conditions=[{"Field": "path-pattern", "Values": ["/two/*"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": other}],
    )["Rules"][0]
    site.in_service(one)
    wait_until(lambda: site.ask("/two/x") == (200, "2"))
    assert site.ask("/one") == (200, "1")
    gone = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "410", "MessageBody": "gone"}}
    site.elb.modify_rule(RuleArn=made["RuleArn"], Actions=[gone])
    wait_until(lambda: site.ask("/two/x") == (410, "gone"))
    site.elb.delete_rule(RuleArn=made["RuleArn"])
    wait_until(lambda: site.ask("/two/x") == (200, "1"))


def test_listener_that_changes_its_port_leaves_the_old_one(site: Site, target: Callable[..., Target]) -> None:
    only = target("me")
    site.register(only)
    site.in_service(only)
    port = free_port()
    site.elb.modify_listener(ListenerArn=site.listener, Port=port)
    wait_until(lambda: site.ask(port=port) == (200, "me"))

    def closed() -> bool:
        with contextlib.suppress(ConnectionRefusedError, urllib.error.URLError):
            site.ask()
            return False
        return True

    wait_until(closed)
    site.elb.modify_listener(ListenerArn=site.listener, Port=site.port)  # and back, at once
    wait_until(lambda: site.ask() == (200, "me"))


def test_port_and_target_that_are_given_back_may_be_taken_again_at_once(
    site: Site, target: Callable[..., Target]
) -> None:
    only = target("me")
    at_once = [{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    site.elb.modify_target_group_attributes(TargetGroupArn=site.group, Attributes=at_once)
    for _ in range(5):
        site.register(only)
        site.elb.delete_listener(ListenerArn=site.listener)
        site.listener = site.listen(site.port, site.group)
        site.deregister(only)
        site.register(only)
    site.in_service(only)
    assert site.ask() == (200, "me")


def test_process_that_dies_is_replaced_while_its_clients_wait(
    site: Site, target: Callable[..., Target], local_aws: daemon.Running
) -> None:
    only = target("me")
    site.register(only)
    site.in_service(only)
    [process] = proxies(local_aws.pid)
    process.kill()
    process.wait(5)
    assert site.ask() == (200, "me")
    [after] = proxies(local_aws.pid)
    assert after.pid != process.pid


def test_what_happens_becomes_metrics(
    site: Site, target: Callable[..., Target], client: Callable[..., Any]
) -> None:
    only = target("me")
    site.register(only)
    site.in_service(only)
    for _ in range(10):
        site.ask()
    cloudwatch = client("cloudwatch")
    balancer = {"Name": "LoadBalancer", "Value": site.arn.partition(":loadbalancer/")[2]}
    group = {"Name": "TargetGroup", "Value": site.group.rpartition(":")[2]}

    def sums(name: str, *dimensions: dict[str, str], statistic: str = "Sum") -> list[float]:
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=name,
            Dimensions=list(dimensions),
            StartTime=now - 120,
            EndTime=now + 60,
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return [each[statistic] for each in points]

    wait_until(lambda: sum(sums("RequestCount", balancer)) == 10)
    assert (
        sum(sums("RequestCountPerTarget", group)) == sum(sums("RequestCountPerTarget", balancer, group)) == 10
    )
    assert sum(sums("HTTPCode_Target_2XX_Count", balancer, group)) == 10
    assert sum(sums("HTTPCode_ELB_5XX_Count", balancer)) == 0
    assert max(sums("HealthyHostCount", balancer, group, statistic="Maximum")) == 1
    assert 0 < max(sums("TargetResponseTime", balancer, group, statistic="Maximum")) < 5
    assert sum(sums("TargetResponseTime", balancer, group, statistic="SampleCount")) == 10


# ---- what it refuses -----------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_found(site: Site) -> None:
    wrong = site.arn[:-4] + "0000"
    with refused("LoadBalancerNotFound"):
        site.elb.describe_load_balancers(LoadBalancerArns=[wrong])
    with refused("LoadBalancerNotFound"):
        site.elb.describe_load_balancers(Names=["none"])
    with refused("TargetGroupNotFound"):
        site.elb.describe_target_health(TargetGroupArn=site.group[:-4] + "0000")
    with refused("ListenerNotFound"):
        site.elb.describe_rules(ListenerArn=site.listener[:-4] + "0000")
    with refused("RuleNotFound"):
        site.elb.delete_rule(RuleArn=site.listener.replace(":listener/", ":listener-rule/") + "/0")
    with refused("SubnetNotFound"):
        site.elb.create_load_balancer(Name="x", Subnets=["subnet-1", "subnet-2"])
    with refused("InvalidTarget"):
        group = site.new_group("instances", TargetType="instance")
        site.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "i-00000000"}])
    site.elb.delete_load_balancer(LoadBalancerArn=wrong)  # deleting twice is no error


def test_same_again_is_the_same_and_another_of_the_name_is_refused(site: Site) -> None:
    name = site.balancer["LoadBalancerName"]
    again = site.elb.create_load_balancer(Name=name, Subnets=site.subnets)["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == site.arn
    with refused("DuplicateLoadBalancerName"):
        site.elb.create_load_balancer(Name=name, Subnets=site.subnets, Scheme="internal")
    group = site.elb.describe_target_groups(TargetGroupArns=[site.group])["TargetGroups"][0]
    assert site.new_group(group["TargetGroupName"]) == site.group
    with refused("DuplicateTargetGroupName"):
        site.new_group(group["TargetGroupName"], Port=81)
    with refused("DuplicateListener"):
        site.listen(site.port, site.group)


def test_what_is_in_use_is_not_deleted_nor_shared(site: Site, client: Callable[..., Any]) -> None:
    with refused("ResourceInUse"):
        site.elb.delete_target_group(TargetGroupArn=site.group)
    other = Site(client)
    with refused("TargetGroupAssociationLimit"):
        site.listen(free_port(), site.group, other.arn)
    protect = {"Key": "deletion_protection.enabled", "Value": "true"}
    site.elb.modify_load_balancer_attributes(LoadBalancerArn=site.arn, Attributes=[protect])
    with refused("OperationNotPermitted"):
        site.elb.delete_load_balancer(LoadBalancerArn=site.arn)


def test_port_that_this_machine_has_not_is_refused(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind((site.balancer["DNSName"], 0))
        taken.listen()
        with refused("InvalidConfigurationRequest"):
            site.listen(taken.getsockname()[1], site.group)
    assert len(site.elb.describe_listeners(LoadBalancerArn=site.arn)["Listeners"]) == 1


def test_priorities_change_places_and_are_nobody_elses(site: Site) -> None:
    action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}

    def rule(priority: int) -> str:
        made = site.elb.create_rule(
            ListenerArn=site.listener,
            Priority=priority,
            Conditions=[{"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT"]}}],
            Actions=[action],
        )
        return str(made["Rules"][0]["RuleArn"])

    one, two = rule(1), rule(2)
    with refused("PriorityInUse"):
        rule(2)
    site.elb.set_rule_priorities(
        RulePriorities=[{"RuleArn": one, "Priority": 2}, {"RuleArn": two, "Priority": 1}]
    )
    found = site.elb.describe_rules(ListenerArn=site.listener)["Rules"]
    assert [each["RuleArn"] for each in found[:2]] == [two, one] and found[2]["IsDefault"]
    with refused("OperationNotPermitted"):
        site.elb.delete_rule(RuleArn=found[2]["RuleArn"])
    pages = site.elb.get_paginator("describe_rules").paginate(
        ListenerArn=site.listener, PaginationConfig={"PageSize": 1}
    )
    assert [each["RuleArn"] for page in pages for each in page["Rules"]] == [
        each["RuleArn"] for each in found
    ]


def test_what_is_not_emulated_is_refused_by_name(site: Site, client: Callable[..., Any]) -> None:
    def change(key: str, value: str) -> Any:
        return site.elb.modify_target_group_attributes(
            TargetGroupArn=site.group, Attributes=[{"Key": key, "Value": value}]
        )

    login = {"Issuer": "i", "AuthorizationEndpoint": "a", "TokenEndpoint": "t", "UserInfoEndpoint": "u"}
    login |= {"ClientId": "c", "ClientSecret": "s"}
    calls: list[Callable[[], Any]] = [
        lambda: site.elb.create_load_balancer(Name="n", Subnets=site.subnets, Type="network"),
        lambda: site.elb.create_target_group(Name="n", TargetType="lambda"),
        lambda: site.new_group("https", Protocol="HTTPS"),
        lambda: site.elb.modify_listener(ListenerArn=site.listener, Protocol="HTTPS"),
        lambda: change("stickiness.enabled", "true"),
        lambda: change("slow_start.duration_seconds", "30"),
        lambda: site.elb.modify_listener(
            ListenerArn=site.listener,
            DefaultActions=[{"Type": "authenticate-oidc", "AuthenticateOidcConfig": login}],
        ),
        lambda: site.elb.describe_ssl_policies(),
        lambda: client("elb").describe_load_balancers(),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="the local AWS does not emulate") as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "UnsupportedOperation"
    with refused("ValidationError"):
        change("no.such.attribute", "1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"HealthCheckIntervalSeconds": 301},
        {"HealthCheckTimeoutSeconds": 5},
        {"HealthCheckPath": "healthz"},
        {"Matcher": {"HttpCode": "100"}},
        {"HealthyThresholdCount": 11},
        {"HealthCheckPort": "none"},
    ],
)
def test_health_check_that_aws_would_refuse_is_refused(site: Site, wrong: dict[str, Any]) -> None:
    with refused("ValidationError"):
        site.new_group("wrong", **wrong)
    with refused("ValidationError"):
        site.elb.modify_target_group(TargetGroupArn=site.group, **wrong)


def test_tags_are_kept_and_found(site: Site, client: Callable[..., Any]) -> None:
    site.elb.add_tags(ResourceArns=[site.arn, site.group], Tags=[{"Key": "k", "Value": "v"}, {"Key": "l"}])
    site.elb.remove_tags(ResourceArns=[site.arn], TagKeys=["l"])
    described = site.elb.describe_tags(ResourceArns=[site.arn])["TagDescriptions"]
    assert described == [{"ResourceArn": site.arn, "Tags": [{"Key": "k", "Value": "v"}]}]
    found = client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "k", "Values": ["v"]}])
    assert {site.arn, site.group} <= {each["ResourceARN"] for each in found["ResourceTagMappingList"]}
