"""A container whose Docker engine goes away, without Docker."""

from typing import Any

import docker.errors
import pytest
import requests

from localaws.engine import ContainerSpec, Exit, dockercontainer
from localaws.engine.dockercontainer import DOCKER_GONE, DOCKER_RESTARTED, DockerContainer


class Silent:
    """A Docker API that nobody answers; `waits` are the answers of `wait` before that."""

    def __init__(self, waits: tuple[Exception | None, ...] = ()) -> None:
        self.waits = list(waits)
        self.state: dict[str, Any] = {"ExitCode": 0, "OOMKilled": False, "Running": True}

    def wait(self, identifier: str, timeout: None) -> None:
        found = self.waits.pop(0) if self.waits else requests.ConnectionError()
        if found:
            raise found

    def ping(self) -> None:
        if not self.waits:
            raise requests.ConnectionError

    def inspect_container(self, identifier: str) -> dict[str, Any]:
        return {"State": self.state}

    def __getattr__(self, name: str) -> Any:
        def refuse(*arguments: Any, **options: Any) -> None:
            raise requests.ConnectionError

        return refuse


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dockercontainer, "RECONNECT_SECONDS", 0.1)
    monkeypatch.setattr(dockercontainer, "RECONNECT_PAUSE_SECONDS", 0.01)


def watched(api: Silent) -> DockerContainer:
    client = type("Client", (), {"api": api})()
    container = DockerContainer(client, "id", ContainerSpec("a", "i"), lambda container: None)
    container.watch()
    return container


def test_container_whose_engine_is_gone_for_good_has_an_end_that_says_so() -> None:
    assert watched(Silent()).wait(5) == Exit(137, DOCKER_GONE)


def test_container_that_outlives_a_restart_of_its_engine_has_its_own_end() -> None:
    api = Silent((requests.ConnectionError(), requests.ConnectionError(), None))
    api.state["ExitCode"] = 4
    assert watched(api).wait(5) == Exit(4)


def test_container_that_ended_with_its_engine_says_so() -> None:
    api = Silent((requests.ConnectionError(), None))
    api.state |= {"ExitCode": 143, "Running": False}
    assert watched(api).wait(5) == Exit(143, DOCKER_RESTARTED)


def test_container_that_somebody_removed_counts_as_killed() -> None:
    assert watched(Silent((docker.errors.NotFound("gone"),))).wait(5) == Exit(137)


def test_command_in_a_container_of_a_silent_engine_has_failed() -> None:
    assert watched(Silent()).execute(["true"], 1)[0] == 137


@pytest.mark.parametrize(("code", "reason"), [(137, "OutOfMemoryError"), (0, "")])
def test_kill_for_memory_is_the_reason_only_of_a_container_that_failed(code: int, reason: str) -> None:
    api = Silent((None,))
    api.state |= {"ExitCode": code, "OOMKilled": True}
    ended = watched(api).wait(5)
    assert (
        ended
        and ended.code == code
        and ended.reason.startswith(reason)
        and bool(ended.reason) == bool(reason)
    )
