"""Load balancers outlive their server, and leave nothing when they or it are gone."""

import urllib.error
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import client_of
from ecs_world import wait_until
from proxy_world import Target
from site_world import QUICK, Site, proxies

from localaws import daemon


def test_everything_is_back_after_a_restart_and_nothing_is_left_after_a_stop(
    start: Callable[..., daemon.Running], target: Callable[..., Target], tmp_path: Path
) -> None:
    running = start()
    site = Site(lambda service: client_of(running, service))
    only = target("me")
    site.register(only)
    site.in_service(only)
    [before] = proxies(running.pid)
    psutil.Process(running.pid).kill()
    before.wait(5)  # it ends with its server, however that ends
    running = start()
    site.elb = client_of(running, "elbv2")
    assert site.elb.describe_load_balancers()["LoadBalancers"] == [site.balancer]
    site.in_service(only)
    assert site.ask() == (200, "me")
    [after] = proxies(running.pid)
    daemon.stop(tmp_path)
    assert not after.is_running()
    with pytest.raises(urllib.error.URLError):
        site.ask()


def test_no_process_runs_without_a_listener(start: Callable[..., daemon.Running]) -> None:
    running = start()
    site = Site(lambda service: client_of(running, service))
    wait_until(lambda: proxies(running.pid))
    site.elb.delete_load_balancer(LoadBalancerArn=site.arn)
    site.elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[site.arn], WaiterConfig=QUICK)
    wait_until(lambda: not proxies(running.pid))
    site.elb.delete_target_group(TargetGroupArn=site.group)
