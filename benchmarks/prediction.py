"""How long a survey takes to its answer: through API Gateway and Lambda, and asked of the endpoint directly.

Try it:  python -m benchmarks prediction          (a minute; a local AWS of its own is started and ended)
The path of lab 8 on the local AWS, as a learner: stack, training job of Linear Learner's stand-in on the sample or
the real survey, endpoint, one request after another. Percentiles of the fastest of several rounds: what else this
machine does in between is not what is measured. `against` is the endpoint asked directly.
"""

import http.client
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workshop import datasets, local
from workshop.aws import algorithms, apis, hosting, objects, session, stacks, training_jobs
from workshop.aws.session import Aws
from workshop.ml.satisfaction import prepare, recipe
from workshop.settings import load

ROUNDS, REQUESTS = 4, 250
BATCH_ROWS, BATCHES = 1000, 20
SEED, VALIDATION_SHARE = 10, 0.1
TYPE = "ml.m5.large"
# So that the usage plan's limits are not what is measured.
UNLIMITED = {"RequestsPerSecond": "1000", "RequestsAtOnce": "2000", "RequestsPerDay": "1000000"}


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = load({}, state_dir=folder / "state", port=_free_port(), runs_dir=folder / "runs")
        local.up(settings)
        try:
            aws = session.connect(settings, {})
            surveys = _serve(aws, folder)
            return _rows(aws, surveys)
        finally:
            local.down(settings)


def _serve(aws: Aws, folder: Path) -> list[str]:
    """Bring the endpoint and the API up; the surveys of the test file as lines of CSV."""
    answers = datasets.satisfaction()
    parts = prepare.split(answers.train, answers.test, VALIDATION_SHARE, SEED)
    prepare.write(parts, recipe.fit(parts.train), folder / "prepared")
    bucket = stacks.deploy("storage", aws=aws)["InputBucket"]
    outputs = stacks.deploy("satisfaction", aws=aws, **UNLIMITED)
    objects.sync_up(folder / "prepared", f"s3://{bucket}/satisfaction", aws)
    name, role, image = (
        outputs["EndpointName"],
        outputs["SageMakerRoleArn"],
        algorithms.image("linear-learner", aws.region),
    )
    sagemaker, out = aws.client("sagemaker"), stacks.output("ModelBucket", aws)
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={"predictor_type": "binary_classifier", "feature_dim": "22"},
        InputDataConfig=[_channel(each, bucket) for each in ("train", "validation")],
        OutputDataConfig={"S3OutputPath": f"s3://{out}/satisfaction"},
        ResourceConfig={"InstanceType": TYPE, "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
        Tags=[{"Key": "workshop", "Value": aws.name}],
    )
    trained = training_jobs.follow(name, on_line=lambda line: None, aws=aws)
    tags = [{"Key": "workshop", "Value": aws.name}]
    container = {"Image": image, "ModelDataUrl": trained.model}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role, Tags=tags)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": TYPE,
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    hosting.wait(name, on_line=lambda line: None, aws=aws)
    lines = (folder / "prepared" / "test" / "test.csv").read_text().splitlines()
    return [line.partition(",")[2] for line in lines]


def _channel(name: str, bucket: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/satisfaction/{name}/"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def _rows(aws: Aws, surveys: list[str]) -> list[dict[str, Any]]:
    runtime: Any = aws.client("sagemaker-runtime")
    name = stacks.output("EndpointName", aws)

    def directly(body: str) -> None:
        answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=body)
        json.loads(answer["Body"].read())["predictions"][0]

    through = _Api(aws)
    began = time.perf_counter()
    through.ask(surveys[0])
    first_ms = (time.perf_counter() - began) * 1000
    found: dict[str, list[list[float]]] = {"api": [], "direct": []}
    for turn in range(ROUNDS):  # in turns, so that both meet the same machine
        found["api"].append(_times(through.ask, surveys, turn))
        found["direct"].append(_times(directly, surveys, turn))
    api, direct = (_best(rounds) for rounds in found.values())
    batches = ["\n".join(surveys[:BATCH_ROWS])] * BATCHES
    per_second = BATCH_ROWS / (min(_times(directly, batches, 0, BATCHES)) / 1000)
    return [
        _row("API, function and endpoint, p50", api[0], direct[0]),
        _row("API, function and endpoint, p99", api[1], direct[1]),
        _row("the first request of all, which starts the function", first_ms),
        _row("InvokeEndpoint directly, p50", direct[0]),
        _row("InvokeEndpoint directly, p99", direct[1]),
        {"name": f"InvokeEndpoint, {BATCH_ROWS} rows a request", "value": per_second, "unit": "rows/s"},
    ]


class _Api:
    """A client of the API with its key and one connection."""

    def __init__(self, aws: Aws) -> None:
        self.address = urlsplit(apis.url(aws=aws))
        self.headers = {"x-api-key": apis.key(aws=aws).value, "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(self.address.netloc, timeout=60)

    def ask(self, survey: str) -> None:
        body = json.dumps({"data": survey})
        self.connection.request("POST", f"{self.address.path}/predict", body, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the API answered {answer.status}: {text.decode()}")


def _times(ask: Callable[[str], None], surveys: list[str], turn: int, count: int = REQUESTS) -> list[float]:
    """Milliseconds of each of so many requests, one after another."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        ask(surveys[(turn * count + number) % len(surveys)])
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _best(rounds: list[list[float]]) -> tuple[float, float]:
    """p50 and p99 of the fastest round, each."""
    return (
        min(statistics.median(each) for each in rounds),
        min(statistics.quantiles(each, n=100)[98] for each in rounds),
    )


def _row(name: str, milliseconds: float, direct: float | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": milliseconds, "unit": "ms"}
    return (
        row
        if direct is None
        else {**row, "against": f"directly {direct:.2f}", "ratio": direct / milliseconds}
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
