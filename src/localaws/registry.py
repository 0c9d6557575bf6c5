"""ECR's layer calls keep what they are given, and an image's size is that of its layers.

Try it:  docker push 127.0.0.1:4566/REPOSITORY   (or ecr.initiate_layer_upload, upload_layer_part, …)
ministack has the registry protocol that `docker push` speaks; its API calls for layers answer without storing
anything, and it gives a manifest's own length as the image's size. Knows blobs and manifests, nothing of
engines.
"""

import base64
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

from localaws import layers

Request = dict[str, Any]


def install(endpoint: str, folder: Path) -> None:
    """Take the place of ministack's calls; `folder` is for layers."""
    from ministack.services import ecr

    layers.install(folder)
    uploads = Uploads(endpoint)
    ecr._initiate_layer_upload = uploads.begin
    ecr._upload_layer_part = uploads.add
    ecr._complete_layer_upload = uploads.complete
    ecr._batch_check_layer_availability = uploads.check
    ecr._get_download_url_for_layer = uploads.where
    put_image, describe = ecr._put_image, ecr._describe_images

    def put(data: Request) -> Any:
        missing = _missing_blobs(data)
        if missing:
            message = f"Layers with digests '{missing}' required for pushed image don't exist"
            return ecr.error_response_json("LayersNotFoundException", message, 400)
        return put_image(data)

    ecr._put_image = put
    ecr._describe_images = lambda data: _sized(describe(data))


class Uploads:
    """Layers on their way into a repository."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._parts: dict[str, bytearray] = {}

    def begin(self, data: Request) -> Any:
        """InitiateLayerUpload."""
        from ministack.services import ecr

        name = data.get("repositoryName", "")
        if name not in ecr._repositories:
            return _no_repository(name)
        upload = ecr.new_uuid()
        with self._lock:
            self._parts[upload] = bytearray()
        return ecr.json_response({"uploadId": upload, "partSize": 10485760})

    def add(self, data: Request) -> Any:
        """UploadLayerPart: each part begins where the last one ended."""
        from ministack.services import ecr

        upload = data.get("uploadId", "")
        with self._lock:
            parts = self._parts.get(upload)
            if parts is None:
                return _no_upload(upload)
            if int(data.get("partFirstByte", 0)) != len(parts):
                return ecr.error_response_json(
                    "InvalidLayerPartException", f"The next part must begin at byte {len(parts)}", 400
                )
            parts += base64.b64decode(data.get("layerPartBlob") or "")
            last = len(parts) - 1
        return ecr.json_response(
            {
                "registryId": ecr._registry_id(),
                "repositoryName": data.get("repositoryName", ""),
                "uploadId": upload,
                "lastByteReceived": last,
            }
        )

    def complete(self, data: Request) -> Any:
        """CompleteLayerUpload: the content must have the digest that it is said to have."""
        from ministack.services import ecr

        name, upload = data.get("repositoryName", ""), data.get("uploadId", "")
        with self._lock:
            parts = self._parts.pop(upload, None)
        if parts is None:
            return _no_upload(upload)
        digest = f"sha256:{hashlib.sha256(parts).hexdigest()}"
        if digest not in (data.get("layerDigests") or []):
            return ecr.error_response_json(
                "InvalidLayerException",
                f"The layer's content has the digest {digest}, not the one given",
                400,
            )
        ecr._layer_blobs.setdefault(name, {})[digest] = bytes(parts)
        return ecr.json_response(
            {
                "registryId": ecr._registry_id(),
                "repositoryName": name,
                "uploadId": upload,
                "layerDigest": digest,
            }
        )

    def check(self, data: Request) -> Any:
        """BatchCheckLayerAvailability."""
        from ministack.services import ecr

        name = data.get("repositoryName", "")
        if name not in ecr._repositories:
            return _no_repository(name)
        stored = ecr._layer_blobs.get(name) or layers.Repository(Path())
        found = [
            {
                "layerDigest": digest,
                "layerAvailability": "AVAILABLE" if digest in stored else "UNAVAILABLE",
                "layerSize": stored.size(digest),
            }
            for digest in data.get("layerDigests") or []
        ]
        return ecr.json_response({"layers": found, "failures": []})

    def where(self, data: Request) -> Any:
        """GetDownloadUrlForLayer: an address that answers, on this machine."""
        from ministack.services import ecr

        name, digest = data.get("repositoryName", ""), data.get("layerDigest", "")
        if digest not in (ecr._layer_blobs.get(name) or {}):
            return ecr.error_response_json(
                "LayersNotFoundException", f"The layer with digest {digest} does not exist in {name}", 400
            )
        url = f"{self._endpoint}/v2/{name}/blobs/{digest}"
        return ecr.json_response({"downloadUrl": url, "layerDigest": digest})


def _no_repository(name: str) -> Any:
    from ministack.services import ecr

    message = f"The repository with name '{name}' does not exist"
    return ecr.error_response_json("RepositoryNotFoundException", message, 400)


def _no_upload(upload: str) -> Any:
    from ministack.services import ecr

    return ecr.error_response_json("UploadNotFoundException", f"There is no upload with id '{upload}'", 400)


def _missing_blobs(data: Request) -> list[str]:
    """Digests that a manifest names and the repository lacks, as PutImage checks them."""
    from ministack.services import ecr

    try:
        manifest = json.loads(data.get("imageManifest") or "{}")
    except ValueError:
        return []
    named = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
    blobs = ecr._layer_blobs.get(data.get("repositoryName", "")) or {}
    return [each["digest"] for each in named if each.get("digest") and each["digest"] not in blobs]


def _sized(answer: Any) -> Any:
    """Give images the size that ECR reports: what their configuration and layers take."""
    from ministack.services import ecr

    status, _, body = answer
    if status >= 400:
        return answer
    document = json.loads(body)
    for image in document["imageDetails"]:
        record = ecr._find_image(image["repositoryName"], {"imageDigest": image["imageDigest"]}) or {}
        manifest = json.loads(record.get("imageManifest") or "{}")
        parts = [manifest.get("config") or {}, *(manifest.get("layers") or [])]
        if any(parts):
            image["imageSizeInBytes"] = sum(int(part.get("size") or 0) for part in parts)
    return ecr.json_response(document)
