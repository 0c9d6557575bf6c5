"""Models' containers that answer as no server should, and callers that send what none should: each gets its own error,
the endpoint goes on, and nobody else waits."""

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from ecs_world import wait_until
from hosting_world import BUCKET, HostingWorld, hosting

from localaws.sagemaker.hosting import PING_TIMEOUT_SECONDS, pings

# Answers /ping; to an invocation, the bytes that its body is (as Latin-1 of JSON), then what its `then` says.
SERVER = """
import json, os, signal, socket, threading, time
signal.signal(signal.SIGTERM, lambda *given: os._exit(0))
def read(connection):
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        got = connection.recv(65536)
        if not got: raise SystemExit
        data += got
    head, _, body = data.partition(b"\\r\\n\\r\\n")
    length = next((int(l.split(b":")[1]) for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head, body
def serve(connection):
    while True:
        head, body = read(connection)
        if head.startswith(b"GET /ping"):
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            continue
        if head.startswith(b"GET /execution-parameters"):
            said = os.environ.get("PARAMETERS", "{}").encode()
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(said) + said)
            continue
        asked = json.loads(body)
        connection.sendall(asked["say"].encode("latin-1"))
        if asked.get("then") == "endless":
            while True: connection.sendall(b"x" * 1000000)
        if asked.get("then") == "silence": time.sleep(600)
        if asked.get("then") == "close": return connection.close()
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind((os.environ.get("WORKSHOP_BIND_ADDRESS") or "0.0.0.0", 8080))
listening.listen(128)
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""
OK = "HTTP/1.1 200 OK\r\n"
GOOD = f"{OK}Content-Type: text/plain\r\nContent-Length: 4\r\n\r\ngood"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingWorld]:
    with hosting(tmp_path_factory.mktemp("serving")) as made:
        made.runtime = boto3.Session("local", "local", region_name="us-east-1").client(
            "sagemaker-runtime",
            endpoint_url=f"http://127.0.0.1:{made.port}",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=70),
        )
        made.image = made.push("evil", Entrypoint=["python", "-u", "-c", SERVER])
        made.evil = made.endpoint()
        yield made


def ask(aws: HostingWorld, say: str, then: str = "", **more: Any) -> dict[str, Any]:
    body = json.dumps({"say": say, "then": then})
    found: dict[str, Any] = aws.runtime.invoke_endpoint(EndpointName=aws.evil, Body=body, **more)
    return found


ANSWERS = {
    "nothing": ("", "close"),
    "garbage": ("garbage\r\n\r\n" * 10, "close"),
    "no status": ("HTTP/1.1 \r\n\r\n", "close"),
    "huge status": ("HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n", "close"),
    "half a body": (OK + "Content-Length: 100\r\n\r\nhalf", "close"),
    "bad length": (OK + "Content-Length: -1\r\n\r\n", "close"),
    "two lengths": (OK + "Content-Length: 1\r\nContent-Length: 20\r\n\r\nxx", "close"),
    "bad chunk": (OK + "Transfer-Encoding: chunked\r\n\r\nzz\r\nxx", "close"),
    "huge header": (OK + "X: " + "x" * 1_000_000 + "\r\nContent-Length: 0\r\n\r\n", "close"),
    "many headers": (OK + "X: y\r\n" * 50_000 + "Content-Length: 0\r\n\r\n", "close"),
    "redirect": ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", ""),
    "upgrade": ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "close"),
    "endless": (OK + "\r\n", "endless"),
    "endless error": ("HTTP/1.1 500 No\r\n\r\n", "endless"),
    "large": (OK + "Content-Length: 7000000\r\n\r\n", "endless"),
}


@pytest.mark.parametrize("how", ANSWERS)
def test_answer_that_is_none_is_a_model_error(aws: HostingWorld, how: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(aws, *ANSWERS[how])
    assert caught.value.response["Error"]["Code"] == "ModelError", caught.value
    assert ask(aws, GOOD)["Body"].read() == b"good"


HEADERS = {
    "not UTF-8": "Content-Type: text/plain; x=\xff\xfe",
    "control": "Content-Type: text/plain\x01\x7f",
    "folded": "Content-Type: text/plain\r\n Set-Cookie: a=b",
    "attributes": "X-Amzn-SageMaker-Custom-Attributes: \xe4\xff",
    "long": "X-Amzn-SageMaker-Custom-Attributes: " + "x" * 8000,
    "hop by hop": "Connection: close\r\nTransfer-Encoding: identity\r\nKeep-Alive: 5",
    "ours": "x-amzn-RequestId: theirs\r\nAccess-Control-Allow-Origin: *\r\nSet-Cookie: a=b\r\n"
    "x-Amzn-Invoked-Production-Variant: theirs",
}


@pytest.mark.parametrize("how", HEADERS)
def test_headers_of_a_container_do_no_harm(aws: HostingWorld, how: str) -> None:
    try:
        found = ask(aws, f"{OK}{HEADERS[how]}\r\nContent-Length: 4\r\n\r\ngood", "close")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ModelError", error
        return
    assert found["Body"].read() == b"good"
    headers = found["ResponseMetadata"]["HTTPHeaders"]
    assert "set-cookie" not in headers and "keep-alive" not in headers
    assert headers.get("x-amzn-requestid") != "theirs"
    assert found["InvokedProductionVariant"] == "AllTraffic"


def test_container_that_answers_its_ping_letter_by_letter_is_not_well(aws: HostingWorld) -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def trickle() -> None:
        connection, _ = listening.accept()
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    threading.Thread(target=trickle, daemon=True).start()
    began = time.monotonic()
    assert not pings(listening.getsockname())
    assert time.monotonic() - began < PING_TIMEOUT_SECONDS + 1
    listening.close()


def transformed(
    aws: HostingWorld, parameters: Any, say: str, then: str, key: str = "a.json"
) -> tuple[dict[str, Any], list[str]]:
    """A batch transform of one object by a container that says this of itself, and answers so; its outputs."""
    name = f"job-{uuid.uuid4().hex[:8]}"
    aws.s3.put_object(
        Bucket=BUCKET, Key=f"{name}/{key}", Body=json.dumps({"say": say, "then": then}).encode()
    )
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}}
    aws.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=aws.model(PARAMETERS=json.dumps(parameters)),
        TransformInput={"DataSource": source},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{name}-out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        ModelClientConfig={"InvocationsMaxRetries": 0},
    )

    def job() -> dict[str, Any]:
        found: dict[str, Any] = aws.sagemaker.describe_transform_job(TransformJobName=name)
        return found

    wait_until(lambda: job()["TransformJobStatus"] in ("Completed", "Failed", "Stopped"))
    listed = aws.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{name}-out/").get("Contents", [])
    return job(), [each["Key"].removeprefix(f"{name}-out/") for each in listed]


@pytest.mark.parametrize("wants", [-1, 10**9, "many", None, [1], 2.5])
def test_batch_transform_takes_no_nonsense_from_a_container(aws: HostingWorld, wants: Any) -> None:
    parameters = {"MaxConcurrentTransforms": wants, "MaxPayloadInMB": wants, "BatchStrategy": wants}
    assert transformed(aws, parameters, GOOD, "")[0]["TransformJobStatus"] == "Completed"


def test_batch_transform_of_an_answer_without_end_fails_and_the_server_stays_small(aws: HostingWorld) -> None:
    job, _ = transformed(aws, {}, OK + "\r\n", "endless")
    assert job["TransformJobStatus"] == "Failed"
    assert psutil.Process(aws.process.pid).memory_info().rss < 1_500_000_000  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["../up", "a/../../b", "new\nline", "sch\u00f6n \u96ea", " ", "/absolute"])
def test_objects_of_any_name_stay_in_their_place(aws: HostingWorld, key: str) -> None:
    """An object's name is its output's in S3, and no path of this machine; AWS refuses empty names between slashes."""
    job, made = transformed(aws, {}, GOOD, "", key)
    if key == "/absolute":
        assert job["TransformJobStatus"] == "Failed" and made == []
    else:
        assert (job["TransformJobStatus"], made) == ("Completed", [f"{key}.out"])
