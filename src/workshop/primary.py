"""A task that calls another one: ask the secondary who it is, and say so.

Try it:  SECONDARY=http://127.0.0.1:8080 workshop primary      (with `workshop secondary` running beside it)
Lab 3 runs it as a task; the secondary's address comes from the variable SECONDARY. Knows nothing of ECS.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

from workshop.errors import AwsError, SettingsError
from workshop.secondary import describe

TIMEOUT_SECONDS = 10
VARIABLE = "SECONDARY"


def ask(address: str, timeout_seconds: float = TIMEOUT_SECONDS) -> dict:
    """Return what the secondary at http://HOST:PORT says of itself."""
    if not address.startswith(("http://", "https://")):
        raise SettingsError(
            f"{VARIABLE} is '{address}', and an address such as http://10.42.0.7:32768 was expected",
            f"give the task {VARIABLE} in its environment",
        )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/", timeout=timeout_seconds) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise AwsError(
            f"the secondary at {address} did not answer: {error}",
            "does its task still run? On AWS: does the security group let tasks reach each other?",
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask once, print both sides."""
    parser = argparse.ArgumentParser(
        prog="workshop primary", description="call the secondary task and print its answer"
    )
    parser.add_argument(
        "--secondary", default=os.environ.get(VARIABLE, ""), help=f"its address (default: ${VARIABLE})"
    )
    found = ask(parser.parse_args(arguments).secondary)
    print(f"primary:   {describe()['framework']}")
    print(f"secondary: {found['framework']}, device {found['device']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
