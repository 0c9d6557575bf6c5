"""A client's connection: uvicorn's, which ends it where a request's head has no end.

Try it:  python -m pytest tests/local/test_serving_requests.py -k end
The parser keeps a header field until it is whole and uvicorn sets no limit, so one client could have all of the
service's memory. What a load balancer would refuse before is refused here too. Knows nothing of what is answered.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD_BYTES = 128 * 1024  # twice a load balancer's limit, and what comes in one piece is not counted


class Connection(HttpToolsProtocol):
    """Counts what has come since the parser last got on: past a head, in a body, to a request's end."""

    unused_bytes = 0
    got_on = False

    def data_received(self, data: bytes) -> None:
        self.got_on = False
        super().data_received(data)
        self.unused_bytes = 0 if self.got_on else self.unused_bytes + len(data)
        if self.unused_bytes > LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        self.got_on = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.got_on = True
        super().on_message_complete()
