"""Decide where AWS calls may go, before any is made.

Try it:  WORKSHOP_TARGET=local AWS_ENDPOINT_URL=https://ecs.us-east-1.amazonaws.com workshop status
The rule. Target `local`: the endpoint is AWS_ENDPOINT_URL, else that of the running local AWS, and its host
must be loopback. A container of the Docker engine has another loopback than its host; there, and only where
the engine set WORKSHOP_LOCAL_AWS=1, a private address or a one-word or `.internal` name is accepted too.
Target `aws`: no AWS_ENDPOINT_URL of any kind may be set.
Makes no call and knows nothing of boto3.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from workshop.errors import TargetError

INSIDE_DOCKER = "WORKSHOP_LOCAL_AWS"
TRAINING_JOB = "TRAINING_JOB_ARN"
INSIDE_A_ROLE = ("ECS_CONTAINER_METADATA_URI_V4", TRAINING_JOB)
LOCAL_FIX = "unset AWS_ENDPOINT_URL and run: workshop up   (or choose the account: --target aws)"


def local_endpoint(environ: Mapping[str, str], state_dir: Path) -> str:
    """The local AWS's address, verified to be on this machine.

    Errors: TargetError if it is elsewhere, or if the local AWS is not up.
    """
    given = environ.get("AWS_ENDPOINT_URL", "").strip()
    if not given:
        return _running_endpoint(state_dir)
    host = _host(given)
    if not (is_loopback(host) or (environ.get(INSIDE_DOCKER) == "1" and _is_docker_host(host))):
        raise TargetError(
            f"the target is local, but AWS_ENDPOINT_URL is '{given}', which is not on this machine", LOCAL_FIX
        )
    return given.rstrip("/")


def refuse_endpoints(environ: Mapping[str, str]) -> None:
    """With target aws, a set endpoint means that one of the two is a mistake."""
    found = sorted(name for name in environ if name.startswith("AWS_ENDPOINT_URL") and environ[name])
    if found:
        raise TargetError(
            f"the target is aws, but {found[0]} is '{environ[found[0]]}'",
            f"unset {' '.join(found)}   (or stay local: --target local)",
        )


def credentials_address(environ: Mapping[str, str], endpoint: str) -> str | None:
    """Where a task or a training job of the local AWS gets its role's credentials; None outside of both.

    The address must be set, and what only a task or a training job has, and the host must be the local AWS's own or
    loopback: a shell on a real instance or in CloudShell has such an address too, and that one is not ours.
    """
    address = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
    if not address or not any(environ.get(name) for name in INSIDE_A_ROLE):
        return None
    host = _host(address)
    return address if is_loopback(host) or host == _host(endpoint) else None


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and localhost; names are not looked up: a DNS answer can't change this."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_docker_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(".internal")) and "amazonaws" not in host


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    return (host or "").lower()


def _running_endpoint(state_dir: Path) -> str:
    from localaws import daemon  # starting and finding the local AWS is all that this package knows of it

    running = daemon.status(state_dir)
    if running is None:
        raise TargetError(f"the local AWS is not running (state folder {state_dir})", "workshop up")
    if not is_loopback(_host(running.endpoint)):
        raise TargetError(
            f"the local AWS says it is at '{running.endpoint}', not on this machine", "workshop down"
        )
    return str(running.endpoint)
