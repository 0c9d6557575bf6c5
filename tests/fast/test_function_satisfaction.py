"""The function of lab 8: every survey that it refuses, every way in which an endpoint can fail, and the form."""

import importlib.util
import io
import json
import time
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError

from workshop.aws import functions

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "functions" / "satisfaction.py"
SURVEY = [1, 1, 48, 1, 2, 821, *[3] * 14, 2, 5.5]
LINE = ",".join(map(str, SURVEY))
GOOD = {"predictions": [{"score": 0.41, "predicted_label": 0}]}
API_GATEWAY_SECONDS = 29


@pytest.fixture(scope="module")
def function():
    spec = importlib.util.spec_from_file_location("satisfaction", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Endpoint:
    """Stands in for the client of sagemaker-runtime: answers or raises what the test says, and keeps requests."""

    def __init__(self, answer=GOOD, raises=None):
        self.answer, self.raises, self.requests = answer, raises, []

    def invoke_endpoint(self, **request):
        self.requests.append(request)
        if self.raises:
            raise self.raises
        content = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return {"Body": io.BytesIO(content)}


def error(code, message="", **more):
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "InvokeEndpoint")


def event(body, **more):
    return {"httpMethod": "POST", "body": body, "requestContext": {"requestId": "r-1"}, **more}


