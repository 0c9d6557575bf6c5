"""Metrics that a training job's lines hold, by the job's metric definitions.

Try it:  aws cloudwatch list-metrics --namespace /aws/sagemaker/TrainingJobs
Each definition is a regular expression whose first group is a number (https://docs.aws.amazon.com/sagemaker/latest/dg/
define-train-metrics.html). They go to CloudWatch with the dimension TrainingJobName, by which the SageMaker SDK asks
for them, if the role may put them; the last of each also into the job's record. Knows no container.
"""

import logging
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localaws import metrics
from localaws.sagemaker import roles
from localaws.sagemaker.linesearch import Search, TooSlow
from localaws.sagemaker.refusals import invalid
from localaws.sagemaker.store import Record

NAMESPACE = "/aws/sagemaker/TrainingJobs"
logger = logging.getLogger("localaws.sagemaker")

_QUALITY = r"#quality_metric: host=\S+, "
_SCORES = {
    "binary_classification_accuracy": "binary_classification_accuracy",
    "binary_f_beta": r"binary_f_\S+",
    "precision": "precision",
    "recall": "recall",
    "roc_auc_score": "roc_auc_score",
}
_SCORES_OF_CLASSES = {
    "dcg": "dcg",
    "macro_f_beta": r"macro_f_\S+",
    "macro_precision": "macro_precision",
    "macro_recall": "macro_recall",
    "multiclass_accuracy": "multiclass_accuracy",
    "multiclass_top_k_accuracy": r"multiclass_top_k_accuracy_\S+",
}
_LOSSES = {"mse": "mse", "absolute_loss": "absolute_loss"}


def _of_channel(channel: str, scores: Mapping[str, str], losses: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (f"{channel}:{name}", f"{_QUALITY}{channel} {said} <{kind}>=(\\S+)")
        for kind, several in (("score", scores), ("loss", losses))
        for name, said in several.items()
    ]


# What AWS defines for its algorithms, whatever the request says (developer guide, "Metrics computed by the linear
# learner algorithm"): name and expression.
BUILT_IN = {
    "linear-learner": [
        ("train:progress", r"#progress_metric: host=\S+, completed (\S+) %"),
        ("train:throughput", r"#throughput_metric: host=\S+, train throughput=(\S+) records/second"),
        ("train:objective_loss", _QUALITY + r"epoch=\S+, train \S+_objective <loss>=(\S+)"),
        ("validation:objective_loss", _QUALITY + r"epoch=\S+, validation \S+_objective <loss>=(\S+)"),
        ("train:objective_loss:final", _QUALITY + r"train \S+_objective <loss>=(\S+)"),
        ("validation:objective_loss:final", _QUALITY + r"validation \S+_objective <loss>=(\S+)"),
        ("test:objective_loss", _QUALITY + r"test \S+_objective <loss>=(\S+)"),
        *_of_channel("train", _SCORES, _LOSSES),
        *_of_channel("validation", _SCORES | _SCORES_OF_CLASSES, _LOSSES),
        *_of_channel("test", _SCORES | _SCORES_OF_CLASSES, _LOSSES),
    ]
}


def definitions(request: Record, algorithm: str | None) -> list[dict[str, str]]:
    """Those of the algorithm, or of the request.

    Errors: Refused for an expression that is none.
    """
    if algorithm in BUILT_IN:
        return [{"Name": name, "Regex": regex} for name, regex in BUILT_IN[algorithm]]
    given: list[dict[str, str]] = request["AlgorithmSpecification"].get("MetricDefinitions") or []
    for each in given:
        try:
            re.compile(each["Regex"])
        except (re.error, OverflowError, RecursionError) as error:
            raise invalid(
                f"The Regex of metric {each['Name']} is not a regular expression: {error}"
            ) from error
    return given


class JobMetrics:
    """Finds one job's metrics in its lines."""

    def __init__(self, record: Record, role_arn: str) -> None:
        self.final: dict[str, dict[str, Any]] = {}
        self._name = record["TrainingJobName"]
        self._role_arn = role_arn
        given = record["AlgorithmSpecification"].get("MetricDefinitions") or []
        self._names = [each["Name"] for each in given]
        self._search = Search([each["Regex"] for each in given])

    def watched(self, batches: Iterable[list[str]]) -> Iterator[list[str]]:
        """The same batches, looked through on their way, in the account and region of the calling context."""
        try:
            for lines in batches:
                if self._names:
                    self._look(lines)
                yield lines
        finally:
            self._search.close()

    def _look(self, lines: list[str]) -> None:
        try:
            said = self._search.find(lines)
        except TooSlow:
            logger.warning("metrics of %s are lost from now on: its expressions take too long", self._name)
            self._names = []
            return
        numbers = [(self._names[at], _number(text)) for at, text in said]
        found = [(name, value) for name, value in numbers if value is not None]
        now = time.time()
        for name, value in found:
            self.final[name] = {"MetricName": name, "Value": value, "Timestamp": round(now, 3)}
        if found:
            self._put(found, now)

    def _put(self, found: list[tuple[str, float]], now: float) -> None:
        context = {"cloudwatch:namespace": NAMESPACE}
        denied = roles.denied(self._role_arn, "cloudwatch:PutMetricData", "*", context)
        if denied:
            logger.warning("metrics of %s are lost: %s", self._name, denied)
            return
        for name, value in found:
            metrics.put(NAMESPACE, name, {"TrainingJobName": self._name}, now, value)


def _number(text: str) -> float | None:
    """A line that has something else there has no metric."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None  # CloudWatch takes no other
