"""Is the server in this container answering? The one health check of every image and task definition.

Try it:  WORKSHOP_HEALTH=8080/health python -m workshop.health; echo $?
WORKSHOP_HEALTH says where to ask: a port and a path. A container without it runs a job, which is healthy
while it runs. Imports the standard library alone: this starts every few seconds beside a training job.
"""

import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

TIMEOUT_SECONDS = 3
EVERY_ADDRESS, LOOPBACK = "0.0.0.0", "127.0.0.1"


def bind_address(environ: Mapping[str, str] | None = None) -> str:
    """Where this container's servers listen.

    The image says so in WORKSHOP_BIND_ADDRESS: a container with a network of its own listens on all of it. One that
    shares the machine's network gets a loopback address of its own there, so that two may use the same port. Without
    it this is no container, and nobody but this machine is to reach a server that somebody tries by hand.
    """
    environ = os.environ if environ is None else environ
    return environ.get("WORKSHOP_BIND_ADDRESS") or LOOPBACK


def problem(environ: Mapping[str, str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Say what is wrong with the container's server, or nothing if it answers 200."""
    environ = os.environ if environ is None else environ
    where = environ.get("WORKSHOP_HEALTH", "")
    if not where:
        return ""
    port, _, path = where.partition("/")
    address = bind_address(environ)
    url = f"http://{LOOPBACK if address == EVERY_ADDRESS else address}:{port}/{path}"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=timeout_seconds) as answer:
            return "" if answer.status == 200 else f"{url} answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{url} answered {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{url}: {error}"


def main() -> int:
    found = problem()
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
