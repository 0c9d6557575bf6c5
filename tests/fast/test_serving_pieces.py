"""The fetcher's decisions and the service's variables, without processes, sockets or AWS."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from workshop.aws import model_folder
from workshop.aws.model_folder import FolderClient
from workshop.errors import AwsError, SettingsError
from workshop.serving import configuration, fetcher
from workshop.serving.fetcher import Fetcher


class Store:
    """A folder of models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, version: str, previous: str | None = None) -> Path:
        """A version of one file, and the pointer to it."""
        place = self.folder / "versions" / version
        place.mkdir(parents=True)
        content = f"network of {version}".encode()
        (place / "model.onnx").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files = {"model.onnx": {"sha256": digest, "size_bytes": len(content)}}
        (place / "metadata.json").write_text(json.dumps({"format": 1, "files": files}))
        self.point(version, previous)
        return place

    def point(self, version: str, previous: str | None = None) -> None:
        """Write current.json, and the record of every version."""
        metadata = (self.folder / "versions" / version / "metadata.json").read_bytes()
        pointer = {
            "format": 1,
            "name": "sentiment",
            "version": version,
            "published_at": "2026-11-20T16:00:00Z",
            "metadata_sha256": hashlib.sha256(metadata).hexdigest(),
            "metrics": {},
            "previous": previous,
        }
        record = self.folder / "published" / f"{version}.json"
        record.parent.mkdir(exist_ok=True)
        for path in (record, self.folder / "current.json"):
            path.write_text(json.dumps(pointer))


