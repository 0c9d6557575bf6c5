"""The registry's own protocol, as `docker push` speaks it: gigabytes pass by disk, and a full disk is said so."""

import hashlib
import http.client
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from ecs_world import World, wait_until, world

from localaws.registry.uploads import RESERVE_BYTES

pytestmark = pytest.mark.local

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CHUNK = 1024 * 1024


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("registry")) as made:
        for name in ("layers", "other"):
            made.client("ecr").create_repository(repositoryName=name)
        yield made


class Registry:
    """One repository's blobs and manifests by HTTP."""

    def __init__(self, aws: World, name: str = "layers") -> None:
        self.aws, self.name = aws, name

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.aws.port, timeout=60)
        place = path if path.startswith("/") else f"/v2/{self.name}/{path}"
        sent = {"Content-Type": "application/octet-stream", **self.aws._login(), **headers}
        connection.request(method, place, body, sent, encode_chunked=not isinstance(body, bytes | None))
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def begin(self) -> str:
        return urllib.parse.urlsplit(self.call("POST", "blobs/uploads/")[1]["Location"]).path

    def push(self, content: bytes) -> str:
        """As Docker does: one PATCH in chunks, then PUT with the digest."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self.begin()
        assert self.call("PATCH", place, chunks(content), **{"Transfer-Encoding": "chunked"})[0] == 202
        assert self.call("PUT", f"{place}?digest={digest}")[0] == 201
        return digest

    def manifest(self, tag: str, *digests: str) -> tuple[int, Any, bytes]:
        entries = [{"digest": digest, "size": 1} for digest in digests]
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": entries[0], "layers": entries[1:]}
        return self.call(
            "PUT", f"manifests/{tag}", json.dumps(document).encode(), **{"Content-Type": MANIFEST}
        )


def chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]


def on_disk(aws: World, what: str) -> list[str]:
    return sorted(file.name for file in (aws.folder / "localaws" / what).iterdir())


def test_pushed_layer_is_pulled_again_byte_for_byte(aws: World) -> None:
    registry, content = Registry(aws), os.urandom(3 * CHUNK + 1)
    digest = registry.push(content)
    assert registry.call("GET", f"blobs/{digest}")[2] == content
    status, headers, body = registry.call("HEAD", f"blobs/{digest}")
    assert (status, headers["Content-Length"], body) == (200, str(len(content)), b"")


def test_large_layer_does_not_pass_through_the_servers_memory(aws: World) -> None:
    assert aws.process
    server, size = psutil.Process(aws.process.pid), 192 * CHUNK
    before = server.memory_info().rss
    registry, content = Registry(aws), bytes(size)
    digest = registry.push(content)
    assert len(registry.call("GET", f"blobs/{digest}")[2]) == size
    assert _peak_bytes(server.pid) - before < size / 4


def _peak_bytes(pid: int) -> int:
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in each]
    return int(line.split()[1]) * 1024


def test_layer_of_another_repository_is_shared_without_an_upload(aws: World) -> None:
    digest = Registry(aws).push(b"shared")
    files = on_disk(aws, "layers")
    status, headers, _ = Registry(aws, "other").call("POST", f"blobs/uploads/?mount={digest}&from=layers")
    assert status == 201 and headers["Docker-Content-Digest"] == digest
    assert Registry(aws, "other").call("GET", f"blobs/{digest}")[2] == b"shared"
    assert on_disk(aws, "layers") == files


def test_wrong_digest_and_cancelled_upload_leave_nothing(aws: World) -> None:
    registry = Registry(aws)
    place = registry.begin()
    status, _, body = registry.call("PUT", f"{place}?digest=sha256:{'0' * 64}", b"layer")
    assert (status, json.loads(body)["errors"][0]["code"]) == (400, "DIGEST_INVALID")
    place = registry.begin()
    registry.call("PATCH", place, b"half of it")
    assert registry.call("GET", place)[1]["Range"] == "0-9"
    assert registry.call("DELETE", place)[0] == 204
    assert registry.call("PATCH", place, b"more")[0] == 404
    wait_until(lambda: on_disk(aws, "uploads") == [])  # the answer may come before the file is gone


def test_client_that_is_killed_leaves_nothing(aws: World) -> None:
    registry = Registry(aws)
    place = registry.begin()
    connection = http.client.HTTPConnection("127.0.0.1", aws.port)
    connection.putrequest("PATCH", place)
    connection.putheader("Authorization", aws._login()["Authorization"])
    connection.putheader("Content-Length", str(100 * CHUNK))
    connection.endheaders()
    connection.send(bytes(2 * CHUNK))
    wait_until(lambda: any(name.endswith(".part") for name in on_disk(aws, "uploads")))
    connection.close()
    wait_until(lambda: on_disk(aws, "uploads") == [])


def test_manifest_whose_layers_are_not_there_is_refused(aws: World) -> None:
    registry = Registry(aws)
    status, _, body = registry.manifest("broken", registry.push(b"{}"), f"sha256:{'0' * 64}")
    assert (status, json.loads(body)["errors"][0]["code"]) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_deleted_image_frees_the_layers_that_no_other_image_has(aws: World) -> None:
    registry, ecr = Registry(aws), aws.client("ecr")
    config, shared, own = (registry.push(each) for each in (b'{"a": 1}', b"in both images", b"in one image"))
    registry.manifest("one", config, shared, own)
    registry.manifest("both", config, shared)
    ecr.batch_delete_image(repositoryName="layers", imageIds=[{"imageTag": "one"}])
    assert own.replace(":", "-") not in on_disk(aws, "layers")
    assert registry.call("GET", f"blobs/{shared}")[2] == b"in both images"


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of that size; the test is skipped where none may be mounted."""
    folder.mkdir()
    flags = f"size={size_bytes}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", flags, "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_full_registry_says_so_with_a_remedy_and_the_next_push_works(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", RESERVE_BYTES + 24 * CHUNK) as disk, world(disk) as small:
        registry, ecr = Registry(small, "jobs"), small.client("ecr")
        kept = registry.push(b"a layer from before")
        place = registry.begin()
        status, _, body = registry.call(
            "PATCH", place, chunks(bytes(64 * CHUNK)), **{"Transfer-Encoding": "chunked"}
        )
        error = json.loads(body)["errors"][0]
        assert (status, error["code"]) == (403, "DENIED")
        assert "registry is full" in error["message"] and "workshop clean 2" in error["message"]
        assert on_disk(small, "uploads") == [] and registry.call("GET", place)[0] == 404
        upload = ecr.initiate_layer_upload(repositoryName="jobs")["uploadId"]
        with pytest.raises(ecr.exceptions.LimitExceededException, match="registry is full"):
            for first in range(0, 40 * CHUNK, 8 * CHUNK):
                ecr.upload_layer_part(
                    repositoryName="jobs", uploadId=upload, partFirstByte=first,
                    partLastByte=first + 8 * CHUNK - 1, layerPartBlob=bytes(8 * CHUNK),
                )  # fmt: skip
        assert registry.call("GET", f"blobs/{kept}")[2] == b"a layer from before"
        assert (
            registry.manifest("after", registry.push(b"{}"), registry.push(os.urandom(4 * CHUNK)))[0] == 201
        )
