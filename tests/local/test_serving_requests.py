"""What the service answers: as it is published, as it is documented, and to what can't be answered."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import small_artefacts
from serving_world import JSON, PREDICT, Service, serving, wait_for

MIB = 2**20
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    small_artefacts.publish(folder / "models", "v1", small_artefacts.make(folder / "artefact"))
    with serving(folder / "models", folder) as found:
        wait_for(found.version, "a model is in service")
        yield found


def test_ping_and_parseinputs_answer_exactly_as_published(service: Service) -> None:
    assert service.raw("GET", "/ping")[:2] == (200, b'{"status":"working"}')
    assert service.raw("POST", "/parseinputs", {"text": "bad bad"})[:2] == (200, b'{"sentiment":"negative"}')


def test_predict_tells_label_probabilities_and_version_of_one_text(service: Service) -> None:
    status, answer = service.predict("a good, good day")
    assert status == 200 and list(answer) == ["version", "predictions"] and answer["version"] == "v1"
    [prediction] = answer["predictions"]
    assert prediction["label"] == "positive"
    assert list(prediction["probabilities"]) == list(small_artefacts.LABELS)
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("number", [1, 2, 8, 9, 100])
def test_list_is_answered_in_its_order(service: Service, number: int) -> None:
    texts = [("good", "bad", "the weather")[index % 3] for index in range(number)]
    status, answer = service.predict(texts)
    wanted = [{"good": "positive", "bad": "negative", "the weather": "neutral"}[text] for text in texts]
    assert status == 200 and [each["label"] for each in answer["predictions"]] == wanted


def test_each_of_many_at_once_gets_the_answer_to_its_own_text(service: Service) -> None:
    """Those that wait together are classified together, shortest first: none may get another's answer."""

    def ask(number: int) -> bool:
        words, label = (("good", "positive"), ("bad", "negative"), ("the weather", "neutral"))[number % 3]
        text = " ".join([words] * (1 + number * 7 % 40))
        return service.call("POST", "/parseinputs", {"text": text}) == (200, {"sentiment": label})

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(300)))


CLASSIFIED = {
    "emoji": "🙂🙃👩‍👩‍👧",
    "emoji by halves": "\U0001f600",  # which JSON spells as two
    "arabic": "مرحبا بالعالم",
    "hebrew": "שלום",
    "overridden direction": "\u202egood\u202c",
    "null character": "\x00",
    "marks alone": "!!!",
    "longest word": "x" * 5000,
    "most words": "word " * 1000,
    "combining": "a\u0301\u0301",
}


@pytest.mark.parametrize("text", CLASSIFIED.values(), ids=list(CLASSIFIED))
def test_any_text_of_a_right_length_is_classified(service: Service, text: str) -> None:
    for path in ("/predict", "/parseinputs"):
        assert service.call("POST", path, {"text": text})[0] == 200


