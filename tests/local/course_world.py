"""The course's own stacks on a local AWS, with images and task definitions small enough for tests.

A folder of its own stands for the repository: the real templates and functions, a Dockerfile of four lines,
and one task definition, `probe`, that runs whatever Python it is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attendee import free_port

from localaws import daemon
from workshop.aws import session
from workshop.aws.session import Aws
from workshop.settings import load

REGION = "eu-west-3"  # not the default, so that a region typed in somewhere shows
DOCKERFILE = """\
FROM python:3.11-slim-bookworm
LABEL workshop.environment=workshop
ENV FROM_THE_IMAGE=yes
ENTRYPOINT ["python", "-u", "-c"]
"""
PROBE = {
    "family": "probe",
    "requiresCompatibilities": ["EC2"],
    "networkMode": "bridge",
    "executionRoleArn": "${ExecutionRoleArn}",
    "taskRoleArn": "${JobTaskRoleArn}",
    "containerDefinitions": [
        {
            "name": "probe",
            "image": "${MxnetRepositoryUri}:latest",
            "cpu": 64,
            "memory": 256,
            "portMappings": [{"containerPort": 8080, "hostPort": 0}],
            "stopTimeout": 2,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "${JobsLogGroup}",
                    "awslogs-region": "${AWS_REGION}",
                    "awslogs-stream-prefix": "probe",
                },
            },
        }
    ],
}


def lay_out(root: Path) -> None:
    """Make the folder that stands for the repository."""
    repository = load({}).root
    for name in ("cloudformation", "functions", ".venvs"):
        (root / name).symlink_to(repository / name)
    for image in ("mxnet", "tensorflow"):
        (root / "docker" / image).mkdir(parents=True)
        (root / "docker" / image / "Dockerfile").write_text(DOCKERFILE)
    (root / "task-definitions").mkdir()
    (root / "task-definitions" / "probe.json").write_text(json.dumps(PROBE))


@contextmanager
def course(folder: Path, **options: Any) -> Iterator[Aws]:
    """A local AWS without a stack yet; options: further ones of the server."""
    root, state_dir = folder / "root", folder / "state"
    root.mkdir()
    lay_out(root)
    environments = {"workshop": root / ".venvs" / "workshop"}
    running = daemon.start(state_dir, free_port(), REGION, "process", environments, **options)
    try:
        settings = load({}, root=root, state_dir=state_dir, port=running.port, region=REGION, name="course-1")
        yield session.connect(settings, {})
    finally:
        daemon.stop(state_dir)
