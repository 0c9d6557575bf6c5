"""Pull images from the local registry: the manifest by tag or digest, then the config blob.

Try it:  aws ecr describe-images --repository-name workshop-mxnet
Knows of layers only how large they are: the process engine runs in an environment of this machine and needs
the config alone, and the Docker engine has Docker fetch them.
Images of other registries (docker.io, public.ecr.aws) can't be had without a network, and are refused by
name.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from localaws.engine import CannotPull, Image

REGISTRY = re.compile(r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com$")


@dataclass(frozen=True)
class Reference:
    """The parts of an image's name in ECR."""

    account: str
    region: str
    repository: str
    tag: str
    digest: str

    @property
    def wanted(self) -> str:
        return self.digest or self.tag


def parse(reference: str) -> Reference:
    """Read `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY[:TAG][@DIGEST]`; other registries are refused."""
    name, _, digest = reference.partition("@")
    host, _, path = name.partition("/")
    repository, _, tag = path.partition(":")
    match = REGISTRY.match(host)
    if not match or not repository:
        raise CannotPull(
            f"pull access denied for {reference}: the local AWS has only images of its own registry "
            "(ACCOUNT.dkr.ecr.REGION.amazonaws.com/…)",
            "push the image to ECR and name it by its repository URI",
        )
    return Reference(match["account"], match["region"], repository, tag or "latest", digest)


class RegistryImages:
    """Images of the ECR that is emulated in this process."""

    def pull(self, reference: str) -> Image:
        """The image with its config; raises CannotPull in the words that ECR's registry uses."""
        from ministack.core.responses import request_scope

        wanted = parse(reference)
        with request_scope(wanted.account, wanted.region):
            return _find(reference, wanted)


def _find(reference: str, wanted: Reference) -> Image:
    from ministack.services import ecr

    if wanted.repository not in ecr._repositories:
        raise CannotPull(
            f"Error response from daemon: repository {_name(reference)} not found: name unknown: "
            f"The repository with name '{wanted.repository}' does not exist in the registry with id "
            f"'{wanted.account}'"
        )
    identifier = {"imageDigest": wanted.digest} if wanted.digest else {"imageTag": wanted.tag}
    record = ecr._find_image(wanted.repository, identifier)
    if record is None:
        raise CannotPull(
            f"Error response from daemon: manifest for {reference} not found: manifest unknown: "
            "Requested image not found"
        )
    manifest = _document(record["imageManifest"], reference)
    if "manifests" in manifest:
        return _find(reference, _for_this_machine(wanted, manifest, reference))
    digest = (manifest.get("config") or {}).get("digest", "")
    blob = (ecr._layer_blobs.get(wanted.repository) or {}).get(digest)
    if blob is None:
        raise CannotPull(
            f"failed to pull {reference}: the config blob {digest or '(none)'} is not in the registry"
        )
    layers_bytes = sum(int(layer.get("size") or 0) for layer in manifest.get("layers") or [])
    config = _document(blob, reference).get("config") or {}
    return Image(reference, record["imageDigest"], config, layers_bytes)


def _name(reference: str) -> str:
    return (
        reference.partition("@")[0].rpartition("/")[0] + "/" + reference.rpartition("/")[2].partition(":")[0]
    )


def _document(text: str | bytes, reference: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise CannotPull(f"failed to pull {reference}: its manifest or config is not a JSON object")
    return document


def _for_this_machine(wanted: Reference, index: dict[str, Any], reference: str) -> Reference:
    """The entry of a multi-platform index that runs on x86-64 Linux, else its first."""
    entries = [entry for entry in index["manifests"] if entry.get("digest")]
    entries.sort(key=lambda entry: (entry.get("platform") or {}).get("architecture") != "amd64")
    if not entries:
        raise CannotPull(f"failed to pull {reference}: its index names no manifest")
    return Reference(wanted.account, wanted.region, wanted.repository, wanted.tag, entries[0]["digest"])
