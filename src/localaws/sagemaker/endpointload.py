"""What the containers of endpoints use of processors and memory, in percent, as CloudWatch hears of it.

Try it:  aws cloudwatch list-metrics --namespace /aws/sagemaker/Endpoints
CPUUtilization is the sum over the cores that are used, so 200 are two whole ones; MemoryUtilization is of what the
instance type has (https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html). Measured by the engine.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from localaws.sagemaker import containers
from localaws.sagemaker.endpointlife import Life
from localaws.sagemaker.endpointmetrics import Load, Owner


class Loads:
    """Measures each variant's instances since the last time."""

    def __init__(self, lives: Callable[[], Iterable[Life]]) -> None:
        self._lives = lives
        self._before: dict[str, tuple[float, float]] = {}  # instance: when, its processor time then

    def __call__(self) -> Iterator[tuple[Owner, Load]]:
        before, self._before = self._before, {}
        for life in self._lives():
            types = {each["name"]: each["instance_type"] for each in life.record["_deployment"]["variants"]}
            for variant, used in life.usage():
                owner = (life.served.account, life.served.region, life.served.name, variant)
                yield owner, self._load(used, before, containers.memory_mib(types.get(variant, "")))

    def _load(
        self,
        used: list[tuple[str, float, float]],
        before: dict[str, tuple[float, float]],
        memory_mib: int | None,
    ) -> Load:
        cpu = []
        for instance, cpu_seconds, _ in used:
            now = time.monotonic()
            self._before[instance] = (now, cpu_seconds)
            since, had = before.get(instance, (now, cpu_seconds))
            # A container that was replaced begins at zero; one that is new has nothing to compare with.
            if now > since and cpu_seconds >= had:
                cpu.append(100 * (cpu_seconds - had) / (now - since))
        memory = [100 * each[2] / memory_mib for each in used] if memory_mib else []
        return Load(tuple(cpu), tuple(memory))
