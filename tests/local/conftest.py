"""A local AWS for each test module that asks, on a free port, in a temporary folder, gone afterwards."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from attendee import free_port
from botocore.exceptions import ClientError
from proxy_world import Balancer, Target, targets

from localaws import daemon

REGION = "eu-central-1"  # not the default, so that a region typed in somewhere shows


def client_of(running: daemon.Running, service: str, region: str = REGION) -> Any:
    return session().client(service, endpoint_url=running.endpoint, region_name=region)


@functools.cache
def session() -> boto3.Session:
    """One for all tests: reading botocore's models takes longer than most calls."""
    return boto3.Session(aws_access_key_id="local", aws_secret_access_key="local")


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """Code and message of the error that a call must end with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    state_dir = tmp_path_factory.mktemp("state")
    yield daemon.start(state_dir, free_port(), REGION, "process")
    daemon.stop(state_dir)


@pytest.fixture(scope="module")
def client(local_aws: daemon.Running) -> Callable[..., Any]:
    return lambda service, region=REGION: client_of(local_aws, service, region)


@pytest.fixture(scope="module")
def process() -> Iterator[Balancer]:
    """The load balancers' process, without a control plane."""
    with contextlib.closing(Balancer()) as made:
        yield made


@pytest.fixture
def balancer(process: Balancer) -> Balancer:
    process.forget()
    return process


@pytest.fixture
def target() -> Iterator[Callable[..., Target]]:
    """Start a target of a load balancer: (name, behave, …)."""
    with targets() as start:
        yield start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., daemon.Running]]:
    """Start a server on the test's own folder; again to start it anew."""
    port = free_port()
    yield lambda **options: daemon.start(tmp_path, port, REGION, **{"engine": "process", **options})
    daemon.stop(tmp_path)
