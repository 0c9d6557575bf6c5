"""Contract: a REST API asks for keys, counts, validates and waits as API Gateway does on AWS."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from api_world import METRIC_SECONDS, SCHEMA, Api, made_function, said
from attendee import free_port
from conftest import REGION

from localaws import daemon

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    folder = tmp_path_factory.mktemp("apis")
    yield daemon.start(folder, free_port(), REGION, "process", enforce=True, metric_seconds=METRIC_SECONDS)
    daemon.stop(folder)


@pytest.fixture(scope="module")
def function(world: daemon.Running) -> str:
    return made_function(world)


@pytest.fixture(scope="module")
def api(world: daemon.Running, function: str) -> Api:
    """One of all kinds of methods: open, with a key, validated, short of time."""
    made = Api(world, function, "contract")
    made.gateway.create_model(
        restApiId=made.id, name="Body", contentType="application/json", schema=json.dumps(SCHEMA)
    )
    validator = made.gateway.create_request_validator(
        restApiId=made.id, name="body", validateRequestBody=True, validateRequestParameters=False
    )["id"]
    made.method("open")
    made.method("keyed", apiKeyRequired=True)
    made.method("typed", requestValidatorId=validator, requestModels={"application/json": "Body"})
    made.method("any", requestValidatorId=validator, requestModels={"$default": "Body"})
    made.method("hasty", milliseconds=300)
    return made.deploy()


# ---- who may ask, and how often -----------------------------------------------------------------------------------


def test_a_method_with_a_key_is_forbidden_without_one_with_another_and_with_one_of_another_stage(
    api: Api, world: daemon.Running, function: str
) -> None:
    stranger = Api(world, function, "stranger")
    stranger.method("open")
    elsewhere = stranger.deploy().key()
    forbidden = (403, "ForbiddenException", "Forbidden")
    assert said(api.post("/keyed")) == forbidden
    assert said(api.post("/keyed", x_api_key="0" * 32)) == forbidden
    assert said(api.post("/keyed", x_api_key=elsewhere)) == forbidden
    assert api.post("/keyed", x_api_key=api.key())[0] == 200


def test_a_key_that_was_switched_off_is_forbidden(api: Api) -> None:
    value = api.key()
    [key] = [each for each in api.gateway.get_api_keys(includeValues=True)["items"] if each["value"] == value]
    off = [{"op": "replace", "path": "/enabled", "value": "false"}]
    api.gateway.update_api_key(apiKey=key["id"], patchOperations=off)
    assert api.post("/keyed", x_api_key=value)[0] == 403


def test_more_than_the_burst_is_too_many_requests(api: Api) -> None:
    key = api.key(throttle={"rateLimit": 0.001, "burstLimit": 2})
    answers = [api.post("/keyed", x_api_key=key) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert said(answers[2]) == (429, "TooManyRequestsException", "Too Many Requests")


def test_more_than_the_quota_is_limit_exceeded(api: Api) -> None:
    key = api.key(quota={"limit": 1, "period": "DAY"})
    assert api.post("/keyed", x_api_key=key)[0] == 200
    assert said(api.post("/keyed", x_api_key=key)) == (429, "LimitExceededException", "Limit Exceeded")


# ---- what is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"n": "1"}', b"{}", b'{"n": NaN}', b'{"n": Infinity}', b"[" * 5000]
)
def test_a_body_that_is_not_of_the_model_is_refused_before_the_function_sees_it(
    api: Api, body: bytes
) -> None:
    assert said(api.post("/typed", body)) == (400, "BadRequestException", "Invalid request body")


def test_a_body_of_the_model_is_let_through(api: Api) -> None:
    assert api.post("/typed", {"n": 1})[0] == 200


def test_a_content_type_without_a_model_is_not_validated_and_default_is_every_type(api: Api) -> None:
    plain = {"Content_Type": "text/plain"}
    assert api.post("/typed", {"m": 1}, **plain)[0] == 200
    assert said(api.post("/any", {"m": 1}, **plain)) == (400, "BadRequestException", "Invalid request body")
    assert api.post("/any", {"n": 1}, **plain)[0] == 200


@pytest.mark.parametrize("mebibytes", [7, 10])
def test_a_body_that_is_too_large_is_refused(api: Api, mebibytes: int) -> None:
    """10 MB is API Gateway's limit, 6 MB Lambda's."""
    body = b'{"n": "' + b"1" * (mebibytes * 1024 * 1024) + b'"}'
    assert said(api.post("/open", body)) == (413, "RequestTooLargeException", "Request Too Long")


@pytest.mark.parametrize(("method", "path"), [("POST", "/nothing"), ("GET", "/open"), ("GET", "/")])
def test_what_no_method_serves_is_a_missing_token(api: Api, method: str, path: str) -> None:
    wanted = (403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    assert said(api.send(method, path)) == wanted


def test_a_stage_that_is_not_there_is_forbidden(api: Api) -> None:
    assert said(api.send("POST", "/open", stage="v2")) == (403, "ForbiddenException", "Forbidden")


# ---- the function -------------------------------------------------------------------------------------------------

INTERNAL = "Internal server error"


def test_a_functions_own_status_headers_and_body_are_the_answer(api: Api) -> None:
    answer = {"statusCode": 418, "headers": {"Retry-After": "5"}, "body": '{"a": 1}'}
    status, headers, body = api.post("/open", {"answer": answer})
    assert (status, headers["retry-after"], body) == (418, "5", {"a": 1})


def test_a_function_that_fails_is_a_502_that_gives_nothing_away(api: Api) -> None:
    assert said(api.post("/open", {"fail": True})) == (502, "InternalServerErrorException", INTERNAL)


@pytest.mark.parametrize(
    "answer",
    ["text", 1, [], {"body": "x"}, {"statusCode": "no"}, {"statusCode": 200, "body": {}}, {"prediction": 0}],
    ids=repr,
)
def test_an_answer_that_is_not_of_the_proxys_form_is_a_502(api: Api, answer: Any) -> None:
    assert said(api.post("/open", {"answer": answer})) == (502, "InternalServerErrorException", INTERNAL)


def test_a_function_that_takes_longer_than_the_method_waits_is_a_504(api: Api) -> None:
    began = time.monotonic()
    wanted = (504, "InternalServerErrorException", "Endpoint request timed out")
    assert said(api.post("/hasty", {"wait": 5})) == wanted
    assert time.monotonic() - began < 4


def test_a_function_that_does_not_let_the_api_call_it_is_a_500(world: daemon.Running, function: str) -> None:
    stranger = Api(world, function, "not-let-in", policy=False)
    stranger.method("open")
    assert said(stranger.deploy().post("/open"))[::2] == (500, INTERNAL)
