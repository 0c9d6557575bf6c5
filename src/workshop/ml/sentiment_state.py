"""Where the training of a sentiment network stands: the members that are done, the one that learns, its best weights.

Try it:  ls runs/*/checkpoints/state.npz
Knows what a Keras model's variables are, and nothing of texts or layouts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError
from workshop.ml import saved_state

Metrics = dict[str, float]


class State:
    """Where training stands: what was learned of finished members, of this one so far, and at its best.

    One network learns all members in turn, because making it ready to learn takes longer than a short training.
    """

    def __init__(self, plan: dict[str, Any], folder: Path | None, network: Any) -> None:
        self.plan, self.folder, self.network = plan, folder, network
        self.first_optimiser = [np.asarray(value) for value in network.optimizer.variables]
        self.finished: list[list[np.ndarray]] = []
        self.best: list[np.ndarray] = []
        self.best_accuracy, self.worse, self.member_epoch = 0.0, 0, 0
        self.epochs: list[Metrics] = []

    def begin_member(self, first: Any) -> None:
        """Take the first weights of a new member, and forget what the optimiser knows of the last."""
        assign(self.network.variables, [np.asarray(value) for value in first.variables])
        assign(self.network.optimizer.variables, self.first_optimiser)

    def note(self, metrics: Metrics, num_epochs: int, patience: int, watched: int) -> None:
        """Take an epoch's metrics: keep the weights if they are the best, and end with the member when it is done.

        Of two epochs that differ by no more than chance, one standard error, the later counts as the better: its
        steps were smaller, and the few texts that are watched can't tell them apart.
        """
        self.epochs.append(metrics)
        self.member_epoch += 1
        accuracy, best = metrics["validation_accuracy"], self.best_accuracy
        chance = math.sqrt(max(best * (1 - best), 0) / watched)
        if patience == 0 or accuracy >= best - chance:
            self.best_accuracy, self.worse = max(accuracy, best), 0
            self.best = self.network.get_weights()
        else:
            self.worse += 1
        if self.member_epoch >= num_epochs or self.worse > patience > 0:
            self.finished.append(self.best)
            self.best_accuracy, self.best, self.worse, self.member_epoch = 0.0, [], 0, 0

    def save(self) -> None:
        if self.folder is None:
            return
        groups = {"now": self.network.variables, "best": self.best}
        groups |= {f"member{number}": weights for number, weights in enumerate(self.finished)}
        weights = {
            f"{name}/{index}": np.asarray(value)
            for name, values in groups.items()
            for index, value in enumerate(values)
        }
        optimiser = {
            str(index): np.asarray(value) for index, value in enumerate(self.network.optimizer.variables)
        }
        header = {
            name: getattr(self, name) for name in ("plan", "member_epoch", "worse", "best_accuracy", "epochs")
        }
        header |= {"finished": len(self.finished)}
        saved_state.write(self.folder, saved_state.SavedState(weights, optimiser, header))

    def restore(self) -> None:
        """Go on from the state in the folder, if there is one."""
        found = None if self.folder is None else saved_state.read(self.folder)
        if found is None:
            return
        before = found.header.get("plan", {})
        differences = [
            f"{name} was {before.get(name)}, now {wanted}"
            for name, wanted in self.plan.items()
            if before.get(name) != wanted
        ]
        if differences:
            raise DataError(
                f"the state in {self.folder} is of another run: {'; '.join(differences)}",
                "train into another folder",
            )

        def group(name: str) -> list[np.ndarray]:
            count = sum(key.startswith(f"{name}/") for key in found.weights)
            return [found.weights[f"{name}/{index}"] for index in range(count)]

        self.finished = [group(f"member{number}") for number in range(found.header["finished"])]
        self.best, self.best_accuracy = group("best"), found.header["best_accuracy"]
        self.worse, self.member_epoch = found.header["worse"], found.header["member_epoch"]
        self.epochs = found.header["epochs"]
        assign(self.network.variables, group("now"))
        assign(
            self.network.optimizer.variables, [found.optimiser[str(i)] for i in range(len(found.optimiser))]
        )


def assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
