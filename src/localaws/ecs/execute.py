"""ECS ExecuteCommand (ECS Exec): what AWS would refuse, else a session that one client may open once.

Try it:  workshop shell TASK
As on AWS: the task was started with enableExecuteCommand, its role may reach Systems Manager's message channels,
and only interactive sessions exist (developer guide, "Monitor Amazon ECS containers with ECS Exec"). What then
travels on the session is `execute_channel`'s part.
Not as on AWS: no agent runs in the container, sessions have no idle time limit of 20 minutes and are not logged.
"""

import logging
import secrets
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localaws import identity
from localaws.engine import Container

Request = dict[str, Any]
PATH = "/v1/data-channel/"
OPENING_SECONDS = 60.0
AGENT = "ExecuteCommandAgent"
# The rights that the agent needs to hear of a session and to carry it: these four, on everything.
ROLE_ACTIONS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
NO_ROLE = (
    "a valid taskRoleArn is not being used. Specify a valid task role in your task definition and try again."
)
NOT_ENABLED = (
    "The execute command failed because execute command was not enabled when the task was run or the execute "
    "command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again."
)
NOT_CONNECTED = "The execute command failed due to an internal error. Try again later."
NOT_FOUND = "The referenced task was not found."
ONLY_INTERACTIVE = "Interactive is the only mode supported currently."

logger = logging.getLogger("localaws.execute")


@dataclass(frozen=True)
class Session:
    """A command that waits for its client."""

    id: str
    token: str
    command: list[str]
    container: Container
    opens_until: float


class Refused(Exception):
    """An answer of AWS's: code and message."""


class ExecuteCommand:
    """The call, in ministack's form: a request in, (status, headers, body) out; and the sessions that it made."""

    def __init__(self, endpoint: str, container_of: Callable[[str, str], Container | None]) -> None:
        self._stream = endpoint.replace("http", "ws", 1) + PATH
        self._container_of = container_of
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __call__(self, data: Request) -> Any:
        from ministack.services import ecs

        try:
            return ecs.json_response(self._answer(data))
        except Refused as refused:
            return ecs.error_response_json(*refused.args, 400)

    def _answer(self, data: Request) -> Request:
        task = _task(data)
        name = _container_name(task, data)
        command = _command(data)
        if not task.get("enableExecuteCommand") or task["lastStatus"] != "RUNNING":
            raise Refused("InvalidParameterException", NOT_ENABLED)
        container = self._container_of(task["taskArn"], name)
        if container is None:
            raise Refused("InvalidParameterException", NOT_ENABLED)
        _require_rights(task)
        session = self._open(command, container)
        shown = next(each for each in task["containers"] if each["name"] == name)
        return {
            "clusterArn": task["clusterArn"],
            "containerArn": shown["containerArn"],
            "containerName": name,
            "interactive": True,
            "session": {
                "sessionId": session.id,
                "streamUrl": f"{self._stream}{session.id}?role=publish_subscribe",
                "tokenValue": session.token,
            },
            "taskArn": task["taskArn"],
        }

    def _open(self, command: list[str], container: Container) -> Session:
        now = time.monotonic()
        session = Session(
            f"ecs-execute-command-{secrets.token_hex(9)[:17]}",
            secrets.token_urlsafe(48),
            command,
            container,
            now + OPENING_SECONDS,
        )
        with self._lock:
            waiting = {each.id: each for each in self._sessions.values() if each.opens_until > now}
            self._sessions = waiting | {session.id: session}
        return session

    def claim(self, session_id: str, token: str) -> Session | None:
        """The session, for the first who comes with its token in time; nobody gets it after that."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or not secrets.compare_digest(
                session.token.encode(), token.encode(errors="replace")
            ):
                return None
            del self._sessions[session_id]
        return session if session.opens_until > time.monotonic() else None


def _task(data: Request) -> Request:
    from ministack.services import ecs

    cluster = ecs._resolve_cluster_name(data.get("cluster") or "default")
    if cluster is None or cluster not in ecs._clusters:
        raise Refused("ClusterNotFoundException", "Cluster not found.")
    task: Request | None = ecs._resolve_task(data.get("task") or "", cluster)
    if not task:
        raise Refused("InvalidParameterException", NOT_FOUND)
    return task


def _container_name(task: Request, data: Request) -> str:
    names = [each["name"] for each in task["containers"]]
    name = data.get("container") or (names[0] if len(names) == 1 else "")
    if not name:
        raise Refused(
            "InvalidParameterException",
            f"Container name must be specified: the task has the containers {', '.join(names)}.",
        )
    if name not in names:
        raise Refused("InvalidParameterException", f"The container {name} was not found in the task.")
    return str(name)


def _command(data: Request) -> list[str]:
    if not data.get("interactive"):
        raise Refused("InvalidParameterException", ONLY_INTERACTIVE)
    try:
        words = shlex.split(data.get("command") or "")
    except ValueError as error:
        raise Refused("InvalidParameterException", f"The command can't be read: {error}.") from error
    if not words:
        raise Refused("InvalidParameterException", "Command cannot be empty.")
    return words


def _require_rights(task: Request) -> None:
    """The agent in the container acts with the task's role; without its rights it is never connected."""
    role = role_of(task)
    refusals = [identity.authorize(role, action) for action in ROLE_ACTIONS] if role else []
    denied = next((each for each in refusals if each), None)
    if not role or denied:
        logger.warning("no shell in %s: %s", task["taskArn"], denied.message if denied else NO_ROLE)
        raise Refused("TargetNotConnectedException", NOT_CONNECTED)


def role_of(task: Request) -> str:
    """The ARN of a task's role, empty if it has none."""
    from ministack.services import ecs

    definition = ecs._task_defs.get(ecs._resolve_td_key(task["taskDefinitionArn"])) or {}
    return str((task.get("overrides") or {}).get("taskRoleArn") or definition.get("taskRoleArn") or "")


def problem(definition: Request, data: Request, subject: str) -> str:
    """What AWS refuses when enableExecuteCommand is asked for; empty if nothing. subject: as "task … run"."""
    role = (data.get("overrides") or {}).get("taskRoleArn") or definition.get("taskRoleArn")
    return f"The {subject} because {NO_ROLE}" if data.get("enableExecuteCommand") and not role else ""
