"""Read an image's configuration from ECR, as ECS's agent does: by the registry's own HTTP interface.

Try it:  workshop check 2
Not from what was built here: what counts is what was pushed.
"""

from typing import Any

import requests

from workshop.aws import registry
from workshop.aws.session import Aws
from workshop.errors import AwsError

TIMEOUT_SECONDS = 30
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


def read(uri: str, tag: str, aws: Aws) -> dict[str, Any] | None:
    """Return the configuration (Entrypoint, User, Labels, …) of repository:tag, or None if it is not there.

    Errors: AwsError if the registry does not answer as one.
    """
    host, repository = registry.address(uri, aws)
    base = f"{'http' if aws.is_local else 'https'}://{host}/v2/{repository}"
    with requests.Session() as http:
        http.auth = registry.login(aws)
        http.trust_env = not aws.is_local  # a proxy of this machine has no business with loopback
        manifest = _get(http, f"{base}/manifests/{tag}")
        if manifest is None:
            return None
        image = _get(http, f"{base}/blobs/{manifest['config']['digest']}")
    return None if image is None else dict(image.get("config", {}))


def _get(http: requests.Session, url: str) -> dict[str, Any] | None:
    try:
        answer = http.get(url, headers={"Accept": ", ".join(MANIFESTS)}, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        raise AwsError(f"the registry does not answer: {error}", "workshop up") from error
    if answer.status_code == 404:
        return None
    if not answer.ok:
        raise AwsError(f"the registry answers {answer.status_code} to {url}", "workshop prepare 3")
    return dict(answer.json())
