"""Make and keep an image without a container engine: configuration, manifest and one small layer.

Try it:  from workshop.aws import images; images.build("mxnet")      (on a machine without Docker)
The configuration is what the Dockerfile says. The one layer holds no file system: it has the Dockerfile and
the list of the files that COPY would bring, with their SHA-256, so a change of the code is another digest.
Kept as an OCI image layout, https://github.com/opencontainers/image-spec. Knows no registry.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.aws import dockerfile
from workshop.errors import DataError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CREATED = "1970-01-01T00:00:00Z"
"""A real date would give the same sources another digest at every build."""


@dataclass(frozen=True)
class Layout:
    """One image on disk. blobs: configuration and layer by digest; the manifest is apart."""

    digest: str
    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def config(self) -> dict[str, Any]:
        digest = json.loads(self.manifest)["config"]["digest"]
        return dict(json.loads(self.blobs[digest]))

    @property
    def size_bytes(self) -> int:
        return len(self.manifest) + sum(len(blob) for blob in self.blobs.values())


def make(path: Path, context: Path, arguments: Mapping[str, str] | None = None) -> Layout:
    """The image of a Dockerfile. The same files always give the same digest."""
    description = dockerfile.read(path, arguments)
    layer, diff_id = _layer(description, context)
    history = [
        {
            "created": CREATED,
            "created_by": dockerfile.shown(instruction, value),
            "empty_layer": True,
            "comment": "described, not run" if instruction in dockerfile.MAKES_A_LAYER else "configuration",
        }
        for instruction, value in description.instructions
    ]
    listed = {"created": CREATED, "created_by": "Dockerfile and list of the files it copies"}
    config = _encode(
        {
            "created": CREATED,
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                platform.machine(), platform.machine()
            ),
            "os": "linux",
            "config": description.config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [*history, listed],
        }
    )
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": _digest(layer), "size": len(layer)}],
        }
    )
    return Layout(_digest(manifest), manifest, {_digest(config): config, _digest(layer): layer})


def save(layout: Layout, folder: Path) -> None:
    """Write the layout; the folder holds this image and no other afterwards."""
    beside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    blobs = beside / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest, blob in {layout.digest: layout.manifest, **layout.blobs}.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(blob)
    entry = {"mediaType": MANIFEST, "digest": layout.digest, "size": len(layout.manifest)}
    (beside / "index.json").write_bytes(_encode({"schemaVersion": 2, "manifests": [entry]}))
    (beside / "oci-layout").write_bytes(_encode({"imageLayoutVersion": "1.0.0"}))
    shutil.rmtree(folder, ignore_errors=True)
    beside.replace(folder)


def load(folder: Path) -> Layout | None:
    """The image in a layout folder, every blob verified; None if there is none.

    Errors: DataError if a blob is not what its digest says.
    """
    index = folder / "index.json"
    if not index.is_file():
        return None
    digest = json.loads(index.read_bytes())["manifests"][0]["digest"]
    manifest = _blob(folder, digest)
    parts = json.loads(manifest)
    digests = [parts["config"]["digest"], *(layer["digest"] for layer in parts["layers"])]
    return Layout(digest, manifest, {each: _blob(folder, each) for each in digests})


def _blob(folder: Path, digest: str) -> bytes:
    path = folder / "blobs" / "sha256" / digest.removeprefix("sha256:")
    content = path.read_bytes() if path.is_file() else b""
    if _digest(content) != digest:
        raise DataError(
            f"the image in {folder} is damaged: {digest[:19]}… is not what is there", "build it again"
        )
    return content


def _layer(description: dockerfile.Description, context: Path) -> tuple[bytes, str]:
    """(compressed layer, digest of the uncompressed one, which is what a configuration lists)."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(context).as_posix()}\n"
        for path in dockerfile.copied(description, context)
    ]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (
            ("workshop/Dockerfile", description.path.read_bytes()),
            ("workshop/SHA256SUMS", "".join(lines).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    plain = packed.getvalue()
    return gzip.compress(plain, mtime=0), _digest(plain)


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
