"""Application Auto Scaling among ministack's services.

Try it:  python -m pytest tests/local/test_scaling.py
Knows only what is hooked where.
"""

from collections.abc import Iterator
from typing import Any

from localaws.alarms import actions
from localaws.alarms.watch import Watch
from localaws.identity import scaling as identity_scaling
from localaws.scaling.acting import Scaler
from localaws.scaling.activities import Activities
from localaws.scaling.calls import SERVICE, TARGET_PREFIX, Calls
from localaws.scaling.policies import Policies
from localaws.scaling.store import Store
from localaws.scaling.targets import Targets

_installed: list[Calls] = []


def install(watch: Watch) -> None:
    """Add the service, have alarms set off its policies, and look after activities with each look at alarms."""
    import ministack.app
    from ministack.core import iam_actions, router
    from ministack.services import tagging

    store = Store()
    activities = Activities(store)
    scaler = Scaler(store, activities, watch.metric_seconds, watch.clock)
    calls = Calls(store, Targets(store, scaler, watch.clock), Policies(store, watch.clock))
    store.install()
    ministack.app.SERVICE_HANDLERS[SERVICE] = calls.handle
    # For a service that it does not know, ministack reads all of botocore's models first: three seconds.
    router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [TARGET_PREFIX], "credential_scope": SERVICE}
    iam_actions.SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    tagging._COLLECTORS[SERVICE] = lambda: _tagged(store)
    actions.on_scaling.append(scaler.act)
    watch.before_look.append(activities.look)
    identity_scaling.arn_of[:] = [lambda each: str((store.target(each) or {}).get("ScalableTargetARN", ""))]
    _installed[:] = [calls]


def answer(operation: str, request: dict[str, Any]) -> tuple[int, bytes]:
    """Make a call in this process: status and body."""
    status, _, body = _installed[0].answer(operation, request)
    return status, body


def _tagged(store: Store) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for target in store.targets.values():
        if target["_tags"]:
            pairs = [{"Key": key, "Value": value} for key, value in target["_tags"].items()]
            yield target["ScalableTargetARN"], pairs
