"""Ask the endpoint whether passengers are satisfied: surveys in, predictions out.

Try it:  aws lambda invoke --function-name NAME --payload fileb://survey.json answer.json
Called through API Gateway it answers HTTP: 400 with the reason for what is no survey, 502 where the endpoint
fails, 503 with Retry-After where it is not there or busy, 504 where it takes too long. Called directly it
answers the label alone, 0 or 1, and raises. API Gateway's own check looks at the body's form; what the form
can't say (22 numbers a line, finite, no text) is said here. GET answers the form of satisfaction.html, which asks
what columns.json says that the model was trained on. Knows numbers and their count; not what they mean.
"""

import base64
import functools
import json
import math
import os
import re
import time
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError

FEATURES = 22
MOST_SURVEYS = 1000
LABELS = ("neutral or dissatisfied", "satisfied")
RETRY_AFTER_SECONDS = 5
# Two tries of 12 seconds and a pause: done before API Gateway gives up after 29, so that the reason is ours.
CONNECT_SECONDS, READ_SECONDS, TRIES = 2, 10, 2
# float() takes more than a survey may hold: nan, inf, 1_000, digits of other scripts.
NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
BUSY = ("ThrottlingException", "ServiceUnavailable", "InternalDependencyException", "ModelNotReadyException")

COLUMNS = "/*COLUMNS*/[]"  # where the page wants them
# The page asks nobody but this API, whatever a mistake in it might try.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class BadInput(Exception):
    """What came is no survey; the text says where and why."""


class EndpointFailed(Exception):
    """The endpoint gave no prediction; status is what the caller over HTTP is told."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def handler(event, context):
    """Answer one event: API Gateway's, or {"data": "<csv>"} from a direct call."""
    if not isinstance(event, dict):
        raise BadInput(f"the event is {_kind(event)}, not an object with 'data' or 'features'")
    if event.get("httpMethod") == "GET":
        return form(_client("s3"), os.environ["COLUMNS_BUCKET"], os.environ["COLUMNS_KEY"])
    return answer(event, _client("sagemaker-runtime"), os.environ["ENDPOINT_NAME"])


def answer(event, runtime, endpoint, clock=time.monotonic):
    """Do the handler's work with a client of sagemaker-runtime and a clock that are passed in."""
    if "httpMethod" in event:
        return _answer_http(event, runtime, endpoint, clock)
    predictions, _ = _predict(_surveys(event), runtime, endpoint, clock)
    labels = [each["prediction"] for each in predictions]
    return labels[0] if len(labels) == 1 else labels


def _answer_http(event, runtime, endpoint, clock):
    request_id = (event.get("requestContext") or {}).get("requestId", "")
    surveys, latency_ms, reason, retry = [], None, "", {}
    try:
        surveys = _surveys(_body(event))
        predictions, latency_ms = _predict(surveys, runtime, endpoint, clock)
        one = predictions[0] if len(predictions) == 1 else {"predictions": predictions}
        status, body = 200, {**one, "modelLatencyMs": latency_ms}
    except BadInput as error:
        status, reason, body = 400, str(error), {"error": str(error)}
    except EndpointFailed as error:
        status, reason, body = error.status, str(error.__cause__ or error), {"error": str(error)}
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    # The survey itself is the passenger's: never in a log. Why a value was refused quotes it, so that stays out too.
    told = reason if status >= 500 else ""
    facts = {"status": status, "surveys": len(surveys), "modelLatencyMs": latency_ms, "reason": told}
    log("answered", requestId=request_id, **facts)
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **retry}
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps({**body, "requestId": request_id}),
    }


# ---- what comes in ------------------------------------------------------------------------------------------------


def _body(event):
    """The request's JSON. NaN and Infinity are none, although Python would read them."""
    text = event.get("body") or ""
    try:
        if event.get("isBase64Encoded"):
            text = base64.b64decode(text).decode()
        if not text.strip():
            raise BadInput('the body is empty; send {"data": "<22 numbers>"} or {"features": [22 numbers]}')
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput("the body is not JSON") from error
    if not isinstance(found, dict):
        raise BadInput(f"the body is {_kind(found)}, not an object with 'data' or 'features'")
    return found


def _refuse_constant(name):
    raise BadInput(f"{name} is no number in JSON")


def _surveys(given):
    """Rows of 22 numbers, each as the text that the endpoint gets. Errors: BadInput with the first that is wrong."""
    named = [name for name in ("data", "features") if name in given]
    if len(named) != 1:
        raise BadInput("send either 'data' or 'features'" if named else "'data' or 'features' is missing")
    rows = _lines(given["data"]) if named == ["data"] else _lists(given["features"])
    if not rows:
        raise BadInput(f"'{named[0]}' holds no survey")
    if len(rows) > MOST_SURVEYS:
        raise BadInput(f"{len(rows)} surveys; at most {MOST_SURVEYS} are taken at once")
    return [_row(row, number) for number, row in enumerate(rows, 1)]


