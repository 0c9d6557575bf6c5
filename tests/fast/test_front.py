"""Which requests the local AWS's front door takes for those of another site's page."""

import pytest

from localaws.front import is_foreign_page


@pytest.mark.parametrize(
    ("host", "more", "foreign"),
    [
        ("127.0.0.1:4566", {}, False),
        ("127.0.0.1:4566", {b"sec-fetch-site": b"same-origin"}, False),
        ("127.0.0.1:4566", {b"sec-fetch-site": b"none"}, False),
        ("127.0.0.1:4566", {b"origin": b"http://127.0.0.1:8888"}, False),
        ("127.0.0.1:4566", {b"origin": b"http://localhost:8888", b"sec-fetch-site": b"cross-site"}, False),
        ("localhost:4566", {b"origin": b"http://[::1]:8888"}, False),
        ("localhost:4566", {b"sec-fetch-site": b"cross-site"}, True),
        ("127.0.0.1:4566", {b"origin": b"https://evil.example"}, True),
        ("127.0.0.1:4566", {b"origin": b"http://127.0.0.1.evil.example"}, True),
        ("127.0.0.1:4566", {b"origin": b"http://localhost@evil.example"}, True),
        ("127.0.0.1:4566", {b"origin": b"null"}, True),
        ("127.0.0.1:4566", {b"origin": b""}, True),
        ("127.0.0.1:4566", {b"origin": b"http://[::1"}, True),
        # A name that its owner has lead to this machine: to the browser, the page is of that name's own site.
        ("evil.example:4566", {}, True),
        ("evil.example:4566", {b"sec-fetch-site": b"same-origin"}, True),
        ("127.0.0.1.evil.example:4566", {}, True),
        # What clients in containers, and those that think they speak to AWS, ask for.
        ("172.17.0.1:4566", {}, False),
        ("172.17.0.1:4566", {b"origin": b"http://172.17.0.1:4566"}, False),  # as WebSocket clients say
        ("172.17.0.1:4566", {b"origin": b"http://172.17.0.2:4566"}, True),
        ("evil.example:4566", {b"origin": b"http://evil.example:4566"}, True),
        ("evil.example:4566", {b"origin": b"http://127.0.0.1:4566"}, True),
        ("host.docker.internal:4566", {}, False),
        ("localaws:4566", {}, False),
        ("bucket.s3.us-east-1.amazonaws.com", {}, False),
        ("api.execute-api.localhost:4566", {}, False),
        ("[::1]:4566", {}, False),
    ],
)
def test_a_browsers_request_is_answered_for_pages_of_this_machine_alone(
    host: str, more: dict[bytes, bytes], foreign: bool
) -> None:
    assert is_foreign_page({b"host": host.encode(), **more}) is foreign
