"""The stacks that the DAG `sentiment` needs, a stand-in for its two jobs, and Airflow to run it with.

Not a test. A folder of its own stands for the repository; the DAG, the templates and the policies are the real ones.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attendee import free_port

from workshop import dags, local
from workshop.airflow import dag_events, dag_parameters
from workshop.airflow import home as airflow_home
from workshop.airflow.dag_results import DagRun, Task
from workshop.airflow.dag_watch import Watched
from workshop.aws import dag_start, images, session, stacks
from workshop.aws.session import Aws
from workshop.settings import Settings, in_environment, load

REGION = "eu-west-2"  # not the default, so that a region typed in somewhere shows
HERE = Path(__file__).resolve().parent
DOCKERFILE = f"""\
FROM python:3.11-slim-bookworm
LABEL workshop.environment=workshop
ENTRYPOINT ["python", "-u", "{HERE / "sentiment_stand_in.py"}"]
"""
SHARED = ("cloudformation", "functions", "airflow", "requirements", "task-definitions", "data", ".venvs")
ROWS = "".join(f"a good day {i},positive\na bad day {i},negative\n" for i in range(30))
DATA = f"text,label_text\n{ROWS}".encode()


@dataclass
class World:
    """A local AWS with the stacks of the labs before, and the settings that lead to it."""

    aws: Aws
    settings: Settings
    variables: dict[str, str]

    def data(self, case: str, content: bytes = DATA) -> str:
        """Upload data whose name says what the stand-in does with it."""
        return dag_start.upload(case, content, self.aws)

    def keys(self, output: str, prefix: str = "") -> list[str]:
        bucket = stacks.output(output, self.aws)
        found = self.aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in found]

    def running_tasks(self) -> list[str]:
        cluster = stacks.output("ClusterName", self.aws)
        return list(self.aws.client("ecs").list_tasks(cluster=cluster)["taskArns"])


@dataclass
class Driver:
    """One Airflow that runs the DAG again and again; lines: what the last run told."""

    process: "subprocess.Popen[str]"
    events: Any
    folder: Path
    lines: list[str] = field(default_factory=list)

    def run(self, **conf: Any) -> DagRun:
        given = dag_parameters.checked("sentiment", conf)
        watched = Watched(
            [Task(name) for name in dag_parameters.TASKS["sentiment"]], self._listen, time.monotonic
        )
        self.lines = []
        assert self.process.stdin and self.process.stdout
        print(json.dumps(given), file=self.process.stdin, flush=True)
        os.set_blocking(self.events.fileno(), True)
        code = int(self.process.stdout.readline() or 70)
        os.set_blocking(self.events.fileno(), False)
        for line in self.events.readlines():
            watched.hear(dag_events.parse(line))
        return watched.ended("sentiment", given, code, self.folder)

    def _listen(self, event: Any) -> None:
        if event.kind == "line":
            self.lines.append(event.text)


@contextmanager
def airflow_world(folder: Path) -> Iterator[World]:
    """Network, storage, cluster and role; the image of the stand-in pushed."""
    root = folder / "root"
    root.mkdir()
    for name in SHARED:
        (root / name).symlink_to(load({}).root / name)
    (root / "docker" / "tensorflow").mkdir(parents=True)
    (root / "docker" / "tensorflow" / "Dockerfile").write_text(DOCKERFILE)
    (root / "docker" / "linear-learner").symlink_to(load({}).root / "docker" / "linear-learner")
    settings = load(
        {},
        root=root,
        state_dir=folder / "state",
        runs_dir=folder / "runs",
        port=free_port(),
        region=REGION,
        engine="process",
    )
    variables = settings.environment()
    with in_environment(variables):
        local.up(settings)
        try:
            aws = session.connect(settings, {})
            for concern in ("network", "storage", "cluster", "airflow"):
                stacks.deploy(concern, aws=aws)
            images.build("tensorflow", aws=aws)
            images.push("tensorflow", aws=aws)
            plain = {name: value for name, value in os.environ.items() if not name.startswith("WORKSHOP_")}
            yield World(aws, settings, plain | variables)
        finally:
            local.down(settings)


@contextmanager
def driver(world: World) -> Iterator[Driver]:
    """An Airflow with the variables that `workshop dag` gives it."""
    home = airflow_home.prepare(world.settings)
    started = dag_start.make_ready({"run": "driver", "launch_type": "EC2"}, dags.ROLE, world.aws)
    variables = airflow_home.variables(world.settings, started.credentials, started.endpoint)
    python = airflow_home.program(world.settings).with_name("python")
    reading, writing = os.pipe()
    log = home / "driver.log"
    with log.open("wb") as errors, open(reading, "rb") as events:
        process = subprocess.Popen(
            [python, HERE / "airflow_driver.py"],
            env={**variables, dag_events.VARIABLE: str(writing)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            pass_fds=[writing],
            cwd=home,
        )
        os.close(writing)
        try:
            yield Driver(process, events, home)
        finally:
            process.kill()
            process.communicate()
            if sys.exc_info()[0]:
                print(log.read_text(errors="replace")[-8000:])
