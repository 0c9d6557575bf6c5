"""InvokeEndpoint: a request to a container of a variant, and its answer back, as bytes.

Try it:  aws sagemaker-runtime invoke-endpoint --endpoint-name NAME --content-type text/csv --body fileb://row.csv out
From https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html: which headers pass in
which direction, 60 seconds, 6,291,456 bytes, and what errors look like. Everything happens on the server's event
loop, without threads; connections to containers are kept. Knows nothing of how containers come and go.
"""

import asyncio
import contextlib
import io
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from localaws.identity.sagemaker import endpoint_named
from localaws.sagemaker.endpointmetrics import Owner
from localaws.sagemaker.invocationerrors import (
    ANSWER_TOO_LARGE,
    CONTENT_TYPE,
    NO_ANSWER,
    TIMED_OUT,
    Answer,
    Failed,
    model_error,
    throttled,
    too_large,
    unavailable,
    unsupported,
    validation,
)
from localaws.sagemaker.variants import (
    Directory,
    Instance,
    NobodyAnswers,
    NoSuchVariant,
    Served,
    TooMany,
    Variant,
)

MOST_BYTES = 6_291_456
TIMEOUT_SECONDS = 60.0
# Servers close connections that are idle (gunicorn after 2 s, uvicorn after 5 s). One that is used just then would
# lose an invocation, which must not be sent twice.
IDLE_SECONDS = 1.5
CLOSE_SECONDS = 5.0
LARGE_BYTES = 1024 * 1024  # what aiohttp wants as a file rather than as bytes
PREFIX = "x-amzn-sagemaker-"
# What reaches the container; "SageMaker strips all POST headers except those supported by the API".
PASSED = ("content-type", "accept", PREFIX + "custom-attributes", PREFIX + "inference-id")
RETURNED = (CONTENT_TYPE, PREFIX + "custom-attributes")
# What the API lets a header of an answer be; a container's that is something else is left out.
_VISIBLE = re.compile(r"[\t -~]{1,1024}")
# How long a header may be, and its member's name in the API.
LONGEST = {
    "content-type": ("contentType", 1024),
    "accept": ("accept", 1024),
    PREFIX + "custom-attributes": ("customAttributes", 1024),
    PREFIX + "inference-id": ("inferenceId", 64),
    PREFIX + "target-variant": ("targetVariant", 63),
}
NOT_HERE = {
    PREFIX + "target-container-hostname": "direct invocation of one of several containers",
    PREFIX + "enable-explanations": "Clarify's online explanations",
    PREFIX + "inference-component": "inference components",
    PREFIX + "session-id": "stateful sessions",
    PREFIX + "prefix-aware-id": "prefix-aware routing",
}
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

logger = logging.getLogger("localaws.sagemaker")


@dataclass
class _Given:
    """What a container answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _TooLarge(Exception):
    """The container's answer has more bytes than an answer may have."""


class _NobodyListens(Exception):
    """The container has ended a moment ago: nothing was sent."""


class Counts(Protocol):
    """Who hears of each invocation; see `EndpointMetrics.add`."""

    def add(
        self, owner: Owner, instances: int, code: int, model_seconds: float, overhead_seconds: float
    ) -> None: ...


class Endpoints(Protocol):
    """Where endpoints are found and invocations counted: the area of the endpoints' calls."""

    @property
    def directory(self) -> Directory: ...

    @property
    def metrics(self) -> Counts: ...

    @property
    def on_close(self) -> list[Callable[[], None]]: ...


