"""How long InvokeEndpoint takes, and how many of it a second there are, beside the same container asked directly.

Try it:  python -m benchmarks invocations
A container that answers at once stands for a model, so what is seen is the way to it: the server's HTTP, the signature,
IAM, the choice of an instance. Client, server and container share this machine's processors. The last row is the
server's own processor time for a request, which other work on the machine changes least.
"""

import asyncio
import json
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from localaws import daemon

REGION = "us-east-1"
IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"  # any that needs no push
REQUESTS, BATCHES, BATCH_ROWS = 2000, 100, 1000
CONNECTIONS = (1, 16)
WANTED_ROWS = {1: 1_000, BATCH_ROWS: 100_000}  # a second
ROW = b"0,0,35,1,0,460,3,4,3,4,2,4,5,5,4,3,4,4,5,5,25,18.0"
SERVER = """
import asyncio, os
BODY = b'{"predictions": [{"score": 0.4, "predicted_label": 0.0}]}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY
class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.waiting = transport, b""
    def data_received(self, data):
        self.waiting += data
        head, end, body = self.waiting.partition(b"\\r\\n\\r\\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0]
        if end and len(body) >= int(length or 0):
            self.waiting = b""
            self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Answering, os.environ["WORKSHOP_BIND_ADDRESS"], 8080)
    await server.serve_forever()
asyncio.run(main())
"""
# The server closes a connection after a thousand requests.
REQUESTS_A_CONNECTION = 900


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio: through InvokeEndpoint beside the container itself."""
    with tempfile.TemporaryDirectory() as folder:
        algorithm = Path(folder) / "algorithm.json"
        config = {
            "Entrypoint": ["python", "-u", "-c", SERVER],
            "Labels": {"workshop.environment": "workshop"},
        }
        algorithm.write_text(
            json.dumps({"name": "nothing", "config": config, "dockerfile": "", "context": ""})
        )
        running = daemon.start(
            Path(folder) / "state",
            _free_port(),
            REGION,
            "process",
            environments={"workshop": Path(sys.prefix)},
            algorithms={"linear-learner": algorithm},
        )
        try:
            _furnish(running.endpoint)
            return _rows(running.endpoint, psutil.Process(running.pid))
        finally:
            daemon.stop(Path(folder) / "state")


def _furnish(endpoint: str) -> None:
    session = boto3.Session("local", "local", region_name=REGION)
    iam, sagemaker = (session.client(name, endpoint_url=endpoint) for name in ("iam", "sagemaker"))
    principal = {"Service": "sagemaker.amazonaws.com"}
    trust = {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    sagemaker.create_model(ModelName="bench", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE})
    variant = {"VariantName": "v", "ModelName": "bench", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="bench", ProductionVariants=[{**variant, "InstanceType": "ml.m5.large"}]
    )
    sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="bench", WaiterConfig={"Delay": 0.2, "MaxAttempts": 200})


def _rows(endpoint: str, server: psutil.Process) -> list[dict[str, Any]]:
    port = int(endpoint.rpartition(":")[2])
    one, many = (_signed(endpoint, b"\n".join([ROW] * count)) for count in (1, BATCH_ROWS))
    asyncio.run(_ask(("127.0.0.1", port), one, 1, 100))
    container = next(
        each.raddr for each in server.net_connections("tcp") if each.raddr and each.raddr.port == 8080
    )
    straight = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ROW), ROW)
    rows, used = [], 0.0
    for connections in CONNECTIONS:
        direct, direct_seconds = asyncio.run(_ask(tuple(container), straight, connections, REQUESTS))
        before = _processor_seconds(server)
        times, seconds = asyncio.run(_ask(("127.0.0.1", port), one, connections, REQUESTS))
        used += _processor_seconds(server) - before
        for percent in (50, 99):
            ours, theirs = _percentile(times, percent), _percentile(direct, percent)
            against = f"directly {theirs:.2f}"
            rows.append(_row(f"p{percent} at {connections} connections", ours, "ms", against, theirs / ours))
        rate, direct_rate = REQUESTS / seconds, REQUESTS / direct_seconds
        against = f"directly {direct_rate:.0f}, wanted {WANTED_ROWS[1]} rows"
        name = f"invocations of one row at {connections} connections"
        rows.append(_row(name, rate, "1/s", against, rate / direct_rate))
    _, seconds = asyncio.run(_ask(("127.0.0.1", port), many, 1, BATCHES))
    rate, wanted = BATCHES * BATCH_ROWS / seconds, WANTED_ROWS[BATCH_ROWS]
    rows.append(_row("rows in invocations of 1,000", rate, "1/s", f"wanted {wanted}", rate / wanted))
    milliseconds = used / (REQUESTS * len(CONNECTIONS)) * 1e3
    against = f"{1e3 / milliseconds:.0f} invocations a second of one processor"
    rows.append(_row("processor time of an invocation in the server", milliseconds, "ms", against, 0))
    return rows


async def _ask(
    address: tuple[str, int], request: bytes, connections: int, total: int
) -> tuple[list[float], float]:
    """Milliseconds of each request, and seconds that all of them took."""
    times: list[float] = []
    left = iter(range(total))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(*address)
        for count, _ in enumerate(left, 1):
            if not count % REQUESTS_A_CONNECTION:
                writer.close()
                reader, writer = await asyncio.open_connection(*address)
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if head.split(b" ", 2)[1] != b"200":
                raise RuntimeError(f"not answered: {head.decode()}")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            times.append((time.perf_counter() - began) * 1e3)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return times, time.perf_counter() - began


def _signed(endpoint: str, body: bytes) -> bytes:
    """A whole request, signed once: the signature is good for some minutes."""
    path, host = "/endpoints/bench/invocations", endpoint.removeprefix("http://")
    request = AWSRequest("POST", endpoint + path, data=body, headers={"Content-Type": "text/csv"})
    credentials = boto3.Session("local", "local").get_credentials()
    SigV4Auth(credentials, "sagemaker", REGION).add_auth(request)
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _row(name: str, value: float, unit: str, against: str, ratio: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "against": against,
        "ratio": round(ratio, 2),
    }


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
