"""The first to see a request: refuses by name what is not emulated, and pages of other sites, and notes that
state may have changed.

Try it:  aws rds describe-db-instances
Knows signing names and little else; everything it lets through is ministack's or an addition's to answer.
"""

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

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
        "application-autoscaling",
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
        "sagemaker",
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

# What ministack has under names of its own: a task's credentials and metadata, and tables' streams.
OWN_NAMES = frozenset({"imds", "ecs-metadata", "dynamodbstreams"})

_CREDENTIAL = re.compile(rb"Credential=[^/,\s]+/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_READS = re.compile(r"(?:Describe|List|Get|Head|BatchGet|Query|Scan|Validate|Estimate|Lookup|Filter)")
_FORM_READS = re.compile(rb"(?:^|&)Action=(?:Describe|List|Get|Validate|Estimate)")


# ministack's own paths reset everything, set its options and show messages and code, whoever asks; AWS has none
# of them. What CloudFormation's custom resources and wait conditions are told to answer to stays open.
_BACK_DOOR = re.compile(r"/_(?:ministack|localstack)/(?!health|ready|cfn-)")


POLICY_VIOLATION = 1008
FOREIGN_PAGE = (
    b"The local AWS answers no pages of other sites. If you followed a link: open its address in a new tab.\n"
)


class Front:
    """An ASGI application in front of another.

    on_change is called after each request that may have changed something.
    """

    def __init__(self, inner: Application, on_change: Callable[[], None]) -> None:
        self.inner = inner
        self.on_change = on_change
        self.emulated = set(EMULATED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        foreign = scope["type"] in ("http", "websocket") and is_foreign_page(dict(scope["headers"]))
        if scope["type"] != "http":
            if foreign:
                await receive()
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            await self.inner(scope, receive, send)
            return
        if foreign:
            await _answer(send, 403, "text/plain", FOREIGN_PAGE, b"AccessDenied")
            return
        if _BACK_DOOR.match(scope["path"]):
            await _answer(send, 404, "text/plain", b"not a path of AWS's\n", b"NotFound")
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


def close_others() -> None:
    """Have ministack refuse what is not emulated, however a request came there.

    Front knows a service by the signature in a header; ministack by a header's operation, a path, an address too.
    """
    import ministack.app

    for name in set(ministack.app.SERVICE_HANDLERS) - EMULATED - OWN_NAMES:
        ministack.app.SERVICE_HANDLERS[name] = _refusing(name)


def _refusing(service: str) -> Callable[..., Awaitable[Any]]:
    async def refuse(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        status, content_type, answer = refusal(service, headers.get("content-type", "").encode())
        return status, {"Content-Type": content_type, "x-amzn-errortype": "UnsupportedOperation"}, answer

    return refuse


def is_foreign_page(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page of some other site.

    The key `local` is no secret, so any page that its reader has open could sign requests with it, start a task
    and with it a program here. Browsers say which site a page is of, and a page can't change that. A name that
    leads to this machine without being its own is such a page's trick too (DNS rebinding).
    """
    asked, origin = _host(b"//" + headers.get(b"host", b"")), headers.get(b"origin")
    if not _may_be_asked_for(asked):
        return True
    if origin is not None:
        return not _is_here(_host(origin)) and _host(origin) != asked
    return headers.get(b"sec-fetch-site") == b"cross-site"


def _host(address: bytes) -> str:
    try:
        return urlsplit(address.decode("latin-1")).hostname or ""
    except ValueError:
        return "not.an.address"


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _may_be_asked_for(host: str) -> bool:
    """An address, a name without dots or of Docker's, or one of AWS's own; nobody outside can give these away."""
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        ours = (".localhost", ".internal", ".amazonaws.com", ".amazonaws.com.cn")
        return "." not in host or host.endswith(ours)


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


async def _answer(
    send: Send, status: int, content_type: str, body: bytes, code: bytes = b"UnsupportedOperation"
) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    headers.append((b"x-amzn-errortype", code))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
