"""How tasks of the local ECS are reached, and reach each other."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("networks")) as made:
        yield made


SERVER = """
import http.server, os
address = os.environ.get('WORKSHOP_BIND_ADDRESS', '0.0.0.0')
server = http.server.ThreadingHTTPServer((address, 8080), http.server.SimpleHTTPRequestHandler)
print('up')
server.serve_forever()
"""


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def test_mapped_port_leads_to_the_container_and_two_tasks_may_have_the_same_one(aws: World) -> None:
    container = aws.container(SERVER, portMappings=[{"containerPort": 8080, "hostPort": 0}])
    arns = [aws.run(container), aws.run(container)]
    ports = set()
    for arn in arns:
        aws.line(arn)
        [binding] = aws.task(arn)["containers"][0]["networkBindings"]
        assert (binding["containerPort"], binding["bindIP"]) == (8080, "127.0.0.1")
        url = f"http://127.0.0.1:{binding['hostPort']}/"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert answer.status == 200
        ports.add(binding["hostPort"])
        aws.ecs.stop_task(cluster="c", task=arn)
    assert len(ports) == 2
    for arn in arns:
        aws.stopped(arn)
    wait_until(lambda: not answers(url))


def test_task_learns_another_tasks_address_from_the_api(aws: World) -> None:
    secondary = aws.run(aws.container(SERVER, portMappings=[{"containerPort": 8080}]))
    aws.line(secondary)
    role = "arn:aws:iam::123456789012:role/primary"
    code = (
        "import boto3, urllib.request\n"
        f"t = boto3.client('ecs').describe_tasks(cluster='c', tasks=['{secondary}'])['tasks'][0]\n"
        "b = t['containers'][0]['networkBindings'][0]\n"
        "print(urllib.request.urlopen(f\"http://{b['bindIP']}:{b['hostPort']}/\", timeout=5).status)"
    )
    primary = aws.run(aws.container(code, memory=512), register={"taskRoleArn": role})
    assert aws.stopped(primary)["containers"][0]["exitCode"] == 0, aws.lines(primary)
    assert aws.lines(primary) == ["200"]
    aws.ecs.stop_task(cluster="c", task=secondary)


def interface_of(task: dict[str, Any]) -> dict[str, str]:
    """The details of a task's network interface."""
    return {each["name"]: each["value"] for each in task["attachments"][0]["details"]}


def test_awsvpc_task_has_an_interface_whose_address_serves(aws: World) -> None:
    definition = aws.register(
        aws.container(SERVER, portMappings=[{"containerPort": 8080}]), networkMode="awsvpc"
    )
    network = aws.network()
    [answered] = aws.ecs.run_task(
        cluster="c", taskDefinition=definition, launchType="FARGATE", networkConfiguration=network
    )["tasks"]
    assert answered["attachments"][0]["status"] == "PRECREATED"
    arn = answered["taskArn"]
    aws.line(arn)
    task = aws.task(arn)
    seen = interface_of(task)
    address = seen["privateIPv4Address"]
    assert task["attachments"][0]["status"] == "ATTACHED"
    assert seen["subnetId"] == network["awsvpcConfiguration"]["subnets"][0]
    [shown] = task["containers"][0]["networkInterfaces"]
    assert (shown["attachmentId"], shown["privateIpv4Address"]) == (task["attachments"][0]["id"], address)
    [interface] = aws.client("ec2").describe_network_interfaces(
        NetworkInterfaceIds=[seen["networkInterfaceId"]]
    )["NetworkInterfaces"]
    assert (interface["PrivateIpAddress"], interface["Status"]) == (address, "in-use")
    with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
        assert answer.status == 200
    aws.ecs.stop_task(cluster="c", task=arn)
    assert aws.stopped(arn)["attachments"][0]["status"] == "DELETED"
    left = aws.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    assert address not in {each["PrivateIpAddress"] for each in left}


def test_awsvpc_task_learns_its_own_address_before_anything_else(aws: World) -> None:
    code = (
        "import json, os, urllib.request\n"
        "base = os.environ['ECS_CONTAINER_METADATA_URI_V4']\n"
        "print(json.load(urllib.request.urlopen(base))['Networks'][0]['IPv4Addresses'][0])"
    )
    arn = aws.run(aws.container(code), register={"networkMode": "awsvpc"})
    address = interface_of(aws.stopped(arn))["privateIPv4Address"]
    assert aws.lines(arn) == [address]


def test_containers_of_an_awsvpc_task_reach_each_other_and_may_end_alone(aws: World) -> None:
    ask = (
        "import json, os, urllib.request as u\n"
        "base = os.environ['ECS_CONTAINER_METADATA_URI_V4']\n"
        "address = json.load(u.urlopen(base))['Networks'][0]['IPv4Addresses'][0]\n"
        "print(u.urlopen(f'http://{address}:8080/', timeout=5).status)"
    )
    check = {"command": ["CMD", "python", "-c", ask], "interval": 5, "retries": 10}
    arn = aws.run(
        aws.container(ask, dependsOn=[{"containerName": "server", "condition": "HEALTHY"}]),
        aws.container(SERVER, "server", essential=False, healthCheck=check),
        aws.container("pass", "first", essential=False),
        register={"networkMode": "awsvpc"},
    )
    aws.stopped(arn)
    assert aws.lines(arn) == ["200"]


@pytest.mark.parametrize(
    ("mode", "given", "message"),
    [
        ("awsvpc", None, "Network Configuration must be provided"),
        ("bridge", {"subnets": ["subnet-1"]}, "not valid for the given networkMode"),
        ("awsvpc", {"subnets": ["subnet-0nowhere"]}, "The subnet ID 'subnet-0nowhere' does not exist"),
        ("awsvpc", {"securityGroups": ["sg-0nobody"]}, "The security group 'sg-0nobody' does not exist"),
    ],
)
def test_network_configuration_that_aws_refuses_is_refused(
    aws: World, mode: str, given: dict[str, Any] | None, message: str
) -> None:
    request: dict[str, Any] = {
        "cluster": "c",
        "taskDefinition": aws.register(aws.container("pass"), networkMode=mode),
        "launchType": "FARGATE",
    }
    if given:
        own = aws.network()["awsvpcConfiguration"] if mode == "awsvpc" else {}
        request["networkConfiguration"] = {"awsvpcConfiguration": own | given}
    with pytest.raises(ClientError, match=message):
        aws.ecs.run_task(**request)
    with pytest.raises(ClientError, match=message):
        aws.ecs.create_service(serviceName="refused", desiredCount=1, **request)
