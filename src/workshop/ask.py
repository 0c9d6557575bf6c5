"""Ask the sentiment service one question over HTTP, as anybody would.

Try it:  workshop ask "what a lovely morning"
Knows the service's /predict and nothing of AWS: the address is given.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from workshop.errors import AwsError

TIMEOUT_SECONDS = 10


def predict(url: str, text: str, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """The service's answer for one text: version and predictions. Errors: AwsError with what it said instead."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(
        f"{url.rstrip('/')}/predict", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with _opener(url).open(request, timeout=timeout_seconds) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace").strip()
        raise AwsError(
            f"{url} answered {error.code}: {said}", "workshop deploy; services.describe()"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise AwsError(
            f"{url} does not answer: {reason}",
            "is the load balancer open to this machine? It is to WORKSHOP_SOURCE_CIDR alone",
        ) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    """A proxy of this machine's leads to other machines, never to its own loopback addresses."""
    is_here = (urlsplit(url).hostname or "").startswith("127.")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_here else []))
