"""Train all candidates together: one pass over the mini-batches moves every model.

Try it:  .venvs/linear-learner/bin/python -m linearlearner train      (with SAGEMAKER_BASE_DIR set)
Knows nothing of files, log lines or thresholds. The weights of M models with C outputs lie side by side in one array
(D, M x C), so that one matrix product serves all. Rows are taken in their order, and the start is drawn with a fixed
seed: the same rows and hyperparameters give the same weights.
"""

from collections.abc import Callable, Sequence

import numpy as np

from linearlearner import candidates
from linearlearner.candidates import Candidate
from linearlearner.channels import Rows
from linearlearner.hyperparameters import MULTICLASS, Hyperparameters
from linearlearner.losses import LOSSES
from linearlearner.optimizers import OPTIMIZERS

SEED = 0
SCORED_ROWS = 16_384  # how many rows are scored at once: bounds the memory of a large validation channel


class Learner:
    """M models in training. weights: float32 (D, M x C); bias: float32 (M x C,)."""

    def __init__(self, tried: Sequence[Candidate], dimensions: int, given: Hyperparameters) -> None:
        self.models, self.classes = len(tried), given.classes
        self._given = given
        columns = self.models * self.classes
        draw = np.random.default_rng(SEED)
        if given.init_method == "uniform":
            started = draw.uniform(-given.init_scale, given.init_scale, (dimensions, columns))
        else:
            started = draw.normal(0, given.init_sigma, (dimensions, columns))
        self.weights = started.astype(np.float32)
        self.bias = np.full(columns, given.init_bias if given.use_bias else 0.0, dtype=np.float32)
        self._loss = LOSSES[given.chosen_loss]
        optimizer = OPTIMIZERS[candidates.optimizer(given)]
        self._of_weights = optimizer(self.weights.shape, given)
        self._of_bias = optimizer(self.bias.shape, given)
        self._rates = self._each([each.learning_rate for each in tried])
        self._decays = self._each([each.wd for each in tried])
        self._l1s = self._each([each.l1 for each in tried])
        self._positive = np.array([each.positive_weight for each in tried], dtype=np.float32)
        self._class_weights: np.ndarray | None = None
        self._steps = 0

    def balance(self, labels: np.ndarray) -> None:
        """Let every class weigh the same: balance_multiclass_weights."""
        counts = np.maximum(np.bincount(labels.astype(np.int64), minlength=self.classes), 1)
        self._class_weights = (len(labels) / (self.classes * counts)).astype(np.float32)

    def epoch(self, rows: Rows, stopped: Callable[[], bool]) -> tuple[np.ndarray, int]:
        """One pass. Returns: mean loss of each model over what was seen (M,), and how many rows that were."""
        with np.errstate(over="ignore", invalid="ignore"):  # a model that diverges is left out at the choice
            return self._pass(rows, stopped)

    def _pass(self, rows: Rows, stopped: Callable[[], bool]) -> tuple[np.ndarray, int]:
        total, seen = np.zeros(self.models), 0
        size = self._given.mini_batch_size
        for start in range(0, len(rows), size):
            if stopped():
                break
            features, labels = rows.features[start : start + size], rows.labels[start : start + size]
            total += self._learn(features, labels)
            seen += len(labels)
        return total / max(seen, 1), seen

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """float32 (B, M, C)."""
        return (features @ self.weights + self.bias).reshape(len(features), self.models, self.classes)

    def mean_loss(self, rows: Rows, label_mean: float = 0.0, label_scale: float = 1.0) -> np.ndarray:
        """Mean loss of each model, (M,), every example weighing the same; of outputs in the labels' own unit."""
        total = np.zeros(self.models)
        for start in range(0, len(rows), SCORED_ROWS):
            part = slice(start, start + SCORED_ROWS)
            outputs = self.outputs(rows.features[part]) * np.float32(label_scale) + np.float32(label_mean)
            values, _ = self._loss(outputs, rows.labels[part], self._given)
            total += values.sum(axis=0, dtype=np.float64)
        return total / len(rows)

    def rate(self) -> np.ndarray:
        """The learning rate of each column now, by the schedule."""
        given = self._given
        if not given.use_lr_scheduler:
            return self._rates
        factor = given.lr_scheduler_factor or candidates.SCHEDULER_FACTOR
        lowest = given.lr_scheduler_minimum_lr or candidates.SCHEDULER_MINIMUM
        times = self._steps // (given.lr_scheduler_step or candidates.SCHEDULER_STEP)
        return np.maximum(
            self._rates * np.float32(factor**times), np.minimum(self._rates, np.float32(lowest))
        )

    def _learn(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """One step. Returns: the sum of the losses before it, (M,)."""
        values, slopes = self._loss(self.outputs(features), labels, self._given)
        importance = self._importance(labels)
        if importance is not None:
            values, slopes = values * importance, slopes * importance[..., None]
        flat = slopes.reshape(len(labels), -1) / np.float32(len(labels))
        rates = self.rate()
        self._steps += 1
        self._of_weights.step(self.weights, features.T @ flat + self._decays * self.weights, rates)
        # The step that makes weights exactly 0: what l1 is for.
        shrunk = np.maximum(np.abs(self.weights) - rates * self._l1s, 0)
        np.copysign(shrunk, self.weights, out=self.weights)
        if self._given.use_bias:
            decay = (self._given.bias_wd_mult or 0.0) * self._decays
            bias_rates = rates * np.float32(self._given.bias_lr_mult or 1.0)
            self._of_bias.step(self.bias, flat.sum(axis=0) + decay * self.bias, bias_rates)
        return values.sum(axis=0, dtype=np.float64)

    def _importance(self, labels: np.ndarray) -> np.ndarray | None:
        """The weight of each example for each model, (B, M); None if all weigh 1."""
        if self._class_weights is not None:
            return self._class_weights[labels.astype(np.int64)][:, None]
        if self._given.predictor_type == MULTICLASS or (self._positive == 1).all():
            return None
        return np.where(labels[:, None] == 1, self._positive, np.float32(1))

    def _each(self, values: Sequence[float]) -> np.ndarray:
        """One value a model, repeated for its classes."""
        return np.repeat(np.array(values, dtype=np.float32), self.classes)
