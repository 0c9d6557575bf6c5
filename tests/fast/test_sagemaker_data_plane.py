"""InvokeEndpoint's way to a container and back, against a server of the test's own: time, limits, lost connections."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ministack.core.responses import request_scope

from localaws.sagemaker.endpointmetrics import rounded
from localaws.sagemaker.invocations import Invocations
from localaws.sagemaker.variants import Directory, Instance, Route, Served, Variant

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\nok"
ACCOUNT, REGION, NAME = "123456789012", "us-east-1", "e"


class Area:
    """What `Invocations` wants of the endpoints' area."""

    def __init__(self, *variants: Variant) -> None:
        self.directory, self.on_close, self.metrics = Directory(), [], self
        self.directory.add(Served(ACCOUNT, REGION, NAME, Route(variants)))
        self.counted: list[tuple[str, int, int]] = []

    def add(self, owner: Any, instances: int, code: int, model_seconds: float, overhead: float) -> None:
        assert model_seconds >= 0 <= overhead
        self.counted.append((owner[3], instances, code))


def answered(
    handler: Handler | None, count: int = 1, timeout_seconds: float = 5, most: int = 99, headers: Any = None
) -> tuple[list[Any], Area, int]:
    """What so many invocations at once answer, the area, and how many connections the container saw."""
    area = Area()
    connections = 0

    async def run() -> list[Any]:
        nonlocal area

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            assert handler
            await handler(reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        if handler is None:
            server.close()
            await server.wait_closed()
        area = Area(Variant("v", 1, [Instance("i", address)], most_in_flight=most))
        invocations = Invocations(area, timeout_seconds)
        try:
            calls = [
                invocations.answer(f"/endpoints/{NAME}/invocations", headers or {}, b"row")
                for _ in range(count)
            ]
            return list(await asyncio.gather(*calls))
        finally:
            if invocations._client:
                await invocations._client.close()
            server.close()

    with request_scope(ACCOUNT, REGION):
        return asyncio.run(run()), area, connections


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(3)
    return head


async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(GOOD)
    await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    await reader.read()


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)


async def garbled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(b"what?\r\n\r\n")


def error(answer: Any) -> tuple[int, str, dict[str, Any]]:
    status, headers, body = answer
    return status, headers["x-amzn-ErrorType"], json.loads(body)


def test_an_answer_comes_back_with_its_type_and_its_variant():
    ((status, headers, body),), area, _ = answered(good)
    assert (status, body) == (200, b"ok")
    assert headers == {"x-Amzn-Invoked-Production-Variant": "v", "content-type": "text/csv"}
    assert area.counted == [("v", 1, 200)]


def test_nothing_is_added_to_what_the_caller_sent():
    seen: list[bytes] = []

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(GOOD)
        await writer.drain()

    answered(keep, headers={"authorization": "secret", "x-amz-date": "now", "accept": "text/csv"})
    names = {line.split(b":")[0].lower() for line in seen[0].split(b"\r\n")[1:] if line}
    assert names == {b"host", b"accept", b"content-length"}


def test_a_container_has_so_long_and_not_longer():
    (answer,), area, _ = answered(silent, timeout_seconds=0.1)
    status, code, document = error(answer)
    assert (status, code, document["OriginalStatusCode"]) == (424, "ModelError", 0)
    assert document["OriginalMessage"].startswith(
        "Your invocation timed out while waiting for a response from"
    )
    assert area.counted == [("v", 1, 0)]


@pytest.mark.parametrize("handler", [rude, garbled])
def test_no_answer_is_a_model_error_and_is_not_asked_for_twice(handler):
    (answer,), _, connections = answered(handler)
    status, code, document = error(answer)
    assert (status, code, document["OriginalStatusCode"], connections) == (424, "ModelError", 0, 1)
    assert document["OriginalMessage"].startswith(
        "Amazon SageMaker could not get a response from the e endpoint"
    )


def test_nobody_who_listens_is_a_service_that_is_unavailable():
    (answer,), _, _ = answered(None)
    assert error(answer)[:2] == (503, "ServiceUnavailable")


def test_more_at_once_than_a_variant_takes_are_throttled_and_the_others_are_answered():
    answers, area, _ = answered(good, count=5, most=3)
    assert sorted(status for status, *_ in answers) == [200, 200, 200, 400, 400]
    throttled = [error(each) for each in answers if each[0] == 400]
    assert {code for _, code, _ in throttled} == {"ThrottlingException"}
    assert len(area.counted) == 3


def test_after_any_end_the_instance_is_idle():
    for handler in (good, silent, rude, garbled, None):
        _, area, _ = answered(handler, timeout_seconds=0.1)
        served = area.directory.find(ACCOUNT, REGION, NAME)
        assert served
        assert [each.in_flight for each in served.route.variants[0].instances] == [0]


def test_latencies_are_told_in_microseconds_of_three_digits():
    assert (rounded(0.0012345), rounded(12.3456), rounded(0)) == (1230, 12_300_000, 0)
