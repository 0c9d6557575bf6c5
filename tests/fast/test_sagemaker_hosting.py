"""Keepers and fleets: started until they are well, replaced when they end, taken away when they are idle."""

import threading
import time

import pytest

from localaws.engine import EngineError, Exit
from localaws.sagemaker import hosting
from localaws.sagemaker.fleets import Fleet
from localaws.sagemaker.hosting import Care, Keeper, NotServing, VariantPlan, new_instance
from localaws.sagemaker.variants import Address, NobodyAnswers, Route

PATIENCE_SECONDS = 10


class FakeServer:
    """A container that ends when it is told to."""

    made: list["FakeServer"] = []  # noqa: RUF012  each test begins with an empty one

    def __init__(self, well: bool = True) -> None:
        FakeServer.made.append(self)
        self.well = well
        self.address: Address = ("fake", len(FakeServer.made))
        self.ended = threading.Event()
        self.stopped = self.pinged = 0

    def wait(self, timeout_seconds: float) -> Exit | None:
        return Exit(1) if self.ended.wait(timeout_seconds) else None

    def usage(self) -> tuple[float, float] | None:
        return None if self.ended.is_set() else (1.0, 2.0)

    def stop(self, timeout_seconds: float) -> None:
        self.stopped += 1
        self.ended.set()


@pytest.fixture(autouse=True)
def none_made() -> None:
    FakeServer.made = []


def ping(address: Address) -> bool:
    server = FakeServer.made[address[1] - 1]
    server.pinged += 1
    return server.well and not server.ended.is_set()


def until(condition: object) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, condition
        time.sleep(0.005)


def plan(name: str = "v", count: int = 1, launch: object = None, **more: object) -> VariantPlan:
    return VariantPlan(name, 1.0, count, launch or (lambda identifier: FakeServer()), **more)  # type: ignore[arg-type]


def fleet_of(*plans: VariantPlan, unwell_seconds: float = 1000) -> tuple[Route, Fleet]:
    route = Route()
    fleet = Fleet(route, list(plans), Care(ping, 0.01, unwell_seconds))
    fleet.start()
    route.switch(fleet.variants)
    return route, fleet


def test_a_fleet_has_as_many_instances_as_were_asked_for_all_of_them_well():
    route, fleet = fleet_of(plan("a", 2), plan("b", 1))
    assert (fleet.size("a"), fleet.size("b"), len(FakeServer.made)) == (2, 1, 3)
    assert {route.take("a")[1].address for _ in range(50)} <= {each.address for each in FakeServer.made}
    fleet.give_up()


@pytest.mark.parametrize("launch", ["raises", "ends", "is never well"])
def test_one_instance_that_does_not_start_ends_all_of_the_fleet(launch):
    given = iter(range(3))

    def start(identifier: str) -> FakeServer:
        if next(given) < 2:
            return FakeServer()
        if launch == "raises":
            raise EngineError("no such image")
        made = FakeServer(well=False)
        if launch == "ends":
            made.ended.set()
        return made

    with pytest.raises(NotServing) as caught:
        fleet_of(plan("v", 3, start, startup_seconds=0.2))
    expected = "no such image" if launch == "raises" else hosting.unhealthy("v")
    assert caught.value.reason == expected
    assert all(each.stopped for each in FakeServer.made)


def test_nothing_is_sent_to_an_instance_until_its_next_container_is_well():
    starts = threading.Event()

    def start(identifier: str) -> FakeServer:
        assert not FakeServer.made or starts.wait(PATIENCE_SECONDS)
        return FakeServer()

    route, fleet = fleet_of(plan(launch=start))
    FakeServer.made[0].ended.set()
    (instance,) = fleet.variants[0].instances
    until(lambda: instance.address is None)
    with pytest.raises(NobodyAnswers):
        route.take()
    starts.set()
    until(lambda: instance.address)
    fleet.give_up()


