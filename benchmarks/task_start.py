"""From RunTask to a task's first log line, beside the same command started by hand.

Try it:  python -m benchmarks.task_start
Both sides start the same program on this machine in one run, taking turns. By ECS the time ends when the
line can be read from CloudWatch Logs, by hand when it is read from the pipe; the difference is what ECS and
the engine add.
"""

import hashlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from localaws import daemon

RUNS = 20
PATIENCE_SECONDS = 30
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = {
    "Labels": {"workshop.environment": "workshop"},
    "Entrypoint": ["python", "-u", "-c"],
    "WorkingDir": "/w",
}
CODE = "print('up')"
LOGS = {"awslogs-group": "/bench", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t"}

Clients = Callable[[str], Any]


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio: by hand over by ECS, so 1 would be no cost."""
    with tempfile.TemporaryDirectory() as folder:
        running = daemon.start(
            Path(folder), _free_port(), engine="process", environments={"workshop": Path(sys.prefix)}
        )
        try:
            clients = _clients(running.endpoint)
            _furnish(clients, running.endpoint)
            pairs = [(_by_ecs(clients), _by_hand()) for _ in range(RUNS + 1)][1:]
        finally:
            daemon.stop(Path(folder))
    ecs, hand = ([pair[side] * 1000 for pair in pairs] for side in (0, 1))
    rows = []
    for name, pick in (("median", statistics.median), ("slowest", max)):
        ours, theirs = pick(ecs), pick(hand)
        rows.append(_row(f"RunTask to first log line, {name}", ours, f"by hand {theirs:.1f}", theirs / ours))
    added = statistics.median(one - other for one, other in zip(ecs, hand, strict=True))
    rows.append(_row("added by ECS and the engine, median", added, "allowed 500", 500 / added))
    return rows


def _row(name: str, milliseconds: float, against: str, ratio: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(milliseconds, 1),
        "unit": "ms",
        "against": against,
        "ratio": round(ratio, 2),
    }


def _by_hand() -> float:
    began = time.perf_counter()
    command = [str(Path(sys.prefix) / "bin" / "python"), "-u", "-c", CODE]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        return time.perf_counter() - began


def _by_ecs(clients: Clients) -> float:
    ecs, logs = clients("ecs"), clients("logs")
    began = time.perf_counter()
    task = ecs.run_task(cluster="bench", taskDefinition="bench", launchType="FARGATE")["tasks"][0]
    stream = f"t/app/{task['taskArn'].rpartition('/')[2]}"
    while time.perf_counter() < began + PATIENCE_SECONDS:
        try:
            if logs.get_log_events(logGroupName="/bench", logStreamName=stream)["events"]:
                return time.perf_counter() - began
        except logs.exceptions.ResourceNotFoundException:
            continue  # the stream comes with the container
    raise RuntimeError(
        f"the task wrote no line: {ecs.describe_tasks(cluster='bench', tasks=[task['taskArn']])}"
    )


def _furnish(clients: Clients, endpoint: str) -> None:
    clients("ecr").create_repository(repositoryName="bench")
    clients("logs").create_log_group(logGroupName="/bench")
    clients("ecs").create_cluster(clusterName="bench")
    container = {
        "name": "app",
        "image": _push(f"{endpoint}/v2/bench/"),
        "memory": 256,
        "command": [CODE],
        "logConfiguration": {"logDriver": "awslogs", "options": LOGS},
    }
    clients("ecs").register_task_definition(family="bench", containerDefinitions=[container])


def _push(base: str) -> str:
    """Push an image that has a configuration and no layer, as `docker push` would."""
    blob = json.dumps({"architecture": "amd64", "os": "linux", "config": CONFIG}).encode()
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    with urllib.request.urlopen(urllib.request.Request(base + "blobs/uploads/", method="POST")) as answer:
        place = urllib.parse.urljoin(base, answer.headers["Location"])
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": digest, "size": len(blob)}}
    _put(f"{place}?digest={digest}", blob, "application/octet-stream")
    _put(base + "manifests/latest", json.dumps(manifest | {"layers": []}).encode(), MANIFEST)
    return "123456789012.dkr.ecr.us-east-1.amazonaws.com/bench:latest"


def _put(url: str, body: bytes, kind: str) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="PUT")
    urllib.request.urlopen(request).close()


def _clients(endpoint: str) -> Clients:
    session: Any = boto3.Session(
        aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1"
    )
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, endpoint_url=endpoint)
        return made[service]

    return client


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']:40} {row['value']:8.1f} {row['unit']}   {row['against']:>16}   {row['ratio']}")
