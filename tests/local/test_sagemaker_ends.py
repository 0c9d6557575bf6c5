"""Training jobs whose surroundings end: the server, the container, the bucket. Right states, and nothing left."""

import contextlib
import signal
from pathlib import Path

import psutil
import pytest
from ecs_world import wait_until
from training_world import BUCKET, SAVE, TRUSTED, Trainer, rights, trainer

SLEEP = SAVE + "print(os.getpid()); import time; time.sleep(120)"
RESTARTED = (
    "InternalServerError: We encountered an internal error. Please try again. (The local AWS was stopped.)"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    with trainer(tmp_path_factory.mktemp("ends")) as made:
        yield made


def begun(aws: Trainer) -> tuple[str, int]:
    """A job whose container runs, and the container's process."""
    name = aws.begin(SLEEP)
    return name, int(aws.says(name))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_whose_server_ends_has_failed_after_the_restart_and_left_nothing(tmp_path: Path, number: int):
    with trainer(tmp_path) as aws:
        name, pid = begun(aws)
        wait_until(lambda: '"Training"' in kept(tmp_path))
        aws.stop(number)
        wait_until(lambda: not psutil.pid_exists(pid))
        aws.start()
        job = aws.job(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
        assert job["FailureReason"] == RESTARTED
        assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"
        assert aws.left() == []
        assert aws.train()["TrainingJobStatus"] == "Completed"


def kept(folder: Path) -> str:
    """What a killed server will be found to have held."""
    with contextlib.suppress(FileNotFoundError):  # none yet, or just taken away for the next
        return (folder / "localaws" / "snapshot" / "sagemaker.json").read_text()
    return ""


def test_a_container_that_is_killed_fails_its_job_with_the_signals_code(shared):
    name, pid = begun(shared)
    psutil.Process(pid).kill()
    assert shared.ended(name)["FailureReason"] == "AlgorithmError: , exit code: 137"
    assert shared.left() == []


def test_a_container_that_ignores_sigterm_is_ended_with_its_server(tmp_path: Path):
    with trainer(tmp_path) as aws:
        name = aws.begin("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP)
        pid = int(aws.says(name))
        aws.sagemaker.stop_training_job(TrainingJobName=name)
        assert aws.job(name)["TrainingJobStatus"] == "Stopping"
        aws.stop(signal.SIGTERM)
        assert not psutil.pid_exists(pid)


def test_a_bucket_that_goes_meanwhile_fails_the_job(shared):
    shared.s3.create_bucket(Bucket="goes")
    role = shared.role(everything(), TRUSTED)
    name = shared.begin(
        SAVE + "import boto3; boto3.client('s3').delete_bucket(Bucket='goes')",
        RoleArn=role,
        OutputDataConfig={"S3OutputPath": "s3://goes/out"},
    )
    reason = shared.ended(name)["FailureReason"]
    assert reason.startswith("ClientError: Artifact upload failed:Unable to upload object s3://goes/out/")
    assert "NoSuchBucket" in reason


def everything() -> dict[str, object]:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_an_object_that_goes_meanwhile_fails_the_job(shared):
    shared.s3.put_object(
        Bucket=BUCKET, Key="train/list.json", Body=b'[{"prefix": "s3://training/train/"}, "gone"]'
    )
    source = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/train/list.json"}
    given = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    reason = shared.failure(InputDataConfig=[given])
    words = (
        f"ClientError: Data download failed:Unable to download object s3://{BUCKET}/train/gone (NoSuchKey: "
    )
    assert reason.startswith(words)


def test_a_role_that_goes_meanwhile_fails_the_job(shared):
    role = shared.role(rights(), TRUSTED)
    name = shared.begin(
        SAVE + "print('here'); import time\nwhile not (base / 'model/go').exists(): time.sleep(.02)",
        RoleArn=role,
    )
    shared.says(name)
    role_name = role.rpartition("/")[2]
    shared.iam.delete_role_policy(RoleName=role_name, PolicyName="own")
    shared.iam.delete_role(RoleName=role_name)
    (next(iter(shared.left())) / "model" / "go").touch()
    assert "Artifact upload failed" in shared.ended(name)["FailureReason"]
