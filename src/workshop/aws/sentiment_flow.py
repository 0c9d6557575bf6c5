"""What the tasks of the DAG `sentiment` do, without Airflow: plan, look at the data, judge, publish, roll.

Try it:  python -m pytest tests/fast/test_sentiment_flow.py
Everything is kept below the run's own folder, s3://OUTPUT/runs/RUN/, and read from nowhere else: what another run left
can't pass this one's gate. The ECS tasks themselves are started by airflow/dags/ecs_job.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from workshop.aws import models, objects, stacks, task_definitions
from workshop.aws.session import Aws
from workshop.errors import AwsError, JobError

FAMILY = "jobs-tensorflow"
JOBS = {"train": "train-sentiment", "evaluate": "evaluate-sentiment"}
LAUNCH_TYPES = ("EC2", "FARGATE")
MODEL = "sentiment"
DATA_FOLDER = "sentiment"
METRICS = "metrics.json"
LONGEST_FIGURE = 100  # characters
# Of these stacks outputs are read, as far as they are there; asked for by name, which a narrow role may do.
CONCERNS = ("network", "storage", "cluster", "private-network", "sentiment", "sentiment-service")

Plan = dict[str, Any]


def plan(params: Mapping[str, Any], dag_run_id: str, aws: Aws) -> Plan:
    """Where this run reads, writes and trains: what every later task needs to know, as JSON.

    Errors: AwsError that names every output of a stack that is missing.
    """
    known = outputs(aws)
    need(known, "InputBucket", "OutputBucket", "ModelBucket", "ClusterName")
    run = models.version_of(str(params.get("run") or dag_run_id))
    folder = folder_of(run, known["OutputBucket"])
    made: Plan = {
        "run": run,
        "data": data_address(str(params["dataset"]), known["InputBucket"]),
        "folder": folder,
        "model": f"s3://{known['ModelBucket']}/{MODEL}",
        "threshold": params["threshold"],
        "service": known.get("ServiceName", ""),
        "cluster": known["ClusterName"],
        "place": _place(str(params["launch_type"]), known),
        "container": container(aws),
    }
    learning = {name: params[name] for name in ("layout", "num_epochs", "members", "seed")}
    return {**made, "commands": {job: command(job, made, learning) for job in JOBS}}


def need(known: Mapping[str, str], *names: str) -> None:
    """Errors: AwsError that names every output that no stack has."""
    missing = [name for name in names if name not in known]
    if missing:
        raise AwsError(f"no course stack has the output {', '.join(missing)}", "workshop prepare 5")


def folder_of(run: str, output_bucket: str) -> str:
    """Where a run's results lie, each job's in a folder of its own."""
    return f"s3://{output_bucket}/runs/{models.version_of(run)}"


def outputs(aws: Aws) -> dict[str, str]:
    """The outputs of the stacks that a run may need."""
    found: dict[str, str] = {}
    for concern in CONCERNS:
        stack = stacks.describe(concern, aws)
        if stack and stack["StackStatus"].endswith("_COMPLETE"):
            found |= {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}
    return found


def data_address(dataset: str, input_bucket: str) -> str:
    """Where the data of this name lie in S3; an address is taken as it is."""
    if dataset.startswith("s3://"):
        return dataset
    return f"s3://{input_bucket}/{DATA_FOLDER}/{dataset}.csv"


def container(aws: Aws) -> dict[str, str]:
    """Name and log of the container that jobs run in, read from its task definition's file."""
    definition = task_definitions.read(FAMILY, aws.settings.root)["containerDefinitions"][0]
    log = definition["logConfiguration"]["options"]
    known = outputs(aws)
    group = task_definitions.fill(log["awslogs-group"], known)
    return {"name": definition["name"], "log_group": group, "log_prefix": log["awslogs-stream-prefix"]}


def command(job: str, made: Plan, learning: Mapping[str, Any]) -> list[str]:
    """What the container is told; its entry point is `workshop`."""
    given = {"dataset": made["data"]}
    given |= learning if job == "train" else {"artefact": f"{made['folder']}/train/artefact"}
    pairs = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    return ["run", JOBS[job], *pairs, "--output", f"{made['folder']}/{job}"]


