"""A container's base folder with Docker: copied in before it starts, copied out when it has ended.

Try it:  python -m pytest tests/docker/test_sagemaker_docker.py
Volumes of Docker's rather than folders of this machine: a container writes as root or as a user of its own, and what
it wrote could neither be read nor removed by whoever runs the local AWS. Knows Docker's API and nothing of images.
"""

import io
import os
import tarfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
import requests

from localaws.engine import Base, EngineError, Volume
from localaws.engine.removal import remove_tree
from localaws.unpacking import Checks

CHUNK_BYTES = 1024 * 1024
A_LOT = 2**60  # this machine's disk is what limits a container's volume
FOLDER_MODE, FILE_MODE = 0o777, 0o666  # the image's user has any number, and none of this machine's rights


def volumes(base: Base | None) -> tuple[Volume, ...]:
    """One for each subfolder; `remove_volumes` of the base's folder takes them away."""
    if base is None:
        return ()
    names = sorted(each.name for each in base.source.iterdir() if each.is_dir())
    return tuple(Volume(base.source / name, f"{base.container_path}/{name}", scope="task") for name in names)


def fill(api: Any, container: str, base: Base | None) -> None:
    """Copy the subfolders into a container that was made and has not started."""
    if base:
        api.put_archive(container, "/", _packed(base.source, base.container_path.lstrip("/")))


def bring_back(api: Any, container: str, base: Base, name: str) -> Path:
    """Put what an ended container left in a subfolder in the place of what it began with."""
    here = base.source / name
    try:
        chunks, _ = api.get_archive(container, f"{base.container_path}/{name}", chunk_size=CHUNK_BYTES)
        remove_tree(here)
        with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks)), mode="r|") as tar:
            tar.extractall(base.source, filter=Checks(base.source, A_LOT, drops=True))
    except docker.errors.NotFound:
        remove_tree(here)
    except (docker.errors.APIError, requests.RequestException, tarfile.TarError) as error:
        raise EngineError(
            f"{base.container_path}/{name} can't be read from its container: {error}"
        ) from error
    here.mkdir(exist_ok=True)
    return here


def _packed(source: Path, inside: str) -> Iterator[bytes]:
    """A tar of the subfolders, made by a thread as it is read."""
    reader, writer = os.pipe()

    def pack() -> None:
        # Docker that takes no more closes the other end, and says why to the caller.
        try:
            with os.fdopen(writer, "wb") as out, tarfile.open(fileobj=out, mode="w|") as tar:
                for each in sorted(source.iterdir()):
                    if each.is_dir():
                        tar.add(each, f"{inside}/{each.name}", filter=_for_everybody)
        except BrokenPipeError:
            return

    threading.Thread(target=pack, name="pack", daemon=True).start()
    with os.fdopen(reader, "rb") as packed:
        while chunk := packed.read(CHUNK_BYTES):
            yield chunk


def _for_everybody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= FOLDER_MODE if entry.isdir() else FILE_MODE
    return entry


class _Chunks(io.RawIOBase):
    """Pieces of bytes as they come, as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size
