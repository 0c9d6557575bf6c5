"""Published models: what the gate lets through, and that publishing is whole, once, and in order."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from fake_s3 import FakeS3

from workshop.aws import models
from workshop.aws.models import ModelError, Pointer, Rejected

MODEL = "s3://models/sentiment"
METRICS = {"accuracy": 0.8, "macro_f1": 0.79, "examples": 100, "data_sha256": "d" * 64}
NAMES = ("model.onnx", "model.keras", "vocabulary.json", "labels.json")


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def artefact(tmp_path):
    def make(name="artefact", content=b"weights"):
        folder = tmp_path / name
        folder.mkdir()
        files = {each: content + each.encode() for each in NAMES}
        for each, held in files.items():
            (folder / each).write_bytes(held)
        listed = {each: {"sha256": hashlib.sha256(held).hexdigest()} for each, held in files.items()}
        (folder / "metadata.json").write_text(json.dumps({"format": 1, "files": listed}))
        return folder

    return make


def publish(folder, s3, run_id="manual__2026-11-20T10:00:00+00:00", **more):
    return models.publish(str(folder), MODEL, run_id, METRICS, s3, **more)


def in_service(accuracy=0.8, data="d" * 64):
    return Pointer("sentiment", "v1", "", "", {"accuracy": accuracy, "data_sha256": data})


def test_a_run_id_becomes_a_version_of_letters_digits_and_hyphens():
    assert models.version_of("manual__2026-11-20T10:00:00+00:00") == "manual-2026-11-20t10-00-00-00-00"
    for none in ("", "__", "é", "x" * 101):
        with pytest.raises(ModelError, match="gives no version"):
            models.version_of(none)


def test_there_is_no_version_in_service_before_the_first(s3):
    assert models.current(MODEL, s3) is None


def test_a_published_model_is_all_its_files_and_a_pointer_written_after_them(s3, artefact):
    done = publish(artefact(), s3, clock=lambda: datetime(2026, 11, 20, 10, tzinfo=UTC))
    version = "manual-2026-11-20t10-00-00-00-00"
    folder = f"sentiment/versions/{version}/"
    assert set(s3.writes[:4]) == {folder + name for name in NAMES}
    assert s3.writes[4:] == [
        f"{folder}metadata.json",
        "sentiment/current.json",
    ]
    assert done.changed
    assert models.current(MODEL, s3) == done.pointer
    assert done.pointer.version == version
    assert done.pointer.published_at == "2026-11-20T10:00:00Z"
    assert done.pointer.metrics == METRICS
    assert done.pointer.previous is None


def test_the_next_version_names_the_one_before(s3, artefact):
    first = publish(artefact(), s3, "first").pointer
    second = publish(artefact("b", b"other"), s3, "second").pointer
    assert second.previous == first.version
    assert models.history(MODEL, s3) == [second, first]
    assert models.published(MODEL, "first", s3) == first
    assert models.published(MODEL, "third", s3) is None


def test_a_version_is_taken_back_and_taken_up_again(s3, artefact):
    first = publish(artefact(), s3, "first").pointer
    publish(artefact("b", b"other"), s3, "second")
    back = models.point_to(MODEL, "first", s3)
    assert (back.version, back.previous, back.metadata_sha256) == ("first", "second", first.metadata_sha256)
    assert [each.version for each in models.history(MODEL, s3)] == ["first", "second"]
    assert models.point_to(MODEL, "second", s3) == models.current(MODEL, s3)
    assert [each.version for each in models.history(MODEL, s3)] == ["second", "first"]


def test_what_was_never_published_or_is_damaged_is_not_put_into_service(s3, artefact):
    publish(artefact(), s3, "first")
    second = publish(artefact("b", b"other"), s3, "second").pointer
    with pytest.raises(ModelError, match=r"'third' was never published \(published: second, first\)"):
        models.point_to(MODEL, "third", s3)
    s3.put_object("models", "sentiment/versions/first/labels.json", b"[]")
    with pytest.raises(ModelError, match=r"labels\.json"):
        models.point_to(MODEL, "first", s3)
    assert models.current(MODEL, s3) == second


def test_publishing_a_run_twice_changes_nothing(s3, artefact):
    folder = artefact()
    first = publish(folder, s3)
    before = dict(s3.objects)
    again = publish(folder, s3)
    assert (again.changed, again.pointer) == (False, first.pointer)
    assert s3.objects == before


def test_an_older_run_published_again_does_not_come_back_into_service(s3, artefact):
    folder = artefact()
    publish(folder, s3, "first")
    publish(artefact("b", b"other"), s3, "second")
    assert not publish(folder, s3, "first").changed
    assert models.current(MODEL, s3).version == "second"


def test_a_run_that_was_cut_off_before_its_pointer_is_published_the_next_time(s3, artefact):
    folder = artefact()

    def cut(key):
        if key.endswith("current.json"):
            raise KeyboardInterrupt

    s3.on_put = cut
    with pytest.raises(KeyboardInterrupt):
        publish(folder, s3)
    assert models.current(MODEL, s3) is None
    s3.on_put = lambda key: None
    assert publish(folder, s3).changed
    assert models.current(MODEL, s3) is not None


def test_another_artefact_under_a_published_version_is_refused(s3, artefact):
    publish(artefact(), s3, "first")
    with pytest.raises(ModelError, match="another artefact"):
        publish(artefact("b", b"other"), s3, "first")


def test_of_two_runs_that_publish_at_once_one_is_refused(s3, artefact):
    other, mine = artefact("other", b"other"), artefact()

    def meanwhile(key):
        s3.on_put = lambda key: None
        publish(other, s3, "other")

    s3.on_put = meanwhile
    with pytest.raises(ModelError, match="another run published meanwhile") as refused:
        publish(mine, s3, "mine")
    assert "same run id" in refused.value.remedy
    assert models.current(MODEL, s3).version == "other"


@pytest.mark.parametrize("name", [*NAMES, "metadata.json"])
def test_a_missing_file_is_named_and_nothing_is_written(s3, artefact, name):
    folder = artefact()
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        publish(folder, s3)
    assert s3.writes == []


def test_a_damaged_file_is_named_and_nothing_is_written(s3, artefact):
    folder = artefact()
    (folder / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"model\.onnx is not what its SHA-256 says"):
        publish(folder, s3)
    assert s3.writes == []


TOO_MANY = {f"file-{number}": {"sha256": ""} for number in range(100)}


@pytest.mark.parametrize("files", [{"../x": {"sha256": ""}}, {"a/b": {"sha256": ""}}, {}, [], None, TOO_MANY])
def test_metadata_that_name_no_files_or_files_elsewhere_are_refused(s3, artefact, files):
    folder = artefact()
    (folder / "metadata.json").write_text(json.dumps({"files": files}))
    with pytest.raises(ModelError):
        publish(folder, s3)
    assert s3.writes == []


def test_an_artefact_in_s3_is_published_and_downloaded_as_it_was(s3, artefact, tmp_path):
    folder = artefact()
    for path in folder.iterdir():
        s3.put_object("runs", f"runs/r1/train/artefact/{path.name}", path.read_bytes())
    models.publish("s3://runs/runs/r1/train/artefact", MODEL, "r1", METRICS, s3)
    models.download(MODEL, "r1", tmp_path / "down", s3)
    held = {path.name: path.read_bytes() for path in (tmp_path / "down").iterdir()}
    assert held == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_downloading_a_version_that_is_not_whole_names_what_is_missing(s3, artefact, tmp_path):
    publish(artefact(), s3, "r1")
    del s3.objects["models", "sentiment/versions/r1/labels.json"]
    with pytest.raises(ModelError, match=r"labels\.json"):
        models.download(MODEL, "r1", tmp_path / "down", s3)
    assert list((tmp_path / "down").iterdir()) == []


def test_a_version_that_would_not_fit_into_memory_is_refused_before_it_is_read(s3, artefact, monkeypatch):
    publish(artefact(), s3, "r1")
    monkeypatch.setattr(models, "LARGEST_BYTES", 500)
    s3.objects["models", "sentiment/versions/r1/model.onnx"] = b"x" * 501
    with pytest.raises(ModelError, match="has 501 bytes"):
        models.read_artefact(models.address_of(MODEL, "r1"), s3)


def test_a_pointer_names_versions_alone(s3, artefact):
    publish(artefact(), s3, "r1")
    held = json.loads(s3.objects["models", "sentiment/current.json"])
    changed = json.dumps({**held, "version": "../../r1", "previous": "../secret"}).encode()
    s3.objects["models", "sentiment/current.json"] = changed
    found = models.current(MODEL, s3)
    assert (found.version, found.previous) == ("r1", "secret")


DEEP = b"[" * 100_000


@pytest.mark.parametrize("held", [b"", b"[]", b'{"format": 1}', b'{"format": 2, "name": "x"}', b"\xff", DEEP])
def test_a_pointer_that_can_not_be_understood_is_an_error_and_not_no_model(s3, held):
    s3.put_object("models", "sentiment/current.json", held)
    with pytest.raises(ModelError, match=r"current\.json"):
        models.current(MODEL, s3)


def test_the_gate_opens_at_the_threshold():
    assert "no model is in service" in models.gate(METRICS, 0.8, None)


def test_the_gate_is_red_below_the_threshold():
    with pytest.raises(Rejected, match=r"0\.800 is below the threshold 0\.810"):
        models.gate(METRICS, 0.81, None)


def test_the_gate_is_red_where_the_threshold_is_no_number():
    with pytest.raises(Rejected, match="below the threshold nan"):
        models.gate(METRICS, float("nan"), None)


@pytest.mark.parametrize(
    "metrics",
    [
        None,
        {},
        {"accuracy": None},
        {"accuracy": "0.9"},
        {"accuracy": True},
        {"accuracy": float("nan")},
        {"accuracy": 80},
    ],
)
def test_the_gate_is_red_without_a_measure(metrics):
    with pytest.raises(Rejected, match="gives no accuracy"):
        models.gate(metrics, 0.0, None)


def test_the_gate_is_red_below_the_model_in_service_on_the_same_data():
    with pytest.raises(Rejected, match=r"below the 0\.900 of version v1 in service"):
        models.gate(METRICS, 0.5, in_service(0.9))


def test_as_good_as_the_model_in_service_is_good_enough():
    assert "version v1 in service" in models.gate(METRICS, 0.5, in_service(0.8))


def test_a_model_measured_on_other_data_is_no_hurdle_and_is_said_so():
    assert "other data" in models.gate(METRICS, 0.5, in_service(0.9, "e" * 64))
