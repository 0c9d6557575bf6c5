"""SageMaker's containers in Docker: /opt/ml for any user, a built algorithm, isolation, and nothing left behind."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker_images import docker, remove_images
from docker_world import DockerAccount
from ecs_world import ROOT, furnished, wait_until
from training_world import ALGORITHM, BUCKET, ENDED, RUN, SAVE, Trainer, channel

OTHER = ALGORITHM.replace("linear-learner", "kmeans")  # what the test itself gives, for an algorithm of AWS's
SLOW = ALGORITHM.replace("linear-learner", "pca")
BUILD_SECONDS = 300  # once: from then on Docker has the layers
SLOW_TAG = "localaws/test-slow:latest"
SLOW_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
RUN python -c "import time; time.sleep(300)"
"""
DOCKERFILE = """\
ARG BASE
FROM ${BASE}
USER 1234
ARG SAID
ENV SAID=${SAID}
ENTRYPOINT ["python", "-u", "-c", %s]
"""


class DockerTrainer(DockerAccount, Trainer):
    """Jobs that are containers."""

    def volumes(self) -> list[str]:
        return docker("volume", "ls", "--quiet", "--filter", f"label=localaws.owner={self.owner}").split()

    def containers(self) -> list[str]:
        return docker("ps", "--all", "--quiet", "--filter", f"label=localaws.owner={self.owner}").split()

    @property
    def owner(self) -> Path:
        return self.folder / "localaws" / "engine"


@pytest.fixture(scope="module")
def aws(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerTrainer]:
    folder = tmp_path_factory.mktemp("training")
    (folder / "Dockerfile").write_text(DOCKERFILE % json.dumps(RUN))
    described = {
        "name": "test-algorithm",
        "config": {},
        "dockerfile": str(folder / "Dockerfile"),
        "context": str(folder),
        "arguments": {"BASE": small_image, "SAID": "built here"},
    }
    (folder / "Slow").write_text(SLOW_DOCKERFILE)
    slow = {**described, "name": "test-slow", "dockerfile": str(folder / "Slow")}
    course = {
        "name": "test-linear-learner",
        "config": {},
        "dockerfile": str(ROOT / "docker" / "linear-learner" / "Dockerfile"),
        "context": str(ROOT),
    }
    made = DockerTrainer(folder, small_image)
    for name, description in {"kmeans": described, "pca": slow, "linear-learner": course}.items():
        (folder / f"{name}.json").write_text(json.dumps(description))
        made.options += ["--algorithm", f"{name}={folder / name}.json"]
    try:
        with furnished(made):
            yield made
    finally:
        remove_images(made.port)
        for name in ("test-algorithm", "test-linear-learner"):
            subprocess.run(["docker", "image", "rm", f"localaws/{name}:latest"], capture_output=True)


def test_a_job_of_ones_own_image_trains_and_leaves_nothing(aws):
    code = (
        "import boto3\n"
        "print(boto3.client('sts').get_caller_identity()['Arn'].rpartition('/')[2])\n"
        "print(sorted(each.name for each in (base / 'input/data/train').iterdir()), str(base))\n"
        "os.symlink('/etc/passwd', base / 'model/outside')\n" + SAVE
    )
    job = aws.train(code)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert aws.said_by(job["TrainingJobName"]) == ["SageMaker", "['rows.csv'] /opt/ml"]
    assert aws.artefact(job) == {"weights": b"w"}
    assert (aws.volumes(), aws.containers(), aws.left()) == ([], [], [])


def test_a_failure_is_read_out_of_the_ended_container(aws):
    reason = aws.failure("(base / 'output/failure').write_text('no rows'); os._exit(3)")
    assert reason == "AlgorithmError: no rows, exit code: 3"


