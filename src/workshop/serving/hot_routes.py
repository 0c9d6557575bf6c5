"""The requests that classify, answered without FastAPI's machinery, which takes longer than the network does.

Try it:  curl -H 'Content-Type: application/json' -d '{"text": "I love it"}' localhost:8080/predict
Plain ASGI: read the body, decode it, classify, answer; `application` documents these routes and answers all others.
https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from workshop.serving import messages
from workshop.serving.batches import Batches
from workshop.serving.in_service import InService, Model
from workshop.serving.messages import LARGEST_BODY_BYTES, Problem
from workshop.serving.metrics import Metrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
CLOSE = (b"connection", b"close")
LARGEST_FORGOTTEN_BYTES = 64 * LARGEST_BODY_BYTES
AT_ONCE = 8  # texts of a list between which other requests get their turn
RETRY_SECONDS = b"2"

log = logging.getLogger(__name__)


class Gone(Exception):
    """The client has left before its request was complete."""


class HotRoute:
    """One POST route. answer: takes the model in service and the body, gives the answer's body."""

    def __init__(
        self,
        path: str,
        answer: Callable[[Model, bytes | bytearray], Awaitable[bytes]],
        in_service: InService,
        metrics: Metrics,
    ) -> None:
        self.path = path
        self._answer, self._in_service, self._metrics = answer, in_service, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers: Headers
        try:
            body = await read_body(scope, receive)
            model = self._in_service.model or self._nothing_in_service()
            content = await self._answer(model, body)
            status, headers = 200, [JSON]
        except Gone:
            return
        except Problem as problem:
            status, content = problem.status, refusal(problem)
            headers = [JSON, *problem.headers]
        except Exception:
            log.exception("a request to %s failed", self.path)
            status, content, headers = 500, refusal(OURS), [JSON]
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        self._metrics.answered(self.path, status, time.perf_counter() - started)

    def _nothing_in_service(self) -> Model:
        raise Problem(503, *why_not_ready(self._in_service), ((b"retry-after", RETRY_SECONDS),))


OURS = Problem(500, "the service failed; the reason is in its log", "try again, or ask who runs the service")


class Classifier:
    """What the two routes answer."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._batches = metrics, Batches()

    async def parse_inputs(self, model: Model, body: bytes | bytearray) -> bytes:
        """{"sentiment": "positive"}"""
        text = messages.as_request(messages.PARSE_INPUTS, body).text
        self._metrics.texts += 1
        row = await self._batches.predict(model, text)
        label = model.predictor.labels[int(row.argmax())]
        return messages.encode(messages.Sentiment(label))

    async def predict(self, model: Model, body: bytes | bytearray) -> bytes:
        """{"version": …, "predictions": [{"label": …, "probabilities": {…}}]}"""
        given = messages.as_request(messages.PREDICT, body).text
        if isinstance(given, str):
            self._metrics.texts += 1
            predictions = [_prediction(model, (await self._batches.predict(model, given)).tolist())]
            return messages.encode(messages.Predictions(model.version, predictions))
        self._metrics.texts += len(given)
        predictions = []
        for first in range(0, len(given), AT_ONCE):
            found = model.predictor.predict(given[first : first + AT_ONCE])
            predictions += [_prediction(model, row) for row in found.tolist()]
            await asyncio.sleep(0)
        return messages.encode(messages.Predictions(model.version, predictions))


def _prediction(model: Model, row: list[float]) -> messages.Prediction:
    labels = model.predictor.labels
    return messages.Prediction(labels[row.index(max(row))], dict(zip(labels, row, strict=True)))


async def read_body(scope: Scope, receive: Receive) -> bytes | bytearray:
    """The whole body. Errors: Problem 413 or 415; Gone."""
    _check_headers(scope["headers"])
    message = await receive()
    body: bytes | bytearray = message.get("body", b"")
    if message.get("more_body"):
        body = bytearray(body)
    while message.get("more_body") and len(body) <= LARGEST_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Gone
    if len(body) > LARGEST_BODY_BYTES:
        raise _too_large()
    return body


def _check_headers(headers: Headers) -> None:
    """Refuse by the headers alone what can't be read. Errors: Problem 413 or 415."""
    content_type = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length" and int(value) > LARGEST_BODY_BYTES:
            raise _too_large(int(value))
        elif name == b"content-encoding" and value.lower() != b"identity":
            told = f"the content encoding {value.decode('latin-1')} is not read here"
            raise Problem(415, told, "send the body as it is, without Content-Encoding")
    if content_type != JSON[1] and content_type.partition(b";")[0].strip().lower() != JSON[1]:
        given = content_type.decode("latin-1") or "missing"
        raise Problem(415, f"the content type is {given}", "send the header Content-Type: application/json")


def _too_large(size_bytes: int = 0) -> Problem:
    told = f"the body has {size_bytes or 'too many'} bytes, and at most {LARGEST_BODY_BYTES} are read"
    # What follows the answer is read and forgotten, so that the client gets to read it; not without end, though.
    headers = (CLOSE,) if size_bytes > LARGEST_FORGOTTEN_BYTES else ()
    return Problem(
        413, told, f"send fewer texts in a request: a list has at most {messages.MOST_TEXTS}", headers
    )


def refusal(problem: Problem) -> bytes:
    """The body of an error."""
    return messages.encode(messages.Refusal(problem.error, problem.fix))


def why_not_ready(in_service: InService) -> tuple[str, str]:
    """What is wrong and what mends it, while no model is in service."""
    known = in_service.problem or in_service.refused or {"reason": "it is being loaded", "fix": "try again"}
    return f"no model is in service: {known['reason']}", known["fix"]
