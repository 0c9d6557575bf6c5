"""The stacks' own roles with one right taken out, really used: what then fails, and with which words.

benchmarks/policy_mutations.py asks IAM's recorded questions again; here the task, the pull and the function
run again.
"""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import course_world
import pytest

from localaws import daemon
from workshop.aws import images, objects, session, stacks, tasks
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

pytestmark = pytest.mark.local
PATIENCE_SECONDS = 60
BEGIN = "import boto3; s3 = boto3.client('s3'); "
# (statement, action, what a job does with it); INPUT and OUTPUT stand for the buckets.
JOB = [
    ("ReadPictures", "s3:GetObject", "s3.get_object(Bucket='INPUT', Key='cat.jpg')"),
    ("ListPictures", "s3:ListBucket", "s3.list_objects_v2(Bucket='INPUT')"),
    ("ReadAndWriteResults", "s3:PutObject", "s3.put_object(Bucket='OUTPUT', Key='runs/a/b', Body=b'')"),
    ("ReadAndWriteResults", "s3:GetObject", "s3.get_object(Bucket='OUTPUT', Key='runs/kept')"),
    ("ListResults", "s3:ListBucket", "s3.list_objects_v2(Bucket='OUTPUT', Prefix='runs/')"),
]
EXECUTION = [
    ("LogInToTheRegistry", "ecr:GetAuthorizationToken"),
    ("PullTheTwoImages", "ecr:BatchGetImage"),
    ("PullTheTwoImages", "ecr:GetDownloadUrlForLayer"),
    ("WriteLogs", "logs:CreateLogStream"),
]
FUNCTION = [("StartTheTask", "ecs:RunTask"), ("HandItsTwoRolesToEcs", "iam:PassRole")]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The whole course but its labs, by an administrator, so that roles can be changed."""
    folder = tmp_path_factory.mktemp("mutated")
    root, state_dir = folder / "root", folder / "state"
    root.mkdir()
    course_world.lay_out(root)
    environments = {"workshop": Path(root / ".venvs" / "workshop")}
    running = daemon.start(
        state_dir, course_world.free_port(), course_world.REGION, "process", environments, enforce=True
    )
    try:
        settings = load({}, root=root, state_dir=state_dir, port=running.port, region=course_world.REGION)
        found = session.connect(settings, {})
        for concern in ("network", "storage", "cluster"):
            stacks.deploy(concern, aws=found)
        images.build("mxnet", aws=found)
        images.push("mxnet", aws=found)
        stacks.deploy("upload", aws=found, TaskFamily="probe")
        tasks.register("probe", aws=found)
        storage = stacks.outputs("storage", found)
        objects.write_bytes(f"s3://{storage['InputBucket']}/cat.jpg", b"", found)
        objects.write_bytes(f"s3://{storage['OutputBucket']}/runs/kept", b"", found)
        yield found
    finally:
        daemon.stop(state_dir)


@pytest.mark.parametrize(("sid", "action", "code"), JOB, ids=[f"{sid}-{action}" for sid, action, _ in JOB])
def test_job_ends_with_access_denied_in_its_log(aws: Aws, sid: str, action: str, code: str) -> None:
    storage = stacks.outputs("storage", aws)
    code = code.replace("INPUT", storage["InputBucket"]).replace("OUTPUT", storage["OutputBucket"])
    assert ended(aws, BEGIN + code).exit_code == 0
    with lacking(aws, "JobTaskRole", sid, action):
        task = ended(aws, BEGIN + code)
        assert task.exit_code == 1
        said = "\n".join(tasks.logs(task, aws))
        assert "AccessDenied" in said and f"is not authorized to perform: {action}" in said
        with pytest.raises(AwsError) as raised:  # what `workshop run` ends with
            tasks.succeed(task, aws)
        assert f"is not authorized to perform: {action}" in raised.value.message
        assert raised.value.remedy.startswith(f"add {action} on arn:aws:s3:::")
        assert "to JobTaskRole in cloudformation/cluster.yaml" in raised.value.remedy


@pytest.mark.parametrize(("sid", "action"), EXECUTION)
def test_task_does_not_start_and_says_what_its_execution_role_lacks(aws: Aws, sid: str, action: str) -> None:
    with lacking(aws, "ExecutionRole", sid, action):
        task = ended(aws, "print('never')")
        assert task.exit_code is None
        assert f"is not authorized to perform: {action}" in task.stopped_reason


def test_log_stays_empty_without_the_right_to_write_it(aws: Aws) -> None:
    with lacking(aws, "ExecutionRole", "WriteLogs", "logs:PutLogEvents"):
        task = ended(aws, "print('to nobody')")
        assert (task.exit_code, tasks.logs(task, aws)) == (0, [])


@pytest.mark.parametrize(("sid", "action"), FUNCTION)
def test_function_starts_no_task_and_its_answer_says_why(aws: Aws, sid: str, action: str) -> None:
    assert "errorMessage" not in called(aws)
    with lacking(aws, "FunctionRole", sid, action):
        answer = called(aws)
        assert "AccessDenied" in answer["errorType"] + answer["errorMessage"]
        assert f"is not authorized to perform: {action}" in answer["errorMessage"]


@contextmanager
def lacking(aws: Aws, logical_id: str, sid: str, action: str) -> Iterator[None]:
    """One of the stacks' roles without one right of its own."""
    concern = "upload" if logical_id == "FunctionRole" else "cluster"
    [role] = [name for logical, _, name in stacks.resources(concern, aws) if logical == logical_id]
    iam = aws.client("iam")
    name, document = next(
        (name, document)
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        for document in [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]]
        if any(each["Sid"] == sid for each in document["Statement"])
    )

    def put(wanted: dict[str, Any]) -> None:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(wanted))

    put(without(document, sid, action))
    try:
        yield
    finally:
        put(document)


def without(document: dict[str, Any], sid: str, action: str) -> dict[str, Any]:
    mutant = copy.deepcopy(document)
    [statement] = [each for each in mutant["Statement"] if each["Sid"] == sid]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert action in actions
    statement["Action"] = [each for each in actions if each != action]
    if not statement["Action"]:
        mutant["Statement"].remove(statement)
    return mutant


def ended(aws: Aws, code: str) -> tasks.Task:
    task = tasks.run("probe", [code], aws=aws)
    return tasks.wait(task, timeout_seconds=PATIENCE_SECONDS, aws=aws)


_versions: Callable[[], int] = iter(range(1000)).__next__


def called(aws: Aws) -> dict[str, Any]:
    """The function's answer to a picture of its own; each is another version, hence another task."""
    bucket = stacks.outputs("storage", aws)["InputBucket"]
    event = {
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": bucket},
            "object": {"key": "cat.jpg", "size": 1, "version-id": f"v{_versions()}"},
        },
    }
    name = stacks.outputs("upload", aws)["ClassifyFunctionName"]
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    return dict(json.loads(answer["Payload"].read()))
