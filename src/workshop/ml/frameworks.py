"""Load MXNet or Keras when a function needs it, or say which environment has it.

Try it:  python -c "from workshop.ml import frameworks; print(frameworks.mxnet().__version__)"
Each framework has an environment of its own, so asking for the other one is an expected error with a remedy.
Importing the package's modules loads neither: MXNet takes 2 s, Keras with TensorFlow 5 s to 10 s.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from workshop.errors import DataError


def mxnet() -> ModuleType:
    """Load MXNet.

    It computes with half of the processors, unless OMP_NUM_THREADS says otherwise. That is kept: its threads
    wait for each other by spinning, so with both of two cores an epoch takes 4.3 s instead of 6.1 s when
    nothing else runs, but 35 s to 60 s when something does.
    """
    return _load("mxnet")


def keras() -> ModuleType:
    """Load Keras, with TensorFlow's start-up messages about the processor left out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return _load("keras")


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        environment = {"mxnet": "mxnet", "keras": "workshop"}[name]
        raise DataError(
            f"this environment has no {name}", f"choose the kernel of the environment {environment!r}"
        ) from error
