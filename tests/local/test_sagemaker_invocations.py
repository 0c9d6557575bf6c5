"""InvokeEndpoint: what passes in both directions, errors in AWS's words, limits, variants, metrics."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError
from ecs_world import wait_until
from hosting_world import HostingWorld, hosting

MOST_BYTES = 6_291_456
METRIC_SECONDS = 1.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingWorld]:
    made = HostingWorld(tmp_path_factory.mktemp("invocations"))
    made.options = ["--metric-seconds", str(METRIC_SECONDS)]
    with hosting(made) as furnished:
        yield furnished


@pytest.fixture(scope="module")
def name(aws: HostingWorld) -> str:
    return aws.endpoint()


def failure(call: Callable[..., Any], *given: Any, **more: Any) -> dict[str, Any]:
    """The answer of an invocation that must fail."""
    with pytest.raises(ClientError) as caught:
        call(*given, **more)
    return dict(caught.value.response)


def test_a_body_passes_as_bytes_in_both_directions(aws: HostingWorld, name: str) -> None:
    body = bytes(range(256)) * 1000
    answer = aws.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/x-bytes")
    assert answer["Body"].read() == body
    assert answer["ContentType"] == "application/x-bytes"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


@pytest.mark.parametrize("kind", ["application/json", "text/xml", "application/jsonlines; charset=utf-8"])
def test_an_answer_keeps_the_type_that_the_container_gave_it(aws: HostingWorld, name: str, kind: str) -> None:
    answer = aws.runtime.invoke_endpoint(EndpointName=name, Body="{}", ContentType=kind)
    assert answer["ContentType"] == answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == kind
    found = failure(aws.invoke, "missing")["ResponseMetadata"]["HTTPHeaders"]
    assert found["content-type"] == "application/json"


def test_the_container_sees_the_headers_of_the_api_and_no_others(aws: HostingWorld, name: str) -> None:
    answer = aws.runtime.invoke_endpoint(
        EndpointName=name,
        Body="headers",
        ContentType="text/csv",
        Accept="application/jsonlines",
        CustomAttributes="trace=1",
        InferenceId="mine",
    )
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/jsonlines", "seen trace=1")
    seen = json.loads(answer["Body"].read())
    seen.pop("host")
    assert seen == {
        "content-type": "text/csv",
        "accept": "application/jsonlines",
        "content-length": "7",
        "x-amzn-sagemaker-custom-attributes": "trace=1",
        "x-amzn-sagemaker-inference-id": "mine",
    }


@pytest.mark.parametrize(
    ("code", "whose"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")]
)
def test_a_containers_error_is_a_model_error_that_tells_it(
    aws: HostingWorld, name: str, code: int, whose: str
) -> None:
    found = failure(aws.invoke, name, f"status {code} bad row")
    console = (
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:group="
    )
    group = f"/aws/sagemaker/Endpoints/{name}"
    assert found["Error"] == {
        "Code": "ModelError",
        "Message": f'Received {whose} error ({code}) from primary with message "bad row". See {console}{group} in '
        "account 123456789012 for more information.",
    }
    assert (found["OriginalStatusCode"], found["OriginalMessage"]) == (code, "bad row")
    assert found["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_an_error_whose_text_is_none_is_told_without_it(aws: HostingWorld, name: str) -> None:
    found = failure(aws.invoke, name, "status 500 \xff\xfe".encode("latin-1"))
    assert "(500) from primary and could not load the entire response body. See" in found["Error"]["Message"]


@pytest.mark.parametrize("command", ["close", "die"])
def test_a_container_that_ends_without_an_answer_is_a_model_error_without_a_status(
    aws: HostingWorld, command: str
) -> None:
    name = aws.endpoint()
    found = failure(aws.invoke, name, command)
    assert found["OriginalStatusCode"] == 0
    assert found["OriginalMessage"].startswith(f"Amazon SageMaker could not get a response from the {name}")


def test_the_largest_body_passes_and_one_byte_more_does_not(aws: HostingWorld, name: str) -> None:
    body = b"bytes " + b"x" * (MOST_BYTES - 6)
    assert aws.runtime.invoke_endpoint(EndpointName=name, Body=body)["Body"].read()
    found = failure(aws.runtime.invoke_endpoint, EndpointName=name, Body=body + b"x")
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_empty_body_reaches_the_container(aws: HostingWorld, name: str) -> None:
    assert aws.invoke(name, b"") == ""


def test_an_endpoint_that_is_not_there_is_not_found(aws: HostingWorld) -> None:
    found = failure(aws.invoke, "missing")
    assert found["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint missing of account 123456789012 not found.",
    }
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_endpoint_is_found_in_any_case_of_letters_and_in_its_own_region_alone(
    aws: HostingWorld, name: str
) -> None:
    assert aws.invoke(name.upper(), "echo") == "echo"
    session = boto3.Session("local", "local", region_name="eu-west-1")
    there = session.client("sagemaker-runtime", endpoint_url=f"http://127.0.0.1:{aws.port}")
    assert (
        failure(there.invoke_endpoint, EndpointName=name, Body="echo")["Error"]["Code"] == "ValidationError"
    )


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"TargetVariant": "other"}, "ValidationError", "other"),
        ({"TargetModel": "a.tar.gz"}, "ValidationError", "is not a multi-model endpoint"),
        ({"TargetContainerHostname": "second"}, "UnsupportedOperation", "several containers"),
        ({"InferenceComponentName": "part"}, "UnsupportedOperation", "inference components"),
        ({"SessionId": "NEW_SESSION"}, "UnsupportedOperation", "sessions"),
    ],
)
def test_what_an_endpoint_does_not_have_is_refused_by_name(
    aws: HostingWorld, name: str, more: dict[str, str], code: str, word: str
) -> None:
    error = failure(aws.invoke, name, "echo", **more)["Error"]
    assert (error["Code"], word in error["Message"]) == (code, True)


def test_asynchronous_and_streamed_invocations_are_refused_by_name(aws: HostingWorld, name: str) -> None:
    for call, given in (
        (aws.runtime.invoke_endpoint_async, {"InputLocation": "s3://models/x"}),
        (aws.runtime.invoke_endpoint_with_response_stream, {"Body": b"x"}),
    ):
        assert failure(call, EndpointName=name, **given)["Error"]["Code"] == "UnsupportedOperation"


def test_variants_get_their_share_of_invocations_and_whoever_names_one_gets_it(aws: HostingWorld) -> None:
    name = aws.endpoint(
        {"VariantName": "three", "ModelName": aws.model("three"), "InitialVariantWeight": 3},
        {"VariantName": "one", "ModelName": aws.model("one"), "InitialVariantWeight": 1},
    )
    counts = Counter(aws.invoke(name, "model") for _ in range(200))
    assert 110 < counts["three"] < 185  # 150 expected; less likely than one in a million to be outside
    for variant in ("three", "one"):
        answer = aws.runtime.invoke_endpoint(EndpointName=name, Body="model", TargetVariant=variant)
        assert answer["Body"].read().decode() == answer["InvokedProductionVariant"] == variant


def test_invocations_of_one_endpoint_do_not_wait_for_each_other(aws: HostingWorld, name: str) -> None:
    slow = threading.Thread(target=aws.invoke, args=(name, "sleep 3"))
    before = len(aws.lines(name))
    slow.start()
    wait_until(lambda: len(aws.lines(name)) > before)
    for _ in range(20):
        assert aws.invoke(name, "echo") == "echo"
    assert slow.is_alive()
    slow.join()


def test_metrics_of_invocations_and_of_containers_are_there_a_minute_later(aws: HostingWorld) -> None:
    name = aws.endpoint({"VariantName": "v", "InitialInstanceCount": 2})
    for body in ("echo", "echo", "status 400 no", "status 500 no"):
        try:
            aws.invoke(name, body)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ModelError"
    cloudwatch = aws.client("cloudwatch")
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "v"}]

    def metric(metric_name: str, statistic: str, namespace: str = "AWS/SageMaker") -> list[float]:
        found = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric_name,
            Dimensions=dimensions,
            StartTime=0,
            EndTime=4e9,
            Period=60,
            Statistics=[statistic],
        )
        return [each[statistic] for each in found["Datapoints"]]

    wait_until(lambda: sum(metric("Invocations", "Sum")) == 4)
    assert sum(metric("Invocation4XXErrors", "Sum")) == 1
    assert sum(metric("Invocation5XXErrors", "Sum")) == 1
    assert sum(metric("InvocationModelErrors", "Sum")) == 2
    assert sum(metric("InvocationsPerInstance", "Sum")) == 2
    assert all(100 < each < 1e6 for each in metric("ModelLatency", "Average"))  # microseconds
    assert all(0 < each < 1e6 for each in metric("OverheadLatency", "Average"))
    wait_until(lambda: metric("MemoryUtilization", "Average", "/aws/sagemaker/Endpoints"))
    wait_until(lambda: metric("CPUUtilization", "Average", "/aws/sagemaker/Endpoints"))


def test_connections_to_containers_are_kept(aws: HostingWorld, name: str) -> None:
    """A new connection for each would be seen as a new port of ours."""
    host = json.loads(aws.invoke(name, "headers"))["host"].partition(":")[0]
    assert aws.process

    def ours() -> set[int]:
        connections = psutil.Process(aws.process.pid).net_connections("tcp")
        return {each.laddr.port for each in connections if each.raddr and each.raddr.ip == host}

    seen: set[int] = set()
    for _ in range(20):
        aws.invoke(name, "echo")
        seen |= ours()
    assert len(seen) <= 2
