"""The load balancer's own answers, in AWS's form.

Try it:  curl -i http://ADDRESS:PORT/ with no target registered
Which answer means what: "Troubleshoot your Application Load Balancers"
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html).
Knows no rules and no targets.
"""

from email.utils import formatdate
from http import HTTPStatus

CLIENT_LEFT = 460  # counted, and never sent: nobody is there to read it
PHRASES = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
SERVER = "awselb/2.0"


def own(status: int, *, head: bool = False, close: bool = False) -> bytes:
    """A page that says the status, as all of the load balancer's own errors do."""
    title = f"{status} {phrase(status)}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    )
    return answer(status, page.encode(), "text/html", head=head, close=close)


def answer(
    status: int,
    body: bytes,
    content_type: str,
    extra: dict[str, str] | None = None,
    *,
    head: bool = False,
    close: bool = False,
) -> bytes:
    """A whole answer; head: to a HEAD request, which gets no body."""
    headers = {
        "Server": SERVER,
        "Date": formatdate(usegmt=True),
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        "Connection": "close" if close else "keep-alive",
        **(extra or {}),
    }
    lines = [f"HTTP/1.1 {status} {phrase(status)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (b"" if head else body)


def phrase(status: int) -> str:
    try:
        return PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Status"
