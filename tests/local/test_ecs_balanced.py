"""Services behind a load balancer: targets follow tasks, and no change costs a request."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attendee import free_port
from balanced_world import SERVER, BalancedService, Balancer, address, make_sick
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world
from test_ecs_capacity import Cluster

pytestmark = pytest.mark.local
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("balanced")) as made:
        yield made


@pytest.fixture
def serve(aws: World) -> Iterator[Callable[..., BalancedService]]:
    """Make a service of its own name with a balancer of its own; gone afterwards."""
    made: list[BalancedService] = []

    def service(name: str, count: int = 1, drain_seconds: int = 1, **more: Any) -> BalancedService:
        balancer = Balancer(aws, name, free_port(), drain_seconds)
        made.append(BalancedService(aws, name, balancer, count, **more))
        return made[-1]

    yield service
    for each in made:
        each.delete()


def test_running_task_is_registered_and_a_steady_state_needs_its_target_healthy(serve: Any) -> None:
    service = serve("registered", count=2)
    tasks = service.stable()
    assert service.balancer.health() == {address(each): "healthy" for each in tasks}
    group = service.balancer.group
    said = service.messages()
    assert said[0].startswith("has started 2 tasks: (task ")
    assert f"registered 1 targets in (target-group {group})" in said
    [deployment] = service.describe()["deployments"]
    assert said[-2:] == [
        f"(deployment {deployment['id']}) deployment completed.",
        "has reached a steady state.",
    ]
    assert deployment["rolloutStateReason"] == f"ECS deployment {deployment['id']} completed."


def test_roll_of_one_task_has_a_healthy_new_one_before_the_old_one_drains_and_stops(serve: Any) -> None:
    service = serve("rolled")
    [old] = service.stable()
    service.update(taskDefinition=service.define("2"))
    leaving = wait_until(lambda: [each for each in _described(service, old) if each["stoppingAt"]])[0]
    assert leaving["lastStatus"] == "DEACTIVATING"
    [new] = service.tasks()
    assert service.balancer.health()[address(new)] == "healthy"
    assert len(service.describe()["deployments"]) == 2
    [left] = service.stable()
    assert left["taskArn"] == new["taskArn"]
    assert service.balancer.health() == {address(new): "healthy"}
    gone = service.aws.stopped(old["taskArn"])
    assert (gone["executionStoppedAt"] - gone["stoppingAt"]).total_seconds() >= 1
    assert service.aws.lines(old["taskArn"])[-1] == "ended in order"
    said = service.messages()
    name = old["taskArn"].rpartition("/")[2]
    order = [
        "has begun draining connections on 1 tasks.",
        f"deregistered 1 targets in (target-group {service.balancer.group})",
        f"has stopped 1 running tasks: (task {name}).",
        "has reached a steady state.",
    ]
    assert [each for each in said if each in order][-4:] == order


def _described(service: BalancedService, task: dict[str, Any]) -> list[dict[str, Any]]:
    found = service.aws.task(task["taskArn"])
    return [{"stoppingAt": None, **found}]


def test_killed_task_is_out_of_the_target_group_at_once_and_replaced(serve: Any) -> None:
    service = serve("killed", count=2, drain_seconds=30)
    first, second = service.stable()
    began = time.monotonic()
    os.kill(int(service.aws.line(first["taskArn"])), signal.SIGKILL)
    wait_until(lambda: service.balancer.health().get(address(first)) in (None, "draining"))
    service.aws.stopped(first["taskArn"])
    assert time.monotonic() - began < 10  # nobody waits for connections to a dead task
    wait_until(lambda: list(service.balancer.health().values()).count("healthy") == 2)
    assert second["taskArn"] in [each["taskArn"] for each in service.tasks()]
    service.balancer.drain_for(1)


def test_sick_task_is_stopped_with_the_balancers_reason_after_another_took_its_place(serve: Any) -> None:
    service = serve("sick")
    [first] = service.stable()
    make_sick(first)
    task = service.aws.stopped(
        wait_until(lambda: [each for each in service.tasks("STOPPED")], 40)[0]["taskArn"]
    )
    group = service.balancer.group
    assert task["taskArn"] == first["taskArn"]
    assert task["stoppedReason"] == f"Task failed ELB health checks in (target-group {group})"
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    [second] = service.stable()
    assert second["startedAt"] < task["stoppingAt"]
    name = first["taskArn"].rpartition("/")[2]
    [said] = [each for each in service.messages() if "is unhealthy" in each]
    assert said.startswith(
        f"(task {name}) (port 8080) is unhealthy in (target-group {group}) due to (reason "
    )


def test_revision_whose_tasks_end_is_rolled_back_and_the_good_task_serves_all_the_time(serve: Any) -> None:
    service = serve("broken", deploymentConfiguration=BREAKER)
    [good] = service.stable()
    before = service.describe()
    service.update(taskDefinition=service.define("2", code="raise SystemExit(3)"))
    wait_until(lambda: any("rolling back" in each for each in service.messages()))
    [left] = service.stable()
    after = service.describe()
    assert left["taskArn"] == good["taskArn"]
    assert after["taskDefinition"] == before["taskDefinition"]
    assert after["deployments"][0]["id"] == before["deployments"][0]["id"]
    said = service.messages()
    failed = next(each for each in said if each.endswith("deployment failed: tasks failed to start."))
    assert said[said.index(failed) + 1] == f"rolling back to deployment {before['deployments'][0]['id']}."
    assert [each["containers"][0]["exitCode"] for each in service.tasks("STOPPED")] == [3, 3, 3]


def test_desired_count_changes_in_the_middle_of_a_deployment(serve: Any) -> None:
    service = serve("scaled")
    service.stable()
    service.update(taskDefinition=service.define("2"))
    service.update(desiredCount=3)
    service.update(forceNewDeployment=True)
    tasks = service.stable()
    assert [each["taskDefinitionArn"].rpartition(":")[2] for each in tasks] == ["2"] * 3
    assert sorted(service.balancer.health()) == sorted(address(each) for each in tasks)
    service.update(desiredCount=1)
    [left] = service.stable()
    assert left["taskArn"] == tasks[0]["taskArn"]
    service.update(desiredCount=0)
    wait_until(lambda: service.messages()[-1] == "has reached a steady state.")
    assert service.tasks() == []
    assert service.balancer.health() == {}


def test_deleted_service_drains_and_is_inactive(serve: Any) -> None:
    service = serve("deleted", drain_seconds=1)
    [task] = service.stable()
    service.aws.ecs.delete_service(cluster="c", service="deleted", force=True)
    assert service.describe()["status"] == "DRAINING"
    service.aws.ecs.get_waiter("services_inactive").wait(
        cluster="c", services=["deleted"], WaiterConfig={"Delay": 1}
    )
    assert service.balancer.health() == {}
    assert service.aws.stopped(task["taskArn"])["containers"][0]["exitCode"] == 0


def test_killed_and_rolled_service_answers_every_request(serve: Any) -> None:
    service = serve("loaded", count=2, drain_seconds=2)
    service.stable()
    assert service.balancer.get().endswith(" 1")

    def change() -> None:
        service.update(taskDefinition=service.define("2"))
        service.stable()
        os.kill(int(service.aws.line(service.tasks()[0]["taskArn"])), signal.SIGKILL)
        wait_until(lambda: list(service.balancer.health().values()) == ["healthy", "healthy"])

    answers, failures = asyncio.run(_load(service.balancer, change))
    assert {each.rpartition(" ")[2] for each in answers} == {"1", "2"}
    assert len(answers) > 100
    assert len(failures) <= CONNECTIONS, failures  # those in flight on the killed task


CONNECTIONS = 4


async def _load(balancer: Balancer, change: Callable[[], None]) -> tuple[list[str], list[str]]:
    """Ask by some connections that are kept, while something changes: (answers, failures)."""
    answers: list[str] = []
    failures: list[str] = []
    done = asyncio.Event()

    async def ask() -> None:
        reader = writer = None
        while not done.is_set():
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(balancer.host, balancer.port)
                status, body = await asyncio.wait_for(_request(reader, writer, balancer.host), 10)
                (answers if status == 200 else failures).append(body)
            except (OSError, EOFError, TimeoutError) as error:
                failures.append(repr(error))
                writer = None

    askers = [asyncio.create_task(ask()) for _ in range(CONNECTIONS)]
    await asyncio.to_thread(change)
    done.set()
    await asyncio.gather(*askers)
    return answers, failures


async def _request(reader: Any, writer: Any, host: str) -> tuple[int, str]:
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].split()[0])
    return int(head.split()[1]), (await reader.readexactly(length)).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"containerName": "nobody"}, "The container nobody does not exist in the task definition."),
        ({"containerPort": 81}, "The container app did not have a container port 81 defined"),
        ({"targetGroupArn": "arn:none"}, "The target group arn:none does not exist."),
        ({"loadBalancerName": "classic"}, "Classic Load Balancers: not emulated by the local AWS"),
    ],
)
def test_wrong_load_balancer_is_refused_with_the_reason(
    aws: World, serve: Any, change: dict[str, Any], message: str
) -> None:
    balancer = Balancer(aws, "refused", free_port())
    given = {"targetGroupArn": balancer.group, "containerName": "app", "containerPort": 8080, **change}
    with pytest.raises(ClientError, match=message):
        BalancedService(aws, "refused", balancer, loadBalancers=[given])


def test_target_group_must_have_a_listener_and_the_type_that_fits_the_network_mode(
    aws: World, serve: Any
) -> None:
    balancer = Balancer(aws, "unused", free_port())
    service = aws.client("elbv2")
    for listener in service.describe_listeners(LoadBalancerArn=balancer.arn)["Listeners"]:
        service.delete_listener(ListenerArn=listener["ListenerArn"])
    with pytest.raises(ClientError, match="does not have an associated load balancer"):
        BalancedService(aws, "unused", balancer)
    with pytest.raises(ClientError, match="target type instance, which is incompatible with the awsvpc"):
        BalancedService(aws, "typed", Balancer(aws, "typed", free_port(), TargetType="instance"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"deploymentConfiguration": {"strategy": "CANARY"}}, "deployment strategies other than ROLLING"),
        ({"availabilityZoneRebalancing": "ENABLED"}, "Availability Zone rebalancing"),
        ({"serviceRegistries": [{"registryArn": "r"}]}, "Service Connect and Cloud Map"),
        (
            {"vpcLatticeConfigurations": [{"roleArn": "r", "targetGroupArn": "t", "portName": "p"}]},
            "VPC Lattice",
        ),
    ],
)
def test_what_is_not_emulated_of_an_update_is_refused_by_name(
    aws: World, change: dict[str, Any], named: str
) -> None:
    aws.register(aws.container("pass"), family="idle")
    if not aws.ecs.describe_services(cluster="c", services=["idle"])["services"]:
        aws.ecs.create_service(cluster="c", serviceName="idle", taskDefinition="idle", desiredCount=0)
    with pytest.raises(ClientError, match=named):
        aws.ecs.update_service(cluster="c", service="idle", **change)


def test_measured_use_of_a_services_tasks_is_in_cloudwatch(tmp_path: Path) -> None:
    busy = "x = b'x' * 100_000_000; print('up')\nwhile True: pass"
    made = World(tmp_path)
    made.options += ["--metric-seconds", "2"]
    made.start()
    try:
        made.furnish()
        made.register(made.container(busy), family="busy", cpu="256", memory="512")
        made.ecs.create_service(
            cluster="c", serviceName="busy", taskDefinition="busy", desiredCount=1, launchType="FARGATE"
        )
        names = [{"Name": "ClusterName", "Value": "c"}, {"Name": "ServiceName", "Value": "busy"}]

        def highest(metric: str) -> float:
            now = time.time()
            found = made.client("cloudwatch").get_metric_statistics(
                Namespace="AWS/ECS",
                MetricName=metric,
                Dimensions=names,
                StartTime=now - 120,
                EndTime=now + 60,
                Period=60,
                Statistics=["Maximum"],
            )
            return max((each["Maximum"] for each in found["Datapoints"]), default=0.0)

        # A quarter of a core is reserved: a busy loop takes up to 400 %, less where others want one too.
        wait_until(lambda: highest("CPUUtilization") > 20)
        wait_until(lambda: highest("MemoryUtilization") > 18)
        assert highest("MemoryUtilization") < 30
    finally:
        made.stop()


def test_killed_server_comes_back_with_the_right_targets(aws: World, serve: Any) -> None:
    service = serve("lasting", count=2, drain_seconds=1)
    before = service.stable()
    aws.client("elbv2").describe_target_health(TargetGroupArn=service.balancer.group)
    kept = aws.folder / "localaws"
    wait_until(lambda: _kept_tasks(kept, [each["taskArn"] for each in before]))
    aws.stop(signal.SIGKILL)
    aws.start()
    wait_until(lambda: list(service.balancer.health().values()) == ["healthy"] * 2, 40)
    after = service.stable()
    assert not {each["taskArn"] for each in before} & {each["taskArn"] for each in after}
    assert set(service.balancer.health()) == {address(each) for each in after}


def _kept_tasks(folder: Path, arns: list[str]) -> bool:
    try:
        kept = b"".join(path.read_bytes() for path in folder.rglob("ecs.json"))
    except FileNotFoundError:  # a snapshot was taken away while it was read
        return False
    return all(arn.encode() in kept for arn in arns)


def test_bridge_tasks_are_targets_of_their_instance_on_ports_of_their_own(aws: World) -> None:
    cluster = Cluster(aws, "m5.large")
    balancer = Balancer(aws, "bridged", free_port(), TargetType="instance")
    container = aws.container(SERVER, portMappings=[{"containerPort": 8080, "hostPort": 0}])
    how = {"cluster": cluster.name, "service": "bridged"}
    aws.ecs.create_service(
        cluster=cluster.name,
        serviceName="bridged",
        taskDefinition=aws.register(container, family="bridged"),
        desiredCount=2,
        launchType="EC2",
        loadBalancers=[{"targetGroupArn": balancer.group, "containerName": "app", "containerPort": 8080}],
    )
    targets = wait_until(lambda: balancer.healthy_targets() if len(balancer.healthy_targets()) == 2 else [])
    [instance] = cluster.instances()
    assert {each["Id"] for each in targets} == {instance["ec2InstanceId"]}
    assert len({each["Port"] for each in targets}) == 2
    assert len({balancer.get() for _ in range(20)}) == 2
    aws.ecs.delete_service(**how, force=True)
    wait_until(lambda: not balancer.health())


def test_service_on_a_full_instance_is_rolled_by_stopping_first_where_that_is_allowed(aws: World) -> None:
    cluster = Cluster(aws, "m5.large")  # two cores: room for one of these tasks
    definition = aws.register(aws.container("import time; time.sleep(60)", cpu=1500), family="large")
    how = {"cluster": cluster.name, "services": ["large"]}
    aws.ecs.create_service(
        cluster=cluster.name,
        serviceName="large",
        taskDefinition=definition,
        desiredCount=1,
        launchType="EC2",
        deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 200},
    )

    def completed() -> str:
        [service] = aws.ecs.describe_services(**how)["services"]
        states = [each["rolloutState"] for each in service["deployments"]]
        return str(service["deployments"][0]["id"]) if states == ["COMPLETED"] else ""

    first = wait_until(completed)
    aws.ecs.update_service(cluster=cluster.name, service="large", forceNewDeployment=True)
    assert wait_until(lambda: completed() not in ("", first))
    aws.ecs.delete_service(cluster=cluster.name, service="large", force=True)
