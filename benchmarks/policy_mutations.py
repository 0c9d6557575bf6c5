"""Every right of every policy, taken out alone: what of the course fails then? Written to policy_mutations.md.

Try it:  python -m benchmarks policy_mutations      (runs labs 1 to 4, a few minutes)
The course runs once, as a learner, with IAM enforced and its decisions recorded: labs 1 to 4, then what is
beside their main road (GPUs on Spot, a shell, a refused deployment, an unfinished upload), then the clean-up.
Replaying needs no course: `_policy_replay`. What only AWS itself needs is in `_policy_reasons`, each with its page.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._policy_replay import Document, Findings, Holder, Recording, Window, judge
from benchmarks._policy_report import LEARNER, LEARNER_ROLE, markdown, unexplained

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_suffix(".md")
BOUNDARY = "boundary"
SHELL_SECONDS = 90
LOOK = (
    "python -c \"import os, boto3; s3 = boto3.client('s3'); "
    "pictures = s3.list_objects_v2(Bucket='{inputs}'); "
    "results = s3.list_objects_v2(Bucket='{outputs}', Prefix='runs/'); "
    "[s3.get_object(Bucket=page['Name'], Key=page['Contents'][0]['Key']) for page in (pictures, results)]\""
)


def measure() -> list[dict[str, Any]]:
    """Run the course, judge its policies, write the table; rows for the benchmarks' own table."""
    with tempfile.TemporaryDirectory() as folder:
        recording, holders = _course(Path(folder))
        findings, lines = report(recording, holders)
    RESULTS.write_text("\n".join(lines) + "\n")
    failed = unexplained(findings)
    if failed:
        raise AssertionError(f"spare rights: {', '.join(map(str, failed))}")
    total = len(findings.needed) + len(findings.spare)
    return [
        {"name": "rights in the policies", "value": total, "unit": "rights"},
        {"name": "without which something fails here", "value": len(findings.needed), "unit": "rights"},
        {"name": "that only AWS itself needs", "value": len(findings.spare), "unit": "rights"},
    ]


def report(recording: Recording, holders: list[Holder]) -> tuple[Findings, list[str]]:
    """Judge, and say it in Markdown."""
    findings = judge(recording, holders, BOUNDARY)
    return findings, list(markdown(findings, holders, recording))


def learner(root: Path = ROOT) -> Holder:
    """The learner's role with the policy in the repository."""
    document = json.loads((root / "cloudformation" / "learner-policy.json").read_text())
    return Holder(LEARNER_ROLE, {LEARNER: document})


def roles(aws: Any) -> list[Holder]:
    """The roles that the course's stacks have made, with their policies as they are now."""
    iam, found = aws.client("iam"), []
    boundary = json.loads((aws.settings.root / "cloudformation" / "boundary-policy.json").read_text())
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            name = role["RoleName"]
            if not name.startswith(f"{aws.name}-") or name == LEARNER_ROLE:
                continue
            policies: dict[str, Document] = {}
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                answer = iam.get_role_policy(RoleName=name, PolicyName=policy)
                policies[f"{_logical(name)}/{policy}"] = answer["PolicyDocument"]
            found.append(Holder(name, policies, boundary))
    return found


def beside_the_labs(aws: Any) -> Iterator[Window]:
    """What labs 1 to 4 do only on other machines, or when something goes wrong; the roles must still be there."""
    for name, step in (
        ("a shell in a task", _shells),
        ("a cluster of GPUs on Spot", _gpus_on_spot),
        ("a refused deployment", _refused),
        ("an upload that broke off", _unfinished_upload),
    ):
        yield _timed(name, lambda step=step: step(aws))


def clean(aws: Any) -> Window:
    """The clean-up, as `workshop clean --all` does it."""
    from workshop.aws import cleaning

    def all_of_it() -> None:
        assert cleaning.clean(aws=aws, all=True).is_clean

    return _timed("the clean-up", all_of_it)


def windows(runs: Path) -> list[Window]:
    """When each lab ran, from the records of the runs."""
    found = []
    for path in sorted(runs.glob("*/run.json")):
        for lab in json.loads(path.read_text()).get("labs", []):
            begin = lab.get("started")
            if begin:
                found.append((f"lab {lab['number']}", begin, begin + float(lab.get("seconds") or 0)))
    return found


# ---- the course ----------------------------------------------------------------------------------------------


def _course(folder: Path) -> tuple[Recording, list[Holder]]:
    from localaws import daemon
    from workshop.aws import session
    from workshop.settings import load

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load(
        {}, root=ROOT, state_dir=folder / "state", runs_dir=folder / "runs", port=port, engine="process"
    )
    decisions = settings.state_dir / "localaws" / "decisions.jsonl"
    decisions.parent.mkdir(parents=True)
    decisions.touch()  # a server that finds one goes on with it
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "WORKSHOP_"))
    }
    try:
        command = [sys.executable, "-m", "workshop.cli", "run", "1-4"]
        subprocess.run(command, cwd=folder, env=variables | settings.environment(), check=True)
        times = windows(settings.runs_dir)
        aws = session.connect(settings, {})
        times += beside_the_labs(aws)
        holders = [learner(), *roles(aws)]
        times.append(clean(aws))
    finally:
        daemon.stop(settings.state_dir)
    return Recording(decisions, times), holders


@contextmanager
def _running(aws: Any, family: str, **options: Any) -> Iterator[Any]:
    from workshop.aws import tasks

    task = tasks.run(family, aws=aws, **options)
    try:
        yield tasks.wait(task, "RUNNING", timeout_seconds=SHELL_SECONDS, aws=aws)
    finally:
        tasks.stop(task, "its shell was seen", aws)


def _shells(aws: Any) -> None:
    """In a job, which runs a server here so that it stays; and in Jupyter, to look at pictures and results."""
    from workshop.aws import stacks, task_shell

    storage = stacks.outputs("storage", aws)
    with _running(aws, "jobs-tensorflow", command=["secondary"], shell=True) as task:
        task_shell.output_of(task, "pwd", aws=aws)
    with _running(aws, "jupyter", command=["secondary"], shell=True) as task:
        look = LOOK.format(inputs=storage["InputBucket"], outputs=storage["OutputBucket"])
        task_shell.output_of(task, look, aws=aws)


def _gpus_on_spot(aws: Any) -> None:
    from workshop.aws import stacks

    stacks.deploy("cluster", aws=aws, Compute="gpu", UseSpot="yes", DesiredInstances="0")


def _refused(aws: Any) -> None:
    from workshop.aws import stack_events, stacks

    stack_events.refused_early(aws, StackName=stacks.stack_name("network", aws))


def _unfinished_upload(aws: Any) -> None:
    from workshop.aws import stacks

    bucket = stacks.outputs("storage", aws)["OutputBucket"]
    aws.client("s3").create_multipart_upload(Bucket=bucket, Key="runs/broke-off")


def _timed(name: str, step: Callable[[], None]) -> Window:
    began = time.time()
    step()
    return name, began, time.time()


def _logical(role_name: str) -> str:
    """ExecutionRole of workshop-cluster-ExecutionRole-87AA24F133502."""
    return role_name.rsplit("-", 1)[0].rsplit("-", 1)[-1]
