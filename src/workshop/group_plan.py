"""Who is in a group that learns together, and what each member is told through its environment.

Try it:  workshop run train-images-mxnet --workers 2
Two shapes. `parameter-server` (MXNet): a scheduler, servers that hold the weights, workers that learn.
`all-reduce` (TensorFlow): workers alone, each of which needs everybody's address. The first member is the
host: the others meet there (see `rendezvous`). Pure: knows no AWS, opens no connection, starts nothing.
"""

import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from workshop.errors import JobError

MOST_WORKERS = 8
WORKERS_A_SERVER = 4
SHAPES = ("parameter-server", "all-reduce")

WORKERS, RANK, PREFIX = "WORKSHOP_WORKERS", "WORKSHOP_RANK", "WORKSHOP_GROUP_"
TOKEN = PREFIX + "TOKEN"


@dataclass(frozen=True)
class Member:
    """One member by its role (scheduler, server or worker) and its number among those."""

    role: str
    number: int = 0

    @property
    def name(self) -> str:
        return self.role if self.role == "scheduler" else f"{self.role} {self.number}"

    @property
    def is_first_worker(self) -> bool:
        """Whether it alone writes the artefact, the metrics and the saved epochs."""
        return self.role == "worker" and self.number == 0


@dataclass(frozen=True)
class Address:
    """Where a member is reached by the others: host and the port that it keeps free for its framework."""

    host: str
    port: int


def members(shape: str, workers: int) -> list[Member]:
    """Everybody in a group, the host first. Errors: JobError if there can be no such group."""
    if shape not in SHAPES:
        raise JobError(
            f"there is no group '{shape}' (there are {', '.join(SHAPES)})",
            "mend metadata.workshop.group in the notebook",
        )
    if not 1 <= workers <= MOST_WORKERS:
        raise JobError(f"a group has 1 to {MOST_WORKERS} workers, not {workers}", "--workers 2")
    everybody = [Member("worker", rank) for rank in range(workers)]
    if shape == "all-reduce":
        return everybody
    servers = [Member("server", number) for number in range(math.ceil(workers / WORKERS_A_SERVER))]
    return [Member("scheduler"), *servers, *everybody]


@dataclass(frozen=True)
class Seat:
    """What its launcher tells a member. meets_at: the host's address, '' for the host itself.

    address: the member's own, '' where only its task's metadata tells. port: where the host listens. seconds: how
    long to wait for everybody. tied: the launcher holds the member's standard input, and the member ends with it.
    """

    shape: str
    workers: int
    member: Member
    port: int
    seconds: float
    token: str = field(repr=False)
    meets_at: str = ""
    address: str = ""
    tied: bool = False

    @property
    def everybody(self) -> list[Member]:
        return members(self.shape, self.workers)

    @property
    def host(self) -> Member:
        return self.everybody[0]

    @property
    def is_host(self) -> bool:
        return self.member == self.host

    def variables(self) -> dict[str, str]:
        """The seat as environment variables; `from_environment` reads them."""
        told = {
            "SHAPE": self.shape,
            "ROLE": self.member.role,
            "NUMBER": str(self.member.number),
            "PORT": str(self.port),
            "SECONDS": f"{self.seconds:g}",
            "MEETS_AT": self.meets_at,
            "ADDRESS": self.address,
            "TIED": "yes" if self.tied else "",
        }
        named = {PREFIX + name: value for name, value in told.items() if value}
        if self.member.role == "worker":
            named[RANK] = str(self.member.number)
        return {**named, WORKERS: str(self.workers), TOKEN: self.token}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Seat | None":
        """The seat that this process has, or None where it is in no group."""
        if not environ.get(TOKEN):
            return None
        told = {name.removeprefix(PREFIX): environ[name] for name in environ if name.startswith(PREFIX)}
        try:
            return cls(
                told["SHAPE"],
                int(environ[WORKERS]),
                Member(told["ROLE"], int(told["NUMBER"])),
                int(told["PORT"]),
                float(told["SECONDS"]),
                told["TOKEN"],
                told.get("MEETS_AT", ""),
                told.get("ADDRESS", ""),
                bool(told.get("TIED")),
            )
        except (KeyError, ValueError) as error:
            raise JobError(
                f"the variables of a group are not complete: {error}", f"unset {TOKEN}, and run it again"
            ) from None


def new_token() -> str:
    """A secret of one group, by which its members know each other.

    ECS shows it to whoever may describe the tasks (it is an override of theirs), and CloudTrail keeps it. It is good
    for one run, until all members are there, and only inside of the group's security group. That group is the
    border: within it the frameworks' own ports ask for nothing. The token keeps apart groups that share it.
    """
    return secrets.token_hex(16)


def learning_variables(seat: Seat, found: Mapping[str, Address]) -> dict[str, str]:
    """What the member's framework reads to find the others, once everybody's address is known."""
    if seat.shape == "parameter-server":
        return _parameter_server(seat, found)
    workers = [f"{found[each.name].host}:{found[each.name].port}" for each in seat.everybody]
    task = {"type": "worker", "index": seat.member.number}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": task})}


def _parameter_server(seat: Seat, found: Mapping[str, Address]) -> dict[str, str]:
    """The variables of ps-lite: https://mxnet.apache.org/versions/1.9.1/api/faq/distributed_training"""
    scheduler = found[seat.host.name]
    servers = [each for each in seat.everybody if each.role == "server"]
    return {
        "DMLC_ROLE": seat.member.role,
        "DMLC_PS_ROOT_URI": scheduler.host,
        "DMLC_PS_ROOT_PORT": str(scheduler.port),
        "DMLC_NUM_SERVER": str(len(servers)),
        "DMLC_NUM_WORKER": str(seat.workers),
        # Without it ps-lite takes the first interface's address, which the others may not reach.
        "DMLC_NODE_HOST": found[seat.member.name].host,
    }
