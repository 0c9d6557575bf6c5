"""Answer over HTTP as SageMaker asks: /ping, /invocations, /execution-parameters.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml .venvs/linear-learner/bin/python -m linearlearner serve
         curl -H 'Content-Type: text/csv' --data '1,2,3' localhost:8080/invocations
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html and, for batch transform,
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html. SIGTERM ends it at once.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from linearlearner import artefact, payloads
from linearlearner.errors import RequestError
from linearlearner.predictor import Predictor

PORT, PORT_VARIABLE = 8080, "SAGEMAKER_BIND_TO_PORT"
# A container listens on all of its own network; a process has none of its own, and stays on this machine.
ADDRESS, ADDRESS_VARIABLE = "127.0.0.1", "WORKSHOP_BIND_ADDRESS"
KEEP_ALIVE_SECONDS = 300
FAREWELL_SECONDS = 1
LARGEST_BODY = 100 * 2**20  # of a batch transform; an endpoint passes on no more than 6 MiB
AT_ONCE = 2**20  # a larger body is read on a thread, so that /ping is answered meanwhile
DEFAULT_TYPE = "application/octet-stream"  # what SageMaker sends where the caller says nothing
PAYLOAD_MB = 6

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application:
    """The ASGI application of one model."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._routes = {
            "/ping": ("GET", self._ping),
            "/invocations": ("POST", self._invoke),
            "/execution-parameters": ("GET", self._parameters),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            method, route = self._routes.get(scope["path"], ("", None))
            if route is None:
                raise RequestError(404, f"there is no {scope['path']}")
            if scope["method"] != method:
                raise RequestError(405, f"{scope['path']} is for {method}")
            status, (body, kind) = 200, await route(scope, receive)
        except RequestError as error:
            print(f"ERROR {scope['method']} {scope['path']}: {error.status} {error.message}", flush=True)
            status, body, kind = error.status, error.message.encode(), "text/plain"
        length = str(len(body)).encode()
        headers = [(b"content-type", kind.encode()), (b"content-length", length)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _ping(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        return b"", payloads.JSON

    async def _parameters(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        found = {
            "MaxConcurrentTransforms": os.cpu_count() or 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": PAYLOAD_MB,
        }
        return json.dumps(found).encode(), payloads.JSON

    async def _invoke(self, scope: Scope, receive: Receive) -> tuple[bytes, str]:
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", DEFAULT_TYPE.encode()).decode("latin-1")
        accept = headers.get(b"accept", b"").decode("latin-1")
        body = await _body(receive)
        if len(body) > AT_ONCE:
            return await asyncio.to_thread(self._answer, body, content_type, accept)
        return self._answer(body, content_type, accept)

    def _answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        features = payloads.rows(body, content_type, self._predictor.feature_dim)
        return payloads.answer(self._predictor, features, accept)


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "the caller left before the end of the body")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise RequestError(413, f"a body may have {LARGEST_BODY} bytes")
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def serve(folder: Path, environ: Mapping[str, str] | None = None) -> None:
    """Load the model and serve until SIGTERM. Errors: ArtefactError, before anything listens."""
    variables = os.environ if environ is None else environ
    application = Application(artefact.load(folder))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host=variables.get(ADDRESS_VARIABLE) or ADDRESS,
            port=int(variables.get(PORT_VARIABLE) or PORT),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=FAREWELL_SECONDS,
        )
    )
    server.run()
