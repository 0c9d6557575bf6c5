"""What an endpoint of Linear Learner takes and answers, and which models it loads."""

import json

import numpy as np
import pytest

from linearlearner import artefact, payloads, records
from linearlearner.errors import ArtefactError, RequestError
from linearlearner.predictor import Predictor

CSV, JSON, LINES, RECORDS = payloads.CSV, payloads.JSON, payloads.LINES, payloads.RECORDS
WEIGHTS, BIAS = np.array([[1.0], [-2.0]]), np.array([0.5])
BINARY = Predictor(WEIGHTS, BIAS, "binary_classifier", "logistic", 0.6)
ROWS = [[1.5, 0.25], [-3.0, 4.0]]


def answered(predictor, accept="", rows=ROWS):
    body, kind = payloads.answer(predictor, np.array(rows, np.float32), accept)
    return body.decode("latin-1"), kind


def refused(body, content_type, feature_dim=2):
    with pytest.raises(RequestError) as caught:
        payloads.rows(body, content_type, feature_dim)
    return caught.value.status, caught.value.message


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "1.5,0.25\n-3,4\n"),
        ("text/csv; label_size=0", "1.5,0.25\r\n-3,4"),
        ("Text/CSV;charset=utf-8", "1.5,0.25\n\n-3,4\n"),
        (JSON, '{"instances": [{"features": [1.5, 0.25]}, {"features": [-3, 4]}]}'),
        (JSON, '{"instances": [{"data": {"features": {"values": [1.5, 0.25]}}}, {"features": [-3, 4]}]}'),
        (
            JSON,
            '{"instances": [{"features": [1.5, 0.25], "configuration": {}}, {"data": {"features": [-3, 4]}}]}',
        ),
        (
            LINES,
            '{"data": {"features": {"keys": [1, 0], "shape": [2], "values": [0.25, 1.5]}}}\n{"features": [-3, 4]}\n',
        ),
    ],
)
def test_each_documented_form_of_a_request_gives_its_rows(content_type, body):
    found = payloads.rows(body.encode(), content_type, 2)
    assert found.tolist() == ROWS and found.dtype == np.float32


def test_records_of_the_training_format_are_a_request_too():
    features = b"\x0a\x10\x0a\x06values\x12\x06\x12\x04\x0a\x02\x00\x00"  # a record that is too short
    assert refused(records.HEADER.pack(records.MAGIC, len(features)) + features + b"\0\0", RECORDS)[0] == 400
    values = np.array([1.5, 0.25], "<f4").tobytes()
    tensor = b"\x0a" + bytes([len(values)]) + values
    value = b"\x12" + bytes([len(tensor)]) + tensor
    entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
    message = b"\x0a" + bytes([len(entry)]) + entry
    framed = records.HEADER.pack(records.MAGIC, len(message)) + message + bytes(-len(message) % 4)
    assert payloads.rows(framed * 2, RECORDS, 2).tolist() == [[1.5, 0.25]] * 2


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"", CSV, "the body is empty"),
        (b" \n ", CSV, "the body is empty"),
        (b"1\n", CSV, "row 1 has 1 features, and the model has 2"),
        (
            b"1,2,3\n",
            CSV,
            "row 1 has 3 features, and the model has 2: is the label still in the first column?",
        ),
        (b"1,2\n3\n", CSV, "row 2: has 1 columns, and the first row has 2"),
        (b"age,class\n1,2\n", CSV, "row 1, column 1: 'age' is not a number"),
        (b"1,two\n", CSV, "row 1, column 2: 'two' is not a number"),
        (b"1,NaN\n", CSV, "row 1, column 2: 'NaN' is not a finite 32-bit number"),
        (b"1,\n", CSV, "row 1, column 2: is empty"),
        (b"not json", JSON, "it is no application/json with instances of features"),
        (b"[]", JSON, "it is no application/json"),
        (b"{}", JSON, "there is no 'instances'"),
        (b'{"instances": []}', JSON, "it has no rows of numbers"),
        (b'{"instances": [{"values": [1, 2]}]}', JSON, "there is no 'data'"),
        (b'{"instances": [{"features": [1, "two"]}]}', JSON, "could not convert"),
        (b'{"instances": [{"features": [1, null]}]}', JSON, "row 1, column 2: is not a finite"),
        (b'{"instances": [{"features": [1, NaN]}]}', JSON, "row 1, column 2: is not a finite"),
        (b'{"instances": [{"features": [1, 2]}, {"features": [1]}]}', JSON, "row 2: has 1 features"),
        (b'{"features": [1, [2, 3]]}', LINES, "it is no application/jsonlines"),
        (
            b'{"data": {"features": {"keys": [7], "shape": [2], "values": [1]}}}',
            LINES,
            "keys must lie in 0 to 1",
        ),
        (
            b'{"data": {"features": {"keys": [0], "shape": [1000000000000], "values": [1]}}}',
            LINES,
            "the shape",
        ),
        (b"1,2\n", RECORDS, "row 1: the content ends within a record's header"),
    ],
)
def test_a_request_that_cant_be_read_is_400_with_the_reason(body, content_type, reason):
    status, message = refused(body, content_type)
    assert status == 400 and message.startswith("unable to evaluate payload provided: ") and reason in message


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "", "text/libsvm", "csv"])
def test_a_content_type_that_the_algorithm_lacks_is_415(content_type):
    assert refused(b"1,2\n", content_type) == (
        415,
        f"Content-Type header value '{content_type}' not supported",
    )


