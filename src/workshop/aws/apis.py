"""Where a REST API of the course answers, the key that opens it, and what it says.

Try it:  from workshop.aws import apis; print(apis.call("/predict", {"data": "1,2,3"}, apis.key()))
A stack's output names an API as AWS does, by a host that only AWS can answer for; here the local AWS serves the same
API below a path of its own address. What HTTP says is the answer, refusals too: a lab shows those. Knows stages and
keys; not what an API is asked.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import requests

from workshop.aws import session, stacks
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import TargetError

SATISFACTION = "satisfaction"
ON_AWS = re.compile(
    r"https://(?P<api>[a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?(?P<path>/.*)?"
)
TIMEOUT_SECONDS = 35
"""API Gateway itself gives up after 29."""


@dataclass(frozen=True)
class Key:
    """An API key; it is sent, and never shown."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What came back: the body parsed if it is JSON, and how long it took."""

    status: int
    body: Any
    milliseconds: float
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        shown = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return f"{self.status} in {self.milliseconds:.0f} ms: {shown}"


def url(concern: str = SATISFACTION, aws: Aws | None = None) -> str:
    """The address of a stack's API with its stage and no slash at its end; `/predict` goes behind it."""
    aws = aws or session.current()
    return reachable(stacks.outputs(concern, aws)["ApiUrl"], aws)


def reachable(address: str, aws: Aws) -> str:
    """An API's address as this machine reaches it: on AWS the same, here below the local AWS's own."""
    found = ON_AWS.fullmatch(address)
    if not aws.is_local or found is None:
        return address
    return f"{aws.endpoint}/_aws/execute-api/{found['api']}{found['path'] or ''}"


def key(concern: str = SATISFACTION, aws: Aws | None = None) -> Key:
    """A stack's API key, for the header x-api-key."""
    aws = aws or session.current()
    key_id = stacks.outputs(concern, aws)["ApiKeyId"]
    with explained(f"read the API key {key_id}"):
        return Key(str(aws.client("apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"]))


def call(
    path: str = "/predict",
    body: Any = None,
    key: Key | None = None,
    method: str = "POST",
    content_type: str = "application/json",
    address: str = "",
    aws: Aws | None = None,
) -> Answer:
    """Send one request and return what came back, whatever its status.

    body: sent as JSON, or as it is if it is text or bytes. key: as `key()` gives it; None sends none. address: of
    another API than the course's.
    Errors: TargetError if nothing answers.
    """
    where = (address or url(aws=aws)).rstrip("/") + "/" + path.lstrip("/")
    headers = {"Content-Type": content_type} if body is not None else {}
    if key is not None:
        headers["x-api-key"] = key.value
    content = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
    began = time.perf_counter()
    try:
        answer = requests.request(method, where, data=content, headers=headers, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise TargetError(f"{where} does not answer: {error}", "workshop up, or: workshop status") from error
    taken = (time.perf_counter() - began) * 1000
    return Answer(answer.status_code, _body(answer), taken, dict(answer.headers))


def _body(answer: requests.Response) -> Any:
    """Parsed if it is JSON; what only says that it is, is shown as it came."""
    with contextlib.suppress(ValueError):
        return json.loads(answer.text)
    return answer.text
