"""Artefacts of sentiment networks: what does not fit together is refused, and named."""

import json

import pytest

from workshop.ml.text import artefact, cleaning, vocabulary
from workshop.ml.text.encoding import Encoder

LABELS = ["negative", "positive"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / artefact.ONNX).write_bytes(b"a network")
    (tmp_path / artefact.KERAS).write_bytes(b"the same network")
    words = vocabulary.learn([["good", "tea"]], spelling=vocabulary.Spelling())
    steps = cleaning.make(["lower", "strip", "stop-words", "stem"], ["the"])
    metadata = {"data": {"name": "x"}, "parameters": {}, "metrics": {}, "versions": {}}
    artefact.save(tmp_path, words, LABELS, steps, {"outputs": 2, "table_rows": 4}, metadata)
    return tmp_path


def change(folder, **values):
    path = folder / artefact.METADATA
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def rewrite(folder, name, content):
    """Change a file together with its checksum, as somebody would who mends an artefact by hand."""
    (folder / name).write_text(json.dumps(content))
    files = json.loads((folder / artefact.METADATA).read_text())["files"]
    change(folder, files={**files, name: artefact._described(folder / name)})


def test_what_is_saved_is_read_again(folder):
    found = artefact.check(folder)
    assert found.labels == ("negative", "positive") and len(found.vocabulary) == 4
    assert found.cleaning.steps == ["lower", "strip", "stop-words", "stem"]
    assert set(found.metadata["files"]) == set(artefact.CONTENT) and len(found.metadata_sha256) == 64
    assert Encoder.load(folder).encode(["The good TEA"])["words"].tolist() == [[2, 3]]


@pytest.mark.parametrize("name", artefact.FILES)
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(artefact.ArtefactError, match=f"holds no {name}") as refusal:
        artefact.check(folder)
    assert refusal.value.remedy


@pytest.mark.parametrize("name", artefact.CONTENT)
def test_changed_or_cut_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(artefact.ArtefactError, match=f"{name} is not the file that metadata.json describes"):
        artefact.check(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 0}, "of format 0, this version reads 'sentiment' of format 1"),
        ({"format": None}, "of format None"),
        ({"name": "cats"}, "is a 'cats'"),
        ({"network": {"outputs": 3, "table_rows": 4}}, "3 outputs, labels.json names 2 labels"),
        ({"network": {"outputs": 2, "table_rows": 9}}, "9 words, vocabulary.json has 4"),
        ({"network": []}, "must be objects"),
        ({"files": {}}, "has no checksum of model.onnx"),
        ({"cleaning": {"steps": ["fly"], "stop_words": [], "lemmas": {}}}, "no cleaning step fly"),
        ({"cleaning": {}}, "cleaning steps can't be read"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(folder, values, message):
    change(folder, **values)
    with pytest.raises(artefact.ArtefactError, match=message):
        artefact.check(folder)


def test_missing_keys_are_all_named(folder):
    (folder / artefact.METADATA).write_text('{"format": 1, "name": "sentiment", "data": {}}')
    with pytest.raises(
        artefact.ArtefactError, match="lacks parameters, metrics, versions, cleaning, network, files"
    ):
        artefact.check(folder)


@pytest.mark.parametrize("content", [{"a": 1}, ["negative"], ["a", "a"], [1, 2]])
def test_labels_of_another_network_are_refused(folder, content):
    rewrite(folder, artefact.LABELS, content)
    with pytest.raises(artefact.ArtefactError, match=r"labels\.json|labels"):
        artefact.check(folder)


def test_vocabulary_of_another_network_is_refused(folder):
    rewrite(
        folder, artefact.VOCABULARY, {"words": ["", "<unknown>", "tea"], "longest_text": 2, "spelling": None}
    )
    with pytest.raises(artefact.ArtefactError, match="has 3"):
        artefact.check(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_metadata_that_is_no_object_is_refused(folder, content):
    (folder / artefact.METADATA).write_bytes(content)
    with pytest.raises(artefact.ArtefactError, match=r"metadata\.json"):
        artefact.check(folder)


def test_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(artefact.ArtefactError, match=r"holds no metadata\.json"):
        artefact.check(tmp_path / "nowhere")
