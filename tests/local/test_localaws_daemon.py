"""Starting, finding, stopping and killing the server, and what it keeps."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from attendee import free_port
from botocore.exceptions import ClientError
from conftest import REGION, client_of

from localaws import daemon
from localaws.errors import LocalAwsError, PortBusy, StateBusy

pytestmark = pytest.mark.local
Start = Callable[..., daemon.Running]


def test_server_answers_as_soon_as_it_has_started(start: Start) -> None:
    running = start()
    assert client_of(running, "sts").get_caller_identity()["Account"] == "123456789012"


def test_starting_again_gives_the_server_that_runs(start: Start, tmp_path: Path) -> None:
    assert start() == start() == daemon.status(tmp_path)


def test_two_starts_at_once_make_one_server(start: Start) -> None:
    found: list[daemon.Running] = []
    threads = [threading.Thread(target=lambda: found.append(start())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({running.pid for running in found}) == 1 and len(found) == 3


def test_server_outlives_its_starter_and_listens_on_loopback_only(start: Start) -> None:
    process = psutil.Process(start().pid)
    assert os.getsid(process.pid) == process.pid
    listening = {item.laddr.ip for item in process.net_connections("tcp") if item.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_busy_port_is_refused_with_the_name_of_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortBusy, match=f"port {port} .*process {os.getpid()}"):
            daemon.start(tmp_path, port)
    assert daemon.status(tmp_path) is None


def test_port_that_another_local_aws_has_is_refused(start: Start, tmp_path: Path) -> None:
    running = start()
    with pytest.raises(PortBusy, match=f"process {running.pid} .*localaws"):
        daemon.start(tmp_path / "other", running.port)


def test_second_server_on_the_same_folder_is_refused(start: Start, tmp_path: Path) -> None:
    running = start()
    (tmp_path / "localaws.json").unlink()  # as if the first had been started by hand and not yet been ready
    with pytest.raises(StateBusy, match=str(running.pid)):
        daemon.start(tmp_path, free_port())
    os.kill(running.pid, signal.SIGTERM)
    psutil.Process(running.pid).wait(10)


def test_engine_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="abacus"):
        daemon.start(tmp_path, free_port(), engine="abacus")


def test_state_file_of_a_killed_server_is_not_trusted(start: Start, tmp_path: Path) -> None:
    running = start()
    psutil.Process(running.pid).kill()
    wait_until(lambda: daemon.status(tmp_path) is None)
    assert start().pid != running.pid


def test_state_file_that_names_another_program_is_not_trusted(tmp_path: Path) -> None:
    state = {"pid": os.getpid(), "port": 1, "endpoint": "", "engine": "process", "started_at": 1.0}
    (tmp_path / "localaws.json").write_text(json.dumps(state))
    assert daemon.status(tmp_path) is None
    assert daemon.stop(tmp_path) is False


def test_stop_leaves_no_process_no_port_and_no_state_file(start: Start, tmp_path: Path) -> None:
    running = start()
    client_of(running, "cloudformation").describe_stacks()  # starts cfn-lint's process too
    processes = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
    assert daemon.stop(tmp_path) is True
    assert psutil.wait_procs(processes, timeout=3)[1] == []
    daemon.refuse_busy_port(running.port)
    assert not (tmp_path / "localaws.json").exists()
    assert daemon.stop(tmp_path) is False


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_everything_is_kept_over_a_restart(start: Start, tmp_path: Path, how: str) -> None:
    running = start()
    fill(running)
    if how == "SIGKILL":
        wait_for_snapshot(tmp_path, "cloudformation", "dynamodb", "s3", "ecr", "lambda", "ecs")
    client_of(running, "s3").put_object(Bucket="kept", Key="last", Body=b"last")
    process = psutil.Process(running.pid)
    process.send_signal(getattr(signal, how))
    process.wait(10)
    running = start()
    s3 = client_of(running, "s3")
    assert s3.get_object(Bucket="kept", Key="last")["Body"].read() == b"last"
    assert s3.get_bucket_tagging(Bucket="kept")["TagSet"] == [{"Key": "a", "Value": "b"}]
    stack = client_of(running, "cloudformation").describe_stacks(StackName="kept")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert client_of(running, "dynamodb").scan(TableName="kept")["Items"] == [{"id": {"S": "1"}}]
    answer = client_of(running, "lambda").invoke(FunctionName="kept", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == "kept"
    assert client_of(running, "ecs").describe_clusters(clusters=["kept"])["clusters"][0]["status"] == "ACTIVE"


def test_stack_that_a_kill_interrupted_is_failed_and_can_be_deleted(start: Start, tmp_path: Path) -> None:
    running = start()
    cloudformation = client_of(running, "cloudformation")
    # A wait condition that nobody signals: the stack stays in progress.
    template = """
      Resources:
        Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
        Wait:
          Type: AWS::CloudFormation::WaitCondition
          Properties: {Handle: !Ref Handle, Timeout: "600"}
    """
    cloudformation.create_stack(StackName="half", TemplateBody=template)
    wait_for_snapshot(tmp_path, "cloudformation")
    psutil.Process(running.pid).kill()
    wait_until(lambda: daemon.status(tmp_path) is None)
    start()
    stack = cloudformation.describe_stacks(StackName="half")["Stacks"][0]
    assert (stack["StackStatus"], "was stopped" in stack["StackStatusReason"]) == ("CREATE_FAILED", True)
    cloudformation.delete_stack(StackName="half")
    wait_until(lambda: not cloudformation.describe_stacks()["Stacks"])


def test_learners_variables_reach_no_function(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as learners:
        learners.setenv("AWS_PROFILE", "payroll")
        learners.setenv("SOME_TOKEN", "secret")
        running = start()
    make_function(running, "import os\ndef handler(event, context):\n    return dict(os.environ)\n")
    answer = client_of(running, "lambda").invoke(FunctionName="kept")
    seen = json.loads(answer["Payload"].read())
    assert "AWS_PROFILE" not in seen and "SOME_TOKEN" not in seen
    assert seen["AWS_ENDPOINT_URL"] == running.endpoint and seen["AWS_REGION"] == REGION


def fill(running: daemon.Running) -> None:
    s3 = client_of(running, "s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_tagging(Bucket="kept", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    client_of(running, "ecr").create_repository(repositoryName="kept")
    client_of(running, "ecs").create_cluster(clusterName="kept")
    dynamodb = client_of(running, "dynamodb")
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    dynamodb.put_item(TableName="kept", Item={"id": {"S": "1"}})
    make_function(running, "def handler(event, context):\n    return 'kept'\n")
    cloudformation = client_of(running, "cloudformation")
    template = "Resources: {Topic: {Type: AWS::SNS::Topic}}"
    cloudformation.create_stack(StackName="kept", TemplateBody=template)
    wait_until(
        lambda: (
            cloudformation.describe_stacks(StackName="kept")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        )
    )


def make_function(running: daemon.Running, code: str) -> None:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("index.py", code)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = client_of(running, "iam").create_role(
        RoleName="kept",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    client_of(running, "lambda").create_function(
        FunctionName="kept",
        Runtime="python3.11",
        Handler="index.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": packed.getvalue()},
    )


def wait_for_snapshot(state_dir: Path, *services: str) -> None:
    """Until a snapshot that began after this call is in place and holds these services."""
    began = time.time()
    folder = state_dir / "localaws" / "snapshot"

    def is_there() -> bool:
        try:
            return folder.resolve().stat().st_mtime >= began - 0.01 and all(
                (folder / f"{name}.json").exists() for name in services
            )
        except FileNotFoundError:
            return False

    wait_until(is_there, 4)


def wait_until(condition: Callable[[], Any], timeout_seconds: float = 5) -> None:
    ends = time.monotonic() + timeout_seconds
    while True:
        try:
            if condition():
                return
        except ClientError:
            pass
        assert time.monotonic() < ends, "the condition did not come true"
        time.sleep(0.02)