class Invocations:
    """The runtime's requests. timeout_seconds: how long a container has to answer."""

    def __init__(self, endpoints: Endpoints, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._directory, self._counts = endpoints.directory, endpoints.metrics
        self._timeout_seconds = timeout_seconds
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        endpoints.on_close.append(self.close)

    async def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any
    ) -> Answer:
        """What ministack calls for a request to the runtime; on the event loop."""
        return await self.answer(path, headers, body)

    def close(self) -> None:
        """Close the connections to containers; from another thread than the event loop's."""
        if self._client is not None and self._loop is not None:
            closing = asyncio.run_coroutine_threadsafe(self._client.close(), self._loop)
            with contextlib.suppress(TimeoutError):  # the containers' ends close what is left
                closing.result(CLOSE_SECONDS)

    async def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to a request in the calling context's account and region. headers: names in lower case."""
        from ministack.core.responses import get_account_id, get_region

        began = time.perf_counter()
        try:
            name = _asked_for(path, headers)
            if len(body) > MOST_BYTES:
                return too_large(MOST_BYTES)
            account, region = get_account_id(), get_region()
            served = self._directory.find(account, region, name)
            if served is None:
                raise validation(f"Endpoint {name} of account {account} not found.")
            return await self._invoke(served, headers, body, began)
        except Failed as failed:
            return failed.answer

    async def _invoke(self, served: Served, headers: Mapping[str, str], body: bytes, began: float) -> Answer:
        """By an instance of the variant that is chosen; by another of its instances where nobody listens."""
        target = headers.get(PREFIX + "target-variant", "")
        tried: list[Instance] = []
        while True:
            variant, instance = _taken(served, target, tried)
            try:
                return await self._by(served, variant, instance, headers, body, began)
            except _NobodyListens:
                target = variant.name
                tried.append(instance)

    async def _by(
        self,
        served: Served,
        variant: Variant,
        instance: Instance,
        headers: Mapping[str, str],
        body: bytes,
        began: float,
    ) -> Answer:
        code, sent = 0, time.perf_counter()
        try:
            given = await self._ask(served, instance, headers, body)
            code = given.status
        finally:
            received = time.perf_counter()
            served.route.give_back(instance)
            owner = (served.account, served.region, served.name, variant.name)
            overhead = sent - began + time.perf_counter() - received
            self._counts.add(owner, len(variant.instances), code, received - sent, overhead)
        if not 200 <= given.status < 300:
            raise model_error(served.name, served.region, served.account, given.status, given.body)
        found = {name: given.headers.get(name, "") for name in RETURNED}
        returned = {name: value for name, value in found.items() if _VISIBLE.fullmatch(value)}
        return 200, {"x-Amzn-Invoked-Production-Variant": variant.name, **returned}, given.body

    async def _ask(
        self, served: Served, instance: Instance, headers: Mapping[str, str], body: bytes
    ) -> _Given:
        """Send the request on. Errors: Failed with ModelError when no answer comes."""
        import aiohttp

        client = self._connections()
        address = instance.address
        host, port = address if address else ("", 0)  # it may have ended a moment ago
        try:
            async with client.post(
                f"http://{host}:{port}/invocations",
                data=body if len(body) < LARGE_BYTES else io.BytesIO(body),
                headers={name: headers[name] for name in PASSED if name in headers},
                allow_redirects=False,
            ) as answer:
                return _Given(answer.status, answer.headers, await _small(answer.content))
        except _TooLarge as error:
            raise model_error(served.name, served.region, served.account, 0, ANSWER_TOO_LARGE) from error
        except aiohttp.ClientConnectorError as error:
            raise _NobodyListens from error
        except TimeoutError as error:
            raise model_error(served.name, served.region, served.account, 0, TIMED_OUT) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            logger.info("no answer of %s: %s", served.name, error)
            said = NO_ANSWER.format(served.name).encode()
            raise model_error(served.name, served.region, served.account, 0, said) from error

    def _connections(self) -> Any:
        import aiohttp

        if self._client is None:
            self._loop = asyncio.get_running_loop()
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._client


async def _small(content: Any) -> bytes:
    """The body of an answer, which may be without end. Errors: _TooLarge."""
    found = bytearray()
    async for part in content.iter_any():
        found += part
        if len(found) > MOST_BYTES:
            raise _TooLarge
    return bytes(found)


def _asked_for(path: str, headers: Mapping[str, str]) -> str:
    """The endpoint's name. Errors: Failed for what can't be meant, or is not here."""
    name = endpoint_named(path)
    if not _NAME.fullmatch(name):
        constraint = "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
        raise validation(
            f"1 validation error detected: Value '{name}' at 'endpointName' failed to satisfy constraint: {constraint}"
        )
    for header, (member, longest) in LONGEST.items():
        if len(headers.get(header, "")) > longest:
            constraint = f"Member must have length less than or equal to {longest}"
            raise validation(
                f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"
            )
    if PREFIX + "target-model" in headers:
        raise validation(
            f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
        )
    for header, what in NOT_HERE.items():
        if header in headers:
            raise unsupported(what)
    return name


def _taken(served: Served, target: str, but: list[Instance]) -> tuple[Variant, Instance]:
    try:
        return served.route.take(target, but)
    except NoSuchVariant as error:
        raise validation(f"Variant {target} not found for endpoint {served.name}.") from error
    except NobodyAnswers as error:
        raise unavailable() from error
    except TooMany as error:
        raise throttled() from error
