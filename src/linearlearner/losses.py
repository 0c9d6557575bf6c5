"""The loss functions of Linear Learner: value and slope for many models at once.

Try it:  python -c "from linearlearner.losses import LOSSES; print(sorted(LOSSES))"
Shapes: outputs float32 (B, M, C), B examples, M models, C classes or 1; labels float32 (B,). A loss gives values
(B, M) and slopes (B, M, C), before any weight of the example.
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html: loss, margin, huber_delta,
loss_insensitivity, quantile.
"""

from collections.abc import Callable

import numpy as np

from linearlearner.hyperparameters import Hyperparameters

Loss = Callable[[np.ndarray, np.ndarray, Hyperparameters], tuple[np.ndarray, np.ndarray]]


def sigmoid(outputs: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * outputs))


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _logistic(
    outputs: np.ndarray, labels: np.ndarray, given: Hyperparameters
) -> tuple[np.ndarray, np.ndarray]:
    z, y = outputs[..., 0], labels[:, None]
    values = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return values, (sigmoid(z) - y)[..., None]


def _hinge(outputs: np.ndarray, labels: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    sign = (2 * labels - 1)[:, None]
    short = given.margin - sign * outputs[..., 0]
    return np.maximum(short, 0), np.where(short > 0, -sign, 0)[..., None]


def _softmax(
    outputs: np.ndarray, labels: np.ndarray, given: Hyperparameters
) -> tuple[np.ndarray, np.ndarray]:
    probabilities = softmax(outputs)
    examples, classes = np.arange(len(labels)), labels.astype(np.int64)
    slopes = probabilities.copy()
    slopes[examples, :, classes] -= 1
    values = -np.log(np.maximum(probabilities[examples, :, classes], np.finfo(np.float32).tiny))
    return values, slopes


def _of_error(
    function: Callable[[np.ndarray, Hyperparameters], tuple[np.ndarray, np.ndarray]],
) -> Loss:
    """A loss that depends on output minus label alone."""

    def loss(
        outputs: np.ndarray, labels: np.ndarray, given: Hyperparameters
    ) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = function(outputs[..., 0] - labels[:, None], given)
        return values, slopes[..., None]

    return loss


def _squared(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    return error**2, 2 * error


def _absolute(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    return np.abs(error), np.sign(error)


def _insensitive_squared(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    beyond = np.maximum(np.abs(error) - given.loss_insensitivity, 0)
    return beyond**2, 2 * beyond * np.sign(error)


def _insensitive_absolute(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    beyond = np.maximum(np.abs(error) - given.loss_insensitivity, 0)
    return beyond, np.where(beyond > 0, np.sign(error), 0)


def _quantile(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    # "The value of true_label is greater than the prediction with probability q": too low an output costs 1 - q.
    slopes = np.where(error < 0, given.quantile - 1, given.quantile).astype(error.dtype)
    return error * slopes, slopes


def _huber(error: np.ndarray, given: Hyperparameters) -> tuple[np.ndarray, np.ndarray]:
    size, delta = np.abs(error), given.huber_delta
    values = np.where(size < delta, 0.5 * error**2, delta * (size - 0.5 * delta))
    return values, np.clip(error, -delta, delta)


LOSSES: dict[str, Loss] = {
    "logistic": _logistic,
    "hinge_loss": _hinge,
    "softmax_loss": _softmax,
    "squared_loss": _of_error(_squared),
    "absolute_loss": _of_error(_absolute),
    "eps_insensitive_squared_loss": _of_error(_insensitive_squared),
    "eps_insensitive_absolute_loss": _of_error(_insensitive_absolute),
    "quantile_loss": _of_error(_quantile),
    "huber_loss": _of_error(_huber),
}
OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy_objective",
    "softmax_loss": "multiclass_cross_entropy_objective",
    "squared_loss": "mse_objective",
    "hinge_loss": "hinge_loss_objective",
    "absolute_loss": "absolute_loss_objective",
}
"""How the log names a loss: the first three as AWS does, the others by the same rule."""


def objective(loss: str) -> str:
    """The name of a loss in log lines."""
    return OBJECTIVES.get(loss, f"{loss}_objective")