def ask(function, body, endpoint=None, **more):
    """Status, headers and body of the answer to a request with this body (JSON unless it is a text)."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    ticks = iter([10.0, 10.0123])
    answered = function.answer(event(text, **more), endpoint or Endpoint(), "e", lambda: next(ticks))
    return answered["statusCode"], answered["headers"], json.loads(answered["body"])


def refused(function, body, **more):
    endpoint = Endpoint()
    status, _, answered = ask(function, body, endpoint, **more)
    assert status == 400 and endpoint.requests == [], answered
    return answered["error"]


# ---- good surveys -------------------------------------------------------------------------------------------------


def test_a_survey_as_csv_gets_the_endpoints_label_and_score(function):
    endpoint = Endpoint()
    status, headers, body = ask(function, {"data": LINE}, endpoint)
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert body == {
        "prediction": 0,
        "label": "neutral or dissatisfied",
        "score": 0.41,
        "modelLatencyMs": 12.3,
        "requestId": "r-1",
    }
    [request] = endpoint.requests
    assert request == {
        "EndpointName": "e",
        "ContentType": "text/csv",
        "Accept": "application/json",
        "Body": LINE,
    }


def test_the_same_survey_as_numbers_is_the_same_question(function):
    first, second = Endpoint(), Endpoint()
    ask(function, {"data": LINE}, first)
    ask(function, {"features": SURVEY}, second)
    assert first.requests == second.requests


@pytest.mark.parametrize(
    "body", [{"data": f"{LINE}\r\n{LINE}\n"}, {"features": [SURVEY, SURVEY]}], ids=["csv", "numbers"]
)
def test_several_surveys_get_an_answer_each_in_their_order(function, body):
    both = {"predictions": [{"score": 0.9, "predicted_label": 1.0}, {"score": 0.1, "predicted_label": 0.0}]}
    endpoint = Endpoint(both)
    _, _, answered = ask(function, body, endpoint)
    assert [each["prediction"] for each in answered["predictions"]] == [1, 0]
    assert [each["label"] for each in answered["predictions"]] == ["satisfied", "neutral or dissatisfied"]
    assert endpoint.requests[0]["Body"].splitlines() == [LINE, LINE]


def test_a_body_in_base64_is_read(function):
    import base64

    packed = base64.b64encode(json.dumps({"data": LINE}).encode()).decode()
    assert ask(function, packed, isBase64Encoded=True)[0] == 200


@pytest.mark.parametrize(("label", "wanted"), [(0, 0), (1, 1)])
def test_called_directly_it_answers_the_label_alone(function, label, wanted):
    endpoint = Endpoint({"predictions": [{"score": 0.5, "predicted_label": label}]})
    assert function.answer({"data": LINE}, endpoint, "e") == wanted


def test_called_directly_it_raises_what_is_wrong(function):
    with pytest.raises(function.BadInput, match="21 values"):
        function.answer({"data": LINE.partition(",")[2]}, Endpoint(), "e")
    with pytest.raises(function.EndpointFailed, match="not in service"):
        missing = error("ValidationError", "Endpoint e of account 1 not found.")
        function.answer({"data": LINE}, Endpoint(raises=missing), "e")


# ---- bad surveys --------------------------------------------------------------------------------------------------


def changed(place, value):
    return ",".join(str(value) if at == place else str(each) for at, each in enumerate(SURVEY, 1))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "the body is empty"),
        ("  ", "the body is empty"),
        ("{", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ("1" * 5000, "the body is not JSON"),
        ('{"features": [NaN]}', "NaN is no number in JSON"),
        ('{"features": [-Infinity]}', "-Infinity is no number in JSON"),
        ([1], "the body is a list, not an object"),
        ({}, "'data' or 'features' is missing"),
        ({"text": LINE}, "'data' or 'features' is missing"),
        ({"data": LINE, "features": SURVEY}, "send either 'data' or 'features'"),
        ({"data": SURVEY}, "'data' is a list, not CSV text"),
        ({"data": None}, "'data' is null, not CSV text"),
        ({"data": "\n \n"}, "'data' holds no survey"),
        ({"features": "1"}, "'features' is a text, not a list"),
        ({"features": {}}, "'features' is an object, not a list"),
        ({"features": []}, "'features' holds no survey"),
        ({"features": [SURVEY, 3]}, "'features' mixes surveys with a number"),
        ({"features": SURVEY[1:]}, "survey 1 has 21 values, not 22"),
        ({"features": [SURVEY, SURVEY[1:]]}, "survey 2 has 21 values, not 22"),
        (
            {"data": LINE + ",1"},
            "survey 1 has 23 values, not 22; the label is what is asked for, leave it out",
        ),
        ({"data": f"{LINE}\n\n{LINE}"}, "survey 2 has 1 values"),
        ({"data": "Gender" + LINE[1:]}, "survey 1, value 1 is 'Gender', not a number"),
        ({"data": changed(3, "")}, "survey 1, value 3 is empty, not a number"),
        ({"data": changed(22, "nan")}, "survey 1, value 22 is 'nan', not a number"),
        ({"data": changed(22, "inf")}, "is 'inf', not a number"),
        ({"data": changed(6, "1_000")}, "is '1_000', not a number"),
        ({"data": changed(6, "0x10")}, "is '0x10', not a number"),
        ({"data": changed(6, "\u0661")}, "not a number"),  # a digit elsewhere
        ({"data": changed(6, "1e999")}, "is '1e999', which is too large"),
        ({"data": "\n".join([LINE] * 1001)}, "1001 surveys; at most 1000 are taken at once"),
        ({"features": [True, *SURVEY[1:]]}, "survey 1, value 1 is 'true', not a number"),
        ({"features": [None, *SURVEY[1:]]}, "survey 1, value 1 is 'null', not a number"),
        ({"features": ["1", *SURVEY[1:]]}, "survey 1, value 1 is '\"1\"', not a number"),
        ({"features": [[[1]], *SURVEY[1:]]}, "mixes surveys"),
    ],
)
def test_what_is_no_survey_is_refused_with_the_reason_and_never_reaches_the_endpoint(function, body, reason):
    assert reason in refused(function, body)


def test_a_body_that_is_no_text_is_refused(function):
    assert refused(function, "/w==", isBase64Encoded=True) == "the body is not JSON"


def test_a_reason_does_not_repeat_a_long_value(function):
    assert len(refused(function, {"data": changed(3, "a" * 10_000)})) < 100


# ---- endpoints that fail ------------------------------------------------------------------------------------------

ADDRESS = "https://runtime.sagemaker"


@pytest.mark.parametrize(
    ("raised", "status", "reason"),
    [
        (error("ModelError", "…", OriginalStatusCode=500), 502, "the model answered 500"),
        (error("ModelError", "…", OriginalStatusCode=415), 502, "the model answered 415"),
        (error("ValidationError", "Endpoint e of account 1 not found."), 503, "e is not in service"),
        (error("ValidationError", "Variant x is wrong"), 502, "the endpoint refused: ValidationError"),
        (error("ThrottlingException"), 503, "busy"),
        (error("ServiceUnavailable"), 503, "busy"),
        (error("ModelNotReadyException"), 503, "busy"),
        (error("InternalDependencyException"), 503, "busy"),
        (error("InternalFailure"), 502, "the endpoint refused: InternalFailure"),
        (error("AccessDeniedException", "not authorized"), 502, "the endpoint refused: AccessDenied"),
        (ReadTimeoutError(endpoint_url=ADDRESS), 504, "no answer in 10 seconds"),
        (ConnectTimeoutError(endpoint_url=ADDRESS), 504, "no answer in 10 seconds"),
        (ConnectionClosedError(endpoint_url=ADDRESS), 502, "can't be reached"),
    ],
    ids=str,
)
def test_an_endpoint_that_fails_is_told_apart(function, raised, status, reason):
    found, headers, body = ask(function, {"data": LINE}, Endpoint(raises=raised))
    assert (found, reason in body["error"]) == (status, True), body
    assert headers.get("Retry-After") == ("5" if status == 503 else None)


@pytest.mark.parametrize(
    "answer",
    [
        b"0.41",
        b"<html>",
        b"",
        b"\xff",
        [],
        {},
        {"predictions": "0"},
        {"predictions": [0.4]},
        {"predictions": [{"score": 0.4}]},
        {"predictions": [{"score": 0.4, "predicted_label": 2}]},
        {"predictions": [{"score": "0.4", "predicted_label": 1}]},
        {"predictions": [{"score": float("nan"), "predicted_label": 1}]},
        {"predictions": []},
        {"predictions": GOOD["predictions"] * 2},
    ],
    ids=repr,
)
def test_an_answer_that_is_no_prediction_is_a_502(function, answer):
    assert ask(function, {"data": LINE}, Endpoint(answer))[0] == 502


def test_a_callers_error_tells_nothing_of_the_account(function, capsys):
    arn = "arn:aws:iam::123456789012:role/secret is not authorized"
    _, _, body = ask(function, {"data": LINE}, Endpoint(raises=error("AccessDeniedException", arn)))
    assert "secret" not in json.dumps(body)
    assert "secret" in capsys.readouterr().out  # and the log has it


def test_what_nobody_expected_is_left_to_lambda(function):
    with pytest.raises(RuntimeError):
        ask(function, {"data": LINE}, Endpoint(raises=RuntimeError("a mistake")))


def test_the_client_gives_up_before_api_gateway_does(function, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client = function._client("sagemaker-runtime")
    config: Config = client.meta.config
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) + 2 < API_GATEWAY_SECONDS
    assert function._client("sagemaker-runtime") is client


# ---- the log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"data": LINE}, {"data": changed(3, "private")}], ids=["good", "bad"])
def test_a_request_is_one_line_of_json_without_the_survey(function, body, capsys):
    ask(function, body)
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["what"] == "answered" and told["requestId"] == "r-1" and told["status"] in (200, 400)
    assert "private" not in line and "821" not in line


# ---- the form -----------------------------------------------------------------------------------------------------


class Bucket:
    """Stands in for the client of S3."""

    def __init__(self, content):
        self.content = content

    def get_object(self, **request):
        if isinstance(self.content, Exception):
            raise self.content
        return {"Body": io.BytesIO(self.content)}


def test_the_form_asks_what_the_model_was_trained_on(function):
    columns = [{"name": "</script>", "kind": "number"}]
    page = function.form(Bucket(json.dumps({"columns": columns}).encode()), "b", "k")
    assert page["statusCode"] == 200 and page["headers"]["Content-Type"].startswith("text/html")
    assert '{"name": "\\u003c/script>", "kind": "number"}' in page["body"]
    assert page["body"].count("</script>") == 1
    assert "default-src 'none'" in page["headers"]["Content-Security-Policy"]


@pytest.mark.parametrize("content", [error("NoSuchKey"), error("AccessDenied"), b"", b"{}", b"[]"], ids=repr)
def test_without_columns_there_is_no_form_and_it_says_which_file_is_missing(function, content):
    page = function.form(Bucket(content), "b", "satisfaction/columns.json")
    assert page["statusCode"] == 503 and "s3://b/satisfaction/columns.json" in page["body"]


def test_a_get_is_answered_with_the_form(function, monkeypatch):
    monkeypatch.setenv("COLUMNS_BUCKET", "b")
    monkeypatch.setenv("COLUMNS_KEY", "k")
    monkeypatch.setattr(function, "_client", lambda service: Bucket(b'{"columns": []}'))
    assert function.handler({"httpMethod": "GET"}, None)["statusCode"] == 200


def test_the_page_asks_no_other_site(function):
    text = SOURCE.with_suffix(".html").read_text()
    assert function.COLUMNS in text
    assert "//" not in text.replace("// What", "") and "@import" not in text


@pytest.mark.parametrize("event", [None, "data", ["data"], 1])
def test_an_event_that_is_no_object_is_refused_by_name(function, event):
    with pytest.raises(function.BadInput, match="the event is"):
        function.handler(event, None)


def test_the_package_holds_the_function_and_its_page_and_is_the_same_every_time():
    packed = functions.package("satisfaction", ROOT)
    assert packed == functions.package("satisfaction", ROOT)
    assert zipfile.ZipFile(io.BytesIO(packed)).namelist() == ["satisfaction.py", "satisfaction.html"]
    assert zipfile.ZipFile(io.BytesIO(functions.package("classify_upload", ROOT))).namelist() == [
        "classify_upload.py"
    ]


def test_the_real_client_has_the_call(function):
    client = boto3.client("sagemaker-runtime", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    shape = client.meta.service_model.operation_model("InvokeEndpoint").input_shape
    assert {"EndpointName", "ContentType", "Accept", "Body"} <= set(shape.members)


def test_number_without_end_is_refused_at_once(function):
    """An expression that tries every way to part the digits would take the function's whole time."""
    began = time.monotonic()
    with pytest.raises(function.BadInput, match="not a number"):
        function.answer({"data": "1" * 1_000_000 + "x" + LINE[1:]}, Endpoint(), "e")
    assert time.monotonic() - began < 1
