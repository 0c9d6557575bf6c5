"""Artefacts: what is written can be read by either framework, and what does not fit is refused."""

import json

import numpy as np
import pytest

from workshop.errors import DataError
from workshop.ml import architecture, artefact
from workshop.ml.architecture import Architecture

CLASSES = ["bird", "cat", "dog"]


@pytest.fixture
def folder(tmp_path):
    return artefact.write(
        tmp_path / "a", Architecture(3, 4).first_weights(1), {"classes": CLASSES, "seed": 1}
    )


def change(folder, **values):
    path = folder / artefact.METADATA
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_what_is_written_is_read_again(folder):
    weights, metadata = artefact.read(folder)
    written = Architecture(3, 4).first_weights(1)
    assert weights.keys() == written.keys()
    assert all(np.array_equal(weights[name], written[name]) for name in written)
    assert metadata["classes"] == CLASSES and metadata["seed"] == 1 and metadata["width"] == 4
    assert metadata["num_weights"] == sum(value.size for value in written.values())


def test_half_precision_takes_half_the_room(tmp_path, folder):
    half = artefact.write(
        tmp_path / "b", Architecture(3, 32).first_weights(1), {"classes": CLASSES}, half_precision=True
    )
    whole = artefact.write(tmp_path / "c", Architecture(3, 32).first_weights(1), {"classes": CLASSES})
    assert (half / artefact.WEIGHTS).stat().st_size < 0.53 * (whole / artefact.WEIGHTS).stat().st_size
    weights, _ = artefact.read(half)
    assert weights["stem/kernel"].dtype == np.float32


def test_weights_of_another_artefact_are_refused(folder, tmp_path):
    other = artefact.write(tmp_path / "other", Architecture(3, 4).first_weights(2), {"classes": CLASSES})
    (folder / artefact.WEIGHTS).write_bytes((other / artefact.WEIGHTS).read_bytes())
    with pytest.raises(DataError, match="SHA-256 differs"):
        artefact.read(folder)


def test_cut_weights_are_refused(folder):
    path = folder / artefact.WEIGHTS
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="not a readable npz"):
        artefact.read(folder)


def test_folder_that_holds_no_artefact_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match=r"holds no metadata\.json") as refusal:
        artefact.read(tmp_path)
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": "resnet"}, "describes a 'resnet'"),
        ({"format": 2}, "of format 2"),
        ({"classes": ["cat", "dog"]}, "3 classes, metadata.json names 2"),
        ({"input": {"mean": [0, 0, 0]}}, "input mean"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(folder, values, message):
    change(folder, **values)
    with pytest.raises(DataError, match=message):
        artefact.read(folder)


def test_missing_keys_are_all_named(folder):
    (folder / artefact.METADATA).write_text('{"format": 1}')
    with pytest.raises(DataError, match="lacks network, classes, input, weights_sha256"):
        artefact.read(folder)


@pytest.mark.parametrize("content", ["{", "[]", "\udcff"])
def test_metadata_that_is_no_object_is_refused(folder, content):
    (folder / artefact.METADATA).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"metadata\.json"):
        artefact.metadata(folder)


def test_every_misfit_of_weights_is_listed():
    weights = Architecture(3, 4).first_weights(1)
    del weights["deep/gamma"]
    weights["extra"] = np.zeros(1, dtype=np.float32)
    weights["head/kernel"] = weights["head/kernel"][:-1]
    weights["stem/beta"] = np.full(4, np.nan, dtype=np.float32)
    with pytest.raises(DataError) as refusal:
        architecture.from_weights(weights)
    for part in (
        "deep/gamma is missing",
        "extra does not belong",
        "expected (16, 3)",
        "stem/beta holds values",
    ):
        assert part in refusal.value.message


def test_classes_must_match_the_network_when_writing(tmp_path):
    with pytest.raises(DataError, match="has 3 classes, the metadata names 2"):
        artefact.write(tmp_path, Architecture(3, 4).first_weights(1), {"classes": ["cat", "dog"]})


def test_first_weights_depend_on_the_seed_alone():
    first, again, other = (Architecture(10, 8).first_weights(seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["stem/kernel"], other["stem/kernel"])


def test_full_network_has_the_size_that_the_labs_tell():
    assert Architecture(10, 32).num_weights == 465_386
