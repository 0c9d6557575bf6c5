"""All instances of one deployment of an endpoint: started together, resized, retired.

Try it:  python -m pytest tests/fast/test_sagemaker_hosting.py -k fleet
Knows neither records nor images; each instance is a `Keeper`'s.
"""

import logging
import threading
from collections.abc import Callable

from localaws.sagemaker import jobfailures
from localaws.sagemaker.hosting import (
    DRAIN_SECONDS,
    Cancelled,
    Care,
    Keeper,
    NotServing,
    VariantPlan,
    new_instance,
    pings,
)
from localaws.sagemaker.variants import Route, Variant

logger = logging.getLogger("localaws.sagemaker")


class Fleet:
    """All instances of the variants of one deployment, behind one route."""

    def __init__(self, route: Route, plans: list[VariantPlan], care: Care | None = None) -> None:
        self._route = route
        self._care = care or Care(pings)
        self._plans = {plan.name: plan for plan in plans}
        self.variants = [Variant(plan.name, plan.weight, routing=plan.routing) for plan in plans]
        self._keepers: dict[str, list[Keeper]] = {plan.name: [] for plan in plans}
        self._given_up = False

    def start(self) -> None:
        """Start everything at once; returns when all of it is healthy, and ends it all if something is not.

        Errors: NotServing.
        """
        keepers = [
            self._keeper(variant) for variant in self.variants for _ in range(self._plans[variant.name].count)
        ]
        self._begin(keepers)

    def _keeper(self, variant: Variant) -> Keeper:
        keeper = Keeper(self._route, self._plans[variant.name], new_instance(), self._care)
        self._keepers[variant.name].append(keeper)
        return keeper

    def _begin(self, keepers: list[Keeper]) -> None:
        reasons: list[str] = []

        def begin(keeper: Keeper) -> None:
            try:
                keeper.start()
            except NotServing as error:
                reasons.append(error.reason)
            except Cancelled:
                return
            except Exception:
                logger.exception("an instance could not be started")
                reasons.append(jobfailures.internal().reason)
            if reasons:
                for other in keepers:
                    other.give_up()

        _at_once(begin, keepers)
        if reasons or self._given_up:
            self._end(keepers)
            raise NotServing(reasons[0] if reasons else "The endpoint was stopped.")
        for variant in self.variants:
            self._route.resize(variant, [each.instance for each in self._keepers[variant.name]])
        for keeper in keepers:
            keeper.watch()

    def _end(self, keepers: list[Keeper]) -> None:
        for of_variant in self._keepers.values():
            of_variant[:] = [each for each in of_variant if each not in keepers]
        _at_once(Keeper.stop, keepers)

    def resize(self, counts: dict[str, int]) -> None:
        """Give variants so many instances: new ones first, then old ones are drained and stopped.

        Errors: NotServing when new ones do not become healthy; the old ones stay as they were.
        """
        by_name = {variant.name: variant for variant in self.variants}
        new = [
            self._keeper(by_name[name])
            for name, count in counts.items()
            for _ in range(count - len(self._keepers[name]))
        ]
        self._begin(new)
        leaving = [each for name, count in counts.items() for each in self._keepers[name][count:]]
        for name, count in counts.items():
            self._route.resize(by_name[name], [each.instance for each in self._keepers[name][:count]])
        self._route.drain([each.instance for each in leaving], DRAIN_SECONDS)
        self._end(leaving)

    def size(self, variant: str) -> int:
        """How many instances a variant has."""
        return len(self._keepers[variant])

    def usage(self, variant: str) -> list[tuple[str, float, float]]:
        """(instance id, processor time in seconds, memory in MiB) of a variant's instances."""
        found = [(each.instance.id, each.usage()) for each in list(self._keepers[variant])]
        return [(identifier, *used) for identifier, used in found if used]

    def retire(self) -> None:
        """Once nothing is sent to it any more: wait until it is idle, then end it."""
        keepers = [each for several in self._keepers.values() for each in several]
        self._route.drain([each.instance for each in keepers], DRAIN_SECONDS)
        self._end(keepers)

    def give_up(self) -> None:
        """Replace nothing any more; the engine ends what runs."""
        self._given_up = True
        for several in self._keepers.values():
            for keeper in several:
                keeper.give_up()


def _at_once(do: Callable[[Keeper], None], keepers: list[Keeper]) -> None:
    threads = [threading.Thread(target=do, args=(each,), daemon=True) for each in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
