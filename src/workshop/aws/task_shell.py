"""A shell in a running task: ask ECS for a session, open it, and say what stands in the way in words.

Try it:  workshop shell TASK --command 'ls -l'
The same door on the local AWS and on AWS (ECS Exec), without AWS's session-manager-plugin. The task must have been
started for it: `tasks.run(…, shell=True)` or `workshop run … --on ecs --shell`, and its role needs the rights that
the cluster stack's parameter AllowShell gives.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from workshop.aws import session, stacks, tasks, waiting
from workshop.aws.failures import as_aws_error, code_of, explained
from workshop.aws.session import Aws
from workshop.aws.task_records import Task
from workshop.aws.task_shell_channel import Channel, Closed
from workshop.aws.task_shell_terminal import Carrier, Marks, Output, wrapped
from workshop.errors import AwsError

SIGNED_FOR = "ssmmessages"
NO_INPUT = -1
ENDING_SECONDS = 5.0
NOT_FOUND_WORDS = ("not found", "no such file")
ENABLE = "start it for that: workshop run JOB --on ecs --shell, or tasks.run(…, shell=True)"
ALLOW = (
    "its role needs ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel: "
    "python -c \"from workshop.aws import stacks; stacks.deploy('cluster', AllowShell='yes')\"; a task that "
    "was started a moment ago may also need some seconds"
)


def open_shell(reference: str, container: str = "", command: str = "", aws: Aws | None = None) -> int:
    """Run a command, or a shell, in a task with this process's own terminal or pipes; returns its exit code.

    reference: a task's id or ARN, the beginning of its id, or its family if only one such task runs.
    Errors: AwsError if there is no such task or no shell in it, or if it ends before the command does.
    """
    aws = aws or session.current()
    as_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return carry(reference, container, command, _input(), sys.stdout.buffer, as_terminal=as_terminal, aws=aws)


def _input() -> int:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or a notebook's
        return sys.stdin.fileno()
    return NO_INPUT


def output_of(task: Task | str, command: str, container: str = "", aws: Aws | None = None) -> str:
    """What a shell command prints in a task. Errors: AwsError, with what it printed, if it fails."""
    aws = aws or session.current()
    output = io.BytesIO()
    reference = task if isinstance(task, str) else task.arn
    code = carry(reference, container, command, NO_INPUT, output, as_terminal=False, aws=aws)
    said = output.getvalue().decode(errors="replace")
    if code:
        raise AwsError(f"`{command}` exited with {code}: {said.strip()}")
    return said


def carry(
    reference: str, container: str, command: str, source: int, output: Output, as_terminal: bool, aws: Aws
) -> int:
    """The same between a descriptor to read from, -1 for none, and anything that can be written to."""
    entry = find(reference, aws)
    name = _container(entry, container)
    word = secrets.token_hex(8)  # so that no program can print the marks by chance
    opened = _execute(entry, name, wrapped(command, word, as_pipe=not as_terminal), aws)
    marks = Marks(word)
    url = opened["streamUrl"]
    with Channel(url, opened["tokenValue"], _signature(url, aws), direct=aws.is_local) as channel:
        closed = Carrier(channel, marks, source, output, as_terminal).run()
    if marks.exit_code is None:
        raise _broken(entry, name, marks, closed, aws)
    return marks.exit_code


def find(reference: str, aws: Aws) -> Mapping[str, Any]:
    """The entry of describe_tasks for a running task. Errors: AwsError that names the tasks that run."""
    bare = reference.rsplit("/", 1)[-1]
    running = [task for task in tasks.running(aws) if task.last_status != "STOPPED"]
    found = [task for task in running if task.id.startswith(bare) or task.family == bare]
    if len(found) > 1 and not any(task.id == bare for task in found):
        raise AwsError(f"'{bare}' could be {len(found)} tasks: {_listed(found)}", "say more of its id")
    arn = found[0].arn if found else reference
    entry = _describe(arn, aws)
    if entry is None:
        raise AwsError(f"there is no task '{bare}' (running: {_listed(running)})", "workshop shell TASK")
    if entry["lastStatus"] != "RUNNING" or entry["desiredStatus"] != "RUNNING":
        why = f": {entry['stoppedReason']}" if entry.get("stoppedReason") else ""
        raise AwsError(
            f"task {bare} is {entry['lastStatus']}{why}; a shell needs one that is RUNNING "
            f"(running: {_listed(running)})",
            "start it again, or wait until it runs",
        )
    if not entry.get("enableExecuteCommand"):
        raise AwsError(f"task {bare} was not started for shells", ENABLE)
    return entry


def _describe(arn: str, aws: Aws) -> Mapping[str, Any] | None:
    cluster = stacks.output("ClusterName", aws)
    try:
        answer = aws.client("ecs").describe_tasks(cluster=cluster, tasks=[arn])
    except ClientError as error:
        if code_of(error) == "InvalidParameterException":  # what is no id can't be one
            return None
        raise as_aws_error(error, f"look at task {arn}") from error
    return next(iter(answer["tasks"]), None)


def _listed(found: list[Task]) -> str:
    return ", ".join(f"{task.id} ({task.family})" for task in found) or "none"


def _container(entry: Mapping[str, Any], wanted: str) -> str:
    names = [each["name"] for each in entry["containers"]]
    if not wanted and len(names) == 1:
        return str(names[0])
    if wanted not in names:
        problem = f"has no container '{wanted}'" if wanted else "has several containers"
        raise AwsError(f"the task {problem} (containers: {', '.join(names)})", "workshop shell TASK -c NAME")
    return wanted


def _execute(entry: Mapping[str, Any], container: str, command: str, aws: Aws) -> Mapping[str, Any]:
    request = {
        "cluster": entry["clusterArn"],
        "task": entry["taskArn"],
        "container": container,
        "command": command,
        "interactive": True,  # the only way there is
    }
    doing = f"open a shell in task {entry['taskArn'].rsplit('/', 1)[-1]}"
    try:
        with explained(doing):
            return dict(aws.client("ecs").execute_command(**request)["session"])
    except AwsError as error:
        if "TargetNotConnectedException" in error.message:
            raise AwsError(error.message, ALLOW) from error
        raise


def _signature(url: str, aws: Aws) -> list[str]:
    """Headers that sign the request for the stream, unless its address is signed already."""
    parts = urlsplit(url)
    credentials = aws.session.get_credentials()
    if "X-Amz-Signature" in parse_qs(parts.query) or credentials is None:
        return []
    request = AWSRequest(method="GET", url=url.replace("ws", "http", 1), headers={"Host": parts.netloc})
    SigV4Auth(credentials.get_frozen_credentials(), SIGNED_FOR, aws.region).add_auth(request)
    return [f"{name}: {value}" for name, value in request.headers.items() if name != "Host"]


def _ending(entry: Mapping[str, Any], aws: Aws) -> Mapping[str, Any] | None:
    """The task's entry once it is to stop: that its shells end with it may be seen earlier."""
    now = _describe(entry["taskArn"], aws) or entry
    return None if now["desiredStatus"] == now["lastStatus"] == "RUNNING" else now


def _broken(entry: Mapping[str, Any], container: str, marks: Marks, closed: Closed, aws: Aws) -> AwsError:
    """Why a session ended without an exit code."""
    if not marks.has_begun and any(word in closed.why.lower() for word in NOT_FOUND_WORDS):
        return AwsError(
            f"the container '{container}' has no shell: {closed.why}", "use an image with a shell, such as sh"
        )
    with contextlib.suppress(AwsError):  # it still runs
        now = waiting.until(lambda: _ending(entry, aws), ENDING_SECONDS, "the task's end", lambda: "RUNNING")
        reason = now.get("stoppedReason") or "no reason given"
        return AwsError(f"the task stopped under the shell: {reason}", "workshop status shows what runs")
    why = closed.why or "its command was killed"
    return AwsError(f"the shell ended without an exit code: {why}", "workshop shell TASK opens another")
