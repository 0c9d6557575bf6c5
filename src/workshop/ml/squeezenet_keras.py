"""SqueezeNet in Keras 3, from the table of layers in `squeezenet`.

Try it:  workshop run classify-images -p framework=keras
Loaded by `squeezenet.keras_network`, after the framework's settings are made. Runs on any backend of Keras.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from workshop.ml.squeezenet import FIRES, SIDE, kernel_shapes


def _convolution(x, name: str, **options):
    out, _, height, _ = kernel_shapes()[name]
    return layers.Conv2D(out, height, activation="relu", name=name.replace("/", "_"), **options)(x)


class SqueezeNet:
    """features: (N, 512), probabilities: (N, 1000), both for prepared pictures (N, 3, 227, 227)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        prepared = keras.Input((SIDE, SIDE, 3), name="prepared")
        x = layers.MaxPooling2D(3, 2)(_convolution(prepared, "conv1", strides=2))
        for fire in FIRES:
            x = _convolution(x, f"{fire.name}/squeeze1x1")
            wide = _convolution(x, f"{fire.name}/expand3x3", padding="same")
            x = layers.Concatenate()([_convolution(x, f"{fire.name}/expand1x1"), wide])
            if fire.pool_after:
                x = layers.MaxPooling2D(3, 2)(x)
        features = layers.GlobalAveragePooling2D()(x)
        x = _convolution(layers.ZeroPadding2D(1)(x), "conv10")  # the published network pads here too
        x = layers.Softmax()(layers.GlobalAveragePooling2D()(x))
        self._features = keras.Model(prepared, features)
        self._probabilities = keras.Model(prepared, x)
        for name in kernel_shapes():
            kernel = weights[f"{name}/kernel"].transpose(2, 3, 1, 0)
            layer = self._probabilities.get_layer(name.replace("/", "_"))
            layer.set_weights([kernel, weights[f"{name}/bias"]])

    def features(self, prepared: np.ndarray) -> np.ndarray:
        return np.asarray(self._features.predict_on_batch(prepared.transpose(0, 2, 3, 1)))

    def probabilities(self, prepared: np.ndarray) -> np.ndarray:
        return np.asarray(self._probabilities.predict_on_batch(prepared.transpose(0, 2, 3, 1)))
