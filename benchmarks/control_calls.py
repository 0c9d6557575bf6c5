"""Control calls of the local AWS beside moto's server: start-up, and the time of a call as a client sees it.

Try it:  python -m benchmarks.control_calls
Both servers run as processes of their own on free ports; each call is made through boto3, one after another.
Where no `moto_server` is in its environment or on PATH, ours is measured alone and the rows say why.
"""

import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import boto3

from localaws import daemon

CALLS = 200
WARM_UP_CALLS = 10
STARTS = 3
NO_MOTO = "moto is not installed"
TEMPLATE = "Resources: {Topic: {Type: AWS::SNS::Topic}}"

Clients = Callable[[str], Any]


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio: how many times faster ours is; above 1 is better."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        start_seconds, ours = _ours(Path(folder))
    moto_seconds, moto = _moto()
    rows.append(_row("start until it answers", start_seconds * 1000, moto_seconds and moto_seconds * 1000))
    for name, times in ours.items():
        for percent in (50, 99):
            against = _percentile(moto[name], percent) if moto else None
            rows.append(_row(f"{name} p{percent}", _percentile(times, percent), against))
    return rows


def _row(name: str, value: float, against: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": "ms"}
    if against is None:
        return {**row, "against": f"skipped: {NO_MOTO}", "ratio": None}
    return {**row, "against": f"moto {against:.3f}", "ratio": round(against / value, 2)}


def _ours(folder: Path) -> tuple[float, dict[str, list[float]]]:
    """Seconds until ready (median), and milliseconds of each call by its name."""
    starts = []
    for number in range(STARTS):
        began = time.perf_counter()
        running = daemon.start(folder / str(number), _free_port())
        starts.append(time.perf_counter() - began)
        if number < STARTS - 1:
            daemon.stop(folder / str(number))
    try:
        return statistics.median(starts), _time_calls(_clients(running.endpoint))
    finally:
        daemon.stop(folder / str(STARTS - 1))


def _moto() -> tuple[float | None, dict[str, list[float]]]:
    beside = Path(__file__).parents[1] / ".venvs/moto/bin/moto_server"
    program = str(beside) if beside.exists() else shutil.which("moto_server")
    if program is None:
        return None, {}
    port = _free_port()
    began = time.perf_counter()
    with _process([program, "-H", "127.0.0.1", "-p", str(port)]) as process:
        _wait_for_port(port, process)
        seconds = time.perf_counter() - began
        return seconds, _time_calls(_clients(f"http://127.0.0.1:{port}"))


def _time_calls(clients: Clients) -> dict[str, list[float]]:
    """Milliseconds of each of CALLS calls, after some that don't count."""
    times = {}
    for name, call in _calls(clients):
        times[name] = [_timed(call) for _ in range(WARM_UP_CALLS + CALLS)][WARM_UP_CALLS:]
    return times


def _calls(clients: Clients) -> Iterator[tuple[str, Callable[[], Any]]]:
    s3, ecs, cloudformation = clients("s3"), clients("ecs"), clients("cloudformation")
    ec2, iam, logs = clients("ec2"), clients("iam"), clients("logs")
    numbers, body = count(), b"x" * 10_240
    s3.create_bucket(Bucket="bench")
    s3.put_object(Bucket="bench", Key="read", Body=body)
    ecs.create_cluster(clusterName="bench")
    cloudformation.create_stack(StackName="bench", TemplateBody=TEMPLATE)
    logs.create_log_group(logGroupName="bench")
    yield "create_bucket", lambda: s3.create_bucket(Bucket=f"bench-{next(numbers)}")
    yield "put_object 10 KB", lambda: s3.put_object(Bucket="bench", Key=f"{next(numbers)}", Body=body)
    yield "get_object 10 KB", lambda: s3.get_object(Bucket="bench", Key="read")
    yield "describe_clusters", lambda: ecs.describe_clusters(clusters=["bench"])
    yield "describe_stacks", lambda: cloudformation.describe_stacks(StackName="bench")
    yield "describe_vpcs", lambda: ec2.describe_vpcs()
    yield "list_roles", lambda: iam.list_roles()
    yield "describe_log_groups", lambda: logs.describe_log_groups(logGroupNamePrefix="bench")


def _timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    answer = call()
    if isinstance(answer, dict) and "Body" in answer:
        answer["Body"].read()
    return (time.perf_counter() - began) * 1000


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def _clients(endpoint: str) -> Clients:
    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1")
    client: Any = session.client
    return lambda service: client(service, endpoint_url=endpoint)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int, process: "subprocess.Popen[bytes]", timeout_seconds: float = 30) -> None:
    ends = time.perf_counter() + timeout_seconds
    while time.perf_counter() < ends and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError("moto's server did not come up")


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']:28} {row['value']:9.3f} ms {row['against']:>24}   {row['ratio'] or ''}")
