"""A service as ECS and its load balancer tell it: when it is stable, how it shows itself, why a release failed."""

import copy
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from workshop import ask
from workshop.aws import service_images, service_records, services
from workshop.aws.service_records import Target
from workshop.errors import AwsError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DEPLOYMENT = {
    "id": "ecs-svc/1",
    "status": "PRIMARY",
    "rolloutState": "COMPLETED",
    "taskDefinition": "arn:aws:ecs:r:1:task-definition/sentiment:3",
    "desiredCount": 2,
    "runningCount": 2,
    "pendingCount": 0,
}
ENTRY = {
    "serviceName": "s",
    "status": "ACTIVE",
    "desiredCount": 2,
    "runningCount": 2,
    "pendingCount": 0,
    "deployments": [DEPLOYMENT],
    "events": [{"id": "e", "createdAt": NOW, "message": "(service s) has reached a steady state."}],
}
TWO = (Target("10.0.0.1", 8080, "healthy"), Target("10.0.0.2", 8080, "healthy"))


def entry(**changed: Any) -> dict[str, Any]:
    return {**copy.deepcopy(ENTRY), **changed}


def deployment(**changed: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, **changed}


def test_a_service_with_as_many_healthy_tasks_as_wanted_is_stable() -> None:
    found = service_records.read(entry(), "c", TWO, "http://there:8080")
    assert found.is_stable and found.healthy == 2
    assert found.primary is not None and found.primary.revision == "sentiment:3"


@pytest.mark.parametrize(
    ("changed", "targets"),
    [
        ({"runningCount": 1}, TWO),
        ({"pendingCount": 1}, TWO),
        ({"deployments": [deployment(rolloutState="IN_PROGRESS")]}, TWO),
        ({"deployments": [DEPLOYMENT, deployment(id="ecs-svc/0", status="ACTIVE")]}, TWO),
        ({}, TWO[:1]),
        ({}, (TWO[0], Target("10.0.0.2", 8080, "unhealthy"))),
        ({}, (*TWO, Target("10.0.0.3", 8080, "draining"))),
    ],
)
def test_a_service_is_not_stable_while_anything_is_on_its_way(changed: Any, targets: Any) -> None:
    assert not service_records.read(entry(**changed), "c", targets).is_stable


def test_a_service_shows_counts_targets_and_reasons_as_text_and_as_a_table() -> None:
    sick = Target("10.0.0.2", 8080, "unhealthy", "Target.ResponseCodeMismatch", "got <503>")
    found = service_records.read(entry(), "c", (TWO[0], sick), "http://there:8080")
    assert "desired 2, running 2, pending 0 · 1 healthy, 1 unhealthy" in str(found)
    assert "Target.ResponseCodeMismatch: got <503>" in str(found) and "http://there:8080" in str(found)
    assert "<td>10.0.0.2:8080</td><td>unhealthy</td>" in found._repr_html_()
    assert "no targets" in service_records.read(entry(), "c").counts


def test_an_event_is_shown_with_its_time_and_without_the_services_name() -> None:
    [event] = service_records.read(entry(), "c").events
    assert str(event).endswith("  has reached a steady state.")
    assert event.message.startswith("(service s) ")


class Ecs:
    """Answers describe_services from a list, the last one for ever."""

    def __init__(self, *answers: dict[str, Any], stopped: list[dict[str, Any]] | None = None) -> None:
        self.answers, self.stopped = list(answers), stopped or []

    def describe_services(self, **_: Any) -> dict[str, Any]:
        return {"services": [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]}

    def list_tasks(self, **_: Any) -> dict[str, Any]:
        return {"taskArns": [each["taskArn"] for each in self.stopped]}

    def describe_tasks(self, **_: Any) -> dict[str, Any]:
        return {"tasks": self.stopped}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(services, "_place", lambda name, aws: services._Place("c", "s", "group", "url"))
    monkeypatch.setattr(services, "_targets", lambda group, aws: list(TWO))

    def made(ecs: Ecs) -> Any:
        return SimpleNamespace(client=lambda name: ecs)

    return made


