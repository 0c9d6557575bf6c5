"""Bad input to Linear Learner through SageMaker's own calls: each the code, the status and the sentence of AWS's, in a
training job and at an endpoint; and the endpoint is as good as before afterwards.

That an endpoint with Linear Learner refuses what it can't read with `unable to evaluate payload provided` is from
https://github.com/aws/amazon-sagemaker-examples/issues/1881; how SageMaker passes it on, from
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html; what a body too large gets,
from https://github.com/aws/sagemaker-python-sdk/issues/171; how a job's customer is told of a mistake of theirs, from
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner.html ("ClientError").
"""

import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from clients_world import BUCKET, ClientsWorld, channel, clients_world

from workshop.aws import algorithms

FEATURES = 22
IMAGE = algorithms.image("linear-learner", "us-east-1")
HYPERPARAMETERS = {
    "predictor_type": "binary_classifier",
    "feature_dim": str(FEATURES),
    "mini_batch_size": "50",
    "epochs": "2",
}
GOOD = ",".join(["1"] * FEATURES).encode()
HEADER = ",".join(f"feature {number}" for number in range(FEATURES)).encode()
MEBIBYTES = 1024 * 1024


def surveys(count: int = 300) -> list[list[float]]:
    """Rows of a label and its features, of which the first says the label."""
    chance = random.Random(1)
    rows = [[round(chance.uniform(-1, 1), 3) for _ in range(FEATURES)] for _ in range(count)]
    return [[int(row[0] > 0), *row] for row in rows]


def text(rows: list[list[Any]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with clients_world(tmp_path_factory.mktemp("bad")) as made:
        made.image = IMAGE
        made.s3.put_object(Bucket=BUCKET, Key="good/rows.csv", Body=text(surveys()))
        made.sagemaker.create_training_job(**job(made, "good"))
        ended = made.ended("good")
        assert ended["TrainingJobStatus"] == "Completed", ended
        made.sagemaker.create_model(**made.model("good", ended["ModelArtifacts"]["S3ModelArtifacts"]))
        made.endpoint("good", "good")
        made.in_service("good")
        yield made


def job(aws: ClientsWorld, name: str) -> dict[str, Any]:
    """A training job of that name, on the data in the folder of that name."""
    request = aws.training(name, **HYPERPARAMETERS)
    del request["AlgorithmSpecification"]["MetricDefinitions"]  # a built-in algorithm has its own
    return request | {"InputDataConfig": [{**channel(name), "ChannelName": "train"}]}


def ask(aws: ClientsWorld, body: bytes, **more: str) -> Any:
    return aws.runtime.invoke_endpoint(EndpointName="good", Body=body, **{"ContentType": "text/csv", **more})


BODIES = {
    "header": (HEADER + b"\n" + GOOD, "text/csv", 400, "'feature 0' is not a number"),
    "label last": (GOOD + b",0", "text/csv", 400, "row 1 has 23 features, and the model has 22"),
    "21 features": (GOOD[2:], "text/csv", 400, "row 1 has 21 features, and the model has 22"),
    "text in a number": (b"five" + GOOD[1:], "text/csv", 400, "'five' is not a number"),
    "NaN": (b"NaN" + GOOD[1:], "text/csv", 400, "'NaN' is not a finite"),
    "empty": (b"", "text/csv", 400, "the body is empty"),
    "second row short": (GOOD + b"\n1,1", "text/csv", 400, "row 2"),
    "wrong content type": (GOOD, "text/plain", 415, "'text/plain' not supported"),
    "CSV said to be JSON": (GOOD, "application/json", 400, "it is no application/json"),
}


@pytest.mark.parametrize("bad", BODIES)
def test_bad_body_is_a_model_error_with_the_containers_status_and_reason(aws: ClientsWorld, bad: str) -> None:
    body, kind, status, reason = BODIES[bad]
    with pytest.raises(ClientError) as caught:
        ask(aws, body, ContentType=kind)
    told = caught.value.response
    assert (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert told["OriginalStatusCode"] == status and reason in told["OriginalMessage"]
    assert f'Received client error ({status}) from primary with message "' in told["Message"]
    assert "#logEventViewer:group=/aws/sagemaker/Endpoints/good in account 123456789012" in told["Message"]
    if status == 400:
        assert told["OriginalMessage"].startswith("unable to evaluate payload provided")


def test_ten_megabytes_are_refused_before_the_container_sees_them(aws: ClientsWorld) -> None:
    with pytest.raises(ClientError) as caught:
        ask(aws, (GOOD + b"\n") * (10 * MEBIBYTES // (len(GOOD) + 1)))
    told = caught.value.response
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert told["Error"]["Message"] == "HTTP content length exceeded 6295552 bytes."


def test_request_without_a_signature_or_with_a_false_one_is_refused(aws: ClientsWorld) -> None:
    def status(key: str, secret: str) -> int:
        client = boto3.Session(key, secret, region_name="us-east-1").client(
            "sagemaker-runtime", endpoint_url=f"http://127.0.0.1:{aws.port}"
        )
        with pytest.raises(ClientError) as caught:
            client.invoke_endpoint(EndpointName="good", Body=GOOD, ContentType="text/csv")
        return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])

    assert status("local", "of another account") == 403
    assert status("AKIAUNKNOWN", "local") == 403


def test_endpoint_is_as_good_as_before_after_all_that(aws: ClientsWorld) -> None:
    for body, kind, _, _ in BODIES.values():
        with pytest.raises(ClientError):
            ask(aws, body, ContentType=kind)
        assert b'"predicted_label"' in ask(aws, GOOD)["Body"].read()
    assert aws.status("good") == "InService"


FILES = {
    "header": ([["satisfied", *range(FEATURES)], *surveys()], "row 1, column 1"),
    "label-last": ([[*row[1:], row[0]] for row in surveys()], "label"),
    "21-features": ([row[:-1] for row in surveys()], "21"),
    "text-in-a-number": ([*surveys(), [1, "five", *range(FEATURES - 1)]], "'five' is not a number"),
    "nan": ([*surveys(), [1, "NaN", *range(FEATURES - 1)]], "'NaN' is not a finite"),
    "empty": ([], "empty"),
}


def test_bad_data_fails_its_training_job_as_the_customers_mistake(aws: ClientsWorld) -> None:
    for bad, (rows, _) in FILES.items():
        aws.s3.put_object(Bucket=BUCKET, Key=f"{bad}/rows.csv", Body=text(rows))
        aws.sagemaker.create_training_job(**job(aws, bad))
    told = {bad: aws.ended(bad) for bad in FILES}
    for bad, (_, reason) in FILES.items():
        assert told[bad]["TrainingJobStatus"] == "Failed", bad
        said = told[bad]["FailureReason"]
        assert said.startswith("ClientError: ") and reason in said.lower() + said, (bad, said)
        assert "Traceback" not in said
