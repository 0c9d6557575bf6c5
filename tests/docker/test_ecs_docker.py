"""Tasks of the local ECS as containers: the process engine's tests again, and what only containers show.

The imported tests run here with this module's `aws`, so both engines answer to the same claims.
"""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_images import docker, network_is_left
from docker_world import DockerWorld, docker_world
from ecs_world import wait_until
from test_ecs_networks import (  # noqa: F401
    SERVER,
    interface_of,
    test_awsvpc_task_has_an_interface_whose_address_serves,
    test_awsvpc_task_learns_its_own_address_before_anything_else,
    test_containers_of_an_awsvpc_task_reach_each_other_and_may_end_alone,
)
from test_ecs_tasks import (  # noqa: F401
    SLEEP,
    test_container_over_its_memory_limit_is_killed_and_says_why,
    test_container_that_ignores_sigterm_is_killed_after_its_stop_timeout,
    test_containers_start_in_the_order_of_their_dependencies,
    test_dependency_on_health_waits_for_the_first_healthy_answer,
    test_dependency_that_fails_fails_the_start,
    test_essential_exit_stops_the_others,
    test_failing_health_check_shows_but_leaves_a_task_of_its_own_alone,
    test_image_of_no_repository_cannot_be_pulled,
    test_image_that_is_not_there_cannot_be_pulled,
    test_missing_log_group_fails_the_start,
    test_missing_secret_fails_the_start_and_a_present_one_is_given,
    test_override_replaces_the_command,
    test_stop_sends_sigterm_and_reports_the_real_exit_code,
    test_task_has_the_credentials_of_its_role_and_metadata_of_itself,
    test_task_runs_the_image_and_reports_its_exit_code_and_log,
    test_task_without_a_role_finds_no_credentials,
)
from test_ecs_volumes import (  # noqa: F401
    test_host_path_volume_is_that_folder,
    test_shared_volume_outlives_its_task_and_volumes_from_gives_it_to_another_container,
)

from localaws.engine.dockernetwork import GATEWAY


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, small_image: str) -> Iterator[DockerWorld]:
    with docker_world(tmp_path_factory.mktemp("tasks"), small_image) as made:
        yield made


def containers(aws: DockerWorld) -> list[str]:
    owner = aws.folder / "localaws" / "engine"
    return docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=localaws.owner={owner}").split()


def test_running_task_is_a_container_of_the_pushed_image_and_a_stopped_one_is_none(aws: DockerWorld) -> None:
    arn = aws.run(aws.container(SLEEP))
    aws.line(arn)
    identifier = aws.task(arn)["containers"][0]["runtimeId"]
    [seen] = json.loads(docker("inspect", identifier))
    assert seen["Config"]["Labels"]["com.amazonaws.ecs.task-arn"] == arn
    assert (
        seen["Config"]["Image"]
        == f"127.0.0.1:{aws.port}/jobs@{aws.task(arn)['containers'][0]['imageDigest']}"
    )
    assert seen["HostConfig"]["Memory"] == seen["HostConfig"]["MemorySwap"] == 256 << 20
    aws.ecs.stop_task(cluster="c", task=arn)
    assert aws.stopped(arn)["containers"][0]["exitCode"] == 143
    wait_until(lambda: identifier not in containers(aws))


def test_task_sees_the_bridges_address_and_nothing_of_the_learners(aws: DockerWorld) -> None:
    container = aws.container(
        "import os, json; print(json.dumps(dict(os.environ)))", environment=[{"name": "MINE", "value": "1"}]
    )
    arn = aws.run(container)
    aws.stopped(arn)
    seen = json.loads(aws.lines(arn)[0])
    assert (seen["FROM_IMAGE"], seen["MINE"], seen["WORKSHOP_LOCAL_AWS"]) == ("1", "1", "1")
    assert seen["AWS_ENDPOINT_URL"] == f"http://{GATEWAY}:{aws.port}"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "WORKSHOP_BIND_ADDRESS", "DOCKER_HOST"} & set(seen)


