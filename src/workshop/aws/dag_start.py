"""What a learner's own rights are needed for before a DAG runs: task definitions, data in S3, a role's credentials.

Try it:  workshop dag sentiment
The DAG may neither register task definitions nor write data: what it trains on and in is what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workshop.aws import assumed, objects, sentiment_flow, session, stacks, task_definitions
from workshop.aws.failures import explained
from workshop.aws.session import Aws


@dataclass(frozen=True)
class Start:
    """What Airflow gets, and where the run's results go. endpoint: of the local AWS, None on AWS."""

    credentials: Mapping[str, str] = field(repr=False)
    endpoint: str | None
    output: str


def make_ready(given: Mapping[str, Any], role_output: str, aws: Aws | None = None) -> Start:
    """Register what the jobs run in and take on the role.

    Errors: AwsError with the remedy if a stack or the role are missing.
    """
    aws = aws or session.current()
    known = stacks.outputs(None, aws)
    sentiment_flow.need(known, "InputBucket", "ModelBucket", "ClusterName", role_output)
    on_fargate = given.get("launch_type") == "FARGATE"
    task_definitions.register(sentiment_flow.FAMILY, aws=aws, on_fargate=on_fargate)
    credentials = assumed.variables(role_output, f"airflow-{given['run']}", aws)
    return Start(
        credentials, aws.endpoint, sentiment_flow.folder_of(str(given["run"]), known["OutputBucket"])
    )


def make_ready_for_all(role_output: str, aws: Aws | None = None) -> Start:
    """As for one run, whatever its parameters: for Airflow's own scheduler, which starts runs by itself."""
    for launch_type in sentiment_flow.LAUNCH_TYPES:
        started = make_ready({"run": "scheduler", "launch_type": launch_type}, role_output, aws)
    return started


def upload(name: str, content: bytes, aws: Aws | None = None) -> str:
    """Put the CSV of a dataset where the DAG reads it, and return the address; nothing is sent that is there."""
    aws = aws or session.current()
    address = sentiment_flow.data_address(name, stacks.output("InputBucket", aws))
    if not objects.exists(address, aws) or objects.read_bytes(address, aws) != content:
        objects.write_bytes(address, content, aws)
    return address


def keep(record: Mapping[str, Any], output: str, aws: Aws | None = None) -> str:
    """Keep how a run went beside its results: OUTPUT/dag.json, and if it was run again, OUTPUT/again-2/dag.json."""
    aws = aws or session.current()
    before = sum(entry.uri.endswith("/dag.json") for entry in objects.list(f"{output}/", aws))
    folder = f"{output}/again-{before + 1}" if before else output
    return objects.write_json(f"{folder}/dag.json", dict(record), aws)


def stop(arn: str, cluster: str, aws: Aws | None = None) -> None:
    """Stop an ECS task whose DAG run has ended; one that has stopped stays as it is."""
    aws = aws or session.current()
    with explained(f"stop task {arn.rpartition('/')[2]}"):
        aws.client("ecs").stop_task(cluster=cluster, task=arn, reason="its DAG run was ended")
