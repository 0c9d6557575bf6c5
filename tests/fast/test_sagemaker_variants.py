"""Who answers an invocation: weights, instances that are well, limits, and draining."""

import threading
from collections import Counter

import pytest

from localaws.sagemaker.variants import (
    LEAST_OUTSTANDING,
    Directory,
    Instance,
    NobodyAnswers,
    NoSuchVariant,
    Route,
    Served,
    TooMany,
    Variant,
)


def variant(name: str = "v", weight: float = 1, count: int = 1, **more: object) -> Variant:
    instances = [Instance(f"{name}-{number}", ("127.0.0.1", number)) for number in range(count)]
    return Variant(name, weight, instances, **more)  # type: ignore[arg-type]


class Evenly:
    """Chances that go through [0, 1) in equal steps."""

    def __init__(self, steps: int) -> None:
        self.steps, self.next = steps, -1

    def __call__(self) -> float:
        self.next = (self.next + 1) % self.steps
        return self.next / self.steps


def test_each_variant_gets_its_weights_share():
    chances = Evenly(100)
    route = Route([variant("a", 3), variant("b", 1), variant("none", 0)], lambda: chances())
    route._variants[0].instances = [Instance("a", ("h", 1))]
    counts: Counter[str] = Counter()
    for _ in range(100):
        chosen, instance = route.take()
        counts[chosen.name] += 1
        route.give_back(instance)
    assert counts["none"] == 0
    assert 70 <= counts["a"] <= 80


def test_a_named_variant_answers_whatever_its_weight_and_an_unknown_one_does_not():
    route = Route([variant("a", 0), variant("b", 1)])
    assert route.take("a")[0].name == "a"
    with pytest.raises(NoSuchVariant):
        route.take("c")


def test_instances_that_are_not_well_get_nothing():
    one = variant(count=3)
    route = Route([one])
    route.answers(one.instances[0], None)
    route.answers(one.instances[1], None)
    assert {route.take()[1].id for _ in range(20)} == {"v-2"}
    with pytest.raises(NobodyAnswers):
        route.take(but=[one.instances[2]])


def test_nothing_answers_without_variants_or_without_weights():
    for variants in ([], [variant(weight=0)]):
        with pytest.raises(NobodyAnswers):
            Route(variants).take()


def test_least_outstanding_takes_the_idlest_and_random_does_not_look():
    one = variant(count=2, routing=LEAST_OUTSTANDING)
    route = Route([one])
    taken = [route.take()[1] for _ in range(6)]
    assert Counter(each.id for each in taken) == {"v-0": 3, "v-1": 3}
    always_first = Route([variant(count=2)], lambda: 0.0)
    assert {always_first.take()[1].id for _ in range(6)} == {"v-0"}


def test_a_variant_takes_so_many_at_once_and_more_when_some_have_ended():
    one = variant(count=2, most_in_flight=2)
    route = Route([one])
    taken = [route.take()[1] for _ in range(4)]
    with pytest.raises(TooMany):
        route.take()
    route.give_back(taken[0])
    route.take()


def test_after_a_switch_only_the_new_ones_answer_and_the_old_ones_drain_when_they_are_idle():
    old, new = variant("old"), variant("new")
    route = Route([old])
    _, busy = route.take()
    assert route.switch([new]) == [old]
    assert {route.take()[0].name for _ in range(5)} == {"new"}
    assert route.drain(old.instances, 0.01) is False
    drained: list[bool] = []
    waiting = threading.Thread(target=lambda: drained.append(route.drain(old.instances, 10)))
    waiting.start()
    route.give_back(busy)
    waiting.join(5)
    assert drained == [True]


def test_no_invocation_is_sent_to_what_is_drained():
    """Taken and counted in one step: what is idle after it was taken away stays idle."""
    route = Route([variant("first")])
    ended, lost = threading.Event(), []

    def call() -> None:
        while not ended.is_set():
            chosen, instance = route.take()
            if chosen.name in gone:
                lost.append(chosen.name)
            route.give_back(instance)

    gone: set[str] = set()
    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in range(300):
        (before,) = route.switch([variant(str(number))])
        assert route.drain(before.instances, 5)
        gone.add(before.name)
    ended.set()
    for caller in callers:
        caller.join()
    assert lost == []


def test_endpoints_are_found_in_any_case_of_letters_within_their_region():
    directory, served = Directory(), Served("1", "r", "Mine")
    directory.add(served)
    assert directory.find("1", "r", "mINE") is served
    assert directory.find("1", "other", "Mine") is None
    directory.remove(served)
    assert directory.find("1", "r", "Mine") is None
