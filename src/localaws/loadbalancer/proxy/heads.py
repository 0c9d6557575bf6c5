"""The header fields that a load balancer takes away, adds and changes, on the way to a target and back.

Try it:  python -m pytest tests/fast/test_loadbalancer_routing.py -k head
Copied from "HTTP headers and Application Load Balancers"
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html) and "Request tracing
for your Application Load Balancer" (…/load-balancer-request-tracing.html). How a body is framed is the load
balancer's to say: what a client wrote about it never gets to a target.
"""

import os
import re
import time
from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]
# Of one connection, not of the request (RFC 9110, 7.6.1); and what we write ourselves.
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"content-length"}
)
OURS = HOP_BY_HOP | {
    b"host",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-port",
    b"x-amzn-trace-id",
}
VALID_NAME = re.compile(rb"[-A-Za-z0-9]+")


@dataclass(slots=True)
class Policy:
    """What a load balancer's attributes say about headers."""

    address: str
    port: int
    forwarded_for: str = "append"  # append, preserve, remove
    client_port: bool = False
    preserve_host: bool = False
    drop_invalid: bool = False


@dataclass(slots=True)
class Framing:
    """How a body is delimited: by a length, by chunks, by the connection's end, or not there at all."""

    length: bytes | None = None
    chunked: bool = False


def to_target(
    method: bytes,
    target: bytes,
    headers: Headers,
    framing: Framing,
    policy: Policy,
    source: str,
    upgrade: bool,
) -> bytes:
    """The head of a request as a target gets it. source: the client's address, with its port if wanted."""
    lines = [method + b" " + target + b" HTTP/1.1"]
    host, forwarded, trace = b"", b"", b""
    for name, value in headers:
        lower = name.lower()
        if lower not in OURS:
            if policy.drop_invalid and not VALID_NAME.fullmatch(name):
                continue
            lines.append(name + b": " + value)
        elif lower == b"host":
            host = value
        elif lower == b"x-forwarded-for":
            forwarded = forwarded + b", " + value if forwarded else value
        elif lower == b"x-amzn-trace-id":
            trace = value
    lines.append(b"Host: " + (host if policy.preserve_host else _host(host, policy)))
    forwarded = _forwarded_for(forwarded, source, policy)
    if forwarded:
        lines.append(b"X-Forwarded-For: " + forwarded)
    lines.append(b"X-Forwarded-Proto: http\r\nX-Forwarded-Port: %d" % policy.port)
    lines.append(b"X-Amzn-Trace-Id: " + _trace(trace))
    _frame(lines, framing)
    if upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def to_client(
    status: int,
    phrase: bytes,
    headers: Headers,
    framing: Framing,
    keep: bool,
    upgrade: bool,
) -> bytes:
    """The head of a target's answer as the client gets it; keep: whether the client's connection goes on."""
    lines = [b"HTTP/1.1 %d " % status + phrase]
    lines += [name + b": " + value for name, value in headers if name.lower() not in HOP_BY_HOP]
    _frame(lines, framing)
    if upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    else:
        lines.append(b"Connection: keep-alive" if keep else b"Connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def framing(headers: Headers) -> Framing:
    """What a parsed message's headers say of its body; the parser has refused contradictions."""
    found = Framing()
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length":
            found.length = value
        elif len(name) == 17 and name.lower() == b"transfer-encoding":
            found.chunked = True
    return found


def _frame(lines: list[bytes], framing: Framing) -> None:
    if framing.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif framing.length is not None:
        lines.append(b"Content-Length: " + framing.length)


def _host(host: bytes, policy: Policy) -> bytes:
    """On ports 80 and 443 the client's port is dropped, on others it becomes the listener's ("Host header
    preservation" in the user guide's load balancer attributes)."""
    name, colon, number = host.rpartition(b":")
    if not (colon and number.isdigit()):
        name = host or policy.address.encode()
    return name if policy.port in (80, 443) else name + b":%d" % policy.port


def _forwarded_for(before: bytes, source: str, policy: Policy) -> bytes:
    if policy.forwarded_for == "preserve":
        return before
    if policy.forwarded_for == "remove":
        return b""
    here = source.encode()
    return before + b", " + here if before else here


def _trace(before: bytes) -> bytes:
    """A new root, or our own `Self` beside the root that came; a `Self` that came is replaced."""
    new = b"1-%08x-" % int(time.time()) + os.urandom(12).hex().encode()
    fields = [each for each in before.split(b";") if each and not each.startswith(b"Self=")]
    if any(each.startswith(b"Root=") for each in fields):
        return b";".join([b"Self=" + new, *fields])
    return b";".join([b"Root=" + new, *fields])
