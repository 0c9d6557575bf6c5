"""The model that answers: loaded, warmed up, and swapped for a newer one without a request noticing.

Try it:  python -m pytest tests/local/test_serving_models.py
A request takes `model` once and uses it to its end; a swap is the assignment of one reference. Knows nothing of
HTTP, nor of where models come from.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A predictor in service. since: when it began to answer, ISO 8601 in UTC."""

    predictor: Any
    version: str
    since: str


class InService:
    """What is in service, and what is wrong, if anything. The fetcher's events change it; requests read it."""

    def __init__(self, load: Callable[[Path], Any]) -> None:
        self.model: Model | None = None
        self.swaps = 0
        self.refusals = 0
        self.refused: dict[str, str] | None = None
        self.problem: dict[str, str] | None = {"reason": "the model is being fetched", "fix": "wait"}
        self._load = load

    async def take(self, version: str, folder: Path) -> str:
        """Load a version beside the one that answers, then let it answer. Says why not, or ''."""
        started = time.perf_counter()
        try:
            # In a thread: requests are answered meanwhile, by the model that is there.
            predictor = await asyncio.to_thread(self._load, folder)
        except (
            Exception
        ) as error:  # whatever is wrong with a new model, the service keeps the one that it has
            known = hasattr(error, "remedy")
            log.warning("version %s can't be loaded: %s", version, error, exc_info=not known)
            return str(getattr(error, "message", "")) or f"{type(error).__name__}: {error}"
        before = self.model
        self.model = Model(predictor, version, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.swaps += before is not None
        seconds = time.perf_counter() - started
        instead = f" instead of {before.version}" if before else ""
        log.info("version %s is in service%s, loaded in %.2f s", version, instead, seconds)
        gc.freeze()  # what is loaded now stays: collecting what requests leave need not look at it
        return ""

    def well(self) -> None:
        """What is published is in service."""
        self.problem = self.refused = None

    def refuse(self, version: str, reason: str, fix: str) -> None:
        """A version is bad, and what answers goes on answering."""
        self.refusals += 1
        self.refused, self.problem = {"version": version, "reason": reason, "fix": fix}, None
        kept = f"version {self.model.version} stays in service" if self.model else "no model is in service"
        log.warning("version %s is refused: %s; %s. fix: %s", version, reason, kept, fix)

    def trouble(self, reason: str, fix: str) -> None:
        """Nothing can be learnt of what is published; said in the log once for each reason."""
        found = {"reason": reason, "fix": fix}
        if found != self.problem:
            log.warning("%s. fix: %s", reason, fix)
        self.problem = found
