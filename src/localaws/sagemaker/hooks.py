"""SageMaker among ministack's services.

Try it:  python -m pytest tests/local/test_sagemaker_records.py
Knows only what is hooked where.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localaws.engine import Engine
from localaws.sagemaker import (
    endpointconfigs,
    endpoints,
    models,
    packagegroups,
    packages,
    tagging,
    trainingjobs,
    transformjobs,
)
from localaws.sagemaker.calls import SERVICE, TARGET_PREFIX, Calls
from localaws.sagemaker.context import Context
from localaws.sagemaker.invocations import Invocations

_installed: list["SageMaker"] = []


class SageMaker:
    """The areas, and the calls that lead to them."""

    def __init__(self, context: Context) -> None:
        served = endpoints.Area(context)
        # In the order in which they start: training jobs clear away what a former server left, then endpoints come
        # back. Each has `.operations`, and may have `.start()`, `.close()` and `.is_busy()`.
        self.areas: tuple[Any, ...] = (
            tagging.Area(context),
            models.Area(context),
            endpointconfigs.Area(context),
            packagegroups.Area(context),
            packages.Area(context),
            trainingjobs.Area(context),
            served,
            transformjobs.Area(context),
        )
        operations = {name: call for area in self.areas for name, call in area.operations.items()}
        self.calls = Calls(operations, Invocations(served).handle)

    def start(self) -> None:
        """Once requests are answered: bring back what a former server left."""
        self._each("start")

    def close(self) -> None:
        """Before the last state is written: end what runs."""
        self._each("close")
        self.calls.close()

    def is_busy(self) -> bool:
        """Whether records and logs change without a request."""
        return any(area.is_busy() for area in self.areas if hasattr(area, "is_busy"))

    def _each(self, name: str) -> None:
        for area in self.areas:
            if hasattr(area, name):
                getattr(area, name)()


def install(
    engine: Engine,
    endpoint: str,
    region: str,
    metric_seconds: float,
    algorithms: Mapping[str, Path],
    changed: Callable[[], None],
) -> SageMaker:
    """Add the service; once a process, after ministack is imported and before it serves."""
    import ministack.app
    from ministack.core import iam_actions, router
    from ministack.services import tagging as resource_tagging

    context = Context(engine, endpoint, region, metric_seconds, algorithms, changed)
    context.store.install()
    installed = SageMaker(context)
    ministack.app.SERVICE_HANDLERS[SERVICE] = installed.calls.handle
    # For a service that it does not know, ministack reads all of botocore's models first: three seconds.
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [TARGET_PREFIX], "credential_scope": SERVICE}
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    collect = tagging.collector(context.store)
    resource_tagging._COLLECTORS[SERVICE] = collect
    resource_tagging._RESOURCE_TAG_COLLECTORS[SERVICE] = collect
    _installed[:] = [installed]
    return installed


def answer(operation: str, request: dict[str, Any]) -> tuple[int, bytes]:
    """Make a call in this process: status and body."""
    status, _, body = _installed[0].calls.answer(operation, request)
    return status, body
