"""Who is in a group and what each is told, without starting any."""

import json

import pytest

from workshop import group_plan
from workshop.errors import JobError
from workshop.group_plan import Address, Member, Seat

TOKEN = "secret"


def seat(shape: str, member: Member, workers: int = 2) -> Seat:
    return Seat(shape, workers, member, 20500, 120.0, TOKEN, meets_at="10.0.0.4")


def addresses(shape: str, workers: int = 2) -> dict[str, Address]:
    everybody = group_plan.members(shape, workers)
    return {each.name: Address(f"10.0.0.{n}", 6000 + n) for n, each in enumerate(everybody)}


@pytest.mark.parametrize(
    ("shape", "workers", "names"),
    [
        ("all-reduce", 2, "worker 0, worker 1"),
        ("parameter-server", 2, "scheduler, server 0, worker 0, worker 1"),
        (
            "parameter-server",
            5,
            "scheduler, server 0, server 1, worker 0, worker 1, worker 2, worker 3, worker 4",
        ),
    ],
)
def test_each_framework_has_its_roles(shape, workers, names):
    assert ", ".join(each.name for each in group_plan.members(shape, workers)) == names


@pytest.mark.parametrize("workers", [0, -1, 9])
def test_number_of_workers_has_its_limits(workers):
    with pytest.raises(JobError, match=f"1 to 8 workers, not {workers}"):
        group_plan.members("all-reduce", workers)


def test_seat_survives_the_environment():
    for member in group_plan.members("parameter-server", 2):
        told = seat("parameter-server", member)
        assert Seat.from_environment(told.variables()) == told
    tied = Seat("all-reduce", 2, Member("worker", 1), 20500, 0.5, TOKEN, address="127.0.0.1", tied=True)
    assert Seat.from_environment(tied.variables()) == tied


def test_only_workers_have_a_rank():
    ranks = {
        each.name: seat("parameter-server", each).variables().get(group_plan.RANK)
        for each in group_plan.members("parameter-server", 2)
    }
    assert ranks == {"scheduler": None, "server 0": None, "worker 0": "0", "worker 1": "1"}


def test_process_outside_a_group_has_no_seat():
    assert Seat.from_environment({}) is None
    # A notebook of a member knows its rank and has no token: what it runs is not the member again.
    assert Seat.from_environment({"WORKSHOP_WORKERS": "2", "WORKSHOP_RANK": "1"}) is None


def test_half_a_seat_is_refused():
    with pytest.raises(JobError, match="not complete"):
        Seat.from_environment({group_plan.TOKEN: TOKEN, "WORKSHOP_WORKERS": "2"})


def test_seat_does_not_print_its_token():
    assert TOKEN not in repr(seat("all-reduce", Member("worker")))


def test_tensorflow_is_told_everybodys_address_in_the_order_of_ranks():
    told = group_plan.learning_variables(
        seat("all-reduce", Member("worker", 1), 3), addresses("all-reduce", 3)
    )
    assert json.loads(told["TF_CONFIG"]) == {
        "cluster": {"worker": ["10.0.0.0:6000", "10.0.0.1:6001", "10.0.0.2:6002"]},
        "task": {"type": "worker", "index": 1},
    }


def test_mxnet_is_told_where_the_scheduler_is_and_which_address_is_its_own():
    told = group_plan.learning_variables(
        seat("parameter-server", Member("worker", 1)), addresses("parameter-server")
    )
    assert told == {
        "DMLC_ROLE": "worker",
        "DMLC_PS_ROOT_URI": "10.0.0.0",
        "DMLC_PS_ROOT_PORT": "6000",
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": "2",
        "DMLC_NODE_HOST": "10.0.0.3",
    }
