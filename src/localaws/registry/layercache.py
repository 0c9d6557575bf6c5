"""Large layers that this machine's registry has seen before, for registries that begin with nothing.

Try it:  workshop clean --all, then workshop run 1-4 with Docker: the second push takes seconds
Docker compresses a layer before it pushes it, a minute for a gigabyte, but first asks for the layer by the digest
it had elsewhere. What is kept here answers that question for every server that shares the folder, after it was
cleaned too. Files are links to the registry's own, so on one disk they take no room while those are there. Knows
no repository.
"""

import contextlib
import os
import re
from pathlib import Path

SMALLEST_BYTES = 10 * 1024 * 1024  # of smaller ones Docker asks in their own repository only
LARGEST_CACHE_BYTES = 4 * 1024**3  # two versions of the course's images
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class LayerCache:
    """Layers by digest in a folder; without a folder it is always empty."""

    def __init__(self, folder: Path | None, limit_bytes: int = LARGEST_CACHE_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    def keep(self, digest: str, file: Path, size: int) -> None:
        """Keep a layer that has just been verified; where no link can be made, do nothing."""
        if self._folder is None or size < SMALLEST_BYTES or not _DIGEST.fullmatch(digest):
            return
        with contextlib.suppress(OSError):  # another disk, a full one, or one without links: only slower
            self._folder.mkdir(parents=True, exist_ok=True)
            kept = self._folder / digest.replace(":", "-")
            if not kept.exists():
                os.link(file, kept)
            os.utime(kept)
            self._trim()

    def give(self, digest: str, file: Path) -> int | None:
        """Make `file` a link to a layer and return its size; None if it is not here."""
        if self._folder is None or not _DIGEST.fullmatch(digest):
            return None
        kept = self._folder / digest.replace(":", "-")
        try:
            if not file.exists():
                os.link(kept, file)
            os.utime(kept)
            return file.stat().st_size
        except OSError:
            return None

    def _trim(self) -> None:
        """Let go of what was used longest ago, down to the limit."""
        assert self._folder
        found = sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for file in found:
            total += file.stat().st_size
            if total > self._limit_bytes:
                file.unlink(missing_ok=True)
