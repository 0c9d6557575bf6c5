"""The first to see a request: refuses by name what is not emulated, and notes that state may have changed.

Try it:  aws sagemaker list-models
Knows signing names and little else; everything it lets through is ministack's or an addition's to answer.
"""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Services by the name that requests are signed for. ministack answers more than these, but with records that
# nothing stands behind (a database "available" that is not there); a learner would believe them.
EMULATED = frozenset(
    {
        "acm",
        "apigateway",
        "autoscaling",
        "cloudformation",
        "cognito-idp",
        "cognito-identity",
        "dynamodb",
        "ec2",
        "ecr",
        "ecs",
        "elasticloadbalancing",
        "events",
        "execute-api",
        "firehose",
        "iam",
        "kinesis",
        "kms",
        "lambda",
        "logs",
        "monitoring",
        "pipes",
        "resource-groups",
        "route53",
        "s3",
        "s3express",
        "scheduler",
        "secretsmanager",
        "servicediscovery",
        "ses",
        "sns",
        "sqs",
        "ssm",
        "states",
        "sts",
        "tagging",
    }
)

_CREDENTIAL = re.compile(rb"Credential=[^/,\s]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_READS = re.compile(r"(?:Describe|List|Get|Head|BatchGet|Query|Scan|Validate|Estimate|Lookup|Filter)")
_FORM_READS = re.compile(rb"(?:^|&)Action=(?:Describe|List|Get|Validate|Estimate)")


class Front:
    """An ASGI application in front of another.

    on_change is called after each request that may have changed something.
    """

    def __init__(self, inner: Application, on_change: Callable[[], None]) -> None:
        self.inner = inner
        self.on_change = on_change
        self.emulated = set(EMULATED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        headers = dict(scope["headers"])
        service = signed_for(headers)
        if service and service not in self.emulated:
            await _answer(send, *refusal(service, headers.get(b"content-type", b"")))
            return
        first = await receive()
        reads = _only_reads(scope["method"], headers, first.get("body") or b"")
        await self.inner(scope, _beginning_with(first, receive), send)
        if not reads:
            self.on_change()


def signed_for(headers: dict[bytes, bytes]) -> str | None:
    """The service in a request's signature; None for one that is not signed."""
    found = _CREDENTIAL.search(headers.get(b"authorization", b""))
    return found.group(2).decode() if found else None


def refusal(service: str, content_type: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body that make any AWS client raise UnsupportedOperation with our sentence.

    501 because clients do not try it again.
    """
    message = f"the local AWS does not emulate {service}; help('localaws') lists what it leaves out"
    if content_type.startswith(b"application/x-www-form-urlencoded"):
        error = f"<Type>Sender</Type><Code>UnsupportedOperation</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{error}</Error><RequestId>local</RequestId></ErrorResponse>"
        return 501, "text/xml", body.encode()
    body = json.dumps({"__type": "UnsupportedOperation", "message": message, "Message": message})
    return 501, "application/json", body.encode()


def _only_reads(method: str, headers: dict[bytes, bytes], body: bytes) -> bool:
    if method in ("GET", "HEAD", "OPTIONS"):
        return True
    target = headers.get(b"x-amz-target", b"").decode("latin-1")
    if target:
        return _READS.match(target.rpartition(".")[2]) is not None
    return _FORM_READS.search(body[:4096]) is not None


def _beginning_with(first: Any, receive: Receive) -> Receive:
    waiting = [first]

    async def both() -> Any:
        return waiting.pop() if waiting else await receive()

    return both


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    headers.append((b"x-amzn-errortype", b"UnsupportedOperation"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
