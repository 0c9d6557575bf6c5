"""SageMaker's requests, by botocore's model of the service: which call, is it well formed, what of its answer the
model has.

Try it:  aws sagemaker list-notebook-instances   (refused, by name)
The control plane speaks JSON 1.1 with the target SageMaker; the runtime, under the same signing name, paths. Which of
them a request means is said in one place, `localaws.identity.sagemaker.operation`, for IAM and for us. Knows no rules.
"""

import asyncio
import contextvars
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localaws import shapes
from localaws.identity import sagemaker as identity_sagemaker
from localaws.sagemaker.refusals import Refused, unsupported
from localaws.sagemaker.store import Record

SERVICE = "sagemaker"
TARGET_PREFIX = "SageMaker."
JSON = "application/x-amz-json-1.1"
THREADS = 8
Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[Record], Record]
Invoke = Callable[[str, str, Mapping[str, str], bytes, Any], Awaitable[Answer]]

logger = logging.getLogger("localaws.sagemaker")


class Calls:
    """The calls, each of (request) -> answer, both as documents; they run on threads of their own, because some of
    them ask this very server for something. invoke: answers the runtime's InvokeEndpoint."""

    def __init__(self, operations: Mapping[str, Operation], invoke: Invoke) -> None:
        self.operations = operations
        self.invoke = invoke
        self._threads = ThreadPoolExecutor(THREADS, "sagemaker")

    async def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any
    ) -> Answer:
        """What ministack calls for a request to this service."""
        name = identity_sagemaker.operation(method, path, headers)
        if name == identity_sagemaker.INVOKE:
            return await self.invoke(method, path, headers, body, query)
        if name == identity_sagemaker.UNKNOWN and not headers.get("x-amz-target"):
            return error(unsupported(f"{method} {path}"))
        try:
            request = json.loads(body or b"{}") if name in self.operations else {}
        except (ValueError, RecursionError):
            return error(Refused("SerializationException", "the body is not JSON"))
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, context.run, self.answer, name, request)

    def answer(self, name: str, request: Any) -> Answer:
        """Make a call; also for callers in this process."""
        try:
            result = self.call(name, request)
        except Refused as refused:
            return error(refused)
        except Exception as failure:
            logger.exception("%s failed", name)
            return error(Refused("InternalFailure", f"{type(failure).__name__}: {failure}", 500))
        shape = shapes.model(SERVICE).operation_model(name).output_shape
        return 200, {"Content-Type": JSON}, json.dumps(shapes.known(result, shape)).encode()

    def call(self, name: str, request: Any) -> Record:
        """The same with documents.

        Errors: Refused.
        """
        if name not in self.operations:
            if name in shapes.model(SERVICE).operation_names or name in identity_sagemaker.RUNTIME:
                raise unsupported(name)
            raise Refused("UnknownOperationException", f"SageMaker has no operation {name}")
        problem = shapes.problem(SERVICE, name, request, patterns=True)
        if problem:
            raise Refused("ValidationException", problem)
        return self.operations[name](request)

    def close(self) -> None:
        """Take no more calls."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def error(refused: Refused) -> Answer:
    """A refusal as the control plane sends it."""
    body = json.dumps({"__type": refused.code, "message": refused.message, "Message": refused.message})
    return refused.status, {"Content-Type": JSON, "x-amzn-errortype": refused.code}, body.encode()
