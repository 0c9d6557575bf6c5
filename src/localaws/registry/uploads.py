"""Layers on their way into the registry: files that grow, and a hash that grows with them.

Try it:  docker push 127.0.0.1:4566/REPOSITORY, and meanwhile ls STATE_DIR/localaws/uploads
An image of this course has layers of a gigabyte, so none is ever in memory as a whole. Knows no protocol:
`calls` and `protocol` call it. What no one completes goes with its cancelling, or with the next start.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

# Below this the registry takes no more: the services' own state is on the same disk and has to be written too.
RESERVE_BYTES = 200 * 1024 * 1024
SMALL_BYTES = 1024 * 1024  # configurations, and images without a file system: there is always room for these
READ_BYTES = 1024 * 1024


class RegistryFull(Exception):
    """The disk has no room for a layer. ECR itself has no such limit, so the words are ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"the local registry is full: the disk of {folder} has no room for this layer. Free some space, or "
            "delete images (aws ecr batch-delete-image, workshop clean 2), then push again"
        )


class WrongDigest(Exception):
    """The content has another digest than the one that was said."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"the content has the digest {digest}")
        self.digest = digest


class Spool:
    """A file that is written to its end once, hashed on the way; gone after `discard`."""

    def __init__(self, file: Path, reserve_bytes: int) -> None:
        self.file = file
        self.size = 0
        self.hash = hashlib.sha256()
        self._reserve_bytes = reserve_bytes
        self._out: BinaryIO | None = None

    def write(self, content: bytes) -> None:
        """Append. Errors: RegistryFull, and what was written so far is gone."""
        try:
            size = self.size + len(content)
            if size > SMALL_BYTES and self._free_bytes() < len(content) + self._reserve_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._out is None:
                self._out = self.file.open("ab")
            self._out.write(content)
            self._out.flush()
        except OSError as error:
            self.discard()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RegistryFull(self.file.parent) from error
            raise
        self.hash.update(content)
        self.size += len(content)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self.file.parent).free

    def close(self) -> None:
        """Close the file, which stays; it can be written to again."""
        if self._out:
            with contextlib.suppress(OSError):  # what could not be flushed was reported by `write`
                self._out.close()
            self._out = None

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        self.file.unlink(missing_ok=True)


@dataclass
class _Upload:
    """One that is not complete; `lock` is held while its spool is written to."""

    repository: str
    spool: Spool
    lock: Any = field(default_factory=threading.Lock)


class Uploads:
    """Uploads by their id. Errors of every method: KeyError if the repository has no upload by that id."""

    def __init__(self, folder: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        self.folder = folder
        self._reserve_bytes = reserve_bytes
        self._uploads: dict[str, _Upload] = {}
        shutil.rmtree(folder, ignore_errors=True)  # of a server that was killed; its clients begin again
        folder.mkdir(parents=True)

    def spool(self) -> Spool:
        """A file for one request's body, before it is known whether anyone wants it."""
        return Spool(self.folder / f"{os.urandom(8).hex()}.part", self._reserve_bytes)

    def begin(self, repository: str) -> str:
        """A new upload's id."""
        upload = _new_id()
        self._uploads[upload] = _Upload(repository, self.spool())
        return upload

    def size(self, repository: str, upload: str) -> int:
        """Bytes that have come so far."""
        return self._of(repository, upload).spool.size

    def add(self, repository: str, upload: str, content: bytes) -> int:
        """Append and return the size so far. Errors: RegistryFull, and the upload is gone."""
        found = self._of(repository, upload)
        with found.lock, self._gone_if_full(upload):
            found.spool.write(content)
            found.spool.close()
            return found.spool.size

    def take(self, repository: str, upload: str, part: Spool) -> int:
        """Append a spool and return the size so far; the first one is not copied but becomes the upload."""
        found = self._of(repository, upload)
        part.close()
        with found.lock, self._gone_if_full(upload):
            if found.spool.size == 0:
                found.spool.discard()
                found.spool = part
            else:
                with part.file.open("rb") as source:
                    while content := source.read(READ_BYTES):
                        found.spool.write(content)
                found.spool.close()
                part.discard()
            return found.spool.size

    def complete(self, repository: str, upload: str, digests: list[str]) -> tuple[str, Spool]:
        """End an upload: its digest and its file, which is the caller's now. Errors: WrongDigest."""
        found = self._of(repository, upload)
        with found.lock:
            digest = f"sha256:{found.spool.hash.hexdigest()}"
            self._uploads.pop(upload, None)
            if digest not in digests:
                found.spool.discard()
                raise WrongDigest(digest)
            if found.spool.size == 0:
                found.spool.file.touch()
            return digest, found.spool

    def __contains__(self, upload: str) -> bool:
        return upload in self._uploads

    def cancel(self, repository: str, upload: str) -> None:
        """End an upload and remove what has come."""
        self._of(repository, upload).spool.discard()
        self._uploads.pop(upload, None)

    def _of(self, repository: str, upload: str) -> _Upload:
        found = self._uploads[upload]
        if found.repository != repository:
            raise KeyError(upload)
        return found

    @contextlib.contextmanager
    def _gone_if_full(self, upload: str) -> Any:
        try:
            yield
        except RegistryFull:
            self._uploads.pop(upload, None)
            raise


def _new_id() -> str:
    return os.urandom(16).hex()
