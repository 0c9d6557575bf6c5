"""Tell whoever started a DAG run how it goes on: a line of JSON for each event, through a pipe.

Try it:  workshop dag sentiment --json
The pipe's number is in a variable. Without one, as in the web UI or on a server of its own, nothing is told. A pipe
that nobody reads any more means that whoever started the run is gone, and then the run must end too.
"""

import json
import os
from typing import Any

VARIABLE = "WORKSHOP_DAG_EVENTS"


class Abandoned(Exception):
    """Whoever started this run is gone."""


def tell(kind: str, /, **details: Any) -> None:
    """Tell one event. Errors: Abandoned if nobody listens any more."""
    number = os.environ.get(VARIABLE, "")
    if not number:
        return
    line = json.dumps({"event": kind, **details}, default=str) + "\n"
    try:
        os.write(int(number), line.encode())
    except OSError as error:
        raise Abandoned(f"whoever started this run is gone ({error.strerror})") from error


def parse(line: bytes) -> dict[str, Any]:
    """An event, or an empty one for a line that is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
