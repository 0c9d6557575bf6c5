"""Containers, archives and callers that want to break the local SageMaker: what is theirs fails, and nothing else."""

import contextlib
import http.client
import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError
from ecs_world import furnished, wait_until
from training_world import BUCKET, SAVE, Trainer, channel

SLOWEST_SECONDS = 2.0  # of a call that has nothing to do with it; a blocked server would take for ever


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with furnished(Trainer(tmp_path_factory.mktemp("attacks"))) as made:
        yield made


@contextlib.contextmanager
def others_served(aws: Trainer) -> Iterator[None]:
    """Ask for something else all the while: nobody else has to wait."""
    over, slowest = threading.Event(), [0.0]

    def ask() -> None:
        client = aws.client("sts")
        while not over.wait(0.05):
            began = time.monotonic()
            client.get_caller_identity()
            slowest[0] = max(slowest[0], time.monotonic() - began)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
    assert slowest[0] < SLOWEST_SECONDS


def left(aws: Trainer) -> list[Path]:
    engine = aws.folder / "localaws" / "engine"
    return [path for path in (*engine.glob("*"), *engine.glob("sagemaker/*")) if path.name != "sagemaker"]


def test_failure_text_is_no_way_to_read_a_file_of_this_machine(aws: Trainer) -> None:
    secret = aws.folder / "secret"
    secret.write_text("a secret of this machine")
    link = f"os.symlink({str(secret)!r}, base / 'output/failure'); exit(1)"
    assert aws.failure(link) == "AlgorithmError: , exit code: 1"
    assert aws.failure("os.mkfifo(base / 'output/failure'); exit(1)") == "AlgorithmError: , exit code: 1"


def test_folders_that_are_links_are_not_packed(aws: Trainer) -> None:
    outside = aws.folder / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").write_text("a secret of this machine")
    code = (
        "import shutil;"
        "[(shutil.rmtree(base / each), os.symlink(%r, base / each)) for each in ('model', 'output/data')]"
    )
    job = aws.train(code % str(outside))
    assert job["TrainingJobStatus"] == "Completed"
    listed = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"out/{job['TrainingJobName']}/")
    assert listed["KeyCount"] == 0
    assert (outside / "secret").is_file()


def test_links_pipes_and_sockets_in_a_model_leave_its_files(aws: Trainer) -> None:
    code = (
        "import socket; os.mkfifo(base/'model/pipe'); os.symlink('/etc/passwd', base/'model/link');"
        "os.chdir(base/'model'); socket.socket(socket.AF_UNIX).bind('socket');"
    )
    assert aws.artefact(aws.train(code + SAVE)) == {"weights": b"w"}


def test_more_than_the_volume_holds_is_not_packed(aws: Trainer) -> None:
    said = aws.failure("open(base / 'model/huge', 'wb').truncate(1 << 40)")
    assert said == "ClientError: Artifact upload failed:No space left on device"


def test_folders_deep_in_one_another_end_the_job_and_are_removed(aws: Trainer) -> None:
    deep = "os.chdir(%s); [(os.mkdir('d'), os.chdir('d')) for _ in range(1500)]"
    assert aws.failure(deep % "base / 'model'").startswith("ClientError: Artifact upload failed:")
    for where in ("base / 'input'", "os.environ['TMPDIR']"):
        assert aws.train(deep % where)["TrainingJobStatus"] == "Completed"
    wait_until(lambda: not left(aws))


def test_variable_that_no_process_can_have_fails_the_job_by_name(aws: Trainer) -> None:
    said = aws.failure(Environment={"A": "a\0b"})
    assert said.startswith("AlgorithmError: Error response from daemon") and "null byte" in said


SHOW = "print(sorted(str(each.relative_to(base / 'input')) for each in base.rglob('*') if each.name == 'x'));"


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a//x", "/x", "dots/..", ".", "a/./x", "x" * 300])
def test_object_that_would_lie_elsewhere_fails_the_job(aws: Trainer, key: str) -> None:
    prefix = f"train/{uuid.uuid4().hex}/"
    aws.s3.put_object(Bucket=BUCKET, Key=prefix + key, Body=b"1")
    said = aws.failure(SHOW, InputDataConfig=[channel("train", f"s3://{BUCKET}/{prefix}")])
    aws.s3.delete_object(Bucket=BUCKET, Key=prefix + key)  # others read all that is below train/
    assert said.startswith("ClientError: Data download failed:")


