"""The training loop, the same for every framework: schedule, epochs, saved states, progress.

Try it:  python benchmarks/accuracy.py --framework keras --profile quick
Knows no framework: a Learner takes one step, and says and takes back what it has learned. With the same seed
every framework sees the same first weights and the same pictures in the same order, and so do the workers of a
group together. Nor does it know how those reach each other: it is given an exchange, and a learner that uses it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workshop.errors import DataError
from workshop.ml import augmentation, inference, saved_state
from workshop.ml.architecture import Architecture
from workshop.ml.exchange import Exchange, agree, level
from workshop.ml.group import Group, note_epoch
from workshop.ml.pictures import Pictures

LABEL_SMOOTHING = 0.1  # share of the target that is spread over all classes
MOMENTUM = 0.9
WARM_UP_SHARE = 0.2  # of all steps, while the learning rate climbs

Metrics = dict[str, float]
OnEpoch = Callable[[int, Metrics], None]
OnBatch = Callable[[int, int, int], None]


class Learner(Protocol):
    """One framework's network with its optimiser. Weights have the names and shapes of `architecture`."""

    framework: str
    network: Any

    def learn(self, images: np.ndarray, targets: np.ndarray, learning_rate: float) -> tuple[float, float]:
        """Take one step; images float32 (B, side, side, 3), targets float32 (B, classes).

        In a group these are this worker's share of the batch, and the step is the whole group's.
        Returns: mean loss in nats a picture, share of pictures classified rightly before the step; in a group
        those of the whole batch, so that every worker stops at the same step if the loss is not finite.
        """

    def logits(self, images: np.ndarray) -> np.ndarray: ...
    def weights(self) -> dict[str, np.ndarray]: ...
    def set_weights(self, weights: dict[str, np.ndarray]) -> None: ...
    def optimiser_state(self) -> dict[str, np.ndarray]: ...
    def set_optimiser_state(self, state: dict[str, np.ndarray]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """Everything that the result depends on beside the code; a run resumes only under the same plan."""

    num_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    width: int
    data: str  # fingerprint of the training pictures


@dataclass
class History:
    """epochs: one row of metrics an epoch, in order; network: the trained network of its framework."""

    epochs: list[Metrics] = field(default_factory=list)
    network: Any = None
    framework: str = ""

    @property
    def last(self) -> Metrics:
        return self.epochs[-1]


def learning_rate_at(step: int, num_steps: int, highest: float) -> float:
    """One cycle: a straight climb to `highest`, then half a cosine down to 0."""
    climb = max(1, round(WARM_UP_SHARE * num_steps))
    if step < climb:
        return highest * (step + 1) / climb
    return highest * 0.5 * (1 + math.cos(math.pi * (step - climb) / max(1, num_steps - climb)))


def smooth_targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """One-hot rows with a little certainty given away (Szegedy et al. 2015): float32 (B, classes)."""
    certain = np.eye(num_classes, dtype=np.float32)[labels]
    return certain * np.float32(1 - LABEL_SMOOTHING) + np.float32(LABEL_SMOOTHING / num_classes)


def progress_line(epoch: int, num_epochs: int, metrics: Metrics) -> str:
    """One line of a log: `epoch 2/6 loss 1.31 accuracy 0.52 val 0.50 11 s`."""
    held_out = f" val {metrics['validation_accuracy']:.2f}" if "validation_accuracy" in metrics else ""
    return (
        f"epoch {epoch}/{num_epochs} loss {metrics['loss']:.2f} accuracy {metrics['accuracy']:.2f}"
        f"{held_out} {metrics['seconds']:.0f} s"
    )


def fit(
    make_learner: Callable[[Architecture, float], Learner],
    train: Pictures,
    validation: Pictures | None,
    plan: Plan,
    save_dir: Path | None,
    resume: bool,
    on_epoch: OnEpoch | None,
    on_batch: OnBatch | None,
    clock: Callable[[], float] = time.monotonic,
    exchange: Exchange | None = None,
) -> History:
    """Train a network; after each epoch save its state, then call on_epoch(epoch, metrics).

    In a group worker 0 alone scores the validation pictures, saves and reads states; each worker notes its epochs
    beside `save_dir`. How many workers there were is no part of a state: it resumes with any number.
    Errors: DataError if the pictures don't fill a batch, if `resume` finds the state of another plan, or if the
    workers of a group have other plans or come to other weights.
    """
    exchange = exchange or Exchange()
    group = exchange.group
    _check(train, validation, plan)
    group.share(plan.batch_size)  # refuses more workers than pictures in a batch
    architecture = Architecture(len(train.classes), plan.width)
    learner = make_learner(architecture, plan.weight_decay)
    history = History(network=learner.network, framework=learner.framework)
    _start(learner, architecture, plan, save_dir if resume else None, history, exchange)
    for epoch in range(len(history.epochs) + 1, plan.num_epochs + 1):
        started = clock()
        metrics = _run_epoch(learner, train, plan, epoch, on_batch, group)
        weights_sha256 = level(exchange, learner, epoch)
        if validation is not None and group.leads:
            probabilities = inference.predict(learner.logits, validation.images, mirrored=False)
            metrics["validation_accuracy"] = float(np.mean(probabilities.argmax(1) == validation.labels))
        metrics["seconds"] = clock() - started
        history.epochs.append(metrics)
        if save_dir is not None:
            _keep(save_dir, learner, plan, history, group, weights_sha256)
        if on_epoch is not None:
            on_epoch(epoch, metrics)
    return history


def _keep(
    save_dir: Path, learner: Learner, plan: Plan, history: History, group: Group, weights_sha256: str
) -> None:
    """Save the state after an epoch, as the one who leads, and note the epoch, as one of several."""
    if group.leads:
        header = {"plan": asdict(plan), "framework": learner.framework, "epochs": history.epochs}
        state = saved_state.SavedState(learner.weights(), learner.optimiser_state(), header)
        saved_state.write(save_dir, state)
    if not group.is_alone:
        line = {"epoch": len(history.epochs), "weights_sha256": weights_sha256, "loss": history.last["loss"]}
        note_epoch(save_dir.parent, group, {**line, "seconds": round(history.last["seconds"], 3)})


def _check(train: Pictures, validation: Pictures | None, plan: Plan) -> None:
    if len(train) < plan.batch_size:
        raise DataError(
            f"{len(train)} training pictures don't fill one batch of {plan.batch_size}",
            f"set batch_size to {max(1, len(train) // 4)} or less",
        )
    if validation is not None and validation.classes != train.classes:
        raise DataError(f"validation has classes {validation.classes}, training {train.classes}")
    if plan.num_epochs < 1 or plan.batch_size < 1 or not 0 < plan.learning_rate < 100:
        raise DataError(
            f"can't train {plan.num_epochs} epochs in batches of {plan.batch_size} "
            f"with a learning rate of {plan.learning_rate}",
            "give positive numbers",
        )


def _start(
    learner: Learner,
    architecture: Architecture,
    plan: Plan,
    resume_from: Path | None,
    history: History,
    exchange: Exchange,
) -> None:
    agree(exchange, {**asdict(plan), "resumes": resume_from is not None})
    state = _state(exchange, resume_from)
    if state is None:
        learner.set_weights(architecture.first_weights(plan.seed))
        return
    found = {**state.header.get("plan", {}), "framework": state.header.get("framework")}
    wanted = {**asdict(plan), "framework": learner.framework}
    differences = [
        f"{name} was {found.get(name)}, now {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    ]
    if differences:
        raise DataError(
            f"the state in {resume_from} is of another run: {'; '.join(differences)}",
            "train without resume, or into another folder",
        )
    learner.set_weights(state.weights)
    learner.set_optimiser_state(state.optimiser)
    history.epochs.extend(state.header["epochs"])


def _state(exchange: Exchange, folder: Path | None) -> saved_state.SavedState | None:
    """Read the state that worker 0 finds in the folder; the others get its content, so all go on alike."""
    if folder is None:
        return None
    content = saved_state.content(folder) if exchange.group.leads else b""
    return saved_state.parse(exchange.broadcast(content), folder)


def _run_epoch(
    learner: Learner, train: Pictures, plan: Plan, epoch: int, on_batch: OnBatch | None, group: Group
) -> Metrics:
    per_epoch = len(train) // plan.batch_size
    loss_sum, accuracy_sum = 0.0, 0.0
    rows: Iterator = augmentation.batches(
        train.images, train.labels, plan.batch_size, plan.seed, epoch, group
    )
    for index, (images, labels) in enumerate(rows):
        rate = learning_rate_at(
            (epoch - 1) * per_epoch + index, plan.num_epochs * per_epoch, plan.learning_rate
        )
        targets = smooth_targets(labels, len(train.classes))
        loss, accuracy = learner.learn(images, targets, rate)
        if not math.isfinite(loss):
            raise DataError(
                f"the loss became {loss} in epoch {epoch}, batch {index + 1}",
                f"use a learning rate below {plan.learning_rate}",
            )
        loss_sum += loss
        accuracy_sum += accuracy
        if on_batch is not None:
            on_batch(epoch, index + 1, per_epoch)
    return {
        "loss": loss_sum / per_epoch,
        "accuracy": accuracy_sum / per_epoch,
        "learning_rate": rate,
    }
