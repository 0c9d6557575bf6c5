"""A server on loopback that answers GetCallerIdentity and a task's credentials, and remembers who asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

IDENTITY = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
ROLE_KEY = "ASIAROLEOFTHETASK"


@dataclass
class Asked:
    """signatures: the Authorization header of each call."""

    url: str
    signatures: list[str] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Asked]:
    asked = Asked("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.signatures.append(self.headers.get("Authorization", ""))
            self._answer(IDENTITY, "text/xml")

        def do_GET(self) -> None:
            role = {
                "AccessKeyId": ROLE_KEY,
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": "2999-01-01T00:00:00Z",
            }
            self._answer(json.dumps(role).encode(), "application/json")

        def _answer(self, body: bytes, kind: str) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    asked.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
