"""The registry's own protocol, where layers go in and out: from files and into files, never by memory.

Try it:  docker push 127.0.0.1:4566/REPOSITORY && docker pull 127.0.0.1:4566/REPOSITORY
Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
ministack routes its requests and answers for manifests and tags; these are its answers for blobs. `bodies` has
written what a request brought. Knows nothing of ECR's API.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from localaws.registry.bodies import RECEIVED, Body
from localaws.registry.layercache import LayerCache
from localaws.registry.layers import Repository
from localaws.registry.uploads import READ_BYTES, RegistryFull, Uploads, WrongDigest

Answer = Any


def install(uploads: Uploads, cache: LayerCache) -> None:
    """Take the place of ministack's answers."""
    from ministack.services import ecr

    blobs = Blobs(uploads, cache)
    ecr._v2_start_blob_upload = blobs.begin
    ecr._v2_get_blob_upload = blobs.progress
    ecr._v2_patch_blob_upload = blobs.add
    ecr._v2_complete_blob_upload = blobs.complete
    ecr._v2_cancel_blob_upload = blobs.cancel
    ecr._v2_head_blob = blobs.head
    ecr._v2_get_blob = blobs.get
    put_manifest = ecr._v2_put_manifest

    def put(name: str, reference: str, headers: Any, body: Any) -> Answer:
        missing = missing_blobs(name, body)
        if missing and name in ecr._repositories:
            detail = {"digests": missing}
            return ecr._registry_error(400, "MANIFEST_BLOB_UNKNOWN", f"blobs unknown: {missing}", detail)
        return put_manifest(name, reference, headers, body)

    ecr._v2_put_manifest = put


class Blobs:
    """Answers to the requests for blobs, in the form that ministack gives its own."""

    def __init__(self, uploads: Uploads, cache: LayerCache) -> None:
        self._uploads, self._cache = uploads, cache

    def begin(self, name: str, query: Any, body: Any) -> Answer:
        """POST uploads/: a new upload; or a blob of another repository; or all of a blob at once."""
        from ministack.services import ecr

        if unknown := ecr._ensure_repo_exists(name):
            return unknown
        wanted, source = ecr._query_first(query, "mount"), ecr._query_first(query, "from")
        there = _stored(source) if source else None
        if wanted and there is not None and wanted in there:
            _stored(name).share(wanted, there)
            return _created(name, wanted)
        upload = self._uploads.begin(name)
        if ecr._query_first(query, "digest"):
            return self.complete(name, upload, query, body)
        return _accepted(name, upload, 0)

    def progress(self, name: str, upload: str) -> Answer:
        """GET of an upload: how much has come."""
        try:
            _, headers, body = _accepted(name, upload, self._uploads.size(name, upload))
        except KeyError:
            return _unknown(name, upload)
        return 204, headers, body

    def add(self, name: str, upload: str, body: Any) -> Answer:
        """PATCH: more of a blob."""
        try:
            return _accepted(name, upload, self._append(name, upload))
        except KeyError:
            return _unknown(name, upload)
        except RegistryFull as error:
            return self._full(name, upload, error)

    def complete(self, name: str, upload: str, query: Any, body: Any) -> Answer:
        """PUT: the last of a blob, and its digest."""
        from ministack.services import ecr

        digest = ecr._query_first(query, "digest")
        if not digest:
            return ecr._registry_error(400, "DIGEST_INVALID", "digest query parameter is required", {})
        try:
            self._append(name, upload)
            digest, spool = self._uploads.complete(name, upload, [digest])
        except KeyError:
            return _unknown(name, upload)
        except RegistryFull as error:
            return self._full(name, upload, error)
        except WrongDigest as error:
            return ecr._registry_error(400, "DIGEST_INVALID", str(error), {"expected": digest})
        stored = _stored(name)
        stored.adopt(digest, spool.file, spool.size)
        self._cache.keep(digest, stored.file(digest), spool.size)
        return _created(name, digest)

    def cancel(self, name: str, upload: str) -> Answer:
        """DELETE of an upload."""
        from ministack.services import ecr

        try:
            self._uploads.cancel(name, upload)
        except KeyError:
            return _unknown(name, upload)
        return ecr._registry_ok(204, {}, b"")

    def head(self, name: str, digest: str) -> Answer:
        """HEAD of a blob: its size, if the repository has it or the cache can give it."""
        from ministack.services import ecr

        if unknown := ecr._ensure_repo_exists(name):
            return unknown
        stored = _stored(name)
        if digest not in stored and (size := self._cache.give(digest, stored.file(digest))) is not None:
            stored.have(digest, size)
        if digest not in stored:
            return ecr._registry_error(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        headers = {
            "Content-Length": str(stored.size(digest)),
            "Docker-Content-Digest": digest,
            "Content-Type": "application/octet-stream",
        }
        return ecr._registry_ok(200, headers, b"")

    def get(self, name: str, digest: str) -> Answer:
        """GET of a blob, sent from its file."""
        from ministack.core.responses import StreamingResponse

        status, headers, body = self.head(name, digest)
        if status != 200:
            return status, headers, body
        file = _stored(name).file(digest)
        return status, headers, StreamingResponse(lambda send, receive: _send_file(file, send))

    def _append(self, name: str, upload: str) -> int:
        self._uploads.size(name, upload)  # an upload that nobody began takes nothing
        part = (RECEIVED.get() or Body()).take()
        return self._uploads.take(name, upload, part) if part else self._uploads.size(name, upload)

    def _full(self, name: str, upload: str, error: RegistryFull) -> Answer:
        """DENIED, because Docker gives that to its user at once, and tries again after most others."""
        from ministack.services import ecr

        if upload in self._uploads:
            self._uploads.cancel(name, upload)
        return ecr._registry_error(403, "DENIED", str(error), {"name": name})


def blobs_of(manifest: str | bytes) -> list[str]:
    """Digests that a manifest names: its configuration and its layers."""
    try:
        document = json.loads(manifest)
    except ValueError:
        return []
    named = [document.get("config") or {}, *(document.get("layers") or [])]
    return [each["digest"] for each in named if each.get("digest")]


def missing_blobs(name: str, manifest: str | bytes) -> list[str]:
    """Those of them that the repository lacks."""
    stored = _stored(name)
    return [digest for digest in blobs_of(manifest) if digest not in stored]


def _stored(name: str) -> Repository:
    from ministack.services import ecr

    if name in ecr._repositories:
        return ecr._layer_blobs.setdefault(name, {})  # type: ignore[no-any-return]
    return Repository(Path())


async def _send_file(file: Path, send: Any) -> None:
    with file.open("rb") as source:
        while content := await asyncio.to_thread(source.read, READ_BYTES):
            await send({"type": "http.response.body", "body": content, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _accepted(name: str, upload: str, size: int) -> Answer:
    from ministack.services import ecr

    headers = {
        "Location": f"/v2/{name}/blobs/uploads/{upload}",
        "Range": f"0-{max(0, size - 1)}",
        "Content-Length": "0",
        "Docker-Upload-UUID": upload,
    }
    return ecr._registry_ok(202, headers, b"")


def _created(name: str, digest: str) -> Answer:
    from ministack.services import ecr

    location = f"/v2/{name}/blobs/{digest}"
    headers = {"Location": location, "Docker-Content-Digest": digest, "Content-Length": "0"}
    return ecr._registry_ok(201, headers, b"")


def _unknown(name: str, upload: str) -> Answer:
    from ministack.services import ecr

    detail = {"name": name, "uuid": upload}
    return ecr._registry_error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", detail)