def test_task_calls_the_local_aws_with_its_roles_credentials(aws: DockerWorld) -> None:
    code = (
        "import boto3\ns3 = boto3.client('s3')\ns3.create_bucket(Bucket='of-a-task')\n"
        "s3.put_object(Bucket='of-a-task', Key='k', Body=b'x' * 3_000_000)\n"
        "print(len(s3.get_object(Bucket='of-a-task', Key='k')['Body'].read()))"
    )
    role = "arn:aws:iam::123456789012:role/writer"
    arn = aws.run(aws.container(code, memory=512), register={"taskRoleArn": role})
    assert aws.stopped(arn)["containers"][0]["exitCode"] == 0, aws.lines(arn)
    assert aws.lines(arn) == ["3000000"]


def test_mapped_port_leads_to_the_container_from_here_and_from_another_task(aws: DockerWorld) -> None:
    container = aws.container(SERVER, portMappings=[{"containerPort": 8080, "hostPort": 0}])
    arn = aws.run(container)
    aws.line(arn)
    here, there = aws.task(arn)["containers"][0]["networkBindings"]
    assert (here["bindIP"], there["bindIP"]) == ("127.0.0.1", GATEWAY)
    with urllib.request.urlopen(f"http://127.0.0.1:{here['hostPort']}/", timeout=5) as answer:
        assert answer.status == 200
    url = f"http://{GATEWAY}:{there['hostPort']}/"
    primary = aws.run(
        aws.container(f"import urllib.request as u; print(u.urlopen('{url}', timeout=5).status)")
    )
    aws.stopped(primary)
    assert aws.lines(primary) == ["200"]
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.stopped(arn)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{here['hostPort']}/", timeout=5)


def test_containers_of_a_task_share_a_volume_that_ends_with_it(aws: DockerWorld) -> None:
    mount = {"mountPoints": [{"sourceVolume": "scratch", "containerPath": "/anywhere"}]}
    arn = aws.run(
        aws.container(
            "print(open('/anywhere/note').read())",
            dependsOn=[{"containerName": "writer", "condition": "SUCCESS"}],
            **mount,
        ),
        aws.container("open('/anywhere/note', 'w').write('hello')", "writer", essential=False, **mount),
        register={"volumes": [{"name": "scratch"}]},
    )
    aws.stopped(arn)
    assert aws.lines(arn) == ["hello"]
    assert arn.rpartition("/")[2] not in docker("volume", "ls", "--quiet")


def test_awsvpc_task_is_found_by_its_names_and_has_a_localhost_of_its_own(aws: DockerWorld) -> None:
    arn = aws.run(aws.container(SERVER), register={"networkMode": "awsvpc", "family": "web"})
    aws.line(arn)
    dns = interface_of(aws.task(arn))["privateDnsName"]
    code = (
        "import urllib.request as u\n"
        f"for name in ('web', '{arn.rpartition('/')[2]}', '{dns}', 'localhost'):\n"
        "    try: print(u.urlopen(f'http://{name}:8080/', timeout=5).status)\n"
        "    except OSError: print('nobody')"
    )
    asking = aws.run(aws.container(code), register={"networkMode": "awsvpc"})
    aws.stopped(asking)
    assert aws.lines(asking) == ["200", "200", "200", "nobody"]
    aws.ecs.stop_task(cluster="c", task=arn)


def test_container_gets_what_its_definition_says_of_files_and_limits(
    aws: DockerWorld, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "given").write_text("from this machine")
    code = (
        "import os, resource, shutil\n"
        "def attempt(path):\n"
        "    try: open(path, 'w').close(); return 'written'\n"
        "    except OSError as error: return error.strerror\n"
        "print(open('/host/given').read())\n"
        "for path in ('/here', '/host/mine', '/fast/mine', '/scratch/mine'): print(path, attempt(path))\n"
        "print(shutil.disk_usage('/fast').total >> 20, shutil.disk_usage('/dev/shm').total >> 20)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE), os.getpid() > 1, os.getuid())\n"
    )
    container = aws.container(
        code,
        user="1000",
        readonlyRootFilesystem=True,
        ulimits=[{"name": "nofile", "softLimit": 1000, "hardLimit": 2000}],
        linuxParameters={
            "initProcessEnabled": True,
            "sharedMemorySize": 32,
            "tmpfs": [{"containerPath": "/fast", "size": 16, "mountOptions": ["mode=1777"]}],
        },
        mountPoints=[
            {"sourceVolume": "given", "containerPath": "/host", "readOnly": True},
            {"sourceVolume": "scratch", "containerPath": "/scratch"},
        ],
    )
    volumes = [{"name": "given", "host": {"sourcePath": str(tmp_path)}}, {"name": "scratch"}]
    opener = aws.container("import os; os.chmod('/scratch', 0o777)", "opener", essential=False)
    opener["mountPoints"] = [{"sourceVolume": "scratch", "containerPath": "/scratch"}]
    container["dependsOn"] = [{"containerName": "opener", "condition": "SUCCESS"}]
    arn = aws.run(container, opener, register={"volumes": volumes})
    aws.stopped(arn)
    assert aws.lines(arn) == [
        "from this machine",
        "/here Read-only file system",
        "/host/mine Read-only file system",
        "/fast/mine written",
        "/scratch/mine written",
        "16 32",
        "(1000, 2000) True 1000",
    ]


