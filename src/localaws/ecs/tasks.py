"""The life of one ECS task: placed, images pulled, containers started in order, watched, stopped.

Try it:  aws ecs run-task --cluster CLUSTER --task-definition FAMILY
Each task has one thread, in which everything that happens to it is worked off in order; containers report
to it through a queue. It writes what it sees into the task's record and decides nothing about services or
capacity.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localaws.ecs import dependencies, environmentfiles, health, taskcontainers, taskinterface, tasklogs
from localaws.ecs.agent import AgentRights
from localaws.ecs.taskcredentials import TaskCredentials
from localaws.ecs.taskmetadata import TaskMetadata
from localaws.ecs.taskrecord import TaskRecord
from localaws.engine import Container, Engine, EngineError, Exit, Image

ESSENTIAL_EXITED = "Essential container in task exited"
SERVER_STOPPED = "The local AWS was stopped"
PLACING_SECONDS = 1.0

Definition = dict[str, Any]
logger = logging.getLogger("localaws.tasks")


@dataclass(frozen=True)
class Surroundings:
    """What a task needs of the local AWS."""

    engine: Engine
    credentials: TaskCredentials
    endpoint: str
    folder: Path
    place: Callable[[TaskRecord], bool]  # True once the task has its place, or needs none
    pin: Callable[[TaskRecord, str, Callable[[str], Image], str], Image]
    has_started: Callable[[TaskRecord], None]
    # Called once before containers are told to stop; waits with the function, which says if the task has ended.
    leaves: Callable[[TaskRecord, Callable[[float], bool]], None]
    has_stopped: Callable[[TaskRecord], None]


@dataclass
class Member:
    """One container of the task: its definition with overrides, its image, its process once it is started."""

    definition: Definition
    image: Image | None = None
    variables: dict[str, str] = field(default_factory=dict)  # of its environment files
    destination: tasklogs.Destination | None = None
    container: Container | None = None
    started_at: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def essential(self) -> bool:
        return bool(self.definition.get("essential", True))


class TaskRun:
    """Runs one task from its record to STOPPED."""

    def __init__(
        self, record: TaskRecord, definition: Definition, overrides: Definition, around: Surroundings
    ) -> None:
        self.record = record
        self._definition = definition
        self._around = around
        self._overrides = overrides
        role = overrides.get("executionRoleArn") or definition.get("executionRoleArn")
        self._rights = AgentRights(record.task, role)
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._members = {
            each["name"]: Member(taskcontainers.with_overrides(each, overrides))
            for each in definition["containerDefinitions"]
        }
        self._states = {name: dependencies.State() for name in self._members}
        self._metadata = TaskMetadata(record, definition)
        self._address: str | None = None
        self._is_running = False

    def request_stop(self, reason: str, code: str) -> None:
        """Ask for the end; returns at once, the record says STOPPED when it has come."""
        if self.record.will_stop(reason, code):
            self.wake()

    def wake(self) -> None:
        """Have the task look at its record, which may say by now that it is to stop."""
        self._events.put(None)

    def container(self, name: str) -> Container | None:
        """The container of this name, while it runs."""
        member = self._members.get(name)
        return member.container if member and not member.ended.is_set() else None

    def containers(self) -> list[Container]:
        """Those that run."""
        return [
            each.container for each in self._members.values() if each.container and not each.ended.is_set()
        ]

    def run(self) -> None:
        """Everything, from placement to the last container's end."""
        try:
            if self._wait_for_place():
                self._pull()
            while not self.record.stopping:
                self._start_what_can()
                self._next_event()
        except Exception as error:  # a bug of ours must end the task, not leave it RUNNING for ever
            logger.exception("task %s", self.record.id)
            self.request_stop(f"InternalError: {type(error).__name__}: {error}", "TaskFailedToStart")
        finally:
            self._end()

    def _wait_for_place(self) -> bool:
        while not self.record.stopping:
            if self._around.place(self.record):
                return True
            self._next_event(PLACING_SECONDS)
        return False

    def _next_event(self, at_most_seconds: float | None = None) -> None:
        """Work off what happens next; returns without anything when a time limit passes."""
        if self.record.stopping:
            return
        try:
            event = self._events.get(timeout=self._until_too_late(at_most_seconds))
        except queue.Empty:
            event = None
        if event:
            event()

    def _until_too_late(self, at_most_seconds: float | None) -> float | None:
        """Seconds until the next startTimeout passes; marks those that have passed."""
        waits = [] if at_most_seconds is None else [at_most_seconds]
        for name, member in self._members.items():
            limit = member.definition.get("startTimeout")
            if limit and member.started_at and not self._is_running:
                left = member.started_at + float(limit) - time.monotonic()
                self._states[name].late = left <= 0
                waits.append(max(left, 0.05))
        return min(waits, default=None)

    def _pull(self) -> None:
        """Find every image and log group before anything starts, so that nothing starts half."""
        self.record.pulling()
        if self._definition.get("networkMode") == "awsvpc" and not self._open_interface():
            return
        place = (self.record.id, self.record.account, self.record.region)
        for name, member in self._members.items():
            try:
                self._rights.refuse_pull(member.definition["image"])
                self._rights.refuse_secrets(member.definition)
                member.variables = environmentfiles.read(
                    member.definition, self._rights, self.record.account, self.record.region
                )
                member.image = self._around.pin(
                    self.record, name, self._around.engine.pull, member.definition["image"]
                )
                self.record.change_container(name, imageDigest=member.image.digest)
                member.destination = tasklogs.destination(member.definition, self._rights, *place)
            except EngineError as error:
                return self._fail(name, error)

    def _open_interface(self) -> bool:
        """Give the task its own network; False, and the task is to stop, if there is none to be had."""
        names = tuple(each for each in (self.record.service, self._definition["family"]) if each)
        try:
            self._address = self._around.engine.open_interface(
                self.record.id, names, taskinterface.domain(self.record.region)
            )
        except EngineError as error:
            reason = f"ResourceInitializationError: failed to configure ENI: {error.message}"
            self.request_stop(reason, "TaskFailedToStart")
            return False
        taskinterface.attach(self.record, self._address)
        return True

    def _fail(self, name: str, error: EngineError) -> None:
        reason = f"{error.kind}: {error.message}"
        self.record.container_stopped(name, None, reason)
        self.request_stop(reason, "TaskFailedToStart")

    def _start_what_can(self) -> None:
        """Start each container whose dependencies are there; RUNNING once all are started."""
        progress = True
        while progress and not self.record.stopping:
            progress = False
            for name, member in self._members.items():
                if self._states[name].started:
                    continue
                answer, why = dependencies.readiness(member.definition, self._states)
                if answer == "impossible":
                    return self.request_stop(f"Task failed to start: {why}", "TaskFailedToStart")
                if answer == "met":
                    self._start(name, member)
                    progress = True
        if not self._is_running and all(state.started for state in self._states.values()):
            self._is_running = True
            if not self.record.stopping:
                self.record.running()
                self._around.has_started(self.record)
        return None

    def _start(self, name: str, member: Member) -> None:
        assert member.image
        self._states[name].started = True
        folder = self._around.folder
        own = folder / "tasks" / self.record.id
        gpus = (
            next(each for each in self.record.task["containers"] if each["name"] == name).get("gpuIds") or []
        )
        try:
            spec = taskcontainers.specification(
                member.definition,
                self._definition,
                member.image,
                self._environment(name) | member.variables,
                taskcontainers.volumes_of(member.definition, self._definition, folder / "shared", own),
                self._address,
                tuple(gpus),
                self.record.arn,
            )
            self._metadata.add(spec)
            member.container = self._around.engine.start(spec)
        except EngineError as error:
            return self._fail(name, error)
        member.started_at = time.monotonic()
        self.record.container_running(name, member.container, spec.network or "")
        self._metadata.started(spec, member.container)
        self._thread(self._follow, name, member)
        if member.definition.get("healthCheck"):
            self._thread(self._check_health, name, member)
        return None

    def _environment(self, name: str) -> dict[str, str]:
        """What ECS adds to a container's environment, and the way to this AWS instead of the real one."""
        endpoint, region = self._around.endpoint, self.record.region
        found = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_ECS_{self.record.task['launchType']}",
            # A task without a role must not find the credentials of the machine that it really runs on.
            "AWS_EC2_METADATA_DISABLED": "true",
            "ECS_CONTAINER_METADATA_URI_V4": endpoint + self._metadata.path(name),
        }
        role = self._overrides.get("taskRoleArn") or self._definition.get("taskRoleArn")
        if role:
            path, token = self._around.credentials.grant(role, self.record.id)
            found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = endpoint + path
            found["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = token
        return found

    def _thread(self, work: Callable[[str, Member], None], name: str, member: Member) -> None:
        threading.Thread(
            target=work, args=(name, member), name=f"task-{self.record.id[:8]}-{name}", daemon=True
        ).start()

    def _follow(self, name: str, member: Member) -> None:
        """Send the log on, then report the exit: whoever sees the task stopped finds its whole log."""
        assert member.container
        try:
            tasklogs.forward(member.container.log_batches(), member.destination, self._rights)
        finally:
            exit_ = member.container.wait()
            assert exit_
            member.ended.set()
            self._events.put(lambda: self._on_exit(name, exit_))

    def _on_exit(self, name: str, exit_: Exit) -> None:
        member = self._members[name]
        if self._states[name].exit_code is not None:
            return
        self._states[name].exit_code = exit_.code
        self.record.container_stopped(name, exit_)
        if member.container:
            member.container.remove()
        if self._around.engine.closing:
            self.request_stop(SERVER_STOPPED, "TerminationNotice")
        elif member.essential:
            self.request_stop(exit_.reason or ESSENTIAL_EXITED, "EssentialContainerExited")

    def _check_health(self, name: str, member: Member) -> None:
        assert member.container
        check = health.parse(member.definition["healthCheck"])
        health.watch(
            check,
            member.container,
            member.ended,
            lambda status: self._events.put(lambda: self._on_health(name, status)),
        )

    def _on_health(self, name: str, status: str) -> None:
        self._states[name].health = status
        self.record.change_container(name, healthStatus=status)
        checked = {
            other: self._states[other].health
            for other, member in self._members.items()
            if member.essential and member.definition.get("healthCheck")
        }
        self.record.health(checked)

    def _end(self) -> None:
        """Stop what runs, in order, and leave nothing of the task but its record."""
        self._around.leaves(self.record, self._has_ended)
        running = [each for each in self._members.values() if each.container and not each.ended.is_set()]
        if running and self.record.task["lastStatus"] == "DEACTIVATING":
            self.record.change(lastStatus="STOPPING")
        for names in dependencies.stop_order([each.definition for each in self._members.values()]):
            self._stop_together(names)
        self._metadata.remove()
        self._around.credentials.revoke(self.record.id)
        if self._address:
            self._around.engine.close_interface(self._address)
        taskinterface.detach(self.record)
        self._around.engine.remove_volumes(self._around.folder / "tasks" / self.record.id)
        self.record.has_stopped()
        self._around.has_stopped(self.record)

    def _has_ended(self, seconds: float) -> bool:
        """Whether an essential container has ended, which this waits for; true too where none was started."""
        essential = [each for each in self._members.values() if each.essential and each.container]
        return any(each.ended.is_set() for each in essential) or all(
            each.ended.wait(seconds / len(essential)) for each in essential
        )

    def _stop_together(self, names: list[str]) -> None:
        members = [(name, self._members[name]) for name in names if self._members[name].container]
        stoppers = [
            threading.Thread(target=member.container.stop, daemon=True)
            for _, member in members
            if member.container and not member.ended.is_set()
        ]
        for stopper in stoppers:
            stopper.start()
        for name, member in members:
            member.ended.wait()
            assert member.container
            exit_ = member.container.wait()
            assert exit_
            self._on_exit(name, exit_)
