"""The service itself: requests to ELBv2 become calls, and their outcomes answers.

Try it:  aws elbv2 describe-load-balancers
Every operation of AWS's that is not here is refused by name. `call` is for whoever makes load balancers in this
process, such as CloudFormation. Knows no record.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from localaws.loadbalancer import balancers, groups, listeners, pages, records, tagging, wire
from localaws.loadbalancer.wire import Document, Refused

Answer = tuple[int, dict[str, str], bytes]
SIGNING_NAME, VERSION = "elasticloadbalancing", "2015-12-01"
_calls: dict[str, Callable[[Document], Document]] = {}


def install(ports: listeners.Ports) -> None:
    """Take the place of ministack's service; ports: opens what listeners listen on."""
    import ministack.app

    _calls.update({**balancers.CALLS, **groups.CALLS, **listeners.calls(ports), **tagging.CALLS})
    ministack.app.SERVICE_HANDLERS[SIGNING_NAME] = _handle


async def _handle(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> Answer:
    form = {name: each[0] if isinstance(each, list) else str(each) for name, each in query.items()}
    if body:
        given = parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)
        form |= {name: values[0] for name, values in given.items()}
    request_id = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-{secrets.token_hex(6)}"
    # On a thread: opening a port that has just been closed may wait for it, and so may whoever holds the records.
    status, answer = await asyncio.to_thread(_answer, form, request_id)
    return status, {"Content-Type": "text/xml"}, answer


def _answer(form: dict[str, str], request_id: str) -> tuple[int, bytes]:
    operation = form.pop("Action", "")
    version = form.pop("Version", VERSION)
    try:
        if (
            version != VERSION
        ):  # the name that requests are signed for, and many operations' names, are the same
            raise wire.not_emulated(f"Classic Load Balancers (version {version} of the API)")
        if operation not in _calls:
            if operation in wire.operations():
                raise wire.not_emulated(f"elasticloadbalancing:{operation}")
            raise Refused("InvalidAction", f"Could not find operation {operation} for version {VERSION}")
        return 200, wire.answer(operation, _called(operation, wire.read(operation, form)), request_id)
    except Refused as refused:
        return 400, wire.error(refused, request_id)


def call(operation: str, given: Document) -> Document:
    """Make a call in this process, in the account and region of the calling context.

    Errors: Refused.
    """
    wire.check(operation, given)
    return _called(operation, given)


def _called(operation: str, given: Document) -> Document:
    with records.changing:
        output = pages.paged(operation, given, _calls[operation](given))
    if not operation.startswith("Describe"):
        records.changed()
    return output
