"""A local AWS with a task to open shells in, a person at a terminal and a script in a pipe.

Not a test. Both engines' tests use it.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import ptyprocess
import pytest
from ecs_world import World

from workshop.aws import session, tasks
from workshop.aws.tasks import Task
from workshop.settings import load

WAIT = "import time; print('up'); time.sleep(600)"
TRUST = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
SHELLS = {"Effect": "Allow", "Action": "ssmmessages:*", "Resource": "*"}
# The course's tools find the cluster by this stack; making the real one would take longer than all tests here.
STACK = {
    "Resources": {"Log": {"Type": "AWS::Logs::LogGroup"}},
    "Outputs": {"ClusterName": {"Value": "c"}},
}


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Person:
    """Somebody at a terminal of 30 rows and 100 columns, who types and reads."""

    def __init__(self, command: list[str], variables: dict[str, str]) -> None:
        self.program = ptyprocess.PtyProcess.spawn(command, env=variables, dimensions=(30, 100))
        self.seen = b""

    def type(self, text: str) -> None:
        self.program.write(text.encode())

    def sees(self, text: str) -> None:
        """Read on until this text has come; what came before is forgotten."""
        self.reads_to(text)

    def uses_the_terminal(self) -> None:
        """Ask for the window's size, change it, interrupt a command, type what is not ASCII."""
        self.type("stty size\r")
        self.sees("30 100")
        self.program.setwinsize(45, 132)
        self.type("stty size\r")
        self.sees("45 132")
        self.type("PS1=re'ady> '; sh -c 'echo up; exec sleep 300'\r")
        self.sees("up\r\n")
        self.type("\x03")
        self.sees("ready> ")  # the shell drops what is typed while it ends the command
        self.type("echo code $?\r")
        self.sees("code 130")
        self.type("echo Grüße-$((1 + 1))-日本\r")
        self.sees("Grüße-2-日本")

    def reads_to(self, text: str) -> str:
        """What comes before this text."""
        while text.encode() not in self.seen:
            try:
                self.seen += self.program.read(4096)
            except EOFError:
                pytest.fail(f"{text!r} never came; last was {self.seen[-500:]!r}")
        before, _, self.seen = self.seen.partition(text.encode())
        return before.decode()

    def exit_code(self) -> int:
        """How it ended, after reading all that it still says."""
        with contextlib.suppress(EOFError):
            while True:
                self.seen += self.program.read(4096)
        self.program.wait()
        return int(self.program.exitstatus)


class Shells:
    """What the tests do in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.variables = {
            "WORKSHOP_STATE_DIR": str(world.folder / "course"),
            "WORKSHOP_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{world.port}",
        }
        self.aws = session.connect(load(self.variables), self.variables)
        self._people: list[Person] = []
        iam = world.client("iam")
        self.role = self.make_role("shells")
        iam.put_role_policy(RoleName="shells", PolicyName="shells", PolicyDocument=document(SHELLS))
        stack = {"StackName": f"{self.aws.name}-cluster", "TemplateBody": json.dumps(STACK)}
        world.client("cloudformation").create_stack(**stack)
        world.client("cloudformation").get_waiter("stack_create_complete").wait(
            StackName=stack["StackName"], WaiterConfig={"Delay": 0.1}
        )

    def make_role(self, name: str) -> str:
        made = self.world.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(TRUST))
        return str(made["Role"]["Arn"])

    def start(self, *containers: dict[str, Any], role: str = "", **more: Any) -> Task:
        """A running task."""
        arn = self.world.run(
            *(containers or (self.world.container(WAIT),)),
            register={"taskRoleArn": role or self.role},
            **{"enableExecuteCommand": True, **more},
        )
        self.world.running(arn)
        return tasks.find(arn, self.aws)

    def execute(self, task: str, command: str = "sh", **more: Any) -> dict[str, Any]:
        request = {"cluster": "c", "task": task, "command": command, "interactive": True, **more}
        return dict(self.world.ecs.execute_command(**request)["session"])

    def environment(self) -> dict[str, str]:
        """Of a learner's terminal, where the command finds this AWS and nothing else."""
        kept = {name: each for name, each in os.environ.items() if not name.startswith(("WORKSHOP_", "AWS_"))}
        return {**kept, **self.variables, "TERM": "xterm"}

    def person(self, *arguments: str) -> Person:
        """Somebody who has typed `workshop shell …` and waits for the prompt."""
        self._people.append(Person(words(*arguments), self.environment()))
        return self._people[-1]

    def run(self, *arguments: str, typed: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """`workshop shell …` in a pipe."""
        return subprocess.run(
            words(*arguments), env=self.environment(), input=typed, capture_output=True, timeout=60
        )

    def end_people(self) -> None:
        for each in self._people:
            each.program.terminate(force=True)


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workshop.cli", "shell", *arguments]


@contextlib.contextmanager
def shells(world: World) -> Iterator[Shells]:
    made = Shells(world)
    try:
        yield made
    finally:
        made.end_people()
