"""Tasks of the local ECS, as its API shows them."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, wait_until, world

pytestmark = pytest.mark.local
SLEEP = "import time; print('up'); time.sleep(60)"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("tasks")) as made:
        yield made


def test_task_runs_the_image_and_reports_its_exit_code_and_log(aws: World) -> None:
    arn = aws.run(aws.container("print('one'); print('two'); raise SystemExit(3)"))
    task = aws.stopped(arn)
    assert task["containers"][0]["exitCode"] == 3
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert aws.lines(arn) == ["one", "two"]
    times = [task[name] for name in ("createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppedAt")]
    assert times == sorted(times)


def test_task_sees_only_its_own_environment(aws: World) -> None:
    container = aws.container(
        "import os, json; print(json.dumps(dict(os.environ)))", environment=[{"name": "MINE", "value": "1"}]
    )
    override = {"name": "app", "environment": [{"name": "GIVEN", "value": "2"}]}
    arn = aws.run(container, overrides={"containerOverrides": [override]})
    aws.stopped(arn)
    seen = json.loads(aws.lines(arn)[0])
    assert (seen["FROM_IMAGE"], seen["MINE"], seen["GIVEN"]) == ("1", "1", "2")
    assert seen["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{aws.port}"
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "us-east-1"
    assert not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "USER", "LOGNAME", "VIRTUAL_ENV"} & set(seen)


def test_override_replaces_the_command(aws: World) -> None:
    override = {"name": "app", "command": ["print('other')"]}
    arn = aws.run(aws.container("print('first')"), overrides={"containerOverrides": [override]})
    aws.stopped(arn)
    assert aws.lines(arn) == ["other"]


def test_override_for_an_unknown_container_is_refused(aws: World) -> None:
    definition = aws.register(aws.container("pass"))
    with pytest.raises(ClientError, match="Override for container named nobody"):
        aws.ecs.run_task(
            cluster="c",
            taskDefinition=definition,
            launchType="FARGATE",
            overrides={"containerOverrides": [{"name": "nobody"}]},
        )


def test_killed_container_reports_137(aws: World) -> None:
    arn = aws.run(aws.container("import os; print(os.getpid()); import time; time.sleep(60)"))
    os.kill(int(aws.line(arn)), signal.SIGKILL)
    assert aws.stopped(arn)["containers"][0]["exitCode"] == 137


def test_container_over_its_memory_limit_is_killed_and_says_why(aws: World) -> None:
    arn = aws.run(aws.container("print('x'); b = bytearray(300 << 20); print(len(b))", memory=64))
    task = aws.stopped(arn)
    assert task["containers"][0]["exitCode"] == 137
    assert task["containers"][0]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert task["stoppedReason"].startswith("OutOfMemoryError")
    assert aws.lines(arn) == ["x"]


def test_image_that_is_not_there_cannot_be_pulled(aws: World) -> None:
    arn = aws.run(aws.container("pass", image=aws.image.replace(":latest", ":nowhere")))
    task = aws.stopped(arn)
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError: ")
    assert "jobs:nowhere not found" in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]


@pytest.mark.parametrize("image", ["busybox", "{registry}/absent:1"])
def test_image_of_no_repository_cannot_be_pulled(aws: World, image: str) -> None:
    name = image.format(registry=aws.image.partition("/")[0])
    assert aws.stopped(aws.run(aws.container("pass", image=name)))["stoppedReason"].startswith(
        "CannotPullContainerError"
    )


def test_image_without_an_environment_is_refused_by_name(aws: World) -> None:
    image = aws.push("strange", Labels={})
    assert (
        "no label workshop.environment"
        in aws.stopped(aws.run(aws.container("pass", image=image)))["stoppedReason"]
    )


def test_missing_log_group_fails_the_start(aws: World) -> None:
    container = aws.container("pass")
    container["logConfiguration"]["options"]["awslogs-group"] = "/nowhere"
    task = aws.stopped(aws.run(container))
    assert task["stoppedReason"].startswith("ResourceInitializationError")
    assert "log group does not exist" in task["stoppedReason"]


def test_missing_secret_fails_the_start_and_a_present_one_is_given(aws: World) -> None:
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/key"
    container = aws.container(
        "import os; print(os.environ['KEY'])", secrets=[{"name": "KEY", "valueFrom": arn}]
    )
    assert aws.stopped(aws.run(container))["stoppedReason"].startswith("ResourceInitializationError")
    aws.client("ssm").put_parameter(Name="key", Value="s3cret", Type="SecureString")
    task = aws.run(container)
    aws.stopped(task)
    assert aws.lines(task) == ["s3cret"]


def test_environment_file_is_read_and_the_definitions_own_variables_win(aws: World) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="settings")
    s3.put_object(Bucket="settings", Key="a.env", Body=b"# first\nONE=a=1\nTWO=a\nMINE=a\n\nno variable\n")
    s3.put_object(Bucket="settings", Key="b.env", Body=b"TWO=b\nTHREE=b\n")
    files = [{"type": "s3", "value": f"arn:aws:s3:::settings/{name}.env"} for name in ("a", "b", "c")]
    code = "import os; print(*(os.environ.get(n) for n in ('ONE', 'TWO', 'THREE', 'MINE')))"
    more = {"environment": [{"name": "MINE", "value": "own"}]}
    arn = aws.run(aws.container(code, environmentFiles=files[:2], **more))
    aws.stopped(arn)
    assert aws.lines(arn) == ["a=1 a b own"]
    reason = aws.stopped(aws.run(aws.container(code, environmentFiles=files)))["stoppedReason"]
    assert (
        reason.startswith("ResourceInitializationError: failed to download env files") and "c.env" in reason
    )
    wrong = [{"type": "s3", "value": "arn:aws:s3:::settings/a.txt"}]
    with pytest.raises(ClientError, match=r"must have a .env file extension"):
        aws.register(aws.container(code, environmentFiles=wrong))


def test_entry_point_that_is_not_there_fails_the_start(aws: World) -> None:
    task = aws.stopped(aws.run(aws.container("pass", entryPoint=["no-such-program"])))
    assert task["stoppedReason"].startswith("CannotStartContainerError")
    assert "no-such-program" in task["stoppedReason"]


def test_stop_sends_sigterm_and_reports_the_real_exit_code(aws: World) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(7))\nprint('up')\ntime.sleep(60)"
    arn = aws.run(aws.container(code))
    aws.line(arn)
    answer = aws.ecs.stop_task(cluster="c", task=arn, reason="enough")["task"]
    assert answer["desiredStatus"] == "STOPPED"
    task = aws.stopped(arn)
    assert (task["stoppedReason"], task["stopCode"]) == ("enough", "UserInitiated")
    assert task["containers"][0]["exitCode"] == 7


def test_container_that_ignores_sigterm_is_killed_after_its_stop_timeout(aws: World) -> None:
    code = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)"
    arn = aws.run(aws.container(code, stopTimeout=2))
    aws.line(arn)
    began = time.monotonic()
    aws.ecs.stop_task(cluster="c", task=arn)
    wait_until(lambda: aws.task(arn)["lastStatus"] == "STOPPING")
    task = aws.stopped(arn)
    assert 1.9 < time.monotonic() - began < 4
    assert task["containers"][0]["exitCode"] == 137
    assert task["stoppedReason"] == "Task stopped by user"


def test_stopping_ends_processes_that_left_the_group(aws: World) -> None:
    code = (
        "import subprocess, time\n"
        "p = subprocess.Popen(['sleep', '60'], start_new_session=True)\nprint(p.pid)\ntime.sleep(60)"
    )
    arn = aws.run(aws.container(code))
    child = int(aws.line(arn))
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.stopped(arn)
    assert not Path(f"/proc/{child}").exists()


def test_essential_exit_stops_the_others(aws: World) -> None:
    arn = aws.run(
        aws.container("raise SystemExit(4)", "main"), aws.container(SLEEP, "beside", essential=False)
    )
    codes = {each["name"]: each["exitCode"] for each in aws.stopped(arn)["containers"]}
    assert codes == {"main": 4, "beside": 143}


def test_containers_start_in_the_order_of_their_dependencies(aws: World) -> None:
    stamp = "import time; print(time.time())"
    arn = aws.run(
        aws.container(stamp, dependsOn=[{"containerName": "init", "condition": "SUCCESS"}]),
        aws.container("import time; time.sleep(0.4); print(time.time())", "init", essential=False),
    )
    assert aws.stopped(arn)["containers"][0]["exitCode"] == 0
    assert float(aws.lines(arn)[0]) > float(aws.lines(arn, "init")[0])


def test_dependency_that_fails_fails_the_start(aws: World) -> None:
    arn = aws.run(
        aws.container("pass", dependsOn=[{"containerName": "init", "condition": "SUCCESS"}]),
        aws.container("raise SystemExit(1)", "init", essential=False),
    )
    task = aws.stopped(arn)
    assert task["stopCode"] == "TaskFailedToStart"
    assert "waits for init to be SUCCESS" in task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]


def test_dependency_on_health_waits_for_the_first_healthy_answer(aws: World) -> None:
    check = {"command": ["CMD-SHELL", "test -f ready"], "interval": 5, "retries": 1}
    code = "import time; time.sleep(0.6); open('ready', 'w').close(); print(time.time()); time.sleep(60)"
    arn = aws.run(
        aws.container(
            "import time; print(time.time())", dependsOn=[{"containerName": "server", "condition": "HEALTHY"}]
        ),
        aws.container(code, "server", essential=False, healthCheck=check),
    )
    task = aws.stopped(arn)
    assert float(aws.lines(arn)[0]) > float(aws.lines(arn, "server")[0])
    assert task["containers"][1]["healthStatus"] == "HEALTHY"


def test_failing_health_check_shows_but_leaves_a_task_of_its_own_alone(aws: World) -> None:
    check = {
        "command": ["CMD", "python", "-c", "raise SystemExit(1)"],
        "interval": 5,
        "retries": 1,
        "timeout": 2,
    }
    arn = aws.run(aws.container(SLEEP, healthCheck=check))
    wait_until(lambda: aws.task(arn)["healthStatus"] == "UNHEALTHY")
    assert aws.task(arn)["lastStatus"] == "RUNNING"
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.stopped(arn)


def test_task_has_the_credentials_of_its_role_and_metadata_of_itself(aws: World) -> None:
    code = (
        "import boto3, json, os, urllib.request\n"
        "print(boto3.client('sts').get_caller_identity()['Arn'])\n"
        "base = os.environ['ECS_CONTAINER_METADATA_URI_V4']\n"
        "print(json.load(urllib.request.urlopen(base + '/task'))['TaskARN'])\n"
        "print(json.load(urllib.request.urlopen(base))['Name'])"
    )
    role = "arn:aws:iam::123456789012:role/reader"
    arn = aws.run(aws.container(code, memory=512), register={"taskRoleArn": role})
    aws.stopped(arn)
    session = arn.rpartition("/")[2]
    expected = f"arn:aws:sts::123456789012:assumed-role/reader/{session}"
    assert aws.lines(arn) == [expected, arn, "app"]


def test_task_without_a_role_finds_no_credentials(aws: World) -> None:
    code = "import boto3; print(boto3.Session().get_credentials())"
    arn = aws.run(aws.container(code, memory=512))
    aws.stopped(arn)
    assert aws.lines(arn) == ["None"]


def test_definition_that_aws_refuses_is_refused_with_every_problem(aws: World) -> None:
    container = aws.container("pass", dependsOn=[{"containerName": "nobody", "condition": "START"}])
    del container["memory"]
    with pytest.raises(ClientError, match=r"(?s)nobody.*memoryReservation"):
        aws.register(container)


def test_task_in_a_cluster_that_is_not_there_is_refused(aws: World) -> None:
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        aws.ecs.run_task(cluster="nowhere", taskDefinition=aws.register(aws.container("pass")))


def test_nothing_is_left_on_disk_of_tasks_that_have_stopped(aws: World) -> None:
    arn = aws.run(aws.container("open('file', 'w').write('x')"))
    aws.stopped(arn)
    engine = aws.folder / "localaws" / "engine"
    running = [each for each in aws.ecs.list_tasks(cluster="c")["taskArns"]]
    for other in running:
        aws.ecs.stop_task(cluster="c", task=other)
        aws.stopped(other)
    wait_until(lambda: not [each for each in engine.iterdir() if each.name != "volumes"])
