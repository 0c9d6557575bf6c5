"""Our network and its training step in Keras 3, with keras.ops and keras.layers alone.

Try it:  python -c "from workshop.ml.network import keras; keras.build(10).summary()"
Runs on any backend of Keras. Loaded by `network`, after the framework's settings are made.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from workshop.ml import architecture as shared
from workshop.ml.architecture import Architecture
from workshop.ml.training import MOMENTUM

PARTS = {  # which attribute of a layer holds which weight
    layers.Conv2D: {"kernel": "kernel"},
    layers.BatchNormalization: {
        "gamma": "gamma",
        "beta": "beta",
        "mean": "moving_mean",
        "variance": "moving_variance",
    },
    layers.Dense: {"kernel": "kernel", "bias": "bias"},
}


def _convolution(x, name: str, channels: int):
    """Convolution, normalisation, ReLU; the size stays."""
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(
        momentum=shared.NORM_MOMENTUM, epsilon=shared.NORM_EPSILON, name=f"{name}_norm"
    )(x)
    return layers.ReLU()(x)


def network(architecture: Architecture) -> keras.Model:
    """Build the network: pictures float32 (B, height, width, 3), normalised, to logits (B, classes)."""
    pictures = x = keras.Input((None, None, 3), name="pictures")
    for block in shared.BLOCKS:
        channels = block.multiple * architecture.width
        x = layers.MaxPooling2D()(_convolution(x, block.name, channels))
        if block.has_residual:
            y = _convolution(x, f"{block.name}_residual_1", channels)
            x = layers.Add()([x, _convolution(y, f"{block.name}_residual_2", channels)])
    x = layers.Rescaling(shared.HEAD_SCALE)(layers.GlobalMaxPooling2D()(x))
    return keras.Model(pictures, layers.Dense(architecture.num_classes, name="head")(x), name="cifar_net")


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Name every variable as `architecture` does."""
    table = {}
    for layer in model.layers:
        for part, attribute in PARTS.get(type(layer), {}).items():
            table[f"{layer.name.removesuffix('_norm')}/{part}"] = getattr(layer, attribute)
    return table


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Run the network on normalised pictures float32 (B, height, width, 3)."""
    return np.asarray(model.predict_on_batch(images))


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    return {name: keras.ops.convert_to_numpy(value).copy() for name, value in _variables(model).items()}


def set_weights(model: keras.Model, values: dict[str, np.ndarray]) -> None:
    for name, variable in _variables(model).items():
        variable.assign(values[name].astype(np.float32))


class PictureLearner:
    """The network with its optimiser: stochastic gradient descent with Nesterov's momentum."""

    framework = "keras"

    def __init__(self, architecture: Architecture, weight_decay: float) -> None:
        self.network = network(architecture)
        self._optimiser = keras.optimizers.SGD(
            learning_rate=0.1, momentum=MOMENTUM, nesterov=True, weight_decay=weight_decay
        )
        self._optimiser.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        self.network.compile(
            self._optimiser,
            keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        )

    def learn(self, images: np.ndarray, targets: np.ndarray, learning_rate: float) -> tuple[float, float]:
        self._optimiser.learning_rate = learning_rate
        result = self.network.train_on_batch(images, targets, return_dict=True)
        self.network.reset_metrics()  # otherwise the result is a mean since the first batch
        return float(result["loss"]), float(result["accuracy"])

    def logits(self, images: np.ndarray) -> np.ndarray:
        return logits(self.network, images)

    def weights(self) -> dict[str, np.ndarray]:
        return weights(self.network)

    def set_weights(self, values: dict[str, np.ndarray]) -> None:
        set_weights(self.network, values)
        self._optimiser.build(self.network.trainable_variables)

    def optimiser_state(self) -> dict[str, np.ndarray]:
        return {
            f"{index:03d}": keras.ops.convert_to_numpy(variable).copy()
            for index, variable in enumerate(self._optimiser.variables)
        }

    def set_optimiser_state(self, state: dict[str, np.ndarray]) -> None:
        for index, variable in enumerate(self._optimiser.variables):
            variable.assign(state[f"{index:03d}"])
