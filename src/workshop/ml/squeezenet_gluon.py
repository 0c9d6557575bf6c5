"""SqueezeNet in MXNet's Gluon, from the table of layers in `squeezenet`.

Try it:  workshop run classify-images -p framework=mxnet
Loaded by `squeezenet.gluon_network`, after the framework's settings are made.
"""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from workshop.ml.gluon_learner import device
from workshop.ml.squeezenet import FIRES, Fire, kernel_shapes


def _convolution(name: str, **options: int) -> nn.Conv2D:
    out, before, height, _ = kernel_shapes()[name]
    return nn.Conv2D(out, height, in_channels=before, activation="relu", **options)


class FireBlock(HybridBlock):
    """Squeeze, then expand by 1x1 and 3x3 kernels, joined along the channels."""

    def __init__(self, fire: Fire) -> None:
        super().__init__()
        self.squeeze1x1 = _convolution(f"{fire.name}/squeeze1x1")
        self.expand1x1 = _convolution(f"{fire.name}/expand1x1")
        self.expand3x3 = _convolution(f"{fire.name}/expand3x3", padding=1)

    def hybrid_forward(self, F, x):
        squeezed = self.squeeze1x1(x)
        return F.concat(self.expand1x1(squeezed), self.expand3x3(squeezed), dim=1)


class SqueezeNet:
    """features: (N, 512), probabilities: (N, 1000), both for prepared pictures (N, 3, 227, 227)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self._body, self._head = nn.HybridSequential(), nn.HybridSequential()
        layers = {"conv1": _convolution("conv1", strides=2), "conv10": _convolution("conv10", padding=1)}
        self._body.add(layers["conv1"], nn.MaxPool2D(3, 2))
        for fire in FIRES:
            block = FireBlock(fire)
            for part in ("squeeze1x1", "expand1x1", "expand3x3"):
                layers[f"{fire.name}/{part}"] = getattr(block, part)
            self._body.add(block)
            if fire.pool_after:
                self._body.add(nn.MaxPool2D(3, 2))
        self._head.add(layers["conv10"], nn.GlobalAvgPool2D(), nn.Flatten())
        for part in (self._body, self._head):
            part.initialize(ctx=device())
            part.hybridize()
        for name, layer in layers.items():
            layer.weight.set_data(mx.nd.array(weights[f"{name}/kernel"]))
            layer.bias.set_data(mx.nd.array(weights[f"{name}/bias"]))

    def features(self, prepared: np.ndarray) -> np.ndarray:
        return self._maps(prepared).mean(axis=(2, 3)).asnumpy()

    def probabilities(self, prepared: np.ndarray) -> np.ndarray:
        return mx.nd.softmax(self._head(self._maps(prepared))).asnumpy()

    def _maps(self, prepared: np.ndarray) -> mx.nd.NDArray:
        return self._body(mx.nd.array(prepared, ctx=device()))
