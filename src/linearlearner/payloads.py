"""Read the rows of a request, and write the answer, in the formats that Linear Learner has.

Try it:  python -c "from linearlearner.payloads import rows; print(rows(b'1.5,16\\n', 'text/csv', 2))"
Requests: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html; answers:
https://docs.aws.amazon.com/sagemaker/latest/dg/LL-in-formats.html. Knows no HTTP beyond the names of content types.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from linearlearner import csv_rows, records
from linearlearner.errors import RequestError, RowError
from linearlearner.predictor import Predictor

CSV, JSON, LINES, RECORDS = (
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-recordio-protobuf",
)
BAD, UNSUPPORTED = 400, 415


def rows(body: bytes, content_type: str, feature_dim: int) -> np.ndarray:
    """The features of a request, float32 (N, D). Errors: RequestError with status 415 or 400."""
    kind = content_type.partition(";")[0].strip().lower()
    reader = READERS.get(kind)
    if reader is None:
        raise RequestError(UNSUPPORTED, f"Content-Type header value '{content_type}' not supported")
    if not body.strip():
        raise _unable("the body is empty")
    try:
        found = reader(body, feature_dim)
    except RowError as error:
        raise _unable(str(error)) from error
    except KeyError as error:
        raise _unable(f"it is no {kind} with instances of features: there is no {error}") from error
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise _unable(f"it is no {kind} with instances of features: {error}") from error
    if found.ndim != 2 or not found.size:
        raise _unable("it has no rows of numbers")
    if found.shape[1] != feature_dim:
        hint = ": is the label still in the first column?" if found.shape[1] == feature_dim + 1 else ""
        raise _unable(f"row 1 has {found.shape[1]} features, and the model has {feature_dim}{hint}")
    return found


def answer(predictor: Predictor, features: np.ndarray, accept: str) -> tuple[bytes, str]:
    """The body and its content type. A type that the algorithm lacks is answered with JSON, as AWS's does:
    https://github.com/aws/sagemaker-python-sdk/issues/993
    """
    scores = predictor.scores(features)
    labels = predictor.labels(scores)
    kind = accept.partition(";")[0].strip().lower()
    if kind == RECORDS:
        return _records(scores, labels), RECORDS
    listed = scores.tolist()
    if labels is None:
        predictions = [{"score": score} for score in listed]
    else:
        predictions = [
            {"score": score, "predicted_label": label}
            for score, label in zip(listed, labels.tolist(), strict=True)
        ]
    if kind == LINES:
        return "".join(f"{json.dumps(each)}\n" for each in predictions).encode(), LINES
    return json.dumps({"predictions": predictions}).encode(), JSON


def _unable(reason: str) -> RequestError:
    # The sentence of the built-in algorithms: https://github.com/aws/amazon-sagemaker-examples/issues/1881. There the
    # reason stands in the log alone.
    return RequestError(BAD, f"unable to evaluate payload provided: {reason}")


def _csv(body: bytes, feature_dim: int) -> np.ndarray:
    return csv_rows.parse(body)


def _json(body: bytes, feature_dim: int) -> np.ndarray:
    return _dense([_features(each, feature_dim) for each in json.loads(body)["instances"]])


def _lines(body: bytes, feature_dim: int) -> np.ndarray:
    return _dense([_features(json.loads(line), feature_dim) for line in body.splitlines() if line.strip()])


def _features(instance: Mapping[str, Any], feature_dim: int) -> Any:
    """The features of one instance: a list, or the members of a tensor."""
    found = instance["features"] if "features" in instance else instance["data"]["features"]
    if isinstance(found, list):
        return found
    if "keys" not in found:
        return found["values"]
    if math.prod(found["shape"]) != feature_dim:
        raise ValueError(f"the shape {found['shape']} is given, and the model has {feature_dim} features")
    keys = np.asarray(found["keys"], dtype=np.int64)
    if keys.size and not 0 <= keys.min() <= keys.max() < feature_dim:
        raise ValueError(f"keys must lie in 0 to {feature_dim - 1}")
    dense = np.zeros(feature_dim, dtype=np.float32)
    dense[keys] = found["values"]
    return dense


def _dense(instances: list[Any]) -> np.ndarray:
    width = len(instances[0]) if instances else 0
    for number, each in enumerate(instances, 1):
        if len(each) != width:
            raise RowError(number, 0, f"has {len(each)} features, and the first row has {width}")
    with np.errstate(over="ignore"):
        found = np.array(instances, dtype=np.float32).reshape(len(instances), width)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        raise RowError(int(bad[0][0]) + 1, int(bad[0][1]) + 1, "is not a finite 32-bit number")
    return found


def _from_records(body: bytes, feature_dim: int) -> np.ndarray:
    return records.matrix([each.features for each in records.read(body)], feature_dim)


def _records(scores: np.ndarray, labels: np.ndarray | None) -> bytes:
    if labels is None:
        return records.write({"score": [score]} for score in scores)
    each_score = scores if scores.ndim == 2 else scores[:, None]
    return records.write(
        {"score": score, "predicted_label": [label]} for score, label in zip(each_score, labels, strict=True)
    )


READERS: dict[str, Callable[[bytes, int], np.ndarray]] = {
    CSV: _csv,
    JSON: _json,
    LINES: _lines,
    RECORDS: _from_records,
}
