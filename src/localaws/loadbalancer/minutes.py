"""CloudWatch metrics of load balancers: once a minute what was counted in it, and how many targets are healthy.

Try it:  aws cloudwatch list-metrics --namespace AWS/ApplicationELB
Names, dimensions and units from "CloudWatch metrics for your Application Load Balancer"
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html); those by
Availability Zone are left out. Zeros are published too while there is a listener, where AWS leaves a minute
without requests out. Response times within a tenth of each other are put as one value with its count.
"""

import threading
from collections.abc import Callable
from typing import Any

from localaws import metrics
from localaws.loadbalancer import records, targets

NAMESPACE = "AWS/ApplicationELB"
Document = dict[str, Any]


class Minutes:
    """Ask for counts when a minute has ended, publish them when they come.

    metric_seconds: how long CloudWatch's minute lasts. take(minute) has the counts sent to `publish`.
    """

    def __init__(self, metric_seconds: float, take: Callable[[float], None]) -> None:
        self._seconds, self._take = metric_seconds, take
        self._closed = threading.Event()

    def start(self) -> None:
        given = (self._seconds, self._closed, self._take)
        threading.Thread(
            target=metrics.each_minute, args=given, name="loadbalancer-minutes", daemon=True
        ).start()

    def close(self) -> None:
        self._closed.set()

    def publish(self, minute: float, counts: Document) -> None:
        """Put what was counted in the minute that began then."""
        by_balancer = {each["balancer"]: each for each in counts["balancers"]}
        by_group = {(each["balancer"], each["group"]): each for each in counts["groups"]}
        for balancer_arn, group_arns in _in_use().items():
            with records.scope(balancer_arn):
                of_groups = [(arn, by_group.get((balancer_arn, arn)) or {}) for arn in group_arns]
                _balancer(
                    minute, balancer_arn, by_balancer.get(balancer_arn) or {}, [each for _, each in of_groups]
                )
                for group_arn, counted in of_groups:
                    _group(minute, balancer_arn, group_arn, counted)


def _in_use() -> dict[str, list[str]]:
    """Load balancers with listeners, and the groups that their rules forward to."""
    found: dict[str, list[str]] = {}
    with records.changing:
        listeners = {each["ListenerArn"]: each["LoadBalancerArn"] for each in records.everywhere("listener")}
        for arn in listeners.values():
            found.setdefault(arn, [])
        for rule in records.everywhere("listener-rule"):
            groups = found.get(listeners.get(rule["ListenerArn"], ""))
            if groups is not None:
                groups += [each for each in records.groups_in(rule["Actions"]) if each not in groups]
    return found


def _balancer(minute: float, arn: str, counted: Document, groups: list[Document]) -> None:
    dimensions = {"LoadBalancer": records.full_name(arn)}
    _put(minute, "RequestCount", dimensions, counted.get("requests", 0))
    codes = {int(code): count for code, count in (counted.get("codes") or {}).items()}
    for hundred in (3, 4, 5):
        total = sum(count for code, count in codes.items() if code // 100 == hundred)
        _put(minute, f"HTTPCode_ELB_{hundred}XX_Count", dimensions, total, but_zero=hundred == 3)
    for code in (500, 502, 503, 504):
        _put(minute, f"HTTPCode_ELB_{code}_Count", dimensions, codes.get(code, 0), but_zero=True)
    merged: Document = {"codes": {}, "times": [], "connection_errors": 0}
    for each in groups:
        merged["times"] += each.get("times") or []
        merged["connection_errors"] += each.get("connection_errors", 0)
        for code, count in (each.get("codes") or {}).items():
            merged["codes"][code] = merged["codes"].get(code, 0) + count
    _of_targets(minute, dimensions, merged)


def _group(minute: float, balancer_arn: str, group_arn: str, counted: Document) -> None:
    group = {"TargetGroup": records.full_name(group_arn)}
    both = {**group, "LoadBalancer": records.full_name(balancer_arn)}
    requests = counted.get("requests", 0)
    health = targets.health(group_arn)
    healthy = sum(each.state == "healthy" for each in health)
    _put(minute, "HealthyHostCount", both, healthy)
    _put(minute, "UnHealthyHostCount", both, sum(each.state == "unhealthy" for each in health))
    _put(minute, "RequestCount", both, requests)
    if health:
        for dimensions in (group, both):
            _put(minute, "RequestCountPerTarget", dimensions, requests / max(healthy, 1))
    _of_targets(minute, both, counted)


def _of_targets(minute: float, dimensions: dict[str, str], counted: Document) -> None:
    codes = counted.get("codes") or {}
    for hundred in "2345":
        count = codes.get(hundred, 0)
        _put(minute, f"HTTPCode_Target_{hundred}XX_Count", dimensions, count, but_zero=hundred == "3")
    _put(minute, "TargetConnectionErrorCount", dimensions, counted.get("connection_errors", 0), but_zero=True)
    times = counted.get("times") or []
    if times:
        seconds, often = zip(*times, strict=True)
        metrics.put(
            NAMESPACE, "TargetResponseTime", dimensions, minute, values=seconds, counts=often, unit="Seconds"
        )


def _put(minute: float, name: str, dimensions: dict[str, str], count: float, but_zero: bool = False) -> None:
    if count or not but_zero:
        metrics.put(NAMESPACE, name, dimensions, minute, value=count, unit="Count")
