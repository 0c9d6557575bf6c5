"""Our network and its training step in MXNet's Gluon.

Try it:  python -c "from workshop.ml.network import gluon; print(gluon.build(10))"
Loaded by `network`, after the framework's settings are made. Uses a GPU where MXNet sees one.
"""

from __future__ import annotations

import mxnet as mx
import numpy as np
from mxnet import autograd
from mxnet.gluon import HybridBlock, loss, nn

from workshop.ml import architecture as shared
from workshop.ml.architecture import Architecture
from workshop.ml.training import MOMENTUM

PARTS = {  # which attribute of a layer holds which weight
    nn.Conv2D: {"kernel": "weight"},
    nn.BatchNorm: {"gamma": "gamma", "beta": "beta", "mean": "running_mean", "variance": "running_var"},
    nn.Dense: {"kernel": "weight", "bias": "bias"},
}
# MXNet's kernels are (out, in, height, width) and (out, in); ours (height, width, in, out) and (in, out).
TO_OURS = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
FROM_OURS = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}


class Convolution(nn.HybridSequential):
    """Convolution, normalisation, ReLU; the size stays."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        self.add(
            nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=before),
            nn.BatchNorm(momentum=shared.NORM_MOMENTUM, epsilon=shared.NORM_EPSILON, in_channels=channels),
            nn.Activation("relu"),
        )


class Residual(HybridBlock):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels)
        self.second = Convolution(channels, channels)

    def hybrid_forward(self, F, x):
        return x + self.second(self.first(x))


class Network(nn.HybridSequential):
    """Pictures float32 (B, 3, height, width), normalised, to logits (B, classes)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        before = 3
        named: list[tuple[str, HybridBlock]] = []
        for block in shared.BLOCKS:
            channels = block.multiple * architecture.width
            convolution = Convolution(before, channels)
            named.append((block.name, convolution))
            self.add(convolution, nn.MaxPool2D(2))
            if block.has_residual:
                residual = Residual(channels)
                named.append((f"{block.name}_residual_1", residual.first))
                named.append((f"{block.name}_residual_2", residual.second))
                self.add(residual)
            before = channels
        head = nn.Dense(architecture.num_classes, in_units=before)
        scale = nn.HybridLambda(lambda F, x: x * shared.HEAD_SCALE)
        self.add(nn.GlobalMaxPool2D(), nn.Flatten(), scale, head)
        self.named_parameters = {  # every parameter, named as `architecture` does
            f"{name}/{part}": getattr(layer, attribute)
            for name, block in [*named, ("head", head)]
            for layer in (block if isinstance(block, Convolution) else [block])
            for part, attribute in PARTS.get(type(layer), {}).items()
        }


def device() -> mx.Context:
    return mx.gpu() if mx.context.num_gpus() else mx.cpu()


def network(architecture: Architecture) -> Network:
    net = Network(architecture)
    net.initialize(ctx=device())
    net.hybridize(static_alloc=True)
    return net


def logits(net: Network, images: np.ndarray) -> np.ndarray:
    """Run the network on normalised pictures float32 (B, height, width, 3)."""
    return net(_to_device(images)).asnumpy()


def weights(net: Network) -> dict[str, np.ndarray]:
    table = {}
    for name, parameter in net.named_parameters.items():
        value = parameter.data().asnumpy()
        table[name] = np.ascontiguousarray(value.transpose(TO_OURS[value.ndim]))
    return table


def set_weights(net: Network, values: dict[str, np.ndarray]) -> None:
    for name, parameter in net.named_parameters.items():
        value = values[name].astype(np.float32)
        parameter.set_data(mx.nd.array(value.transpose(FROM_OURS[value.ndim])))


def _to_device(images: np.ndarray) -> mx.nd.NDArray:
    return mx.nd.array(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), ctx=device())


class PictureLearner:
    """The network with its optimiser: stochastic gradient descent with Nesterov's momentum.

    The optimiser is called directly, not through gluon.Trainer, whose save_states writes a pickle.
    """

    framework = "mxnet"

    def __init__(self, architecture: Architecture, weight_decay: float) -> None:
        self.network = network(architecture)
        self._loss = loss.SoftmaxCrossEntropyLoss(sparse_label=False)
        self._weight_decay = weight_decay
        self._optimiser = mx.optimizer.NAG(momentum=MOMENTUM)
        self._trained = {
            name: parameter
            for name, parameter in self.network.named_parameters.items()
            if name.rpartition("/")[2] not in shared.STATISTICS
        }
        self._momenta = {
            name: self._optimiser.create_state(index, parameter.data())
            for index, (name, parameter) in enumerate(self._trained.items())
        }

    def learn(self, images: np.ndarray, targets: np.ndarray, learning_rate: float) -> tuple[float, float]:
        scores, losses = self._backward(images, targets)
        self._update(learning_rate, len(images))
        right = np.mean(scores.asnumpy().argmax(1) == targets.argmax(1))
        return float(losses.mean().asscalar()), float(right)

    def _backward(self, images: np.ndarray, targets: np.ndarray) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Sum the gradients of the pictures; returns logits (B, classes) and losses (B,)."""
        wanted = mx.nd.array(targets, ctx=device())
        with autograd.record():
            scores = self.network(_to_device(images))
            losses = self._loss(scores, wanted)
        losses.backward()
        return scores, losses

    def _update(self, learning_rate: float, batch_size: int) -> None:
        """Change the weights by the sum of the gradients of `batch_size` pictures."""
        self._optimiser.set_learning_rate(learning_rate)
        self._optimiser.rescale_grad = 1 / batch_size
        for index, (name, parameter) in enumerate(self._trained.items()):
            weight = parameter.data()
            if name.endswith("kernel"):
                weight *= 1 - learning_rate * self._weight_decay  # decoupled, as Keras does it
            self._optimiser.update(index, weight, parameter.grad(), self._momenta[name])

    def logits(self, images: np.ndarray) -> np.ndarray:
        return logits(self.network, images)

    def weights(self) -> dict[str, np.ndarray]:
        return weights(self.network)

    def set_weights(self, values: dict[str, np.ndarray]) -> None:
        set_weights(self.network, values)

    def optimiser_state(self) -> dict[str, np.ndarray]:
        return {name: momentum.asnumpy() for name, momentum in self._momenta.items()}

    def set_optimiser_state(self, state: dict[str, np.ndarray]) -> None:
        for name, momentum in self._momenta.items():
            momentum[:] = state[name]