@pytest.mark.parametrize("key", ["schön 雪/x", "-rf/x", "$(id)/x", "\\..\\/x", "a:b*?<>|/x", "~/x"])
def test_object_of_any_other_name_lies_below_its_channel(aws: Trainer, key: str) -> None:
    prefix = f"train/{uuid.uuid4().hex}/"
    aws.s3.put_object(Bucket=BUCKET, Key=prefix + key, Body=b"1")
    job = aws.train(SHOW, InputDataConfig=[channel("train", f"s3://{BUCKET}/{prefix}")])
    assert aws.said_by(job["TrainingJobName"]) == [str([f"data/train/{key}"])]


NAMES = ["../x", "/etc/passwd", "a\u0000b", "\ud800", {"a": 1}, "."]
MANIFESTS = [json.dumps([{"prefix": f"s3://{BUCKET}/train/"}, each]) for each in NAMES]
MANIFESTS += ['{"a": 1}', "[" * 100_000, '[{"prefix": 5}, "y"]', "[]", "\xff"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=range(len(MANIFESTS)))
def test_manifest_that_names_what_is_no_object_fails_the_job(aws: Trainer, manifest: str) -> None:
    aws.s3.put_object(Bucket=BUCKET, Key="train/manifest", Body=manifest.encode("latin-1"))
    given = channel("train", f"s3://{BUCKET}/train/manifest", kind="ManifestFile")
    assert aws.failure(SHOW, InputDataConfig=[given]).startswith("ClientError: Data download failed:")


def test_expression_that_takes_for_ever_costs_its_own_metrics_alone(aws: Trainer) -> None:
    found = [{"Name": "slow", "Regex": "(a+)+$"}, {"Name": "good", "Regex": "good=(.*)"}]
    code = "print('good=1', flush=True); time.sleep(.3); print('a' * 60 + '!'); print('good=2');"
    with others_served(aws):
        job = aws.train("import time;" + code + SAVE, specification={"MetricDefinitions": found})
    assert job["TrainingJobStatus"] == "Completed"
    assert [each["Value"] for each in job["FinalMetricDataList"]] == [1.0]
    assert aws.said_by(job["TrainingJobName"])[-1] == "good=2"


@pytest.mark.parametrize("regex", ["(" * 250 + "a" + ")" * 249, "a{99999999999999}", "("])
def test_expression_that_python_cannot_read_is_refused(aws: Trainer, regex: str) -> None:
    found = [{"Name": "m", "Regex": regex}]
    with contextlib.suppress(aws.sagemaker.exceptions.ResourceInUse), pytest.raises(ClientError) as caught:
        aws.train(specification={"MetricDefinitions": found})
    assert caught.value.response["Error"]["Code"] == "ValidationException", caught.value


def test_a_line_of_20_megabytes_and_many_lines_keep_nobody_waiting(aws: Trainer) -> None:
    found = [{"Name": "m", "Regex": "loss=(.*)"}]
    with others_served(aws):
        line = aws.begin("print('a' * 20_000_000);" + SAVE, specification={"MetricDefinitions": found})
        lines = aws.begin(
            "[print('loss=', i, sep='') for i in range(50_000)];" + SAVE,
            specification={"MetricDefinitions": found},
        )
        assert aws.ended(line)["TrainingJobStatus"] == "Completed"
        job = aws.ended(lines)
    assert [each["Value"] for each in job["FinalMetricDataList"]] == [49_999.0]


def test_processes_that_a_container_leaves_behind_end_with_it(aws: Trainer) -> None:
    code = (
        "import subprocess,sys,time;[print(subprocess.Popen([sys.executable,'-c','import time;time.sleep(600)'],"
        "start_new_session=True).pid, flush=True) for _ in range(20)];" + SAVE
    )
    job = aws.train(code)
    assert job["TrainingJobStatus"] == "Completed"
    pids = [int(each) for each in aws.said_by(job["TrainingJobName"])]
    assert len(pids) == 20 and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_connections_that_clients_have_closed_are_closed_here(aws: Trainer) -> None:
    """Each job makes some, and a process may have a thousand; hypercorn alone would keep them for 75 seconds."""
    server = psutil.Process(aws.process.pid)  # type: ignore[union-attr]
    before = server.num_fds()
    for _ in range(30):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", aws.port)) as connection:
            connection.request("GET", "/_ministack/health")
            connection.getresponse().read()
    wait_until(lambda: server.num_fds() < before + 10)


def test_nothing_of_it_is_left(aws: Trainer) -> None:
    wait_until(lambda: not left(aws))
