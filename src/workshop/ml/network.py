"""Train, use, save and load our network, the same in MXNet (`gluon`) and in Keras (`keras`).

Try it:  python benchmarks/accuracy.py --framework keras --profile quick
Knows no AWS and no notebooks. Importing this module loads no framework; the first call of a function does, and needs
the framework's environment.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from workshop.ml import artefact, frameworks, inference, training
from workshop.ml.architecture import Architecture, from_weights
from workshop.ml.exchange import PATIENCE_SECONDS
from workshop.ml.group import ALONE, Group
from workshop.ml.pictures import Pictures
from workshop.ml.profiles import PROFILES


@dataclass(frozen=True)
class Framework:
    """What can be done with our network in one framework.

    name: as artefacts record it; library: loads the framework; learner_module: its own code in this package;
    group_module: the same for the workers of a group.
    """

    name: str
    library: Callable[[], ModuleType]
    learner_module: str
    group_module: str

    def build(self, num_classes: int, width: int = PROFILES["full"].width, seed: int = 0) -> Any:
        """Make an untrained network."""
        module, architecture = self._learner(), Architecture(num_classes, width)
        net = module.network(architecture)
        module.set_weights(net, architecture.first_weights(seed))
        return net

    def train(
        self,
        train: Pictures,
        validation: Pictures | None,
        num_epochs: int,
        batch_size: int,
        learning_rate: float,
        seed: int = 0,
        save_dir: str | Path | None = None,
        resume: bool = False,
        on_epoch: training.OnEpoch | None = None,
        *,
        width: int = PROFILES["full"].width,
        weight_decay: float = PROFILES["full"].weight_decay,
        on_batch: training.OnBatch | None = None,
        group: Group = ALONE,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> training.History:
        """Train from the first weights; the result's `network` is the trained network.

        group: with whom; batch_size is the whole group's, and every worker calls this with the same arguments.
        patience_seconds: how long to wait for the others' part of a step.
        """
        plan = training.Plan(
            num_epochs, batch_size, learning_rate, weight_decay, seed, width, train.fingerprint()
        )
        place = None if save_dir is None else Path(save_dir)
        make = self._learner().PictureLearner
        if group.is_alone:
            return training.fit(make, train, validation, plan, place, resume, on_epoch, on_batch)
        together = importlib.import_module(f"workshop.ml.{self.group_module}")
        with together.join(group, patience_seconds=patience_seconds) as exchange:
            make = partial(together.PictureLearner, exchange)
            return training.fit(
                make, train, validation, plan, place, resume, on_epoch, on_batch, exchange=exchange
            )

    def predict(self, net: Any, images: np.ndarray, mirrored: bool = True) -> np.ndarray:
        """Classify uint8 pictures (N, side, side, 3): probabilities (N, classes)."""
        module = self._learner()
        return inference.predict(lambda batch: module.logits(net, batch), images, mirrored)

    def save(
        self, net: Any, folder: str | Path, metadata: dict[str, Any], half_precision: bool = False
    ) -> Path:
        """Write the network as an artefact; `metadata` needs at least `classes`."""
        versions = {self.name: self.library().__version__, **metadata.get("versions", {})}
        description = {"framework": self.name, **metadata, "versions": versions}
        return artefact.write(folder, self._learner().weights(net), description, half_precision)

    def load(self, folder: str | Path) -> Any:
        """Make the network of an artefact, whichever framework trained it."""
        weights, _ = artefact.read(folder)
        module = self._learner()
        net = module.network(from_weights(weights))
        module.set_weights(net, weights)
        return net

    def _learner(self) -> ModuleType:
        self.library()  # makes the framework's settings before our code of it is loaded
        return importlib.import_module(f"workshop.ml.{self.learner_module}")


gluon = Framework("mxnet", frameworks.mxnet, "gluon_learner", "gluon_group")
keras = Framework("keras", frameworks.keras, "keras_learner", "keras_group")
