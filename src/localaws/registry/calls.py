"""ECR's layer calls keep what they are given, and an image's size is that of its layers.

Try it:  docker push 127.0.0.1:4566/REPOSITORY   (or ecr.initiate_layer_upload, upload_layer_part, …)
ministack has the registry protocol that `docker push` speaks; its API calls for layers answer without storing
anything, and it gives a manifest's own length as the image's size. Knows blobs and manifests, nothing of
engines.
"""

import base64
import json
from pathlib import Path
from typing import Any

from localaws.identity.registry import logins
from localaws.registry import layers, protocol
from localaws.registry.images import no_repository
from localaws.registry.layercache import LayerCache
from localaws.registry.uploads import RegistryFull, Uploads, WrongDigest

Request = dict[str, Any]
PART_BYTES = 10 * 1024 * 1024  # what ECR asks of its clients


def install(endpoint: str, folder: Path, cache: LayerCache) -> Uploads:
    """Take the place of ministack's calls; `folder` is for layers, and for those on their way."""
    from ministack.services import ecr

    layers.install(folder / "layers")
    uploads = Uploads(folder / "uploads")
    protocol.install(uploads, cache)
    calls = LayerCalls(endpoint, uploads)
    ecr._initiate_layer_upload = calls.begin
    ecr._upload_layer_part = calls.add
    ecr._complete_layer_upload = calls.complete
    ecr._batch_check_layer_availability = calls.check
    ecr._get_download_url_for_layer = calls.where
    put_image, describe, delete = ecr._put_image, ecr._describe_images, ecr._batch_delete_image

    def put(data: Request) -> Any:
        missing = protocol.missing_blobs(data.get("repositoryName", ""), data.get("imageManifest") or "{}")
        if missing:
            message = f"Layers with digests '{missing}' required for pushed image don't exist"
            return ecr.error_response_json("LayersNotFoundException", message, 400)
        return put_image(data)

    ecr._put_image = put
    ecr._describe_images = lambda data: _sized(describe(data))
    ecr._batch_delete_image = lambda data: _with_layers(delete, data, folder / "layers")
    return uploads


class LayerCalls:
    """The calls by which a client that is not Docker puts layers and fetches them."""

    def __init__(self, endpoint: str, uploads: Uploads) -> None:
        self._endpoint = endpoint
        self._uploads = uploads

    def begin(self, data: Request) -> Any:
        """InitiateLayerUpload."""
        from ministack.services import ecr

        name = data.get("repositoryName", "")
        if name not in ecr._repositories:
            return no_repository(name)
        return ecr.json_response({"uploadId": self._uploads.begin(name), "partSize": PART_BYTES})

    def add(self, data: Request) -> Any:
        """UploadLayerPart: each part begins where the last one ended."""
        from ministack.services import ecr

        name, upload = data.get("repositoryName", ""), data.get("uploadId", "")
        try:
            size = self._uploads.size(name, upload)
            if int(data.get("partFirstByte", 0)) != size:
                return ecr.error_response_json(
                    "InvalidLayerPartException", f"The next part must begin at byte {size}", 400
                )
            size = self._uploads.add(name, upload, base64.b64decode(data.get("layerPartBlob") or ""))
        except KeyError:
            return _no_upload(upload)
        except RegistryFull as error:
            return ecr.error_response_json("LimitExceededException", str(error), 400)
        return ecr.json_response(
            {
                "registryId": ecr._registry_id(),
                "repositoryName": name,
                "uploadId": upload,
                "lastByteReceived": size - 1,
            }
        )

    def complete(self, data: Request) -> Any:
        """CompleteLayerUpload: the content must have the digest that it is said to have."""
        from ministack.services import ecr

        name, upload = data.get("repositoryName", ""), data.get("uploadId", "")
        try:
            digest, spool = self._uploads.complete(name, upload, data.get("layerDigests") or [])
        except KeyError:
            return _no_upload(upload)
        except WrongDigest as error:
            return ecr.error_response_json(
                "InvalidLayerException",
                f"The layer's content has the digest {error.digest}, not the one given",
                400,
            )
        ecr._layer_blobs.setdefault(name, {}).adopt(digest, spool.file, spool.size)
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
            return no_repository(name)
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
        url = self._endpoint + logins.link(f"/v2/{name}/blobs/{digest}")
        return ecr.json_response({"downloadUrl": url, "layerDigest": digest})


def _no_upload(upload: str) -> Any:
    from ministack.services import ecr

    return ecr.error_response_json("UploadNotFoundException", f"There is no upload with id '{upload}'", 400)


def _with_layers(delete: Any, data: Request, folder: Path) -> Any:
    """BatchDeleteImage, with the layers that no image of the repository has any more.

    ECR takes them away some time later. Layers that no image had yet stay: they may be on their way.
    """
    from ministack.services import ecr

    name = data.get("repositoryName", "")
    before = _layers_of_images(name)
    answer = delete(data)
    gone = before - _layers_of_images(name)
    stored = ecr._layer_blobs.get(name)
    if gone and stored is not None:
        for digest in gone:
            stored.pop(digest, None)
        layers.sweep(folder, ecr._layer_blobs._data.values())
    return answer


def _layers_of_images(name: str) -> set[str]:
    from ministack.services import ecr

    manifests = [image.get("imageManifest") or "{}" for image in ecr._images.get(name, [])]
    return {digest for manifest in manifests for digest in protocol.blobs_of(manifest)}


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