def test_privileged_container_is_refused_by_name(aws: DockerWorld) -> None:
    reason = aws.stopped(aws.run(aws.container("pass", privileged=True)))["stoppedReason"]
    assert reason.startswith("CannotCreateContainerError") and "privileged" in reason


def test_image_that_was_made_without_docker_is_refused_by_name(aws: DockerWorld) -> None:
    config = {"Labels": {"workshop.environment": "workshop"}, "Entrypoint": ["workshop"]}
    image = super(DockerWorld, aws).push("described", **config)
    reason = aws.stopped(aws.run(aws.container("pass", image=image)))["stoppedReason"]
    assert reason.startswith("CannotPullContainerError") and "made without Docker" in reason


def test_image_that_was_deleted_from_the_registry_can_no_longer_be_pulled(aws: DockerWorld) -> None:
    image = aws.push("passing")
    assert aws.stopped(aws.run(aws.container("pass", image=image)))["containers"][0]["exitCode"] == 0
    aws.client("ecr").batch_delete_image(repositoryName="passing", imageIds=[{"imageTag": "latest"}])
    assert "not found" in aws.stopped(aws.run(aws.container("pass", image=image)))["stoppedReason"]


def test_state_has_no_layers_and_deleting_a_repository_frees_them(aws: DockerWorld) -> None:
    layers, state = aws.folder / "localaws" / "layers", aws.folder / "localaws" / "snapshot" / "ecr.json"
    aws.push("freed")
    repositories = aws.client("ecr")
    wait_until(lambda: state.exists() and '"freed"' in state.read_text().replace("'", '"'))
    assert sum(file.stat().st_size for file in layers.iterdir()) > 10_000_000
    assert state.stat().st_size < 1_000_000
    kept = len(list(layers.iterdir()))
    repositories.delete_repository(repositoryName="freed", force=True)
    assert len(list(layers.iterdir())) == kept  # `jobs` has the same layers
    assert aws.stopped(aws.run(aws.container("pass")))["containers"][0]["exitCode"] == 0


def test_entry_point_that_is_not_in_the_image_fails_the_start(aws: DockerWorld) -> None:
    container = aws.container("pass", entryPoint=["no-such-program"], linuxParameters={})
    reason = aws.stopped(aws.run(container))["stoppedReason"]
    assert reason.startswith("CannotStartContainerError") and "no-such-program" in reason
    assert containers(aws) == []


def test_kill_of_the_server_leaves_no_container_and_the_next_one_says_what_was_lost(aws: DockerWorld) -> None:
    arn = aws.run(aws.container(SLEEP), register={"networkMode": "awsvpc"})
    aws.line(arn)
    wait_until(lambda: arn in (aws.folder / "localaws" / "snapshot" / "ecs.json").read_text())
    aws.stop(signal.SIGKILL)
    wait_until(lambda: containers(aws) == [])
    aws.start()
    assert aws.task(arn)["lastStatus"] == "STOPPED"


def test_stop_of_the_server_leaves_neither_container_nor_network_and_keeps_the_image(
    aws: DockerWorld,
) -> None:
    aws.line(aws.run(aws.container(SLEEP)))
    aws.stop()
    assert containers(aws) == []
    assert not network_is_left()
    aws.start()
    assert aws.stopped(aws.run(aws.container("raise SystemExit(5)")))["containers"][0]["exitCode"] == 5
