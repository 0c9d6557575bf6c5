"""What the environment of the service's container says: where models come from, where to listen.

Try it:  MODEL_URI=s3://bucket/sentiment python -c "from workshop.serving import configuration as c; print(c.read())"
Imports the standard library alone: it is read before anything large is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import SettingsError
from workshop.health import bind_address

MODEL, POLL, PORT = "MODEL_URI", "MODEL_POLL_SECONDS", "WORKSHOP_SERVING_PORT"
DEFAULT_POLL_SECONDS, SHORTEST_POLL_SECONDS = 10.0, 0.05
DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Configuration:
    """model: s3://bucket/name, or a folder that is laid out alike."""

    model: str
    poll_seconds: float
    address: str
    port: int


def read(environ: Mapping[str, str] | None = None) -> Configuration:
    """Read and check the variables. Errors: SettingsError that names every bad one."""
    environ = os.environ if environ is None else environ
    problems = []
    model = environ.get(MODEL, "").strip()
    if not model:
        problems.append(f"{MODEL} is not set: it says where the published models are")
    elif "://" in model and not _is_s3(model):
        problems.append(f"{MODEL} is '{model}': expected s3://bucket/name, or a folder")
    model = model.rstrip("/") if "://" in model else str(Path(model).absolute())
    poll_seconds = _number(environ, POLL, DEFAULT_POLL_SECONDS)
    if poll_seconds is None or not SHORTEST_POLL_SECONDS <= poll_seconds <= 86_400:
        problems.append(f"{POLL} is '{environ[POLL]}': expected seconds, {SHORTEST_POLL_SECONDS} to 86400")
    port = _number(environ, PORT, DEFAULT_PORT)
    if port is None or not 0 <= port <= 65_535 or port != int(port):
        problems.append(f"{PORT} is '{environ[PORT]}': expected a port from 0 to 65535")
    if problems:
        raise SettingsError("; ".join(problems), f"example: {MODEL}=s3://my-models/sentiment {POLL}=10")
    return Configuration(model, poll_seconds or 0, bind_address(environ), int(port or 0))


def _is_s3(model: str) -> bool:
    bucket, _, key = model.removeprefix("s3://").partition("/")
    return model.startswith("s3://") and bool(bucket and key.strip("/"))


def _number(environ: Mapping[str, str], name: str, default: float) -> float | None:
    """None if the variable is there and no number."""
    text = environ.get(name, "").strip()
    try:
        return float(text) if text else default
    except ValueError:
        return None
