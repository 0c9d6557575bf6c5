"""Files of a dataset to train and test pictures: a zip or a folder of JPEGs, CIFAR-10's own files, HDF5.

Try it:  python -c "from workshop.data import formats; print(formats.from_zip('data.zip', 32)[0].classes)"
Decoded pictures are kept as arrays in the cache, by the hash of the file they come from, so that JPEGs are
decoded once. Knows nothing of where the files come from.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from workshop.data import files
from workshop.errors import DataError
from workshop.ml import pictures
from workshop.ml.pictures import Pictures

# Part of the key of every decoded set: raise it when decoding gives other arrays than before.
VERSION = "1"

Sets = tuple[Pictures, Pictures]


def from_zip(path: Path, side: int) -> Sets:
    """train/<class>/* and test/<class>/* of a zip file, read without unpacking it."""
    return _same_classes(
        pictures.load_zip(path, "train", side=side), pictures.load_zip(path, "test", side=side), path
    )


def from_folder(path: Path, side: int) -> Sets:
    """train/<class>/* and test/<class>/* of a folder."""
    for part in ("train", "test"):
        if not (path / part).is_dir():
            raise DataError(f"{path} has no folder '{part}'", f"expected {path}/{part}/<class>/<picture>.jpg")
    return _same_classes(
        pictures.load_folder(path / "train", side=side), pictures.load_folder(path / "test", side=side), path
    )


def from_hdf5(train: Path, test: Path) -> Sets:
    """catvnoncat's pair of files: uint8 pictures and a label that is 1 for a cat."""
    return _hdf5(train, "train"), _hdf5(test, "test")


def decoded_once(key: str, cache: Path, read: Callable[[], Sets]) -> Sets:
    """What `read` gives, from the cache if it was read before.

    key: names the source's bytes, for example their SHA-256. A cache that is damaged, full or read-only only
    costs the time to decode.
    """
    kept = cache / "decoded" / f"{hashlib.sha256(f'{VERSION} {key}'.encode()).hexdigest()[:32]}.npz"
    try:
        return _load(kept)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, DataError):
        train, test = read()
    packed = io.BytesIO()  # a zip that is cut off by a full disk complains once more as it is collected
    np.savez(
        packed,
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
        classes=np.array(train.classes),
    )
    try:
        with files.replacing(kept) as fresh:
            fresh.write_bytes(packed.getbuffer())
    except OSError:
        return train, test  # decoded again next time
    return train, test


def key_of(path: Path) -> str:
    """Names the bytes of a file, or the files of a folder with their sizes and times of change."""
    if path.is_file():
        return files.sha256_of(path)
    listing = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        status = file.stat()
        listing.update(f"{file.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return listing.hexdigest()


def _load(kept: Path) -> Sets:
    with np.load(kept, allow_pickle=False) as arrays:
        classes = [str(name) for name in arrays["classes"]]
        return (
            Pictures(arrays["train_images"], arrays["train_labels"], classes),
            Pictures(arrays["test_images"], arrays["test_labels"], classes),
        )


def _same_classes(train: Pictures, test: Pictures, path: Path) -> Sets:
    if train.classes != test.classes:
        odd = sorted(set(train.classes) ^ set(test.classes))
        raise DataError(f"{path}: {', '.join(odd)} is not in both train and test", "put pictures into both")
    return train, test


def _hdf5(path: Path, part: str) -> Pictures:
    import h5py  # 0.1 s, and only this set needs it

    try:
        with h5py.File(path, "r") as file:
            images = np.asarray(file[f"{part}_set_x"][()])
            labels = np.asarray(file[f"{part}_set_y"][()]).astype(np.int64)
    except (OSError, KeyError) as error:
        raise DataError(
            f"{path} can't be read ({error})", f"expected {part}_set_x and {part}_set_y in HDF5"
        ) from error
    return Pictures(images, labels, ["not cat", "cat"])
