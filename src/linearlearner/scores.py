"""How good a model is, by the metrics that Linear Learner reports.

Try it:  python -c "import numpy as np; from linearlearner.scores import area; print(area(np.r_[.1, .9], np.r_[0, 1]))"
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html; names as its logs spell them.
"""

import numpy as np

from linearlearner.channels import Rows
from linearlearner.hyperparameters import BINARY, MULTICLASS, Hyperparameters
from linearlearner.losses import LOSSES, objective
from linearlearner.predictor import Predictor
from linearlearner.thresholds import f_beta


def measure(predictor: Predictor, rows: Rows, given: Hyperparameters) -> dict[str, float]:
    """Metrics by name, the objective first; one that is not defined for these rows is left out."""
    outputs = predictor.outputs(rows.features)
    values, _ = LOSSES[predictor.loss](outputs[:, None, :], rows.labels, given)
    found = {objective(predictor.loss): float(values.mean())}
    if predictor.predictor_type == BINARY:
        found |= _binary(predictor, predictor.as_scores(outputs), rows.labels, given)
    elif predictor.predictor_type == MULTICLASS:
        found |= _multiclass(predictor.as_scores(outputs), rows.labels.astype(np.int64), given)
    else:
        error = outputs[:, 0] - rows.labels
        found |= {"mse": float((error**2).mean()), "absolute_loss": float(np.abs(error).mean())}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def area(scores: np.ndarray, labels: np.ndarray) -> float:
    """The area under the ROC curve; equal scores count half. NaN where one class is missing."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = labels == 1
    positives = int(positive.sum())
    pairs = positives * (len(labels) - positives)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / pairs) if pairs else float("nan")


def _binary(
    predictor: Predictor, scores: np.ndarray, labels: np.ndarray, given: Hyperparameters
) -> dict[str, float]:
    said, truth = scores >= np.float32(predictor.threshold), labels == 1
    hits = float((said & truth).sum())
    precision = hits / max(float(said.sum()), 1.0)
    recall = hits / max(float(truth.sum()), 1.0)
    return {
        "binary_classification_accuracy": float((said == truth).mean()),
        f"binary_f_{given.f_beta:.3f}": float(f_beta(np.array(precision), np.array(recall), given.f_beta)),
        "precision": precision,
        "recall": recall,
        "roc_auc_score": area(scores, labels),
    }


def _multiclass(scores: np.ndarray, labels: np.ndarray, given: Hyperparameters) -> dict[str, float]:
    examples = np.arange(len(labels))
    # The place of the true class among the scores, from 1.
    ranks = (scores > scores[examples, labels][:, None]).sum(axis=1) + 1
    said = scores.argmax(axis=1)
    confused = np.zeros((scores.shape[1], scores.shape[1]))
    np.add.at(confused, (labels, said), 1)
    right = np.diag(confused)
    precision = right / np.maximum(confused.sum(axis=0), 1)
    recall = right / np.maximum(confused.sum(axis=1), 1)
    return {
        "multiclass_accuracy": float((said == labels).mean()),
        f"multiclass_top_k_accuracy_{given.accuracy_top_k}": float((ranks <= given.accuracy_top_k).mean()),
        "dcg": float((1 / np.log2(ranks + 1)).mean()),
        "macro_recall": float(recall.mean()),
        "macro_precision": float(precision.mean()),
        f"macro_f_{given.f_beta:.3f}": float(f_beta(precision, recall, given.f_beta).mean()),
    }
