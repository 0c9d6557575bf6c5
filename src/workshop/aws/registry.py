"""Push an image layout to ECR over the registry's own protocol, as `docker push` does.

Try it:  from workshop.aws import images; images.push("mxnet")       (on a machine without Docker)
Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
Knows nothing of how the image was made.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import requests

from workshop.aws.failures import STORAGE_AGAIN, explained
from workshop.aws.layout import Layout
from workshop.aws.session import Aws
from workshop.errors import AwsError

TIMEOUT_SECONDS = 60


def login(aws: Aws) -> tuple[str, str]:
    """(user, password) for the registry. The password is a token that lives for twelve hours."""
    with explained("log in to the registry"):
        data = aws.client("ecr").get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return user, password


def address(uri: str, aws: Aws) -> tuple[str, str]:
    """(registry, repository) of a repository URI; the local AWS's own address instead of its name on AWS.

    ACCOUNT.dkr.ecr.REGION.amazonaws.com would resolve to the real one.
    """
    host, _, repository = uri.partition("/")
    return (aws.endpoint.split("://")[-1] if aws.endpoint else host), repository.partition(":")[0]


def push(layout: Layout, uri: str, tag: str, aws: Aws) -> str:
    """Push blobs, then the manifest, and return the digest that the registry computed.

    Errors: AwsError if the registry refuses, or says another digest than ours.
    """
    host, repository = address(uri, aws)
    base = f"{'http' if aws.is_local else 'https'}://{host}/v2/{repository}"
    with requests.Session() as http:
        http.auth = login(aws)
        http.trust_env = not aws.is_local  # a proxy of this machine has no business with loopback
        for digest, blob in layout.blobs.items():
            _push_blob(http, base, digest, blob)
        media_type = json.loads(layout.manifest)["mediaType"]
        answer = _call(
            http, "PUT", f"{base}/manifests/{tag}", data=layout.manifest, headers={"Content-Type": media_type}
        )
    said = answer.headers.get("Docker-Content-Digest", "")
    if said != layout.digest:
        raise AwsError(
            f"pushed {repository}:{tag} as {layout.digest}, but the registry says {said or 'nothing'}"
        )
    return said


def _push_blob(http: requests.Session, base: str, digest: str, blob: bytes) -> None:
    if http.head(f"{base}/blobs/{digest}", timeout=TIMEOUT_SECONDS).status_code == 200:
        return
    place = _call(http, "POST", f"{base}/blobs/uploads/").headers["Location"]
    url = requests.compat.urljoin(base, place)
    headers = {"Content-Type": "application/octet-stream"}
    _call(http, "PUT", url, params={"digest": digest}, data=blob, headers=headers)


def _call(http: requests.Session, method: str, url: str, **request: Any) -> requests.Response:
    try:
        answer = http.request(method, url, timeout=TIMEOUT_SECONDS, **request)
    except requests.RequestException as error:
        raise AwsError(f"the registry does not answer: {error}", "workshop up") from error
    if not answer.ok:
        remedy = STORAGE_AGAIN if answer.status_code == 404 else ""
        raise AwsError(
            f"the registry refuses {method} {url}: {answer.status_code} {answer.text[:300]}", remedy
        )
    return answer