REFUSED: dict[str, tuple[int, Any, str]] = {
    "empty": (422, {"text": ""}, "text: expected `str` of length >= 1"),
    "blank": (422, {"text": " \n\t"}, "more than spaces"),
    "too long": (422, {"text": "x" * 5001}, "length <= 5000"),
    "1 MB": (422, {"text": "x" * 1_000_000}, "length <= 5000"),
    "null": (422, {"text": None}, "got `null`"),
    "number": (422, {"text": 7}, "got `int`"),
    "object": (422, {"text": {}}, "got `object`"),
    "nothing": (422, {}, "missing required field `text`"),
    "other field": (422, {"text": "good", "lang": "en"}, "unknown field `lang`"),
    "array": (422, ["good"], "expected `object`, got `array`"),
    "bare string": (422, "good", "expected `object`, got `str`"),
    "bare null": (422, b"null", "expected `object`, got `null`"),
    "broken": (400, b'{"text": "good"', "not JSON"),
    "two documents": (400, b'{"text": "good"}{}', "trailing"),
    "nan": (400, b'{"text": NaN}', "not JSON"),
    "no body": (400, b"", "the body is empty"),
    "not UTF-8": (400, b'{"text": "\xff"}', "not JSON in UTF-8"),
    "UTF-16": (400, '{"text": "good"}'.encode("utf-16"), "not JSON in UTF-8"),
    "lone surrogate": (400, b'{"text": "\\ud800"}', "surrogate"),
    "lone second half": (400, b'{"text": "a\\udc00b"}', "surrogate"),
    "deep": (422, b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "got `array`"),
    "huge": (413, b'{"text": "' + b"x" * (2 * MIB) + b'"}', "at most 1048576 are read"),
}
LISTS: dict[str, tuple[int, Any, str]] = {
    "empty list": (422, {"text": []}, "length >= 1"),
    "101 texts": (422, {"text": ["good"] * 101}, "length <= 100"),
    "10,000 texts": (422, {"text": ["a tweet of some words"] * 10_000}, "length <= 100"),
    "an empty one": (
        422,
        {"text": ["good", ""]},
        r"text\[1\]: expected `str` of length >= 1|text\[\.\.\.\]: ",
    ),
    "one null": (422, {"text": ["good", None]}, "got `null`"),
    "list in list": (422, {"text": [["good"]]}, "got `array`"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("path", ["/predict", "/parseinputs"])
def test_what_is_no_text_is_refused_with_the_right_status_and_words(
    service: Service, path: str, case: str
) -> None:
    status, body, words = REFUSED[case]
    _refused(service, path, status, body, words)


@pytest.mark.parametrize("case", LISTS)
def test_list_that_can_not_be_answered_is_refused(service: Service, case: str) -> None:
    status, body, words = LISTS[case]
    _refused(service, PREDICT, status, body, words)


def test_parseinputs_takes_one_text_alone(service: Service) -> None:
    _refused(service, "/parseinputs", 422, {"text": ["good"]}, "got `array`")


def _refused(service: Service, path: str, status: int, body: Any, words: str) -> None:
    found, answer = service.call("POST", path, body)
    assert (found, sorted(answer)) == (status, ["error", "fix"]), answer
    assert re.search(words, answer["error"], re.IGNORECASE), answer["error"]
    assert answer["fix"] and "Traceback" not in answer["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("PUT", "/parseinputs", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/ping", 405),
        ("GET", "/", 404),
        ("POST", "/predict/", 404),
        ("POST", "/Predict", 404),
    ],
)
def test_wrong_method_or_path_is_refused_in_the_same_form(
    service: Service, method: str, path: str, status: int
) -> None:
    found, answer = service.call(method, path)
    assert found == status and sorted(answer) == ["error", "fix"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonx"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_what_is_not_declared_as_json_is_refused(service: Service, headers: dict[str, str]) -> None:
    status, answer = service.call("POST", PREDICT, {"text": "good"}, headers)
    assert status == 415 and sorted(answer) == ["error", "fix"]


def test_content_type_may_have_parameters_and_any_case(service: Service) -> None:
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        assert service.call("POST", PREDICT, {"text": "good"}, {"Content-Type": kind})[0] == 200


def conversation(service: Service, *parts: bytes) -> bytes:
    """Send bytes as they are; what comes back until the server closes or says nothing more for a second."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=1) as line:
        for part in parts:
            line.sendall(part)
        said = b""
        try:
            while chunk := line.recv(65536):
                said += chunk
        except TimeoutError:
            pass
        return said


def test_body_in_chunks_is_read(service: Service) -> None:
    said = conversation(service, CHUNKED, b'8\r\n{"text":\r\n', b'7\r\n"good"}\r\n', b"0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200") and b'"positive"' in said


def test_body_in_chunks_without_end_is_refused_when_it_is_too_large(service: Service) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    said = conversation(service, CHUNKED, *[chunk] * 20)
    assert said.startswith(b"HTTP/1.1 413") and b"at most 1048576" in said


def test_body_that_is_declared_enormous_is_refused_before_it_is_sent(service: Service) -> None:
    said = conversation(service, HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413") and b"connection: close" in said


def test_what_is_no_http_is_refused_and_harms_nobody(service: Service) -> None:
    assert conversation(service, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert service.predict("good")[0] == 200


def test_client_that_leaves_in_the_middle_of_its_body_harms_nobody(service: Service) -> None:
    before = service.metric("sentiment_requests_total")
    with socket.create_connection(("127.0.0.1", service.port)) as line:
        line.sendall(HEAD + b"Content-Length: 50\r\n\r\n{")
    assert service.predict("good")[0] == 200
    assert service.metric("sentiment_requests_total") >= before + 2
    assert "Traceback" not in service.log.read_text()


def test_metrics_count_requests_texts_and_latency(service: Service) -> None:
    texts, requests = service.metric("sentiment_texts_total"), service.metric("sentiment_requests_total")
    service.predict(["good"] * 20)
    service.predict("")
    assert service.metric("sentiment_texts_total") == texts + 20
    assert service.metric("sentiment_requests_total") > requests + 2
    text = service.call("GET", "/metrics")[1]
    assert 'sentiment_requests_total{path="/predict",status="422"}' in text
    assert 'sentiment_request_seconds_bucket{le="0.001",path="/predict"}' in text
    assert 'sentiment_model_info{since="' in text and 'version="v1"' in text


def test_unknown_paths_make_no_series_of_their_own(service: Service) -> None:
    for number in range(5):
        service.call("GET", f"/no-such-path-{number}")
    text = service.call("GET", "/metrics")[1]
    assert "no-such-path" not in text and 'path="other",status="404"' in text


def test_document_has_examples_and_tells_the_limits(service: Service) -> None:
    document = service.call("GET", "/openapi.json")[1]
    assert set(document["paths"]) == {"/ping", "/parseinputs", "/predict", "/healthz", "/metrics"}
    one, several = document["components"]["schemas"]["Predict"]["properties"]["text"]["anyOf"]
    assert (one["minLength"], one["maxLength"], bool(one["examples"])) == (1, 5000, True)
    assert (several["minItems"], several["maxItems"], bool(several["examples"])) == (1, 100, True)
    assert "1048576" in document["info"]["description"]


def test_manual_tells_of_each_route_and_fetches_nothing(service: Service) -> None:
    status, content, kind = service.raw("GET", "/docs")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    page = content.decode()
    for told in ("POST /predict", "GET /healthz", "I love this place, and I will be back!", "1048576", "413"):
        assert told in page
    assert "<script" not in page and "http://" not in page and "https://" not in page


@pytest.mark.parametrize(
    "beginning",
    [
        HEAD + b"X: ",
        CHUNKED + b"1\r\na\r\n0\r\nX: ",
    ],
    ids=["field", "trailer"],
)
def test_head_without_end_is_refused_before_it_is_kept(service: Service, beginning: bytes) -> None:
    sent, piece = 0, b"x" * 32_768
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as line, suppress(OSError):
        line.sendall(beginning)
        while sent < 64 * 2**20:
            sent += line.send(piece)
    assert sent < 16 * 2**20
    assert service.predict("good")[0] == 200


def test_schemathesis_finds_nothing_with_all_its_checks(service: Service, tmp_path: Path) -> None:
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{service.url}/openapi.json", "--checks", "all", "--max-examples", "100", "--no-color"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "5 selected / 5 total" in ended.stdout
    assert 'status="500"' not in service.call("GET", "/metrics")[1]


def test_everything_that_was_asked_is_still_in_its_memory_limit(service: Service) -> None:
    assert json.loads(service.raw("GET", "/healthz")[1])["status"] == "ready"
    assert service.rss_mib() < 120
