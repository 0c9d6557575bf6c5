"""Choose among the trained models, and know when training no longer helps.

Try it:  python -c "from linearlearner.choice import Patience; help(Patience)"
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_how-it-works.html: a two-class model is chosen by
binary_classifier_model_selection_criteria, each at the threshold that suits it best; every other by its loss. The
validation channel decides; without one, the training data.
"""

from dataclasses import dataclass

import numpy as np

from linearlearner import thresholds
from linearlearner.channels import Rows
from linearlearner.hyperparameters import BINARY, Hyperparameters
from linearlearner.learning import SCORED_ROWS, Learner
from linearlearner.predictor import Predictor, natural_threshold
from linearlearner.scaling import Scaler

LOSS = "loss_function"


@dataclass(frozen=True)
class Choice:
    """model: its number; predictor: the model itself; value: of the criterion, or its loss."""

    model: int
    predictor: Predictor
    value: float


def criterion(given: Hyperparameters, has_validation: bool) -> str:
    """What early stopping looks at: a criterion that was given, if there is validation data; else the loss."""
    chosen = given.binary_classifier_model_selection_criteria or LOSS
    return chosen if given.predictor_type == BINARY and has_validation else LOSS


def sampled(learner: Learner, rows: Rows, losses: np.ndarray, given: Hyperparameters) -> float:
    """The best value of the criterion that any model reaches on a sample: scaled features, labels as they are."""
    part = slice(0, min(given.num_calibration_samples or SCORED_ROWS, SCORED_ROWS))
    outputs, labels = learner.outputs(rows.features[part])[..., 0], rows.labels[part]
    return max(
        (thresholds.best(outputs[:, model], labels, given)[1] for model in usable(losses)), default=-np.inf
    )


def usable(losses: np.ndarray) -> list[int]:
    """The models that did not diverge, best loss first."""
    finite = np.flatnonzero(np.isfinite(losses))
    return [int(model) for model in finite[np.argsort(losses[finite], kind="stable")]]


def choose(
    weights: np.ndarray,
    bias: np.ndarray,
    scaler: Scaler,
    rows: Rows,
    losses: np.ndarray,
    given: Hyperparameters,
) -> Choice:
    """The best model. weights (D, M x C), bias (M x C,); rows unscaled; losses: of each model, (M,)."""
    predictors = _predictors(*scaler.unscaled(weights, bias), given)
    candidates = usable(losses)
    by_loss = candidates[0]
    if given.predictor_type != BINARY:
        return Choice(by_loss, predictors[by_loss], float(losses[by_loss]))
    if given.criteria == LOSS:
        return Choice(by_loss, predictors[by_loss], float(losses[by_loss]))
    part = slice(0, given.num_calibration_samples or len(rows))
    features, labels = rows.features[part], rows.labels[part]
    # One model at a time: all scores together would be as large as the data.
    found = {
        model: thresholds.best(predictors[model].scores(features), labels, given) for model in candidates
    }
    best = max(candidates, key=lambda model: found[model][1])  # of equals the first: the one of less loss
    threshold, value = found[best]
    return Choice(best, Predictor(**{**vars(predictors[best]), "threshold": threshold}), value)


def _predictors(weights: np.ndarray, bias: np.ndarray, given: Hyperparameters) -> list[Predictor]:
    loss, classes = given.chosen_loss, given.classes
    return [
        Predictor(
            np.ascontiguousarray(weights[:, column : column + classes]),
            bias[column : column + classes],
            given.predictor_type,
            loss,
            natural_threshold(loss),
        )
        for column in range(0, weights.shape[1], classes)
    ]


class Patience:
    """Early stopping: ends after early_stopping_patience epochs without an improvement that counts."""

    def __init__(self, given: Hyperparameters, smaller_is_better: bool) -> None:
        self._given = given
        self._sign = -1.0 if smaller_is_better else 1.0
        self._best = -np.inf
        self._counted = -np.inf
        self.epochs_without = 0

    def is_best(self, value: float) -> bool:
        """Take the value of an epoch; whether no epoch before was as good."""
        signed = self._sign * value
        better = signed > self._best
        self._best = max(self._best, signed)
        # "If the ratio of the improvement divided by the previous best is smaller than the tolerance, it is zero."
        needed = self._given.early_stopping_tolerance * abs(self._counted)
        if not np.isfinite(self._counted) or signed - self._counted > needed:
            self._counted, self.epochs_without = signed, 0
        else:
            self.epochs_without += 1
        return better

    @property
    def is_over(self) -> bool:
        return self.epochs_without >= self._given.early_stopping_patience