def done_before(job: str, made: Plan, aws: Aws) -> str:
    """Why this job need not run again, or '' if it must.

    A training counts if its artefact is whole, an evaluation if it is of that very artefact.
    Errors: JobError if the run's artefact was trained on other data or otherwise than asked for now.
    """
    s3 = aws.client("s3")
    source = f"{made['folder']}/train/artefact"
    if not models.is_complete(source, s3):
        return ""
    if job == "train":
        _same_request(made, aws)
        return f"the artefact of run {made['run']} is complete at {source}"
    found = metrics_of(made, aws)
    if not found or found.get("artefact_sha256") not in artefact_digests(made, aws):
        return ""
    return f"run {made['run']} has evaluated this very artefact"


def _same_request(made: Plan, aws: Aws) -> None:
    """A run's id stands for one training: asked for again with other parameters, it must not pass for that."""
    record = f"{made['folder']}/train/run.json"
    if not objects.exists(record, aws):
        return
    before = objects.read_json(record, aws).get("parameters", {})
    asked = dict(pair.split("=", 1) for pair in made["commands"]["train"][3::2] if "=" in pair)
    other = [name for name, value in asked.items() if name in before and str(before[name]) != value]
    if other:
        told = ", ".join(f"{name} was {before[name]} and is {asked[name]} now" for name in other)
        raise JobError(f"run {made['run']} was trained otherwise: {told}", "give this run another id")


def artefact_digests(made: Plan, aws: Aws) -> set[str]:
    """SHA-256 of the artefact's metadata and of each of its files."""
    content = models.read_artefact(f"{made['folder']}/train/artefact", aws.client("s3"))
    return {hashlib.sha256(held).hexdigest() for held in content.values()}


def metrics_of(made: Plan, aws: Aws) -> dict[str, Any] | None:
    """What this run's evaluation measured; None if it left nothing that can be read."""
    where = f"{made['folder']}/evaluate/{METRICS}"
    if not objects.exists(where, aws):
        return None
    try:
        found = json.loads(objects.read_bytes(where, aws))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def judge(made: Plan, aws: Aws) -> str:
    """Whether the model may go into service, in one sentence. Errors: Rejected with the reason if it may not.

    A run that has been published is not compared again: by now it is the model that others are compared with.
    """
    s3 = aws.client("s3")
    found = metrics_of(made, aws)
    if found and found.get("artefact_sha256") not in artefact_digests(made, aws):
        raise models.Rejected(
            "the metrics of this run are of another artefact than it would publish",
            "give this run another id, or delete its folder and run it again",
        )
    was_published = models.published(made["model"], made["run"], s3)
    others = None if was_published else models.current(made["model"], s3)
    told = models.gate(found, float(made["threshold"]), others)
    return f"{told.partition(';')[0]}; this run has been published before" if was_published else told


def publish(made: Plan, aws: Aws) -> models.Publication:
    """Put this run's artefact into service; nothing happens for a run that has been published."""
    found = {name: value for name, value in (metrics_of(made, aws) or {}).items() if _is_figure(value)}
    source = f"{made['folder']}/train/artefact"
    return models.publish(source, made["model"], made["run"], found, aws.client("s3"))


def _is_figure(value: Any) -> bool:
    """Numbers and short words: an evaluation also tells texts of the data, which belong into no pointer."""
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= LONGEST_FIGURE)


def roll(made: Plan, say: Callable[[str], Any], aws: Aws) -> str:
    """Replace the service's tasks, which load the published model, and wait; '' if there is no service."""
    if not made["service"]:
        return ""
    from workshop.aws import services

    services.roll(MODEL, on_line=say, aws=aws)
    return str(made["service"])


def _place(launch_type: str, known: Mapping[str, str]) -> Plan:
    """How RunTask is told where: on the cluster's instances, or on Fargate with an address of its own."""
    if launch_type == "EC2":
        provider = known.get("CapacityProviderName")
        strategy = [{"capacityProvider": provider, "weight": 1}] if provider else None
        return {"family": FAMILY, "launch_type": "EC2", "strategy": strategy, "network": None}
    private = known.get("PrivateSubnets", "")
    subnets = (private or known["SubnetIds"]).split(",")
    return {
        "family": FAMILY + task_definitions.FARGATE_SUFFIX,
        "launch_type": "FARGATE",
        "strategy": None,
        "network": {
            "awsvpcConfiguration": {
                "subnets": subnets,
                "securityGroups": [known["TaskSecurityGroupId"]],
                # Without a NAT gateway, the image can be pulled from a public subnet with a public address only.
                "assignPublicIp": "DISABLED" if private else "ENABLED",
            }
        },
    }
