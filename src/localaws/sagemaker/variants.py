"""The variants of an endpoint and their instances, as invocations see them: who answers the next one.

Try it:  python -m pytest tests/fast/test_sagemaker_variants.py
Invocations take an instance and give it back, on the event loop; threads that start and stop containers change what
there is to take, and wait until those that they took away are idle, so that no invocation loses its container.
Knows no HTTP, no containers and no records.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from localaws.sagemaker.arns import key

Address = tuple[str, int]

# AWS publishes no limit on how many invocations an instance takes at once, and its containers queue them; a client
# that is let pile up thousands here would wait for nothing but its own time limit.
MOST_IN_FLIGHT = 256
# ProductionVariant.RoutingConfig; the other strategy is RANDOM.
LEAST_OUTSTANDING = "LEAST_OUTSTANDING_REQUESTS"


class NoSuchVariant(Exception):
    """The endpoint has no variant of that name."""


class NobodyAnswers(Exception):
    """No instance of the variant has a container that passes its health check now."""


class TooMany(Exception):
    """As many invocations as the variant's instances may have at once are under way."""


@dataclass(eq=False)
class Instance:
    """One instance of a variant. address: where its container answers, None while it has none that is healthy."""

    id: str
    address: Address | None = None
    in_flight: int = 0


@dataclass(eq=False)
class Variant:
    """A variant's name, its share of the endpoint's invocations, its instances."""

    name: str
    weight: float = 1.0
    instances: list[Instance] = field(default_factory=list)
    routing: str = "RANDOM"
    most_in_flight: int = MOST_IN_FLIGHT  # of each instance


class Route:
    """The variants of one endpoint; every method from any thread, none of them waits but `drain`.

    chance: a number of [0, 1), asked once for the variant and once for the instance.
    """

    def __init__(self, variants: Iterable[Variant] = (), chance: Callable[[], float] = random.random) -> None:
        self._variants = list(variants)
        self._chance = chance
        self._change = threading.Condition()

    @property
    def variants(self) -> list[Variant]:
        with self._change:
            return list(self._variants)

    def take(self, target: str = "", but: Collection[Instance] = ()) -> tuple[Variant, Instance]:
        """Choose who answers an invocation; `give_back` must follow.

        target: a variant's name, whatever its weight. but: instances that were tried and did not answer.
        Errors: NoSuchVariant, NobodyAnswers, TooMany.
        """
        with self._change:
            variant = self._named(target) if target else self._by_weight()
            healthy = [each for each in variant.instances if each.address and each not in but]
            if not healthy:
                raise NobodyAnswers(variant.name)
            if sum(each.in_flight for each in healthy) >= variant.most_in_flight * len(healthy):
                raise TooMany(variant.name)
            if variant.routing == LEAST_OUTSTANDING:
                instance = min(healthy, key=lambda each: each.in_flight)
            else:
                instance = healthy[int(self._chance() * len(healthy))]
            instance.in_flight += 1
            return variant, instance

    def _named(self, name: str) -> Variant:
        for variant in self._variants:
            if variant.name == name:
                return variant
        raise NoSuchVariant(name)

    def _by_weight(self) -> Variant:
        """Each variant with the probability of its weight by the sum of all (API reference, ProductionVariant)."""
        left = self._chance() * sum(each.weight for each in self._variants)
        weighted = [each for each in self._variants if each.weight > 0]
        for variant in weighted:
            left -= variant.weight
            if left < 0:
                return variant
        if not weighted:
            raise NobodyAnswers("")
        return weighted[-1]

    def give_back(self, instance: Instance) -> None:
        """An invocation has ended."""
        with self._change:
            instance.in_flight -= 1
            if not instance.in_flight:
                self._change.notify_all()

    def switch(self, variants: Iterable[Variant]) -> list[Variant]:
        """From now on invocations go to these variants; returns those before."""
        with self._change:
            before, self._variants = self._variants, list(variants)
            return before

    def answers(self, instance: Instance, address: Address | None) -> None:
        """An instance's container has become healthy, at this address, or has ended."""
        with self._change:
            instance.address = address

    def resize(self, variant: Variant, instances: Iterable[Instance]) -> None:
        """A variant has these instances from now on."""
        with self._change:
            variant.instances = list(instances)

    def weigh(self, variant: Variant, weight: float) -> None:
        """Another share of the invocations for a variant, from the next one on."""
        with self._change:
            variant.weight = weight

    def drain(self, instances: Iterable[Instance], timeout_seconds: float) -> bool:
        """Wait until instances that nothing is sent to any more are idle; False if the time passed before."""
        waited_for = list(instances)
        end = time.monotonic() + timeout_seconds
        with self._change:
            while any(each.in_flight for each in waited_for):
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._change.wait(left)
        return True


@dataclass(eq=False)
class Served:
    """An endpoint that takes invocations: its name as it was written, and who answers."""

    account: str
    region: str
    name: str
    route: Route = field(default_factory=Route)


class Directory:
    """The endpoints that take invocations, in any case of letters as their names are."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str, str], Served] = {}

    def add(self, served: Served) -> None:
        """Take invocations for an endpoint."""
        self._served[served.account, served.region, key(served.name)] = served

    def remove(self, served: Served) -> None:
        """Take no more: it is not found from now on."""
        self._served.pop((served.account, served.region, key(served.name)), None)

    def find(self, account: str, region: str, name: str) -> Served | None:
        """The endpoint of that name."""
        return self._served.get((account, region, key(name)))
