"""Pass over the training data until the epochs are over, nothing improves, or training is told to stop.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml .venvs/linear-learner/bin/python -m linearlearner train
After each epoch it writes what the built-in algorithm writes: every model's loss as JSON, and that of the first model,
the one of the given parameters, as a metric.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from linearlearner import choice
from linearlearner.candidates import Candidate
from linearlearner.channels import Rows
from linearlearner.hyperparameters import Hyperparameters
from linearlearner.learning import Learner
from linearlearner.log_lines import Log
from linearlearner.losses import objective
from linearlearner.scaling import Scaler


@dataclass(frozen=True)
class Best:
    """All models after the best epoch so far. losses: of each on the deciding channel, (M,)."""

    weights: np.ndarray
    bias: np.ndarray
    losses: np.ndarray


class Epochs:
    """The training of all candidates, epoch by epoch."""

    def __init__(
        self,
        data: Mapping[str, Rows],
        scaler: Scaler,
        tried: Sequence[Candidate],
        given: Hyperparameters,
        log: Log,
    ) -> None:
        self._given, self._log, self._scaler = given, log, scaler
        self._rows = Rows(scaler.features(data["train"].features), scaler.labels(data["train"].labels))
        held_out = data.get("validation")
        # Labels stay as they are: a validation loss is in their own unit.
        self._held_out = Rows(scaler.features(held_out.features), held_out.labels) if held_out else None
        self._learner = Learner(tried, self._rows.features.shape[1], given)
        if given.balance_multiclass_weights and given.classes > 1:
            self._learner.balance(self._rows.labels)
        self._name = objective(given.chosen_loss)
        self._criterion = choice.criterion(given, held_out is not None)
        self._patience = choice.Patience(given, smaller_is_better=self._criterion == choice.LOSS)
        self._best: Best | None = None

    def run(self, stopped: Callable[[], bool]) -> Best | None:
        """Train; None if it was stopped before the first mini-batch."""
        began, seen_in_all = time.perf_counter(), 0
        for epoch in range(self._given.epochs):
            if stopped():
                break
            seen = self._epoch(epoch, stopped)
            seen_in_all += seen
            if not seen:
                break
            if self._patience.is_over:
                self._log.info("Early stop condition met. Stopping training.")
                self._log.progress(100)
                break
            self._log.progress(100 * (epoch + 1) / self._given.epochs)
        if stopped():
            self._log.info("Told to stop. Keeping the best model so far, if there is one.", "WARNING")
        self._log.throughput(seen_in_all / max(time.perf_counter() - began, 1e-9))
        return self._best

    def _epoch(self, epoch: int, stopped: Callable[[], bool]) -> int:
        """One epoch and what is said of it. Returns: how many rows were seen."""
        began = time.time()
        losses, seen = self._learner.epoch(self._rows, stopped)
        if not seen:
            return 0
        self._report("train", losses, epoch, began)
        if self._held_out:
            unit = (self._scaler.label_mean, self._scaler.label_scale)
            losses = self._learner.mean_loss(self._held_out, *unit)
            self._report("validation", losses, epoch, began)
        value = self._value(losses)
        sampled = "" if self._criterion == choice.LOSS else "sampled_"
        self._log.stopping(epoch, self._name if not sampled else sampled + self._criterion, value)
        if self._patience.is_best(value):
            self._log.info(f"Epoch {epoch}: Loss improved. Updating best model")
            self._best = Best(self._learner.weights.copy(), self._learner.bias.copy(), losses)
        else:
            self._log.info(
                f"Epoch {epoch}: Loss has not improved for {self._patience.epochs_without} epochs."
            )
        return seen

    def _report(self, channel: str, losses: np.ndarray, epoch: int, began: float) -> None:
        self._log.models(f"{channel}_{self._name}", losses.tolist(), epoch, began)
        self._log.quality(channel, {self._name: float(losses[0])}, epoch)

    def _value(self, losses: np.ndarray) -> float:
        """What early stopping looks at: of the best model, whichever that is."""
        if self._held_out and self._criterion != choice.LOSS:
            return choice.sampled(self._learner, self._held_out, losses, self._given)
        finite = choice.usable(losses)
        return float(losses[finite[0]]) if finite else float("inf")