def test_a_built_in_algorithm_is_built_and_its_user_may_write_where_it_must(aws):
    request = aws.request(
        SAVE + "(base / 'output/data/x').write_text('x'); (base / 'input/data/mine').mkdir()\n"
        "print(os.getuid(), os.environ['SAID'])"
    )
    request["AlgorithmSpecification"] = {"TrainingImage": OTHER, "TrainingInputMode": "File"}
    aws.sagemaker.create_training_job(**request)
    job = aws.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert aws.said_by(job["TrainingJobName"]) == ["1234 built here"]
    assert aws.artefact(job, "output.tar.gz") == {"x": b"x"}


def test_a_job_is_stopped_while_its_image_is_built_and_the_build_ends(aws):
    request = aws.request()
    request["AlgorithmSpecification"] = {"TrainingImage": SLOW, "TrainingInputMode": "File"}
    aws.sagemaker.create_training_job(**request)
    wait_until(builds)
    job = aws.job(request["TrainingJobName"])
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Downloading the training image"
    aws.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    assert aws.ended(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"
    assert not builds()


def builds() -> list[int]:
    """Processes that build the slow image."""
    every = psutil.process_iter(["pid", "cmdline"])
    return [each.info["pid"] for each in every if SLOW_TAG in (each.info["cmdline"] or [])]


def test_the_courses_linear_learner_is_built_and_learns(aws):
    rows = "".join(f"{number % 2},{number % 2 + number % 7 / 10},{number % 5}\n" for number in range(2000))
    aws.s3.put_object(Bucket=BUCKET, Key="train/learn/rows.csv", Body=rows.encode())
    given = channel("train", f"s3://{BUCKET}/train/learn/", ContentType="text/csv")
    request = aws.request(
        InputDataConfig=[given, {**given, "ChannelName": "validation"}],
        HyperParameters={"predictor_type": "binary_classifier", "feature_dim": "2"},
    )
    request["AlgorithmSpecification"] = {"TrainingImage": ALGORITHM, "TrainingInputMode": "File"}
    aws.sagemaker.create_training_job(**request)
    job = wait_until(lambda: ended(aws, request["TrainingJobName"]), BUILD_SECONDS)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    metrics = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert metrics["validation:binary_classification_accuracy"] > 0.9
    assert aws.artefact(job)


def ended(aws: DockerTrainer, name: str) -> dict[str, Any] | None:
    job = aws.job(name)
    return job if job["TrainingJobStatus"] in ENDED else None


def test_an_isolated_container_has_no_network(aws):
    code = (
        "import socket\n"
        "try: socket.create_connection(('169.254.170.2', 80), 2)\n"
        "except OSError as error: print(error.strerror)"
    )
    job = aws.train(code, EnableNetworkIsolation=True)
    assert aws.said_by(job["TrainingJobName"]) == ["Network is unreachable"]


def test_a_stopped_container_saves_what_it_has(aws):
    name = aws.begin(
        "import signal, sys, time\n"
        "def end(*_):\n    (base / 'model/weights').write_text('so far'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('ready')\n"
        "while True: time.sleep(1)"
    )
    aws.says(name)
    aws.sagemaker.stop_training_job(TrainingJobName=name)
    job = aws.ended(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert aws.artefact(job) == {"weights": b"so far"}


def test_a_killed_server_leaves_no_container_and_no_volume(aws):
    name = aws.begin("print('ready'); import time; time.sleep(120)")
    aws.says(name)
    assert aws.volumes()
    wait_until(lambda: is_kept(aws, name))
    aws.stop(signal.SIGKILL)
    wait_until(lambda: not aws.containers())
    aws.start()
    assert aws.job(name)["FailureReason"].startswith("InternalServerError: ")
    assert (aws.volumes(), aws.left()) == ([], [])


def is_kept(aws: DockerTrainer, name: str) -> bool:
    """Whether the last snapshot has the job: what is younger, a kill takes along."""
    with contextlib.suppress(FileNotFoundError):  # one snapshot takes another one's place
        return name in (aws.folder / "localaws" / "snapshot" / "sagemaker.json").read_text()
    return False