def test_two_classes_are_answered_with_score_and_label_by_the_models_threshold():
    body, kind = answered(BINARY)
    first, second = json.loads(body)["predictions"]
    assert kind == JSON and list(first) == ["score", "predicted_label"]
    assert first["score"] == pytest.approx(1 / (1 + np.exp(-1.5))) and first["predicted_label"] == 1
    assert second["score"] == pytest.approx(1 / (1 + np.exp(10.5))) and second["predicted_label"] == 0
    strict = Predictor(WEIGHTS, BIAS, "binary_classifier", "logistic", 0.9)
    assert json.loads(answered(strict)[0])["predictions"][0]["predicted_label"] == 0


def test_a_score_of_hinge_loss_is_no_probability():
    hinge = Predictor(WEIGHTS, BIAS, "binary_classifier", "hinge_loss", 0.0)
    assert [each["score"] for each in json.loads(answered(hinge)[0])["predictions"]] == [1.5, -10.5]


def test_a_regressor_answers_scores_alone_and_many_classes_a_score_each():
    regressor = Predictor(WEIGHTS, BIAS, "regressor", "squared_loss", 0.0)
    assert json.loads(answered(regressor)[0]) == {"predictions": [{"score": 1.5}, {"score": -10.5}]}
    classes = Predictor(np.eye(2), np.zeros(2), "multiclass_classifier", "softmax_loss", 0.0)
    first, second = json.loads(answered(classes)[0])["predictions"]
    assert sum(first["score"]) == pytest.approx(1) and first["predicted_label"] == 0
    assert len(second["score"]) == 2 and second["predicted_label"] == 1


def test_json_lines_have_no_wrapper():
    body, kind = answered(BINARY, "application/jsonlines")
    assert kind == LINES and body.endswith("\n")
    assert [json.loads(line)["predicted_label"] for line in body.splitlines()] == [1, 0]


def test_records_are_answered_as_records():
    body, kind = answered(BINARY, RECORDS)
    assert kind == RECORDS and body.count("predicted_label") == body.count("score") == 2
    assert body.encode("latin-1")[:4] == records.MAGIC.to_bytes(4, "little")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/csv", "image/png"])
def test_every_other_wish_is_answered_with_json_as_by_the_built_in_algorithm(accept):
    body, kind = answered(BINARY, accept)
    assert kind == JSON and len(json.loads(body)["predictions"]) == 2


def test_a_model_that_was_saved_gives_the_same_scores_again(tmp_path):
    artefact.save(BINARY, tmp_path / "model", {"metrics": {"test": {"recall": 0.5}}})
    found = artefact.load(tmp_path / "model")
    assert (found.scores(np.array(ROWS)) == BINARY.scores(np.array(ROWS))).all()
    assert (found.threshold, found.loss, found.feature_dim) == (0.6, "logistic", 2)
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["metrics"]["test"]["recall"] == 0.5 and "built-in algorithm can't" in described["note"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "weights.npz"]


def changed(tmp_path, **members):
    artefact.save(BINARY, tmp_path, {})
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: None, "there is no"),
        (
            lambda folder: (folder / "model_algo-1").touch(),
            "from AWS's own Linear Learner, which this can't read",
        ),
        (lambda folder: (folder / "model.json").write_text("{}"), "is no description of a model"),
        (lambda folder: (folder / "model.json").write_text("[1]"), "is no description of a model"),
        (lambda folder: changed(folder, format="mxnet"), "has format mxnet 1, and this reads"),
        (lambda folder: changed(folder, version=2), "and this reads workshop-linear-learner 1"),
        (lambda folder: changed(folder, feature_dim=3), "and model.json says"),
        (lambda folder: changed(folder, predictor_type="ranker"), "does not exist"),
        (lambda folder: (changed(folder), (folder / "weights.npz").write_bytes(b"PK")), "not the file that"),
        (lambda folder: (changed(folder), (folder / "weights.npz").unlink()), "is missing or not the file"),
    ],
)
def test_a_folder_without_a_whole_model_of_this_format_is_refused(tmp_path, damage, reason):
    damage(tmp_path)
    with pytest.raises(ArtefactError, match=reason.replace("(", r"\(")):
        artefact.load(tmp_path)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" * 100_000, JSON),
        (json.dumps({"instances": [{"features": [10**400, 1]}]}).encode(), JSON),
        (
            json.dumps(
                {"instances": [{"data": {"features": {"keys": [10**30], "shape": [2], "values": [1]}}}]}
            ).encode(),
            JSON,
        ),
        (records._frame(b"\x0a" + b"\x80" * 3_000_000), RECORDS),
    ],
    ids=["deep", "large number", "large key", "number without end"],
)
def test_what_would_take_for_ever_or_break_the_server_is_a_bad_request(body, content_type):
    assert refused(body, content_type)[0] == 400
