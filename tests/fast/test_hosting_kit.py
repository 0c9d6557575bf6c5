"""What the kit does with endpoints, their prices and the API in front of them. No AWS here."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_sagemaker import Runtime, SageMaker, account

from workshop.aws import algorithms, apis, hosting, linear_learner, running_costs
from workshop.errors import AwsError, TargetError

NAME = "workshop-satisfaction"


def wait(sagemaker: SageMaker) -> tuple[hosting.Endpoint, list[str]]:
    lines: list[str] = []
    return hosting.wait(NAME, 30, lines.append, account(sagemaker=sagemaker)), lines


def test_waiting_tells_each_state_once_and_returns_the_endpoint_in_service() -> None:
    found, lines = wait(SageMaker(endpoints={NAME: ["Creating", "Creating", "InService"]}))
    assert found.is_up and [line.split(": ")[1] for line in lines] == [
        "Creating (A 1 of 2)",
        "InService (A 1 of 2)",
    ]


@pytest.mark.parametrize("state", ["Failed", "UpdateRollbackFailed", "InService"])
def test_an_endpoint_that_failed_or_was_rolled_back_is_an_error_with_its_reason(state: str) -> None:
    sagemaker = SageMaker(endpoints={NAME: ["Creating", state]})
    sagemaker.reason = "did not pass the ping health check"
    with pytest.raises(AwsError, match=f"{NAME} is {state}: did not pass the ping") as caught:
        wait(sagemaker)
    assert f"/aws/sagemaker/Endpoints/{NAME}" in caught.value.remedy


def test_an_endpoint_that_is_not_there_is_none_and_waiting_for_it_is_refused() -> None:
    aws = account(sagemaker=SageMaker())
    assert hosting.describe(NAME, aws) is None and not hosting.is_up(NAME, aws)
    with pytest.raises(AwsError, match=f"no endpoint '{NAME}' in us-east-1"):
        wait(SageMaker())


@pytest.mark.parametrize(("state", "up"), [("InService", True), ("Updating", True), ("Creating", False)])
def test_an_endpoint_is_up_while_it_answers(state: str, up: bool) -> None:
    assert hosting.is_up(NAME, account(sagemaker=SageMaker(endpoints={NAME: [state]}))) is up


def course() -> SageMaker:
    sagemaker = SageMaker(endpoints={NAME: ["InService"], "theirs-1": ["InService"]})
    sagemaker.configurations = {
        f"{NAME}-1": ["workshop-m1"],
        f"{NAME}-2": ["workshop-m2", "workshop-shared"],
        "workshop-other": ["workshop-shared"],
        "theirs": ["theirs-m"],
    }
    sagemaker.models = {"workshop-m1", "workshop-m2", "workshop-shared", "theirs-m"}
    return sagemaker


def test_removing_takes_endpoint_configurations_and_models_and_leaves_what_others_use() -> None:
    sagemaker, said = course(), []
    removed = hosting.remove(NAME, account(sagemaker=sagemaker), said.append)
    assert [kind for kind, _ in sagemaker.calls] == [
        "endpoint",
        "configuration",
        "configuration",
        "model",
        "model",
    ]
    assert sagemaker.models == {"workshop-shared", "theirs-m"} and "theirs-1" in sagemaker.endpoints
    assert sorted(sagemaker.configurations) == ["theirs", "workshop-other"]
    assert said == [f"deleted {line}" for line in removed]


def test_an_endpoint_that_is_being_made_is_waited_for_before_it_is_deleted() -> None:
    sagemaker = course()
    sagemaker.endpoints[NAME] = ["Creating", "Creating", "InService"]
    hosting.remove(NAME, account(sagemaker=sagemaker), lambda line: None)
    assert sagemaker.calls[0] == ("endpoint", NAME)


def test_what_another_endpoint_of_the_course_uses_stays_although_its_name_begins_alike() -> None:
    sagemaker = course()
    sagemaker.endpoints[f"{NAME}-sdk"] = ["InService"]
    sagemaker.configurations[f"{NAME}-sdk-1"] = ["workshop-m3"]
    sagemaker.models.add("workshop-m3")
    hosting.remove(NAME, account(sagemaker=sagemaker), lambda line: None)
    assert f"{NAME}-sdk-1" in sagemaker.configurations and "workshop-m3" in sagemaker.models


def test_removing_again_removes_nothing_and_goes_on_where_it_was_cut_off() -> None:
    sagemaker = course()
    del sagemaker.endpoints[NAME]
    aws = account(sagemaker=sagemaker)
    assert len(hosting.remove(NAME, aws, lambda line: None)) == 4
    assert hosting.remove(NAME, aws, lambda line: None) == []


def test_an_hour_of_the_courses_endpoints_is_what_their_instances_cost() -> None:
    sagemaker = course()
    sagemaker.configurations[f"{NAME}-1"] = ["workshop-m1"]
    [item] = running_costs.endpoints(account(sagemaker=sagemaker))
    assert item.what == f"endpoint {NAME}: 2 x ml.m5.large" and item.usd == pytest.approx(2 * 0.115)


def test_an_endpoint_that_is_up_is_counted_once_though_the_labs_estimate_has_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = {"satisfaction": "CREATE_COMPLETE"}
    monkeypatch.setattr(running_costs.stacks, "status", lambda concern, aws: states.get(concern, ""))
    sagemaker = course()
    sagemaker.configurations[f"{NAME}-1"] = ["workshop-m1"]
    found = running_costs.now(account(sagemaker=sagemaker)).items
    assert [item.what for item in found if "ml." in item.what] == [f"endpoint {NAME}: 2 x ml.m5.large"]


def test_predictions_come_in_the_order_of_the_rows_in_batches() -> None:
    runtime = Runtime()
    rows = np.linspace(0, 1, 2500).reshape(-1, 1) * np.ones((1, 3))
    scores, labels = hosting.predict(NAME, rows, variant="B", aws=account(sagemaker_runtime=runtime))
    assert scores == pytest.approx(rows[:, 0]) and labels.tolist() == (scores > 0.5).astype(int).tolist()
    assert [request["Body"].count(b"\n") + 1 for request in runtime.asked] == [1000, 1000, 500]
    assert {request["TargetVariant"] for request in runtime.asked} == {"B"}
    assert runtime.asked[0]["ContentType"] == "text/csv"
    assert hosting.predict(NAME, [], aws=account(sagemaker_runtime=runtime))[0].shape == (0,)


def test_a_request_is_never_larger_than_sagemaker_takes() -> None:
    row = [0.1234567891] * 100_000
    sizes = [len(body) for body, _ in linear_learner.bodies([row] * 12, 1000)]
    assert len(sizes) > 1 and max(sizes) <= 6 * 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"not JSON", "does not answer as Linear Learner does: not JSON"),
        (b'{"scores": []}', "does not answer as Linear Learner does"),
        (b'{"predictions": [{"score": 1}]}', "does not answer as Linear Learner does"),
        (b'{"predictions": []}', "was asked about 1 rows and answered 0"),
    ],
)
def test_an_answer_of_another_model_is_named(answer: bytes, said: str) -> None:
    with pytest.raises(AwsError, match=said):
        linear_learner.predictions(answer, 1, NAME)


# ---- built-in algorithms --------------------------------------------------------------------------------------


def test_the_image_of_a_built_in_algorithm_is_in_an_account_of_its_region() -> None:
    """tests/local/test_aws_training_jobs.py compares every region with what the SDK itself says."""
    assert algorithms.image("linear-learner", "us-east-1").startswith(
        "382416733822.dkr.ecr.us-east-1.amazonaws.com/"
    )
    assert algorithms.image("linear-learner", "cn-north-1").endswith(".amazonaws.com.cn/linear-learner:1")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("linear-learner", "moon-1"), "no 'linear-learner' in moon-1"),
        (("no-such-algorithm", "us-east-1"), "no table of a built-in algorithm 'no-such-algorithm'"),
        (("linear-learner", "us-east-1", "9"), "no version '9'"),
    ],
)
def test_what_the_table_lacks_is_named(asked: tuple[str, ...], said: str) -> None:
    with pytest.raises(AwsError, match=said):
        algorithms.image(*asked)


# ---- the API --------------------------------------------------------------------------------------------------


class Gateway(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        allowed = self.headers.get("x-api-key") == "secret"
        answer: Any = {"asked": json.loads(body)} if allowed else {"message": "Forbidden"}
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode() if self.path == "/v1/predict" else b"<html>")

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture
def gateway() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_call_has_its_key_and_its_answer_and_refusals_are_answers_too(gateway: str) -> None:
    answer = apis.call("/predict", {"data": "1,2"}, apis.Key("secret"), address=gateway)
    assert (answer.status, answer.body) == (200, {"asked": {"data": "1,2"}}) and answer.milliseconds > 0
    assert str(answer).startswith("200 in ") and str(answer).endswith('{"asked": {"data": "1,2"}}')
    assert apis.call("/predict", "{}", address=gateway).body == {"message": "Forbidden"}
    assert apis.call("/other", "{}", address=gateway).body == "<html>"


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(apis.Key("secret")) + str(apis.Key("secret"))


def test_an_address_where_nothing_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not answer"):
        apis.call("/predict", "{}", address="http://127.0.0.1:9")
