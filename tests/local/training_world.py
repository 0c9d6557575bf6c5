"""An enforcing local AWS with what a training job needs: a bucket with data, an image, a role.

Not a test. Jobs run the Python code that their hyperparameter `code` holds, with `base` for their /opt/ml.
"""

import contextlib
import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecs_world import furnished, wait_until
from identity_world import Account, Policy, allow

BUCKET = "training"
ALGORITHM = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
# A word of a container's arguments has 256 characters at most; a hyperparameter's value 2,500.
RUN = (
    "import json,os,pathlib;base=pathlib.Path(os.environ.get('SAGEMAKER_BASE_DIR','/opt/ml'));"
    "exec(json.loads((base/'input/config/hyperparameters.json').read_text())['code'])"
)
SAVE = "(base / 'model/weights').write_text('w');"
ENDED = ("Completed", "Failed", "Stopped")
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
TRUSTED = "sagemaker.amazonaws.com"
_numbers = itertools.count()
# What AWS's developer guide gives an execution role for CreateTrainingJob, by what it is for.
RIGHTS: dict[str, Policy] = {
    "s3:ListBucket": allow("s3:ListBucket", on=f"arn:aws:s3:::{BUCKET}"),
    "s3:GetObject": allow("s3:GetObject", on=f"arn:aws:s3:::{BUCKET}/train/*"),
    "s3:PutObject": allow("s3:PutObject", on=f"arn:aws:s3:::{BUCKET}/out/*"),
    "ecr": allow("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "logs": allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    "cloudwatch": allow("cloudwatch:PutMetricData"),
}


def rights(*without: str) -> Policy:
    """A role's policy, with everything but what is named."""
    kept = [each["Statement"][0] for name, each in RIGHTS.items() if name not in without]
    return {"Version": "2012-10-17", "Statement": kept}


def channel(name: str, uri: str, **more: Any) -> dict[str, Any]:
    """A channel of all objects below a prefix, or of those that a manifest (kind="ManifestFile") names."""
    source = {"S3DataType": more.pop("kind", "S3Prefix"), "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


class Trainer(Account):
    """The calls that tests of training jobs make again and again."""

    trains: str

    def furnish(self) -> None:
        super().furnish()
        self.sagemaker, self.s3 = self.client("sagemaker"), self.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.s3.put_object(Bucket=BUCKET, Key="train/rows.csv", Body=b"1,2\n")
        self.trains = self.role(rights(), TRUSTED)

    def request(self, code: str = SAVE, **more: Any) -> dict[str, Any]:
        """CreateTrainingJob's; `more` replaces members, `specification` those of AlgorithmSpecification."""
        specification = {
            "TrainingImage": self.image,
            "TrainingInputMode": "File",
            "ContainerArguments": [RUN],
        }
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
        return {
            "TrainingJobName": f"job-{next(_numbers)}",
            "AlgorithmSpecification": specification | more.pop("specification", {}),
            "RoleArn": self.trains,
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "HyperParameters": {"code": code},
            **more,
        }

    def begin(self, code: str = SAVE, **more: Any) -> str:
        """Start a job; its name."""
        request = self.request(code, **more)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def train(self, code: str = SAVE, **more: Any) -> dict[str, Any]:
        """A job that has ended."""
        return self.ended(self.begin(code, **more))

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def ended(self, name: str) -> dict[str, Any]:
        wait_until(lambda: self.job(name)["TrainingJobStatus"] in ENDED)
        return self.job(name)

    def failure(self, code: str = SAVE, **more: Any) -> str:
        """Why a job failed."""
        job = self.train(code, **more)
        assert job["TrainingJobStatus"] == "Failed", job["TrainingJobStatus"]
        return str(job["FailureReason"])

    def said_by(self, name: str) -> list[str]:
        """A job's lines."""
        with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
            given = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": f"{name}/algo-1-"}
            streams = self.logs.describe_log_streams(**given)["logStreams"]
            for stream in (each["logStreamName"] for each in streams):
                found = self.logs.get_log_events(
                    logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True
                )
                return [each["message"] for each in found["events"]]
        return []

    def says(self, name: str) -> str:
        """The first of a job's lines, once there is one."""
        return str(wait_until(lambda: self.said_by(name))[0])

    def artefact(self, job: dict[str, Any], name: str = "model.tar.gz") -> dict[str, bytes]:
        """The files in an artefact of a job's."""
        key = f"out/{job['TrainingJobName']}/output/{name}"
        body = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            files = [each for each in tar.getmembers() if each.isfile()]
            return {each.name: tar.extractfile(each).read() for each in files}  # type: ignore[union-attr]

    def left(self) -> list[Path]:
        """What the engine still has of jobs."""
        return list((self.folder / "localaws" / "engine" / "sagemaker").glob("*"))


@contextlib.contextmanager
def trainer(folder: Path, *options: str) -> Iterator[Trainer]:
    """A furnished account that is gone afterwards; options: further ones of the server."""
    made = Trainer(folder)
    made.options = list(options)
    with furnished(made):
        yield made
