"""How batch transform asks a model's container: with which settings, and what counts as no answer.

Try it:  python -m pytest tests/local/test_sagemaker_transform.py -k tried
ModelClientConfig and GET /execution-parameters: https://docs.aws.amazon.com/sagemaker/latest/dg/
your-algorithms-batch-code.html. Runs on threads. Knows no S3 and no job.
"""

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.store import Record
from localaws.sagemaker.variants import Address

# ModelClientConfig's defaults (API reference), and MaxPayloadInMB's.
TIMEOUT_SECONDS, RETRIES = 600, 3
MOST_PAYLOAD_MB = 6
# AWS names no limit for an answer; one without an end would take this server's memory.
MOST_ANSWER_BYTES = 100 * 1024 * 1024
LONGEST_MESSAGE = 4096  # of an error, in the data log
MOST_CONCURRENT = 100  # payloads of a megabyte are the smallest, and MaxPayloadInMB times this may be 100
STRATEGIES = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}


@dataclass(frozen=True)
class How:
    """How containers are asked: what the request says, then what they say themselves, then AWS's defaults."""

    concurrent: int
    strategy: str
    payload_mb: int
    timeout_seconds: float
    retries: int
    headers: dict[str, str]

    def described(self) -> str:
        strategy = next(name for name, value in STRATEGIES.items() if value == self.strategy)
        return (
            f"MaxConcurrentTransforms={self.concurrent}, MaxPayloadInMB={self.payload_mb}, "
            f"BatchStrategy={strategy}"
        )


class Bad(Exception):
    """A container did not answer a payload as it should."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status)
        self.kind = "ClientError" if 400 <= status < 500 else "AlgorithmError"
        self.said = (
            f"ClientError: {status}"
            if self.kind == "ClientError"
            else f"Bad HTTP status received from algorithm: {status}"
            if status
            else "No response received from algorithm"
        )
        self.text = text[:LONGEST_MESSAGE]


class Asking:
    """POST /invocations, with a connection for each thread."""

    def __init__(self, address: Address, how: How, stopped: threading.Event) -> None:
        self._address, self._how, self._stopped = address, how, stopped
        self._of_thread = threading.local()

    def __call__(self, payload: bytes) -> bytes:
        """The answer, asked for again where there was none or a server error.

        Errors: Bad.
        """
        for left in range(self._how.retries, -1, -1):
            try:
                status, body = self._once(payload)
            except (OSError, http.client.HTTPException) as error:
                status, body = 0, str(error).encode()
            if 200 <= status < 300:
                return body
            if 400 <= status < 500 or not left or self._stopped.is_set():
                break
        raise Bad(status, body.decode(errors="replace"))

    def _once(self, payload: bytes) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection | None = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(*self._address, timeout=self._how.timeout_seconds)
            self._of_thread.connection = connection
        try:
            connection.request("POST", "/invocations", payload, self._how.headers)
            answer = connection.getresponse()
            body = answer.read(MOST_ANSWER_BYTES + 1)
            if len(body) > MOST_ANSWER_BYTES:
                raise http.client.HTTPException(f"the answer is larger than {MOST_ANSWER_BYTES} bytes")
            return answer.status, body
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            raise


def settings(record: Record, address: Address) -> How:
    """How to ask, from the record and, for what it leaves open, from GET /execution-parameters."""
    own = _execution_parameters(address)
    client = record.get("ModelClientConfig") or {}
    headers = {
        "Content-Type": (record["TransformInput"].get("ContentType")),
        "Accept": record["TransformOutput"].get("Accept"),
    }
    own_strategy = STRATEGIES.get(str(own.get("BatchStrategy")), "MultiRecord")
    own_concurrent = _whole(own.get("MaxConcurrentTransforms"), 1)
    own_payload = _whole(own.get("MaxPayloadInMB"), MOST_PAYLOAD_MB)
    return How(
        concurrent=min(int(record.get("MaxConcurrentTransforms") or own_concurrent or 1), MOST_CONCURRENT),
        strategy=record.get("BatchStrategy") or own_strategy,
        payload_mb=int(record["MaxPayloadInMB"] if record.get("MaxPayloadInMB") is not None else own_payload),
        timeout_seconds=float(client.get("InvocationsTimeoutInSeconds") or TIMEOUT_SECONDS),
        retries=int(client.get("InvocationsMaxRetries", RETRIES)),
        headers={name: value for name, value in headers.items() if value},
    )


def _whole(said: Any, otherwise: int) -> int:
    """What a container says of itself, if it is a number that can be meant."""
    return said if isinstance(said, int) and 0 <= said <= MOST_CONCURRENT else otherwise


def _execution_parameters(address: Address) -> dict[str, Any]:
    """What the container says of itself; nothing where it does not."""
    connection = http.client.HTTPConnection(*address, timeout=2)
    try:
        connection.request("GET", "/execution-parameters")
        answer = connection.getresponse()
        document = json.loads(answer.read(LONGEST_MESSAGE)) if answer.status == 200 else {}
        return document if isinstance(document, dict) else {}
    except (OSError, ValueError, RecursionError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
