"""What Linear Learner is asked and answers: rows as CSV, scores and labels as JSON.

Try it:  python -c "from workshop.aws import linear_learner; print(next(linear_learner.bodies([[1, 2.5]], 10)))"
Makes no call. Its formats: https://docs.aws.amazon.com/sagemaker/latest/dg/LL-in-formats.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from workshop.errors import AwsError

ACCEPTED = {"ContentType": "text/csv", "Accept": "application/json"}
LARGEST_REQUEST_BYTES = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html"""


def bodies(rows: Iterable[Sequence[float]], batch_rows: int) -> Iterator[tuple[bytes, int]]:
    """Requests of so many rows, of fewer where they would be larger than SageMaker takes; each with its rows' count."""
    lines: list[str] = []
    size = 0
    for row in rows:
        line = ",".join(f"{float(value):.10g}" for value in row)
        if lines and (len(lines) == batch_rows or size + len(line) + 1 > LARGEST_REQUEST_BYTES):
            yield "\n".join(lines).encode(), len(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield "\n".join(lines).encode(), len(lines)


def predictions(answer: bytes, count: int, endpoint: str) -> tuple[list[float], list[int]]:
    """Scores and labels of an answer to so many rows. Errors: AwsError with what it says instead."""
    try:
        found: list[dict[str, Any]] = list(json.loads(answer)["predictions"])
        scores = [float(each["score"]) for each in found]
        labels = [int(each["predicted_label"]) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        said = answer[:200].decode(errors="replace")
        raise AwsError(
            f"endpoint {endpoint} does not answer as Linear Learner does: {said}",
            f"ask it yourself: boto3's invoke_endpoint(EndpointName='{endpoint}', …)",
        ) from error
    if len(found) != count:
        raise AwsError(
            f"endpoint {endpoint} was asked about {count} rows and answered {len(found)}",
            f"look at its log: workshop.aws.logs.tail('/aws/sagemaker/Endpoints/{endpoint}')",
        )
    return scores, labels