def _lines(data):
    if not isinstance(data, str):
        raise BadInput(f"'data' is {_kind(data)}, not CSV text")
    return [line.split(",") for line in data.strip().splitlines()]


def _lists(features):
    if not isinstance(features, list):
        raise BadInput(f"'features' is {_kind(features)}, not a list")
    rows = features if features and isinstance(features[0], list) else [features] if features else []
    wrong = next((each for each in rows if not isinstance(each, list)), None)
    if wrong is not None:
        raise BadInput(f"'features' mixes surveys with {_kind(wrong)}")
    # As JSON writes them: a text keeps its quotes there, so that "3" is no number.
    return [[json.dumps(value) for value in row] for row in rows]


def _row(texts, number):
    if len(texts) != FEATURES:
        hint = "; the label is what is asked for, leave it out" if len(texts) == FEATURES + 1 else ""
        raise BadInput(f"survey {number} has {len(texts)} values, not {FEATURES}{hint}")
    return [_value(text.strip(), f"survey {number}, value {place}") for place, text in enumerate(texts, 1)]


def _value(text, where):
    shown = repr(text[:20]) if text else "empty"
    if not NUMBER.fullmatch(text):
        raise BadInput(f"{where} is {shown}, not a number")
    if not math.isfinite(float(text)):
        raise BadInput(f"{where} is {shown}, which is too large")
    return text


def _kind(value):
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


# ---- the endpoint -------------------------------------------------------------------------------------------------


def _predict(rows, runtime, endpoint, clock):
    """Predictions in the order of the rows, and how many milliseconds they took."""
    began = clock()
    try:
        answered = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType="text/csv",
            Accept="application/json",
            Body="\n".join(",".join(row) for row in rows),
        )
        body = answered["Body"].read()
    except ClientError as error:
        raise _refused(error, endpoint) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise EndpointFailed(504, f"the endpoint gave no answer in {READ_SECONDS} seconds") from error
    except BotoCoreError as error:
        raise EndpointFailed(502, "the endpoint can't be reached") from error
    return _read(body, len(rows)), round((clock() - began) * 1000, 1)


def _refused(error, endpoint):
    """What SageMaker's refusal means to a caller, who can do nothing about it but wait."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in BUSY:
        return EndpointFailed(503, "the endpoint is busy; try again")
    # So AWS answers for an endpoint that does not exist, or not yet.
    if code == "ValidationError" and "not found" in message:
        return EndpointFailed(503, f"the endpoint {endpoint} is not in service")
    if code == "ModelError":
        status = error.response.get("OriginalStatusCode", "an error")
        return EndpointFailed(502, f"the model answered {status}")
    return EndpointFailed(502, f"the endpoint refused: {code}")


def _read(body, count):
    """Read Linear Learner's answer: {"predictions": [{"score": 0.4, "predicted_label": 0}]}."""
    try:
        found = json.loads(body)["predictions"]
        predictions = [_prediction(each["predicted_label"], each["score"]) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        raise EndpointFailed(502, "the endpoint answered something else than predictions") from error
    if len(predictions) != count:
        raise EndpointFailed(502, f"the endpoint answered {len(predictions)} predictions for {count} surveys")
    return predictions


def _prediction(label, score):
    if label not in (0, 1) or not math.isfinite(score):
        raise ValueError(f"label {label!r}, score {score!r}")
    return {"prediction": int(label), "label": LABELS[int(label)], "score": score}


# ---- the form -----------------------------------------------------------------------------------------------------


def form(s3, bucket, key):
    """The page that asks a person for one survey, in the words and with the numbers that the model was trained with."""
    try:
        columns = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["columns"]
    except (BotoCoreError, ClientError, KeyError, TypeError, ValueError) as error:
        log("no form", reason=f"s3://{bucket}/{key}: {error}")
        text = f"There is no form yet: s3://{bucket}/{key} says what it asks, and can't be read.\n"
        return _page(503, text, "text/plain", {"Retry-After": str(RETRY_AFTER_SECONDS)})
    page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    # Inside of a script, "<" could end it.
    return _page(
        200, page.replace(COLUMNS, json.dumps(columns).replace("<", "\\u003c")), "text/html", PAGE_HEADERS
    )


def _page(status, text, kind, more):
    headers = {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store", **more}
    return {"statusCode": status, "headers": headers, "body": text}


@functools.cache
def _client(service):
    """One client for all events of this process: making it takes longer than a prediction."""
    limits = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    return boto3.client(service, config=limits)


def log(what, **facts):
    """Print one line of JSON, which CloudWatch Logs can search by its members."""
    print(json.dumps({"what": what, **facts}, ensure_ascii=False))
