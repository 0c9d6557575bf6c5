"""Layers on their way into the registry: on disk, hashed as they come, and gone when something goes wrong."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from localaws.registry.bodies import RECEIVED, WRITE_BYTES, Bodies, Body
from localaws.registry.uploads import SMALL_BYTES, RegistryFull, Uploads, WrongDigest

MORE_THAN_ANY_DISK = 2**60


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", reserve_bytes=0)


def test_parts_become_one_file_with_the_digest_of_the_whole(uploads: Uploads) -> None:
    upload = uploads.begin("jobs")
    spool = uploads.spool()
    spool.write(b"one ")
    assert uploads.take("jobs", upload, spool) == 4
    second = uploads.spool()
    second.write(b"two ")
    assert uploads.take("jobs", upload, second) == 8
    assert uploads.add("jobs", upload, b"three") == 13
    digest, found = uploads.complete("jobs", upload, [digest_of(b"one two three")])
    assert digest == digest_of(b"one two three") and found.file.read_bytes() == b"one two three"
    assert files(uploads.folder) == [found.file]


def test_first_part_is_not_copied(uploads: Uploads) -> None:
    upload, spool = uploads.begin("jobs"), uploads.spool()
    spool.write(b"layer")
    number = spool.file.stat().st_ino
    uploads.take("jobs", upload, spool)
    assert uploads.complete("jobs", upload, [digest_of(b"layer")])[1].file.stat().st_ino == number


def test_empty_layer_is_a_file_too(uploads: Uploads) -> None:
    upload = uploads.begin("jobs")
    assert uploads.complete("jobs", upload, [digest_of(b"")])[1].file.read_bytes() == b""


def test_wrong_digest_leaves_nothing(uploads: Uploads) -> None:
    upload = uploads.begin("jobs")
    uploads.add("jobs", upload, b"layer")
    with pytest.raises(WrongDigest, match=digest_of(b"layer")):
        uploads.complete("jobs", upload, [digest_of(b"other")])
    assert files(uploads.folder) == [] and upload not in uploads


def test_upload_of_another_repository_is_none(uploads: Uploads) -> None:
    upload = uploads.begin("jobs")
    for call in (uploads.size, uploads.cancel):
        with pytest.raises(KeyError):
            call("other", upload)
    uploads.cancel("jobs", upload)
    assert upload not in uploads


def test_what_a_killed_server_left_is_gone_at_the_next_start(tmp_path: Path) -> None:
    left = Uploads(tmp_path, reserve_bytes=0)
    left.add("jobs", left.begin("jobs"), b"half")
    assert len(files(tmp_path)) == 1
    assert files(Uploads(tmp_path).folder) == []


def test_full_disk_ends_the_upload_with_a_remedy_and_leaves_nothing(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, reserve_bytes=MORE_THAN_ANY_DISK)
    upload = uploads.begin("jobs")
    uploads.add("jobs", upload, b"a configuration")
    with pytest.raises(RegistryFull, match="batch-delete-image"):
        uploads.add("jobs", upload, bytes(SMALL_BYTES))
    assert files(tmp_path) == [] and upload not in uploads


def body_of(
    inner: Any, uploads: Uploads, chunks: list[Any], path: str = "/v2/jobs/blobs/uploads/1"
) -> list[Any]:
    """Send a PATCH of these chunks through Bodies; the messages that nobody has read."""
    messages = [
        chunk
        if isinstance(chunk, dict)
        else {"type": "http.request", "body": chunk, "more_body": n < len(chunks)}
        for n, chunk in enumerate(chunks, 1)
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    headers = [(b"content-length", b"9"), (b"authorization", b"Basic x")]
    scope = {"type": "http", "method": "PATCH", "path": path, "headers": headers}
    asyncio.run(Bodies(inner, uploads, lambda authorization: True)(scope, receive, send))
    return messages


def test_services_see_a_request_without_a_body_and_the_file_beside_it(uploads: Uploads) -> None:
    seen: dict[str, Any] = {}

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.update(message=await receive(), headers=dict(scope["headers"]))
        spool = (RECEIVED.get() or Body()).take()
        assert spool
        seen.update(size=spool.size, file=spool.file)

    content = b"x" * WRITE_BYTES
    body_of(inner, uploads, [content, b"y", b""])
    assert seen["message"] == {"type": "http.request", "body": b"", "more_body": False}
    assert seen["headers"] == {b"content-length": b"0", b"authorization": b"Basic x"}
    assert seen["size"] == WRITE_BYTES + 1
    assert files(uploads.folder) == [seen["file"]]


def test_body_that_nobody_takes_is_discarded(uploads: Uploads) -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        assert len(files(uploads.folder)) == 1

    body_of(refuses, uploads, [b"layer"])
    assert files(uploads.folder) == []


def test_client_that_goes_away_leaves_nothing_and_gets_no_answer(uploads: Uploads) -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("a request that was cut off was answered")

    half = {"type": "http.request", "body": b"x" * WRITE_BYTES, "more_body": True}
    body_of(never, uploads, [half, {"type": "http.disconnect"}])
    assert files(uploads.folder) == []


def test_full_disk_is_told_after_the_whole_body_was_read(tmp_path: Path) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RegistryFull):
            (RECEIVED.get() or Body()).take()

    full = Uploads(tmp_path, reserve_bytes=MORE_THAN_ANY_DISK)
    assert body_of(inner, full, [b"x" * WRITE_BYTES, b"x" * WRITE_BYTES, b"y", b"z"]) == []
    assert files(tmp_path) == []


def test_other_requests_pass_untouched(uploads: Uploads) -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"an object" and RECEIVED.get() is None

    body_of(inner, uploads, [b"an object"], "/bucket/key")
