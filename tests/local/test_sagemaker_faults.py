"""SageMaker killed midway, under load: an endpoint's container, and the local AWS under jobs and endpoints; and an
endpoint that is taken away under load. Each request is answered or says why not, and nothing stays behind."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from clients_world import ROWS, ClientsWorld, arn, clients_world
from ecs_world import PATIENCE_SECONDS, wait_until

LOAD_THREADS = 4


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with clients_world(tmp_path_factory.mktemp("faults")) as made:
        made.artefact = made.trained("first", weights="3")
        made.sagemaker.create_model(**made.model("m", made.artefact))
        yield made


class Load:
    """Requests one after the other from several threads; what each ended in."""

    def __init__(self, aws: ClientsWorld, endpoint: str, body: bytes = ROWS) -> None:
        self.answers: list[Any] = []
        self.errors: list[tuple[str, str]] = []
        self._over = threading.Event()
        self._invoke = lambda: aws.invoke(endpoint, body)
        self._threads = [threading.Thread(target=self._run) for _ in range(LOAD_THREADS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.answers) > LOAD_THREADS)
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(self._invoke())
            except ClientError as error:
                self.errors.append((error.response["Error"]["Code"], error.response["Error"]["Message"]))


def ours(aws: ClientsWorld) -> set[int]:
    """Living processes that the world's server started, directly or not; itself left out."""
    mark, found = str(aws.folder), set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE or process.pid in (os.getpid(), aws.process.pid):
                continue
            if mark in process.cwd() or mark in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def folders(aws: ClientsWorld) -> list[Path]:
    """What containers have on disk now."""
    engine = aws.folder / "localaws" / "engine"
    return [path for path in (*engine.glob("*"), *engine.glob("sagemaker/*")) if path.name != "sagemaker"]


def nothing_is_left(aws: ClientsWorld) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while (
        left := [*folders(aws), *(psutil.Process(pid).cmdline() for pid in ours(aws))]
    ) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []


def written_down(aws: ClientsWorld, is_told: Callable[[str], bool]) -> None:
    """Wait until a `kill -9` would not lose this any more: records are written within a second or so."""
    snapshot = aws.folder / "localaws" / "snapshot" / "sagemaker.json"

    def is_there() -> bool:
        with contextlib.suppress(FileNotFoundError):  # just now another one takes its place
            return is_told(snapshot.read_text())
        return False

    wait_until(is_there)


def pid_of_job(aws: ClientsWorld, name: str) -> int:
    [line] = [line for line in aws.said(name) if line.startswith("pid ")]
    return int(line.split()[1])


def delete(aws: ClientsWorld, endpoint: str) -> None:
    aws.sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_until(lambda: endpoint not in names(aws))
    aws.sagemaker.delete_endpoint_config(EndpointConfigName=endpoint)


def names(aws: ClientsWorld) -> list[str]:
    return [each["EndpointName"] for each in aws.sagemaker.list_endpoints()["Endpoints"]]


def code_of(aws: ClientsWorld, endpoint: str) -> str:
    with pytest.raises(ClientError) as caught:
        aws.invoke(endpoint)
    return str(caught.value.response["Error"]["Code"])


def test_container_killed_under_load_fails_what_it_had_and_is_replaced(aws: ClientsWorld) -> None:
    aws.endpoint("hurt", "m")
    aws.in_service("hurt")
    before = aws.invoke("hurt", b"pid")
    with Load(aws, "hurt", b"wait 0.05") as load:
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: load.errors)
        answered = len(load.answers)
        wait_until(lambda: len(load.answers) > answered + LOAD_THREADS)
    assert {code for code, _ in load.errors} <= {"ModelError", "ServiceUnavailable"}
    assert aws.invoke("hurt", b"pid") != before and aws.status("hurt") == "InService"
    with Load(aws, "hurt") as load:
        pass
    assert load.errors == [] and load.answers[0] == {"lines": 2, "weights": "3"}
    delete(aws, "hurt")
    nothing_is_left(aws)


def test_endpoint_deleted_under_load_answers_each_request_or_says_that_it_is_gone(aws: ClientsWorld) -> None:
    aws.endpoint("busy", "m")
    aws.in_service("busy")
    with Load(aws, "busy", b"wait 0.05") as load:
        delete(aws, "busy")
        wait_until(lambda: len(load.errors) > LOAD_THREADS)
    assert {code for code, _ in load.errors} == {"ValidationError"}
    assert {said for _, said in load.errors} == {"Endpoint busy of account 123456789012 not found."}
    assert all(answer["lines"] == 1 for answer in load.answers)
    nothing_is_left(aws)


def test_killed_local_aws_fails_its_jobs_and_brings_its_endpoints_back(aws: ClientsWorld) -> None:
    aws.endpoint("stays", "m")
    aws.in_service("stays")
    aws.sagemaker.create_training_job(**aws.training("cut", seconds="600"))
    aws.in_training("cut")
    before = {pid_of_job(aws, "cut"), aws.invoke("stays", b"pid")}
    assert before <= ours(aws)
    written_down(aws, lambda text: arn("training-job", "cut") in text and arn("endpoint", "stays") in text)
    aws.stop(signal.SIGKILL)
    wait_until(lambda: not before & ours(aws))
    aws.start()
    job = aws.ended("cut")
    assert job["TrainingJobStatus"] == "Failed" and job["FailureReason"].startswith("InternalServerError")
    assert aws.ended("first")["TrainingJobStatus"] == "Completed"
    aws.in_service("stays")
    assert aws.invoke("stays") == {"lines": 2, "weights": "3"}
    assert aws.invoke("stays", b"pid") not in before
    delete(aws, "stays")
    nothing_is_left(aws)


def test_killed_local_aws_while_endpoints_are_made_changed_and_taken_away(aws: ClientsWorld) -> None:
    aws.sagemaker.create_model(**aws.model("slow", aws.artefact, SLOW="6"))
    for endpoint in ("leaves", "changes"):
        aws.endpoint(endpoint, "m")
        aws.in_service(endpoint)
    aws.endpoint("comes", "slow")
    aws.sagemaker.update_endpoint(EndpointName="changes", EndpointConfigName="comes")
    aws.sagemaker.delete_endpoint(EndpointName="leaves")
    leaves = arn("endpoint", "leaves")
    written_down(aws, lambda text: '"Updating"' in text and ('"Deleting"' in text or leaves not in text))
    assert (aws.status("comes"), aws.status("changes")) == ("Creating", "Updating")
    aws.stop(signal.SIGKILL)
    aws.start()
    for endpoint in ("comes", "changes"):
        aws.in_service(endpoint)
        assert aws.invoke(endpoint)["lines"] == 2
    wait_until(lambda: sorted(names(aws)) == ["changes", "comes"])
    assert code_of(aws, "leaves") == "ValidationError"
    for endpoint in ("changes", "comes"):
        delete(aws, endpoint)
    nothing_is_left(aws)


def test_job_can_be_started_again_by_another_name_after_all_that(aws: ClientsWorld) -> None:
    assert aws.trained("again").endswith("/again/output/model.tar.gz")
