"""Our network as a table: which layers, which weights, of which shapes, with which first values.

Try it:  python -c "from workshop.ml import architecture as a; print(a.Architecture(10).num_weights)"
Knows no framework. Both build the network from BLOCKS and exchange weights under the names and in the
shapes given here, so a network that was trained in MXNet classifies in Keras, and both start from the same
first values.

Each block is convolution 3x3, batch normalisation, ReLU, then halving by maximum; one with a residual adds two
more convolutions without halving beside the identity. Halving this early keeps it fast on a CPU. It is a small
cousin of ResNet-9 (He et al. 2015; the nine-layer form is from DAWNBench's CIFAR-10 entries).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workshop.errors import DataError

NAME = "cifar-net"
NORM_EPSILON = 1e-5
NORM_MOMENTUM = 0.9  # share of the old running mean that is kept at each step
# The head sees its input at an eighth, so that it learns more slowly than the rest. Without it the loss
# climbs at first, to 12 in short runs, and ten epochs reach 0.69 instead of 0.73 of the held-out pictures.
HEAD_SCALE = 0.125
STATISTICS = ("mean", "variance")  # written by the forward pass, not by the optimiser


@dataclass(frozen=True)
class Block:
    """multiple: channels over the network's width; has_residual: two more convolutions after the halving."""

    name: str
    multiple: int
    has_residual: bool


BLOCKS = (Block("stem", 1, False), Block("middle", 2, True), Block("deep", 4, True))


@dataclass(frozen=True)
class Architecture:
    """width: channels of the first block; the cost of training grows with its square."""

    num_classes: int
    width: int = 32

    def __post_init__(self) -> None:
        if self.num_classes < 2 or self.width < 1:
            raise DataError(
                f"a network needs 2 or more classes and a width of 1 or more, "
                f"not {self.num_classes} and {self.width}"
            )

    def convolutions(self) -> list[tuple[str, int, int]]:
        """Every convolution in the order of the forward pass: name, channels in, channels out."""
        rows, before = [], 3
        for block in BLOCKS:
            channels = block.multiple * self.width
            rows.append((block.name, before, channels))
            if block.has_residual:
                rows += [(f"{block.name}_residual_{n}", channels, channels) for n in (1, 2)]
            before = channels
        return rows

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight: kernels (height, width, in, out), dense kernel (in, out)."""
        table: dict[str, tuple[int, ...]] = {}
        for name, before, channels in self.convolutions():
            table[f"{name}/kernel"] = (3, 3, before, channels)
            for part in ("gamma", "beta", *STATISTICS):
                table[f"{name}/{part}"] = (channels,)
        table["head/kernel"] = (BLOCKS[-1].multiple * self.width, self.num_classes)
        table["head/bias"] = (self.num_classes,)
        return table

    @property
    def num_weights(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes().values())

    def first_weights(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the values that training starts from (He et al. 2015), equal in every framework.

        The head starts near zero, so that the first loss is the logarithm of the number of classes.
        """
        generator = np.random.default_rng(seed)
        weights = {}
        for name, shape in self.shapes().items():
            if name.endswith("kernel"):
                fan_in = np.prod(shape[:-1])
                deviation = 1 / (HEAD_SCALE * fan_in) if name == "head/kernel" else np.sqrt(2 / fan_in)
                weights[name] = generator.normal(0, deviation, shape).astype(np.float32)
            else:
                weights[name] = np.full(shape, name.endswith(("gamma", "variance")), dtype=np.float32)
        return weights


def from_weights(weights: dict[str, np.ndarray]) -> Architecture:
    """Find which architecture a set of weights belongs to.

    Errors: DataError that lists every missing, foreign and misshapen weight, and every one not finite.
    """
    if "stem/kernel" not in weights or "head/bias" not in weights:
        raise DataError(
            f"these are not the weights of a {NAME}: 'stem/kernel' or 'head/bias' is missing",
            "train it again",
        )
    # Nonsense here gives a shape that the weights do not have, so it is reported below.
    width = weights["stem/kernel"].shape[-1] if weights["stem/kernel"].ndim else 1
    architecture = Architecture(weights["head/bias"].size, width)
    expected = architecture.shapes()
    problems = [f"{name} is missing" for name in expected if name not in weights]
    problems += [f"{name} does not belong here" for name in weights if name not in expected]
    for name, shape in expected.items():
        if name not in weights:
            continue
        if weights[name].shape != shape:
            problems.append(f"{name} has shape {weights[name].shape}, expected {shape}")
        elif not np.isfinite(weights[name]).all():
            problems.append(f"{name} holds values that are not finite")
    if problems:
        raise DataError(f"weights do not fit the {NAME}: {'; '.join(problems[:5])}", "train it again")
    return architecture
