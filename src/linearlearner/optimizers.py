"""Stochastic gradient descent for many models at once: sgd with momentum, adam, rmsprop.

Try it:  python -c "from linearlearner.optimizers import OPTIMIZERS; print(sorted(OPTIMIZERS))"
An optimizer holds what one array of weights needs between two steps. Shapes: weights, slopes and rates (…, K), K one
column a model and class; rates is the learning rate of each column.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from linearlearner.hyperparameters import Hyperparameters

SMALLEST = 1e-8
DECAY = 0.9  # rmsprop's memory of the squares
MOMENTUM, BETA_1, BETA_2 = 0.9, 0.9, 0.999  # what `auto` means


class Optimizer(Protocol):
    """One array's optimizer."""

    def step(self, weights: np.ndarray, slopes: np.ndarray, rates: np.ndarray) -> None:
        """Move the weights against their slopes, in place."""


class Momentum:
    """sgd."""

    def __init__(self, shape: tuple[int, ...], given: Hyperparameters) -> None:
        self._momentum = MOMENTUM if given.momentum is None else given.momentum
        self._speed = np.zeros(shape, dtype=np.float32)

    def step(self, weights: np.ndarray, slopes: np.ndarray, rates: np.ndarray) -> None:
        self._speed *= self._momentum
        self._speed -= rates * slopes
        weights += self._speed


class Adam:
    """https://arxiv.org/abs/1412.6980"""

    def __init__(self, shape: tuple[int, ...], given: Hyperparameters) -> None:
        self._beta_1 = BETA_1 if given.beta_1 is None else given.beta_1
        self._beta_2 = BETA_2 if given.beta_2 is None else given.beta_2
        self._mean = np.zeros(shape, dtype=np.float32)
        self._square = np.zeros(shape, dtype=np.float32)
        self._steps = 0

    def step(self, weights: np.ndarray, slopes: np.ndarray, rates: np.ndarray) -> None:
        self._steps += 1
        self._mean += (1 - self._beta_1) * (slopes - self._mean)
        self._square += (1 - self._beta_2) * (slopes**2 - self._square)
        corrected = np.sqrt(self._square / (1 - self._beta_2**self._steps)) + SMALLEST
        weights -= rates / (1 - self._beta_1**self._steps) * self._mean / corrected


class RootMeanSquare:
    """rmsprop."""

    def __init__(self, shape: tuple[int, ...], given: Hyperparameters) -> None:
        self._square = np.zeros(shape, dtype=np.float32)

    def step(self, weights: np.ndarray, slopes: np.ndarray, rates: np.ndarray) -> None:
        self._square += (1 - DECAY) * (slopes**2 - self._square)
        weights -= rates * slopes / (np.sqrt(self._square) + SMALLEST)


OPTIMIZERS: dict[str, Callable[[tuple[int, ...], Hyperparameters], Optimizer]] = {
    "sgd": Momentum,
    "adam": Adam,
    "rmsprop": RootMeanSquare,
}
