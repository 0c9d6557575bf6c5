"""A group's members as ECS tasks: one task for each role, in the network mode awsvpc, on whatever instances.

Try it:  workshop run train-images-mxnet --workers 2 --on ecs, and meanwhile: aws ecs list-tasks --cluster …
Each task has an address of its own, in a security group that lets the members reach one another and lets in
nobody else. Logs, states and reasons are ECS's. A group outlives the process that started it, and --resume
follows it again.
"""

import contextlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workshop import job_tasks
from workshop.errors import AwsError, JobError, WorkshopError
from workshop.group_plan import Member, Seat, members
from workshop.group_runs import State
from workshop.records import Record

if TYPE_CHECKING:
    from workshop.job_runs import Request

# Members wait for instances to start, minutes on AWS, and for their image. One that ends instead is noticed at
# once, so only one that never starts is waited for so long.
MEET_SECONDS = {"local": 300.0, "aws": 900.0}
STOP_SECONDS = 90.0  # a task has 30 to end by itself
PORTS = range(20000, 30000)  # where the host listens on its own address, where little else does
# What the roles that learn nothing take instead of what a worker takes, in CPU units and MiB. Measured: 220 MiB,
# of which importing MXNet is 194; a server holds all weights and their momentum besides.
LESS = {"scheduler": {"cpu": 128, "memory": 768}, "server": {"cpu": 256, "memory": 1536}}


class TaskCrew:
    """Starts one ECS task for each member."""

    def __init__(self, request: "Request", record: Record) -> None:
        from workshop.aws import session, tasks

        self.request, self.aws = request, session.current()
        self.output = record.get("output") or job_tasks.output_of(record.id)
        record.set(output=self.output)
        self.record = record
        self.port = random.choice(PORTS)
        self.seconds_to_meet = MEET_SECONDS[self.aws.target]
        self.pause_seconds = tasks.LONGEST_PAUSE_SECONDS[self.aws.target]
        self.tasks: dict[str, Any] = {}
        self.cursor: Any = None

    def check(self, everybody: Sequence[Member]) -> None:
        from workshop.aws import cluster_room

        family, aws = self.request.job.family, self.aws
        needs = [
            cluster_room.needs(family, self._size(each), LESS.get(each.role, {}), aws) for each in everybody
        ]
        cluster_room.require(needs, aws)

    def take_up(self, recorded: Mapping[str, str], follow: bool) -> bool:
        """Follow the tasks of an earlier launcher if all are there and none has failed; end them else."""
        from workshop.aws import tasks

        for name in sorted(recorded):
            try:
                self.tasks[name] = tasks.find(recorded[name], self.aws)
            except AwsError:
                continue  # ECS forgets stopped tasks after an hour
        wanted = {each.name for each in members(self.request.job.group, self.request.workers)}
        well = all(not each.is_stopped or each.exit_code == 0 for each in self.tasks.values())
        if follow and well and set(self.tasks) == wanted == set(recorded):
            return True
        self.stop(list(self.tasks), "another run of the same group begins")
        for task in self.tasks.values():  # until then they hold the room that the new ones need
            tasks.wait(task, timeout_seconds=STOP_SECONDS, aws=self.aws)
        self.tasks = {}
        return False

    def start(self, seat: Seat) -> str:
        from workshop.aws import tasks

        member = seat.member
        try:
            self.tasks[member.name] = tasks.run(
                self.request.job.family,
                command=job_tasks.command(self.request.job.name, self.request.values, self.output),
                environment=seat.variables(),
                size=self._size(member),
                resources=LESS.get(member.role, {}),
                in_group=True,
                shell=self.request.shell,
                aws=self.aws,
            )
        except AwsError as error:
            raise JobError(f"{member.name} could not be started: {error.message}", error.remedy) from error
        return str(self.tasks[member.name].arn)

    def address(self, name: str) -> str:
        from workshop.aws import task_addresses

        self.tasks[name] = task_addresses.wait_own(self.tasks[name], self.seconds_to_meet, self.aws)
        return str(self.tasks[name].address)

    def label(self, name: str) -> str:
        return f"task {self.tasks[name].id}"

    def look(self) -> dict[str, State]:
        from workshop.aws import tasks

        self.tasks = dict(
            zip(self.tasks, tasks.describe_all(list(self.tasks.values()), self.aws), strict=True)
        )
        return {name: State(task.last_status, task.exit_code) for name, task in self.tasks.items()}

    def fresh_lines(self) -> list[str]:
        from workshop.aws import logs

        task = self.tasks["worker 0"]
        if self.cursor is None:
            self.cursor = logs.Cursor(task.log_group, task.log_stream, self.aws)
        return [line.message for line in self.cursor.fresh()]

    def lines(self, name: str) -> list[str]:
        from workshop.aws import tasks

        return tasks.logs(self.tasks[name], self.aws)

    def why(self, name: str) -> WorkshopError:
        from workshop.aws import task_failures

        return task_failures.ended(self.tasks[name], self.lines(name))

    def stop(self, names: Iterable[str], reason: str) -> None:
        from workshop.aws import tasks

        for name in names:
            if name in self.tasks and not self.tasks[name].is_stopped:
                with contextlib.suppress(AwsError):  # one that can't be stopped must not keep the next
                    tasks.stop(self.tasks[name], reason[:255], self.aws)

    def bring(self, record: Record) -> None:
        """Bring the results down."""
        from workshop.aws import objects

        objects.sync_down(self.output, record.folder, self.aws)

    def _size(self, member: Member) -> str:
        return self.request.size if member.role == "worker" else "cpu"