class Service:
    """Takes what it is told and answers offers."""

    def __init__(self, folder: Path, client: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.offered: list[str] = []
        self.verdict = ""
        self.now = 0.0
        self.fetched = folder / "fetched"
        self.fetcher = Fetcher(
            model_folder.ADDRESS,
            lambda: client,
            self.fetched,
            self._hear,
            lambda: self.verdict,
            clock=lambda: self.now,
        )

    def _hear(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["event"] == "fetched":
            self.offered.append(event["version"])
            names = {path.name for path in Path(event["folder"]).iterdir()}
            assert names == {"model.onnx", "metadata.json"}

    def look(self) -> list[str]:
        """One look; the kinds of the events that came of it."""
        before = len(self.events)
        self.fetcher.look()
        return [event["event"] for event in self.events[before:]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "models")
    made.publish("v1")
    return made


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    return Service(tmp_path, FolderClient(store.folder))


def test_version_is_offered_once_and_its_files_are_gone_afterwards(service: Service) -> None:
    assert service.look() == ["fetched"]
    assert [service.look(), service.look()] == [["current"], ["current"]]
    assert service.offered == ["v1"] and list(service.fetched.iterdir()) == []


def test_newer_version_is_offered_beside_the_one_in_service(service: Service, store: Store) -> None:
    service.look()
    store.publish("v2", "v1")
    assert service.look() == ["fetched"] and service.offered == ["v1", "v2"]


def test_refused_version_is_tried_again_ever_more_seldom_and_not_at_every_look(service: Service) -> None:
    service.verdict = "it can't be read"
    tried = []
    for second in range(600):
        service.now = float(second)
        tried += [second] if "refused" in service.look() else []
    assert tried == [0, 30, 90, 210, 450]


def test_damaged_file_is_refused_before_it_is_offered(service: Service, store: Store) -> None:
    (store.folder / "versions" / "v1" / "model.onnx").write_bytes(b"other")
    assert service.look() == ["refused"]
    assert service.offered == [] and "model.onnx" in service.events[0]["reason"]


def test_metadata_that_the_pointer_does_not_mean_are_refused(service: Service, store: Store) -> None:
    path = store.folder / "versions" / "v1" / "metadata.json"
    path.write_text(path.read_text() + "\n")
    assert service.look() == ["refused"] and "current.json says" in service.events[0]["reason"]


def test_only_a_service_without_a_model_takes_the_version_before(service: Service, store: Store) -> None:
    place = store.publish("v2", "v1")
    (place / "model.onnx").write_bytes(b"other")
    assert service.look() == ["refused", "fetched"] and service.offered == ["v1"]
    assert service.look() == []  # v2 is known to be bad, and v1 is in service
    store.point("v1")
    assert service.look() == ["current"]


def test_version_before_that_has_no_record_is_a_problem_told(service: Service, store: Store) -> None:
    place = store.publish("v2", "v0")
    (place / "model.onnx").unlink()
    assert service.look() == ["refused", "problem"] and "v0" in service.events[-1]["reason"]


def test_nothing_published_is_a_problem_with_a_way_on(service: Service, store: Store) -> None:
    (store.folder / "current.json").unlink()
    assert service.look() == ["problem"] and service.events[0]["fix"]


@pytest.mark.parametrize("pointer", ["{", "[]", '{"format": 2}', "null"])
def test_pointer_without_sense_is_a_problem_and_no_crash(
    service: Service, store: Store, pointer: str
) -> None:
    (store.folder / "current.json").write_text(pointer)
    assert service.look() == ["problem"] and "current.json" in service.events[0]["reason"]


def test_store_that_refuses_is_a_problem_and_is_asked_again(store: Store, tmp_path: Path) -> None:
    tries = []

    def connect() -> FolderClient:
        tries.append(1)
        if len(tries) == 1:
            raise AwsError("could not read the bucket: AccessDenied", "add the right")
        return FolderClient(store.folder)

    service = Service(tmp_path, None)
    service.fetcher = Fetcher(model_folder.ADDRESS, connect, service.fetched, service._hear, lambda: "")
    assert service.look() == ["problem"] and "AccessDenied" in service.events[0]["reason"]
    assert service.look() == ["fetched"]


def test_file_that_may_not_be_read_counts_as_one_that_is_missing(store: Store, tmp_path: Path) -> None:
    """S3 tells a role that may not list the bucket 403 for what is not there."""

    class Denying(FolderClient):
        def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
            if "versions/v2" in Key:
                raise AwsError(f"could not read {Key}: AccessDenied")
            return super().get_object(Bucket, Key)

    store.publish("v2", "v1")
    service = Service(tmp_path, Denying(store.folder))
    assert service.look() == ["refused", "fetched"] and service.offered == ["v1"]


def test_fetcher_that_is_told_what_is_in_service_does_not_bring_it_again(
    store: Store, tmp_path: Path
) -> None:
    pointer = json.loads((store.folder / "current.json").read_text())
    service = Service(tmp_path, FolderClient(store.folder))
    service.fetcher.serving = ("v1", pointer["metadata_sha256"])
    assert service.look() == ["current"]


def test_pauses_are_longer_than_a_look_and_end_somewhere() -> None:
    assert configuration.DEFAULT_POLL_SECONDS < fetcher.FIRST_PAUSE_SECONDS < fetcher.LONGEST_PAUSE_SECONDS


def test_what_is_said_of_a_bad_version_is_short_however_long_its_reason(
    service: Service, store: Store
) -> None:
    metadata = store.folder / "versions" / "v1" / "metadata.json"
    metadata.write_text(json.dumps({"files": {"../" + "x" * 100_000: {"sha256": ""}}}))
    assert service.look() == ["refused"]
    assert len(json.dumps(service.events[-1])) < 2_000  # the service reads lines of at most 64 KB


def test_variables_are_read_with_their_defaults() -> None:
    found = configuration.read({"MODEL_URI": "s3://models/sentiment/"})
    assert found == configuration.Configuration("s3://models/sentiment", 10.0, "127.0.0.1", 8080)
    found = configuration.read(
        {"MODEL_URI": "models", "MODEL_POLL_SECONDS": "0.5", "WORKSHOP_BIND_ADDRESS": "0.0.0.0"}
    )
    assert Path(found.model).is_absolute() and (found.poll_seconds, found.address) == (0.5, "0.0.0.0")


@pytest.mark.parametrize("model", ["", "s3://", "s3://bucket", "s3://bucket/", "https://models/sentiment"])
def test_model_address_that_can_not_be_is_refused(model: str) -> None:
    with pytest.raises(SettingsError, match="MODEL_URI"):
        configuration.read({"MODEL_URI": model})


def test_every_bad_variable_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as told:
        configuration.read({"MODEL_POLL_SECONDS": "often", "WORKSHOP_SERVING_PORT": "70000"})
    assert all(name in str(told.value) for name in ("MODEL_URI", "'often'", "'70000'"))
