"""Read CIFAR-10 as its authors publish it: an archive, or a folder, of Python 2 pickles.

Try it:  python -c "from workshop.data import cifar; print(cifar.read('cifar-10-batches-py')[0].images.shape)"
A pickle can run any program. Here it can't: no class or function of the file's choosing is ever loaded, only
stand-ins that hold bytes and numbers; and an archive's members are read by name, never unpacked to disk.
The layout is described at https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workshop.errors import DataError
from workshop.ml.pictures import Pictures

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
META = "batches.meta"
SIDE = 32
# A real batch has 31,035,704 bytes at most; more is not this data.
LARGEST_MEMBER_BYTES = 40_000_000


def read(path: str | Path) -> tuple[Pictures, Pictures]:
    """Train and test pictures from cifar-10-python.tar.gz or from the folder that it unpacks to.

    Shapes: images uint8 (N, 32, 32, 3); labels int64 (N,).
    Errors: DataError if a batch is missing, damaged, or holds anything but pictures and labels.
    """
    path = Path(path)
    members = _from_folder(path) if path.is_dir() else _from_archive(path)
    missing = [name for name in (*TRAIN, *TEST, META) if name not in members]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", "fetch it again, or unpack it whole")
    names = _load(members[META], META).get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise _not_cifar(META, "it holds no list of label names")
    classes = [name.decode("ascii", "replace") for name in names]
    return _join(members, TRAIN, classes), _join(members, TEST, classes)


def _from_folder(path: Path) -> dict[str, Callable[[], bytes]]:
    files = (path / name for name in (*TRAIN, *TEST, META))
    return {file.name: _limited(file) for file in files if file.is_file()}


def _limited(file: Path) -> Callable[[], bytes]:
    def content() -> bytes:
        if file.stat().st_size > LARGEST_MEMBER_BYTES:
            raise _not_cifar(file.name, f"it is larger than {LARGEST_MEMBER_BYTES} bytes")
        return file.read_bytes()

    return content


def _from_archive(path: Path) -> dict[str, Callable[[], bytes]]:
    """All members at once: a compressed archive can only be read from front to back."""
    wanted = {*TRAIN, *TEST, META}
    found: dict[str, Callable[[], bytes]] = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                if name not in wanted or not member.isfile():
                    continue
                if member.size > LARGEST_MEMBER_BYTES:
                    raise _not_cifar(name, f"it is larger than {LARGEST_MEMBER_BYTES} bytes")
                stream = archive.extractfile(member)
                content = stream.read() if stream else b""
                found[name] = lambda content=content: content  # type: ignore[misc]
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"{path} can't be read as an archive ({error})", "remove it and fetch it again"
        ) from error
    return found


def _join(members: dict[str, Callable[[], bytes]], names: tuple[str, ...], classes: list[str]) -> Pictures:
    images, labels = [], []
    for name in names:
        batch = _load(members[name], name)
        pixels, given = batch.get(b"data"), batch.get(b"labels")
        if not isinstance(pixels, _Array) or not isinstance(given, list):
            raise _not_cifar(name, "it holds no data and labels")
        images.append(pixels.pictures(name))
        labels.append(_labels(given, len(images[-1]), len(classes), name))
    return Pictures(np.concatenate(images), np.concatenate(labels), classes)


def _labels(given: list[Any], count: int, num_classes: int, name: str) -> np.ndarray:
    if len(given) != count or not all(type(label) is int and 0 <= label < num_classes for label in given):
        raise _not_cifar(name, f"expected {count} labels from 0 to {num_classes - 1}")
    return np.array(given, dtype=np.int64)


def _not_cifar(name: str, why: str) -> DataError:
    return DataError(f"{name} is not a CIFAR-10 batch: {why}", "fetch the archive again")


class _Array:
    """Stands in for numpy's array while unpickling: it keeps what the file gives and runs nothing."""

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def pictures(self, name: str) -> np.ndarray:
        """uint8 (N, 32, 32, 3) from rows of 1,024 red, 1,024 green and 1,024 blue values."""
        match self.state:
            case (int(), (int() as count, 3072), _Type(), columns_first, bytes() as raw) if (
                len(raw) == count * 3072
            ):
                order: Literal["F", "C"] = "F" if columns_first else "C"
                rows = np.frombuffer(raw, dtype=np.uint8).reshape(count, 3072, order=order)
                planes = rows.reshape(count, 3, SIDE, SIDE)
                return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        raise _not_cifar(name, "its pixels are not bytes in rows of 3,072")


class _Type:
    """Stands in for numpy's dtype; only unsigned bytes are let in."""

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment, which a byte does not have."""


def _make_array(*_: Any) -> _Array:
    return _Array()


def _make_type(kind: Any, *_: Any) -> _Type:
    if kind not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"the type {kind!r} is not unsigned bytes")
    return _Type()


def _text_to_bytes(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes in the pickles that Python 2 can read."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("bytes in an unknown encoding")
    return text.encode("latin1")


class _Forbidden:
    """Named by numpy's pickles as an argument only; it can't be made."""

    def __new__(cls, *_: Any) -> _Forbidden:
        raise pickle.UnpicklingError("an array outside of numpy's own way of writing it")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _make_array,
    ("numpy._core.multiarray", "_reconstruct"): _make_array,
    ("numpy", "ndarray"): _Forbidden,
    ("numpy", "dtype"): _make_type,
    ("_codecs", "encode"): _text_to_bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which such a file has no use for")


def _load(content: Callable[[], bytes], name: str) -> dict[Any, Any]:
    try:
        loaded = _Unpickler(io.BytesIO(content()), encoding="bytes").load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way, and none of them is ours
        raise _not_cifar(name, f"{type(error).__name__}: {error}") from error
    if not isinstance(loaded, dict):
        raise _not_cifar(name, f"it holds a {type(loaded).__name__}")
    return {_as_bytes(key): value for key, value in loaded.items()}


def _as_bytes(key: Any) -> Any:
    return key.encode() if isinstance(key, str) else key
