"""A small server for a second task: it says which container it is and which framework it holds.

Try it:  workshop secondary --port 8080, and in another shell: curl localhost:8080
Lab 3 runs it as a task and calls it from the primary, by the port that ECS mapped. GET / describes the
container, GET /health answers the health check. Knows of ECS only its metadata; loads no framework.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from typing import Any

from workshop.errors import SettingsError
from workshop.health import bind_address

PORT = 8080
METADATA_TIMEOUT_SECONDS = 2
FRAMEWORKS = ("mxnet", "tensorflow", "tensorflow-cpu")


def describe(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe this container: task (ARN, or '' outside ECS), host, framework with version, device."""
    environ = os.environ if environ is None else environ
    return {
        "task": _task_arn(environ.get("ECS_CONTAINER_METADATA_URI_V4", "")),
        "host": socket.gethostname(),
        "framework": framework(),
        "device": "gpu"
        if environ.get("NVIDIA_VISIBLE_DEVICES", "none") not in ("", "none", "void")
        else "cpu",
        "pid": os.getpid(),
    }


def framework() -> str:
    """Name the installed framework with its version, without the seconds that importing it takes."""
    for name in FRAMEWORKS:
        try:
            return f"{name.removesuffix('-cpu')} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "none"


def serve(address: str, port: int, facts: Mapping[str, Any]) -> ThreadingHTTPServer:
    """Bind the server and return it; its serve_forever() does the rest. Port 0 takes a free one."""
    handler = type("Handler", (_Handler,), {"facts": dict(facts)})
    try:
        return ThreadingHTTPServer((address, port), handler)
    except OSError as error:
        raise SettingsError(
            f"the secondary can't listen on {address}:{port}: {error.strerror}", "workshop secondary --port 0"
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then end with 0."""
    parser = argparse.ArgumentParser(
        prog="workshop secondary", description="a small server for a second task"
    )
    parser.add_argument("--port", type=int, default=PORT, help="TCP port to listen on; 0 takes a free one")
    options = parser.parse_args(arguments)
    facts = describe()
    server = serve(bind_address(), options.port, facts)
    for name in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for serve_forever() to end, which can't be done from inside it.
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    host, port = server.server_address[:2]
    print(f"secondary listens on {host!s}:{port}: {facts['framework']} on {facts['device']}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.1)
    print("secondary ended", flush=True)
    return 0


class _Handler(BaseHTTPRequestHandler):
    facts: Mapping[str, Any] = {}
    timeout = 10  # seconds for a client to send its request: a silent one must not hold a thread for ever

    def do_GET(self) -> None:
        pages = {"/": self.facts, "/health": {"status": "working"}}
        path = self.path.partition("?")[0]
        page = pages.get(path)
        if page is None:
            self._answer(404, {"error": f"there is no {path}", "paths": sorted(pages)})
        else:
            self._answer(200, page)

    def _answer(self, status: int, page: Mapping[str, Any]) -> None:
        body = (json.dumps(page) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests to standard output, but not the health checks, which would bury them."""
        if not getattr(self, "path", "").startswith("/health"):  # a line that is no HTTP has no path
            print(f"{self.address_string()} {format % args}", flush=True)


def _task_arn(uri: str) -> str:
    """Ask ECS's metadata address for the task's ARN; '' where there is none or it does not answer."""
    if not uri:
        return ""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{uri}/task", timeout=METADATA_TIMEOUT_SECONDS) as answer:
            return str(json.load(answer).get("TaskARN", ""))
    except (OSError, ValueError) as error:
        print(f"ECS's task metadata did not answer: {error}", file=sys.stderr, flush=True)
        return ""


if __name__ == "__main__":
    sys.exit(main())