def test_what_is_retired_ends_only_when_it_is_idle():
    route, fleet = fleet_of(plan())
    _, instance = route.take()
    route.switch([])
    retiring = threading.Thread(target=fleet.retire)
    retiring.start()
    retiring.join(0.05)
    assert not FakeServer.made[0].stopped
    route.give_back(instance)
    retiring.join(PATIENCE_SECONDS)
    assert FakeServer.made[0].stopped


def test_a_container_that_ends_is_replaced_under_the_same_instance():
    route, fleet = fleet_of(plan())
    instance = route.take()[1]
    first = FakeServer.made[0]
    first.ended.set()
    until(lambda: instance.address not in (None, first.address))
    assert route.take()[1] is instance
    assert fleet.size("v") == 1
    fleet.give_up()


def keepers() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("keep-")]


def test_a_container_that_is_not_well_for_long_is_replaced():
    _, fleet = fleet_of(plan(), unwell_seconds=0.05)
    server = FakeServer.made[0]
    server.well = False
    until(lambda: len(FakeServer.made) == 2)
    assert server.stopped
    fleet.give_up()


def test_a_container_that_is_not_well_for_a_while_is_left_alone():
    _, fleet = fleet_of(plan())
    server = FakeServer.made[0]
    server.well, before = False, server.pinged
    until(lambda: server.pinged > before + 5)
    assert (len(FakeServer.made), server.stopped) == (1, 0)
    fleet.give_up()


@pytest.mark.parametrize("end", ["retire", "give_up"])
def test_what_is_stopped_and_what_ends_with_the_server_is_not_replaced(end):
    _, fleet = fleet_of(plan("v", 2))
    getattr(fleet, end)()
    for server in FakeServer.made:
        server.ended.set()
    until(lambda: not keepers())
    assert len(FakeServer.made) == 2
    assert all(each.stopped for each in FakeServer.made)


def test_a_start_that_is_given_up_ends_its_container():
    route = Route()
    never = plan(launch=lambda identifier: FakeServer(well=False))
    keeper = Keeper(route, never, new_instance(), Care(ping))
    caught: list[BaseException] = []

    def start() -> None:
        try:
            keeper.start()
        except hosting.Cancelled as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    until(lambda: FakeServer.made)
    keeper.stop()
    thread.join(PATIENCE_SECONDS)
    assert len(caught) == 1
    assert FakeServer.made[0].stopped


def test_growing_and_shrinking_waits_for_what_is_under_way():
    route, fleet = fleet_of(plan())
    fleet.resize({"v": 3})
    assert (fleet.size("v"), len(route.variants[0].instances)) == (3, 3)
    taken = [route.take()[1] for _ in range(100)]
    leaving = [each for each in taken if each is route.variants[0].instances[2]]
    shrinking = threading.Thread(target=fleet.resize, args=({"v": 1},))
    shrinking.start()
    until(lambda: len(route.variants[0].instances) == 1)
    shrinking.join(0.05)
    assert not any(each.stopped for each in FakeServer.made)
    for each in taken:
        route.give_back(each)
    shrinking.join(PATIENCE_SECONDS)
    assert leaving
    assert sum(bool(each.stopped) for each in FakeServer.made) == 2
    fleet.give_up()


def test_a_fleet_that_can_not_grow_stays_as_it_was():
    launches = iter([FakeServer])

    def start(identifier: str) -> FakeServer:
        for kind in launches:
            return kind()
        raise EngineError("no room")

    route, fleet = fleet_of(plan("v", 1, start))
    with pytest.raises(NotServing, match="no room"):
        fleet.resize({"v": 2})
    assert (fleet.size("v"), len(route.variants[0].instances)) == (1, 1)
    assert not FakeServer.made[0].stopped
    fleet.give_up()


def test_instances_are_called_as_ec2_calls_them():
    assert len(new_instance().id) == len("i-0123456789abcdef0")
    assert new_instance().id != new_instance().id
