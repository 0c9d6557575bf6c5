"""The registry's layers as files, one for each digest, whichever repositories have it.

Try it:  docker push 127.0.0.1:4566/REPOSITORY, then ls STATE_DIR/localaws/layers
ministack keeps layers in memory and in its state, which is written anew after every change; an image of this
course has gigabytes of them. Here the state has their digests and sizes alone. Knows nothing of manifests.
"""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any


class Repository(MutableMapping[str, bytes]):
    """The layers of one repository by digest; what is read comes from their files."""

    def __init__(self, folder: Path, sizes: dict[str, int] | None = None) -> None:
        self._folder = folder
        self._sizes = dict(sizes or {})

    def __getitem__(self, digest: str) -> bytes:
        if digest not in self._sizes:
            raise KeyError(digest)
        return file_of(self._folder, digest).read_bytes()

    def __setitem__(self, digest: str, content: bytes) -> None:
        file = file_of(self._folder, digest)
        if not (file.exists() and file.stat().st_size == len(content)):
            beside = file.with_name(f"{file.name}.{os.urandom(4).hex()}.tmp")
            beside.write_bytes(content)
            beside.replace(file)
        self._sizes[digest] = len(content)

    def adopt(self, digest: str, file: Path, size: int) -> None:
        """Make a file the layer, without copying it; its content has that digest."""
        file.replace(file_of(self._folder, digest))
        self.have(digest, size)

    def have(self, digest: str, size: int) -> None:
        """Have a layer whose file is there."""
        self._sizes[digest] = size

    def share(self, digest: str, other: "Repository") -> None:
        """Have a layer that another repository has."""
        self._sizes[digest] = other._sizes[digest]

    def file(self, digest: str) -> Path:
        """Where a layer lies, or will."""
        return file_of(self._folder, digest)

    def __delitem__(self, digest: str) -> None:
        del self._sizes[digest]

    def __contains__(self, digest: object) -> bool:
        return digest in self._sizes

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._sizes))

    def __len__(self) -> int:
        return len(self._sizes)

    def size(self, digest: str) -> int:
        """Bytes of one layer; 0 if it is not here."""
        return self._sizes.get(digest, 0)

    def sizes(self) -> dict[str, int]:
        """Bytes of each layer: what the state keeps."""
        return dict(self._sizes)


def file_of(folder: Path, digest: str) -> Path:
    """Where a layer lies. A digest is checked before it comes here: it has no slash."""
    return folder / digest.replace(":", "-")


def install(folder: Path) -> None:
    """Have ministack keep layers here, those that it restores later too."""
    from ministack.core.responses import AccountRegionScopedDict
    from ministack.services import ecr

    folder.mkdir(parents=True, exist_ok=True)

    class Layers(AccountRegionScopedDict):
        """Repositories by name, in ministack's form; copied as their sizes, which is what the state keeps."""

        def setdefault(self, key: str, default: Any = None) -> Any:
            return super().setdefault(key, _repository(folder, default))

        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, _repository(folder, value))

        def update(self, other: Any) -> None:
            super().update(other)
            self._data.update({key: _repository(folder, each) for key, each in self._data.items()})
            sweep(folder, self._data.values())

        def __deepcopy__(self, memo: Any) -> AccountRegionScopedDict:
            copied = AccountRegionScopedDict()
            copied._data = {key: each.sizes() for key, each in self._data.items()}
            return copied

    ecr._layer_blobs = Layers()
    delete = ecr._delete_repository

    def delete_with_layers(data: dict[str, Any]) -> Any:
        answer = delete(data)
        if answer[0] < 400:
            ecr._layer_blobs.pop(data["repositoryName"], None)
            ecr._manifest_blobs.pop(data["repositoryName"], None)
            sweep(folder, ecr._layer_blobs._data.values())
        return answer

    ecr._delete_repository = delete_with_layers


def _repository(folder: Path, given: Any) -> Repository:
    """A repository from what the state has: sizes by digest, or contents from before they were files."""
    if isinstance(given, Repository):
        return given
    sizes = {digest: each for digest, each in (given or {}).items() if isinstance(each, int)}
    made = Repository(
        folder, {digest: each for digest, each in sizes.items() if file_of(folder, digest).exists()}
    )
    for digest, content in (given or {}).items():
        if isinstance(content, bytes):
            made[digest] = content
    return made


def sweep(folder: Path, repositories: Any) -> None:
    """Remove the files that no repository has."""
    kept = {file_of(folder, digest).name for repository in repositories for digest in repository}
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink(missing_ok=True)
