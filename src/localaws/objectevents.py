"""S3's events on EventBridge name the object's version, as AWS's do for buckets with versions.

Try it:  python -m pytest tests/local/test_localaws_upload.py
ministack gives the version to its notifications and leaves it out of the event. A function that starts one task
for each upload, however often the event is delivered, tells uploads apart by it.
Documented at https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html.
"""

import contextvars
import functools
import json
from collections.abc import Callable
from typing import Any

# ministack delivers each event in a context of its own: what is set here is seen by that event alone.
_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version", default=None)


def install() -> None:
    """Hook in. EventBridge is loaded with the first event, so that the server's start does not wait for it."""
    from ministack.services import s3

    original = s3._fire_s3_event

    @functools.wraps(original)
    def fire(*arguments: Any, version_id: str | None = None, **more: Any) -> None:
        _hook_dispatch()
        _version.set(version_id)
        original(*arguments, version_id=version_id, **more)

    s3._fire_s3_event = fire


@functools.cache
def _hook_dispatch() -> None:
    from ministack.services import eventbridge

    eventbridge._dispatch_event = _naming_version(eventbridge._dispatch_event)


def _naming_version(original: Callable[..., Any]) -> Callable[..., Any]:
    def dispatch(event: dict[str, Any], *more: Any) -> Any:
        version = _version.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        return original(event, *more)

    return dispatch
