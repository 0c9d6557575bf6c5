"""The life of a model in the service: fetched, verified, swapped, refused, and what happens to requests meanwhile."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import small_artefacts
from conftest import REGION
from serving_world import PREDICT, Service, serving, wait_for
from small_artefacts import publish

from localaws import daemon
from workshop import load

BODIES = [json.dumps({"text": text}).encode() for text in ("good", "bad news", "the weather", "zorbulated")]
SWAPS = 6


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models that holds version v1."""
    publish(tmp_path / "models", "v1", artefact(tmp_path, "v1"))
    return tmp_path / "models"


def artefact(folder: Path, version: str) -> Path:
    """A good artefact; each version answers a little more surely than the one before."""
    return small_artefacts.make(folder / f"artefact-{version}", weight=1.0 + int(version[1:]) / 10)


@pytest.fixture
def service(models: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(models, tmp_path / "service") as found:
        wait_for(lambda: found.version() == "v1", "v1 is in service")
        yield found


def refused(service: Service) -> dict[str, str]:
    """What health says of a version that was refused; empty if none was."""
    return dict(service.health()[1].get("refused") or {})


def test_newer_versions_are_swapped_in_under_load_without_a_failed_request(
    service: Service, models: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run, f"{service.url}{PREDICT}", BODIES, 8, 6.0)
        for number in range(2, SWAPS + 2):
            publish(models, f"v{number}", artefact(tmp_path, f"v{number}"), f"v{number - 1}")
            wait_for(lambda wanted=f"v{number}": service.version() == wanted, f"v{number} is in service")
        assert not running.done(), "the load ended before the swaps"
        outcome = running.result()
    assert outcome.failed == 0, outcome.kinds()
    assert outcome.requests > 500
    assert service.metric("sentiment_swaps_total") == SWAPS
    assert service.predict("good")[1]["version"] == f"v{SWAPS + 1}"


def test_memory_stays_flat_over_swaps_and_new_words(service: Service, models: Path, tmp_path: Path) -> None:
    def ask(mark: int) -> None:
        for part in range(20):
            texts = [f"word{mark}x{part}y{number} good" for number in range(100)]
            assert service.predict(texts)[0] == 200

    for number in range(2, 5):  # warm-up: a swap has happened, and words have been remembered
        publish(models, f"v{number}", artefact(tmp_path, f"v{number}"))
        wait_for(lambda wanted=f"v{number}": service.version() == wanted, "it is in service")
        ask(number)
    before = service.rss_mib()
    for number in range(5, 13):
        publish(models, f"v{number}", artefact(tmp_path, f"v{number}"))
        wait_for(lambda wanted=f"v{number}": service.version() == wanted, "it is in service")
        ask(number)
    assert service.rss_mib() < before * 1.1


def test_nothing_of_a_model_is_left_on_the_disk(service: Service) -> None:
    wait_for(lambda: not [path for path in service.temporary.rglob("*") if path.is_file()], "files are gone")
    assert service.predict("good")[0] == 200


def damage(version: Path) -> None:
    content = bytearray((version / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (version / "model.onnx").write_bytes(content)


def make_older(version: Path) -> None:
    metadata = json.loads((version / "metadata.json").read_text()) | {"format": 0}
    (version / "metadata.json").write_text(json.dumps(metadata))


def mismatch(version: Path) -> None:
    """Labels of another training, with checksums that are right."""
    (version / "labels.json").write_text(json.dumps(["no", "yes"]))
    restamp(version)


def break_network(version: Path) -> None:
    """A file that is what its checksum says, and no network."""
    (version / "model.onnx").write_bytes(b"not a network")
    restamp(version)


def restamp(version: Path) -> None:
    import hashlib

    metadata = json.loads((version / "metadata.json").read_text())
    for name in metadata["files"]:
        content = (version / name).read_bytes()
        metadata["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    (version / "metadata.json").write_text(json.dumps(metadata))


def lose_a_file(version: Path) -> None:
    (version / "vocabulary.json").unlink()


def change_after_publishing(version: Path) -> None:
    """Metadata that the pointer does not know."""
    with (version / "metadata.json").open("a") as file:
        file.write("\n")


# What is done to a version, whether before the pointer is written, and a word of the reason.
BAD: dict[str, tuple[Callable[[Path], None], bool, str]] = {
    "damaged": (damage, True, "model.onnx is not what its SHA-256 says"),
    "of an older format": (make_older, True, "format 0"),
    "of two trainings": (mismatch, True, "3 outputs, labels.json names 2"),
    "no network": (break_network, True, "no network that can be run"),
    "incomplete": (lose_a_file, True, "vocabulary.json is missing"),
    "changed after it was published": (change_after_publishing, False, "current.json says"),
}


def publish_bad(models: Path, version: str, source: Path, kind: str, previous: str | None = None) -> Path:
    harm, before_the_pointer, _ = BAD[kind]
    staged = source.parent / f"bad-{version}"
    place = publish(staged, version, source)
    if before_the_pointer:
        harm(place)
    (models / "versions").mkdir(parents=True, exist_ok=True)
    place = place.rename(models / "versions" / version)
    if not before_the_pointer:
        small_artefacts.point(models, version, previous)
        current = (models / "current.json").read_bytes()
        (models / "current.json").unlink()  # a look between the two steps must not see a good version
        harm(place)
        (models / "current.json").write_bytes(current)
    else:
        small_artefacts.point(models, version, previous)
    return place


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """One service for all kinds of bad versions, one after the other, and its folder."""
    folder = tmp_path_factory.mktemp("long-lived")
    publish(folder / "models", "v1", artefact(folder, "v1"))
    with serving(folder / "models", folder / "service") as found:
        wait_for(lambda: found.version() == "v1", "v1 is in service")
        yield found, folder


@pytest.mark.parametrize("kind", BAD)
def test_bad_version_is_refused_with_its_reason_and_the_old_one_answers_on(
    long_lived: tuple[Service, Path], kind: str
) -> None:
    service, folder = long_lived
    models, before = folder / "models", service.version()
    bad, good = (f"v{int(before[1:]) + step}" for step in (1, 2))
    refusals = service.metric("sentiment_refused_artefacts_total")
    publish_bad(models, bad, artefact(folder, bad), kind, before)
    found = wait_for(lambda: refused(service), f"{bad} is refused")
    assert found["version"] == bad and BAD[kind][2] in found["reason"] and found["fix"]
    assert service.health()[0] == 200 and service.predict("good")[1]["version"] == before
    assert service.metric("sentiment_refused_artefacts_total") == refusals + 1
    assert f"version {bad} is refused" in service.log.read_text()
    publish(models, good, artefact(folder, good), bad)
    wait_for(lambda: service.version() == good, "a good version ends it")
    assert refused(service) == {}


def test_return_to_the_version_in_service_ends_a_refusal(
    service: Service, models: Path, tmp_path: Path
) -> None:
    publish_bad(models, "v2", artefact(tmp_path, "v2"), "damaged", "v1")
    wait_for(lambda: refused(service), "v2 is refused")
    small_artefacts.point(models, "v1")
    wait_for(lambda: not refused(service), "nothing is wrong any more")
    assert service.metric("sentiment_swaps_total") == 0


@pytest.mark.parametrize("kind", ["damaged", "of two trainings"])
def test_first_start_with_a_bad_version_takes_the_one_before(models: Path, tmp_path: Path, kind: str) -> None:
    publish_bad(models, "v2", artefact(tmp_path, "v2"), kind, "v1")
    with serving(models, tmp_path / "service") as service:
        wait_for(lambda: service.version() == "v1", "the one before is in service")
        assert service.predict("good")[0] == 200
        assert "version v2 is refused" in service.log.read_text()


def test_first_start_with_nothing_good_waits_with_the_reason_and_then_serves(tmp_path: Path) -> None:
    models = tmp_path / "models"
    publish_bad(models, "v1", artefact(tmp_path, "v1"), "damaged")
    with serving(models, tmp_path / "service") as service:
        wait_for(lambda: "SHA-256" in str(service.health()[1]), "the reason is told")
        status, told = service.health()
        assert status == 503 and told["refused"]["version"] == "v1"
        status, answer = service.predict("good")
        assert status == 503 and sorted(answer) == ["error", "fix"] and "SHA-256" in answer["error"]
        publish(models, "v2", artefact(tmp_path, "v2"), "v1")
        wait_for(lambda: service.version() == "v2", "a good one is taken")


def test_pointer_that_says_nothing_sensible_is_told_and_survived(service: Service, models: Path) -> None:
    good = (models / "current.json").read_bytes()
    for bad in (b"{", b"[]", b'{"format": 2}', good.replace(b'"v1"', b'"../.."')):
        (models / "current.json").write_bytes(bad)
        wait_for(lambda: service.health()[1].get("problem") or refused(service), "the problem is told")
        assert service.predict("good")[0] == 200
        (models / "current.json").write_bytes(good)
        wait_for(lambda: not (service.health()[1].get("problem") or refused(service)), "it is well again")


def test_fetcher_that_is_killed_is_started_again_and_knows_what_is_in_service(
    service: Service, models: Path, tmp_path: Path
) -> None:
    first = service.fetcher()
    first.kill()
    wait_for(
        lambda: [each for each in psutil.Process(service.process.pid).children() if each.pid != first.pid],
        "a new one",
    )
    publish(models, "v2", artefact(tmp_path, "v2"), "v1")
    wait_for(lambda: service.version() == "v2", "the new one brings v2")
    assert "version v1 is in service" not in service.log.read_text().partition("the fetcher ended")[2]


def test_fetcher_does_not_outlive_a_service_that_is_killed(service: Service) -> None:
    fetcher = service.fetcher()
    service.end(signal.SIGKILL)
    wait_for(lambda: not fetcher.is_running() or fetcher.status() == psutil.STATUS_ZOMBIE, "it has ended")
    wait_for(lambda: list(service.temporary.iterdir()) == [], "its folder is gone")


def test_sigterm_ends_it_with_0_and_loses_no_request(service: Service) -> None:
    fetcher = service.fetcher()
    with ThreadPoolExecutor(1) as pool:
        flowing = threading.Event()
        running = pool.submit(
            load.run, f"{service.url}{PREDICT}", BODIES, 8, 3.0, lambda second, well, failed: flowing.set()
        )
        flowing.wait(10)
        assert service.end() == 0
        outcome = running.result()
    # Whoever comes after it has ended finds nobody; whoever came before was answered.
    lost = {what: count for what, count in outcome.kinds().items() if not what.endswith("while connecting")}
    assert lost == {} and outcome.requests > outcome.failed
    assert not fetcher.is_running()
    assert list(service.temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order_also_while_it_has_no_model(tmp_path: Path, number: int) -> None:
    with serving(tmp_path / "none", tmp_path / "service") as service:
        assert service.health()[0] == 503 and "no model is published" in service.health()[1]["error"]
        assert service.end(number) == 0


def test_port_that_is_taken_is_an_error_in_the_log_and_ends_it(
    service: Service, models: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    with (
        pytest.raises(AssertionError, match=r"(?s)it ended with [1-9].*address already in use"),
        serving(models, other, WORKSHOP_SERVING_PORT=str(service.port)),
    ):
        pass
    assert service.predict("good")[0] == 200


# From S3, with credentials of the local AWS.


def from_s3(local_aws: daemon.Running) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": local_aws.endpoint, "WORKSHOP_TARGET": "local", "AWS_REGION": REGION}


def test_model_comes_from_s3_and_a_newer_one_too(
    local_aws: daemon.Running, client: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="models-here", CreateBucketConfiguration={"LocationConstraint": REGION})

    def upload() -> None:
        for path in sorted(models.rglob("*"), key=lambda path: path.name == "current.json"):
            if path.is_file():
                s3.upload_file(str(path), "models-here", f"sentiment/{path.relative_to(models)}")

    upload()
    with serving("s3://models-here/sentiment", tmp_path / "service", **from_s3(local_aws)) as service:
        wait_for(lambda: service.version() == "v1", "v1 comes from S3")
        loaded = (Path(f"/proc/{service.process.pid}/maps")).read_text()
        assert "onnxruntime" in loaded
        publish(models, "v2", artefact(tmp_path, "v2"), "v1")
        upload()
        wait_for(lambda: service.version() == "v2", "v2 comes from S3")


def test_missing_bucket_is_told_with_its_name_and_looked_for_again(
    local_aws: daemon.Running, client: Callable[..., Any], tmp_path: Path
) -> None:
    with serving("s3://not-made-yet/sentiment", tmp_path / "service", **from_s3(local_aws)) as service:
        wait_for(lambda: "NoSuchBucket" in str(service.health()[1]), "the reason is told")
        assert service.health()[0] == 503 and "not-made-yet" in service.log.read_text()
        client("s3").create_bucket(
            Bucket="not-made-yet", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        wait_for(
            lambda: "no model is published" in str(service.health()[1]), "the bucket is found, and empty"
        )


def test_store_that_does_not_answer_is_told_and_waited_for(tmp_path: Path) -> None:
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "WORKSHOP_TARGET": "local", "AWS_REGION": REGION}
    with serving("s3://models/sentiment", tmp_path / "service", **nobody) as service:
        wait_for(lambda: "does not answer" in str(service.health()[1]), "the reason is told")
        assert service.call("GET", "/ping")[0] == 200
