"""A local AWS with what every SageMaker client of the tests needs: a role, a bucket with data, a container image.

Not a test. The container learns nothing: it says what it was given, fails or waits as it is told to, and its models
answer how many lines they got. So these tests hold the service and its clients, not an algorithm.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ecs_world import ROOT, World, furnished, wait_until

from workshop import built_in_algorithms
from workshop.settings import load

ACCOUNT, REGION = "123456789012", "us-east-1"
VENVS = ROOT / ".venvs"
BUCKET = "learning"
ROWS = b"1,0.5\n0,-0.5\n"
SMALL = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
# What a training job's role needs: its channels, its output, its image, its log and its metrics.
ROLE_MAY = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "cloudwatch:PutMetricData",
)

CONTAINER = """
import http.server, json, os, pathlib, sys, time
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))

def train():
    given = json.loads((base / "input/config/hyperparameters.json").read_text())
    channels = sorted(path.name for path in (base / "input/data").iterdir())
    print("channels", *channels, flush=True)
    print("pid", os.getpid(), flush=True)
    print("loss=0.25", flush=True)
    time.sleep(float(given.get("seconds", "0")))
    if "fail" in given:
        (base / "output").mkdir(exist_ok=True)
        (base / "output/failure").write_text(given["fail"])
        sys.exit(1)
    (base / "model").mkdir(exist_ok=True)
    (base / "model/weights").write_text(given.get("weights", "1"))

class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.say(500 if "SILENT" in os.environ else 200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body.startswith(b"wait"):
            time.sleep(float(body.split()[1]))
        if body.startswith(b"die"):
            os._exit(9)
        if body.startswith(b"bad"):
            return self.say(400, b"cannot read this")
        if body.startswith(b"pid"):
            return self.say(200, str(os.getpid()).encode())
        answer = {"lines": len(body.splitlines()), "weights": (base / "model/weights").read_text()}
        self.say(200, json.dumps(answer).encode())

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

if sys.argv[-1] == "train":
    train()
else:
    time.sleep(float(os.environ.get("SLOW", "0")))
    address = os.environ.get("WORKSHOP_BIND_ADDRESS", "0.0.0.0")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    http.server.ThreadingHTTPServer((address, port), Model).serve_forever()
"""


class ClientsWorld(World):
    """The world of the ECS tests with SageMaker furnished; names of requests are the caller's."""

    artefact = ""  # of a training job, once a test has run one

    def furnish(self) -> None:
        self.sagemaker = self.client("sagemaker")
        self.runtime = self.client("sagemaker-runtime")
        self.s3 = self.client("s3")
        self.image = self.push("learner", Entrypoint=["python", "-u", "-c", CONTAINER])
        self.role = self.make_role("learner", "sagemaker.amazonaws.com")
        self.s3.create_bucket(Bucket=BUCKET)
        for channel in ("train", "validation"):
            self.s3.put_object(Bucket=BUCKET, Key=f"{channel}/rows.csv", Body=ROWS)

    def make_role(self, name: str, service: str) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        rights = {"Effect": "Allow", "Action": ROLE_MAY, "Resource": "*"}
        iam = self.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_document(rights))
        return str(made["Role"]["Arn"])

    # Requests, each the least that says all it must

    def training(self, name: str, **hyperparameters: str) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
            },
            "RoleArn": self.role,
            "HyperParameters": hyperparameters,
            "InputDataConfig": [channel(name) for name in ("train", "validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {**SMALL, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }

    def model(self, name: str, artefact: str, **environment: str) -> dict[str, Any]:
        container = {"Image": self.image, "ModelDataUrl": artefact, "Environment": environment}
        return {"ModelName": name, "ExecutionRoleArn": self.role, "PrimaryContainer": container}

    def transform(self, name: str, model: str, prefix: str = "train/") -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
        return {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv"},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/transformed/{name}"},
            "TransformResources": SMALL,
        }

    # Waiting

    def trained(self, name: str, **hyperparameters: str) -> str:
        """Run a training job to its end; the artefact's address."""
        self.sagemaker.create_training_job(**self.training(name, **hyperparameters))
        return str(self.ended(name)["ModelArtifacts"]["S3ModelArtifacts"])

    def ended(self, name: str) -> dict[str, Any]:
        return dict(wait_until(lambda: self._job(name, "Completed", "Failed", "Stopped")))

    def in_training(self, name: str) -> dict[str, Any]:
        """The job once its container has spoken."""
        wait_until(lambda: any(line.startswith("pid ") for line in self.said(name)))
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def said(self, name: str, group: str = "/aws/sagemaker/TrainingJobs") -> list[str]:
        """The lines of all streams whose name begins so."""
        with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
            found = self.logs.filter_log_events(logGroupName=group, logStreamNamePrefix=name)
            return [event["message"] for event in found["events"]]
        return []

    def _job(self, name: str, *states: str) -> dict[str, Any] | None:
        job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] in states else None

    def endpoint(self, name: str, model: str, **variant: Any) -> None:
        """Make an endpoint of one variant, with a configuration of its name, without waiting for it."""
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant_of(model, **variant)]
        )
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def status(self, endpoint: str) -> str:
        return str(self.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"])

    def in_service(self, endpoint: str) -> None:
        wait_until(lambda: self._is_in_service(endpoint))

    def _is_in_service(self, endpoint: str) -> bool:
        found = self.sagemaker.describe_endpoint(EndpointName=endpoint)
        assert found["EndpointStatus"] != "Failed", found["FailureReason"]
        return bool(found["EndpointStatus"] == "InService")

    def invoke(self, endpoint: str, body: bytes = ROWS, **more: str) -> Any:
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType="text/csv", **more
        )
        return json.loads(answer["Body"].read())


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def variant_of(model: str, **more: Any) -> dict[str, Any]:
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        **more,
    }


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


@contextlib.contextmanager
def clients_world(folder: Path) -> Iterator[ClientsWorld]:
    """A local AWS that asks IAM and has Linear Learner as `workshop up` gives it, gone afterwards."""
    made = ClientsWorld(folder, enforce=True)
    for name, path in built_in_algorithms.written(load({}, state_dir=folder)).items():
        made.options += ["--algorithm", f"{name}={path}", "--environment", f"{name}={VENVS / name}"]
    with furnished(made):
        yield made


def _document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