def test_waiting_ends_when_stable_and_tells_each_new_event_once(world: Any) -> None:
    begun = {"id": "f", "createdAt": NOW, "message": "(service s) has started 1 tasks."}
    busy = entry(runningCount=1, events=[begun, *ENTRY["events"]])
    done = entry(events=[begun, *ENTRY["events"]])
    said: list[str] = []
    found = services.wait_stable(on_line=said.append, aws=world(Ecs(entry(runningCount=1), busy, busy, done)))
    assert found.is_stable and [line[10:] for line in said] == ["has started 1 tasks."]


def test_waiting_for_more_tasks_does_not_take_fewer_for_done(world: Any) -> None:
    with pytest.raises(AwsError, match="to be stable: it is desired 2, running 2"):
        services.wait_stable(timeout_seconds=0.05, aws=world(Ecs(entry())), fewest=3)


def test_a_deployment_that_is_rolled_back_is_an_error_with_the_reason_of_its_last_task(world: Any) -> None:
    failed = deployment(
        id="ecs-svc/2", status="ACTIVE", rolloutState="FAILED", rolloutStateReason="circuit breaker"
    )
    stopped = {
        "taskArn": "arn:aws:ecs:r:1:task/c/9",
        "taskDefinitionArn": "arn:aws:ecs:r:1:task-definition/sentiment:4",
        "lastStatus": "STOPPED",
        "stoppedAt": NOW,
        "stoppedReason": "Task failed ELB health checks",
        "containers": [{"name": "serving", "exitCode": 0}],
    }
    ecs = Ecs(entry(deployments=[DEPLOYMENT, failed]), stopped=[stopped])
    with pytest.raises(AwsError) as raised:
        services.wait_stable(aws=world(ecs), deployment="ecs-svc/2")
    said = raised.value.message
    assert "circuit breaker; back to sentiment:3" in said and "Task failed ELB health checks" in said


def test_watching_tells_changes_alone_and_ends_when_it_is_so(world: Any) -> None:
    one = entry(desiredCount=1, runningCount=1)
    said: list[str] = []
    changes = services.watch(
        lambda service: service.desired == 2, 5, on_change=said.append, aws=world(Ecs(one, one, entry()))
    )
    assert [service.desired for _, service in changes] == [1, 2] and len(said) == 2


def test_an_image_is_outdated_where_a_task_runs_another_digest_than_the_tag_names() -> None:
    name = "1.dkr.ecr.r.amazonaws.com/repository:latest"
    registry = SimpleNamespace(
        describe_images=lambda repositoryName, imageIds: {
            "imageDetails": [{"imageDigest": f"sha256:{repositoryName}:{imageIds[0]['imageTag']}"}]
        }
    )
    aws: Any = SimpleNamespace(client=lambda service: registry)

    def task(digest: str) -> dict[str, Any]:
        return {"containers": [{"image": name, "imageDigest": digest}]}

    newest = "sha256:repository:latest"
    assert service_images.outdated([task(newest), task(newest)], aws) == []
    assert service_images.outdated([task(newest), task("sha256:old")], aws) == [name]
    assert (
        service_images.outdated([{"containers": [{"image": "python:3.11", "imageDigest": "x"}]}], aws) == []
    )


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
            self.send_response(503 if text == "not yet" else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"version": "v", "predictions": [{"label": text}]}).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_asking_gives_the_answer_also_behind_a_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask.predict(f"{server}/", "fine")["predictions"] == [{"label": "fine"}]


def test_a_service_that_says_no_or_nothing_is_told_with_what_to_do(server: str) -> None:
    with pytest.raises(AwsError, match="answered 503") as refused:
        ask.predict(server, "not yet")
    assert refused.value.remedy
    with pytest.raises(AwsError, match="does not answer") as silent:
        ask.predict("http://127.0.0.1:9", "fine", timeout_seconds=1)
    assert "WORKSHOP_SOURCE_CIDR" in silent.value.remedy
