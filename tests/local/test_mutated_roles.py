"""The stacks' own roles with one right taken out, really used: what then fails, and with which words.

benchmarks/policy_mutations.py asks IAM's recorded questions again; here the task, the pull, the function and the
service run again. Airflow's role is tried where Airflow is: test_airflow_cases.py.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import course_world
import pytest
import requests
import small_artefacts
from lesser_roles import lacking
from serving_world import wait_for

from localaws import daemon
from workshop.aws import images, models, objects, session, stacks, tasks
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
SERVICE = "sentiment.json"
FUNCTION = [("StartTheTask", "ecs:RunTask"), ("HandItsTwoRolesToEcs", "iam:PassRole")]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The whole course but its labs, by an administrator, so that roles can be changed."""
    folder = tmp_path_factory.mktemp("mutated")
    root, state_dir = folder / "root", folder / "state"
    root.mkdir()
    course_world.lay_out(root)
    repository = load({}).root
    (root / "docker" / "serving").symlink_to(repository / "docker" / "serving")
    (root / "task-definitions" / SERVICE).symlink_to(repository / "task-definitions" / SERVICE)
    environments = {name: root / ".venvs" / name for name in ("workshop", "serving")}
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


@pytest.fixture(scope="module")
def model(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A version that is published, and all that a task of the service needs."""
    stacks.deploy("sentiment", aws=aws)
    images.build("serving", aws=aws)
    images.push("serving", aws=aws)
    made = small_artefacts.make(tmp_path_factory.mktemp("artefact"))
    where = f"s3://{stacks.output('ModelBucket', aws)}/{small_artefacts.NAME}"
    metrics = {"accuracy": 0.9, "examples": 10, "data_sha256": "0" * 64}
    return models.publish(str(made), where, "run-1", metrics, aws.client("s3")).pointer.version


def test_service_is_not_ready_without_its_one_right_and_keeps_its_model_when_it_loses_it(
    aws: Aws, model: str
) -> None:
    """One task all the time: without the right, with it, and without it again."""
    right = ("ServingTaskRole", "ReadModels", "s3:GetObject")
    # The image's own WORKSHOP_ROOT is a folder in it, and here it is a process of this machine.
    variables = {"MODEL_POLL_SECONDS": "0.2", "WORKSHOP_ROOT": str(aws.settings.root)}
    task = tasks.run("sentiment", environment=variables, aws=aws)
    try:
        with lacking(aws, *right):
            task = tasks.wait(task, "RUNNING", timeout_seconds=PATIENCE_SECONDS, aws=aws)
            url = f"http://{task.address}:8080"
            unready = wait_for(lambda: health(url, 503, "not authorized"), "it says what it lacks")
            assert "is not authorized to perform: s3:GetObject" in unready["error"]
            assert unready["fix"].startswith("add s3:GetObject on arn:aws:s3:::")
            assert "to ServingTaskRole in cloudformation/sentiment.yaml" in unready["fix"]
        assert wait_for(lambda: health(url, 200, "ready"), "it has read the model")["version"] == model
        with lacking(aws, *right):
            kept = wait_for(lambda: health(url, 200, "not authorized"), "it says what it lacks now")
            assert kept["version"] == model and "s3:GetObject" in kept["problem"]["reason"]
    finally:
        tasks.wait(tasks.stop(task, "seen", aws), timeout_seconds=PATIENCE_SECONDS, aws=aws)


def health(url: str, status: int, word: str) -> dict[str, Any]:
    """What /healthz says once it has this status and this word; {} before."""
    try:
        answer = requests.get(f"{url}/healthz", timeout=5)
    except requests.ConnectionError:
        return {}
    return dict(answer.json()) if answer.status_code == status and word in answer.text else {}


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
