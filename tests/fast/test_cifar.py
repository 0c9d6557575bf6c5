"""CIFAR-10's own files are read to the right arrays, and nothing in them is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from workshop.data import cifar
from workshop.errors import DataError

CLASSES = [b"airplane", b"automobile", b"cat"]


def python_2_text(value: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(value)) + value


def python_2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The pickle that Python 2 and its numpy wrote: byte strings, and an array rebuilt from its state."""
    count, width = pixels.shape
    array = b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + python_2_text(b"b") + b"tR",
            b"(K\x01(" + b"J" + struct.pack("<i", count) + b"J" + struct.pack("<i", width) + b"t",
            b"cnumpy\ndtype\n(" + python_2_text(b"u1") + b"K\x00K\x01tR",
            b"(K\x03" + python_2_text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"I00\n" + python_2_text(pixels.tobytes()) + b"tb",
        ]
    )
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}(" + python_2_text(b"data") + array + python_2_text(b"labels") + b"](" + numbers + b"eu."
    )


def batches(count=4, as_python_2=True):
    """Name to content of a small archive, and its train pictures as (3, 32, 32) planes."""
    random = np.random.default_rng(0)
    content, planes = {}, []
    for name in (*cifar.TRAIN, *cifar.TEST):
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = [number % len(CLASSES) for number in range(count)]
        batch = {b"data": pixels, b"labels": labels, b"batch_label": b"x"}
        content[name] = python_2_batch(pixels, labels) if as_python_2 else pickle.dumps(batch, 2)
        planes.append(pixels.reshape(count, 3, 32, 32))
    content[cifar.META] = pickle.dumps({b"label_names": CLASSES}, 2)
    return content, np.concatenate(planes[:5])


def write_folder(folder, content):
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def write_archive(path, content):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("as_python_2", [True, False])
def test_archive_and_folder_give_the_same_upright_pictures(tmp_path, as_python_2):
    content, planes = batches(as_python_2=as_python_2)
    from_folder = cifar.read(write_folder(tmp_path / "batches", content))
    from_archive = cifar.read(write_archive(tmp_path / "cifar.tar.gz", content))
    for train, test in (from_folder, from_archive):
        assert train.classes == ["airplane", "automobile", "cat"]
        assert train.images.shape == (20, 32, 32, 3) and test.images.shape == (4, 32, 32, 3)
        assert train.images[3, 5, 7, 2] == planes[3, 2, 5, 7]
        assert train.labels[:4].tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    "evil",
    [
        b"\x80\x02cposix\nsystem\n(U\x0atouch ownedtR.",
        b"\x80\x02c__builtin__\neval\n(U\x021+tR.",
        b"\x80\x02cnumpy\nload\n(U\x01xtR.",
        b"\x80\x02cnumpy\nndarray\n(K\x00tR.",
    ],
)
def test_pickle_that_names_a_program_is_refused_and_not_run(tmp_path, evil, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, _ = batches()
    folder = write_folder(tmp_path / "batches", {**content, "data_batch_3": evil})
    with pytest.raises(DataError, match="data_batch_3"):
        cifar.read(folder)
    assert not os.path.exists("owned")  # noqa: PTH110


@pytest.mark.parametrize("name", ["data_batch_2", "batches.meta"])
def test_missing_batch_is_named(tmp_path, name):
    content, _ = batches()
    del content[name]
    with pytest.raises(DataError, match=name):
        cifar.read(write_folder(tmp_path / "batches", content))


def test_archive_that_ends_half_way_is_refused(tmp_path):
    content, _ = batches(count=40)
    path = write_archive(tmp_path / "cifar.tar.gz", content)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="archive"):
        cifar.read(path)


def test_labels_that_do_not_fit_the_pictures_are_refused(tmp_path):
    content, _ = batches()
    content["test_batch"] = python_2_batch(np.zeros((4, 3072), np.uint8), [0, 1, 9, 0])
    with pytest.raises(DataError, match="expected 4 labels from 0 to 2"):
        cifar.read(write_folder(tmp_path / "batches", content))


def test_pixels_of_another_shape_are_refused(tmp_path):
    content, _ = batches()
    content["test_batch"] = python_2_batch(np.zeros((4, 100), np.uint8), [0, 1, 1, 0])
    with pytest.raises(DataError, match="3,072"):
        cifar.read(write_folder(tmp_path / "batches", content))
