"""Learning in a group with TensorFlow: the workers add up what they found among themselves.

Try it:  python benchmarks/group_training.py --framework keras --workers 2
MultiWorkerMirroredStrategy, with a step of our own: `fit` of Keras 3 does not work with it
(https://github.com/keras-team/keras/issues/20585). Each worker computes the gradients of its share, the strategy
sums them within the step, and each worker's own optimiser takes the same step. So network and optimiser are
plain ones: a state is saved and read as that of one worker is, and the trained network needs no group.
Needs the backend TensorFlow, and TF_CONFIG with the addresses of all workers in every worker's environment.
"""

from __future__ import annotations

import faulthandler
import ipaddress
import json
import os
import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from workshop.errors import DataError, SettingsError
from workshop.ml import keras_learner
from workshop.ml.architecture import Architecture
from workshop.ml.exchange import GONE, JOIN_SECONDS, PATIENCE_SECONDS, Exchange
from workshop.ml.group import Group

# "TensorFlow is designed to run on private networks" (its SECURITY.md). Its server binds 0.0.0.0, whatever address
# TF_CONFIG says, and no setting changes that (GrpcServer::Init); a container has a network of its own, this machine
# has not.
OPEN_PORT = (
    "TensorFlow listens on every address of this machine until the group has learned, and asks for no password: "
    "learn in a group only on a network that you trust, or in Docker"
)


def join(
    group: Group, join_seconds: float = JOIN_SECONDS, patience_seconds: float = PATIENCE_SECONDS
) -> Collective:
    """Meet the others of the group; has to come before anything else that TensorFlow computes in this process.

    Errors: SettingsError if TF_CONFIG is missing or tells of another group; DataError if the others refuse. If
    they don't come in time, the process ends with status 1.
    """
    addresses = _addresses(group)
    if keras.backend.backend() != "tensorflow":
        raise SettingsError(
            f"Keras runs on {keras.backend.backend()} here, and a group needs TensorFlow",
            "unset KERAS_BACKEND",
        )
    num_gpus = len(tf.config.list_physical_devices("GPU"))
    if num_gpus > 1:
        raise SettingsError(
            f"a worker learns on one GPU, and this one sees {num_gpus}",
            "set CUDA_VISIBLE_DEVICES to one of them, or ask for one GPU a task",
        )
    if _is_loopback(addresses[group.rank]):
        print(f"{group.heading}{OPEN_PORT}", flush=True)
    # Without this, six lines about devices and all-reduces stand among the epochs.
    tf.get_logger().setLevel("WARNING")
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=patience_seconds)
    # TensorFlow waits here without letting other Python code run, for an hour and more; so the time limit is kept
    # from outside of Python, and all it can do is to show where this process stood and to end it.
    print(f"{group.heading}waiting at most {join_seconds:.0f} s to meet {', '.join(addresses)}", flush=True)
    faulthandler.dump_traceback_later(join_seconds, exit=True, file=sys.__stderr__ or 2)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except (tf.errors.OpError, RuntimeError) as error:
        # "Could not start gRPC server" is all that it says when something else listens on this worker's port.
        mine = addresses[group.rank]
        raise DataError(f"{group.heading}could not meet the others at {mine}: {error}", GONE) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    return Collective(group, strategy)


def _is_loopback(address: str) -> bool:
    """Whether a host:port is of this machine alone, so that the worker has no network of its own."""
    try:
        return ipaddress.ip_address(address.rpartition(":")[0]).is_loopback
    except ValueError:
        return False  # a name


def _addresses(group: Group) -> list[str]:
    remedy = "start a group by: workshop run train-images-tensorflow --workers 2"
    try:
        told = json.loads(os.environ["TF_CONFIG"])
        addresses, index = list(told["cluster"]["worker"]), int(told["task"]["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"this is {group.heading}TensorFlow needs TF_CONFIG with all workers and this one's index "
            f"({type(error).__name__}: {error})",
            remedy,
        ) from error
    if (index, len(addresses)) != (group.rank, group.size):
        raise SettingsError(
            f"TF_CONFIG says worker {index} of {len(addresses)}, expected {group.rank} of {group.size}",
            remedy,
        )
    return addresses


class Collective(Exchange):
    """Sums by way of the strategy's all-reduce, which gives every worker the same bits."""

    def __init__(self, group: Group, strategy: tf.distribute.Strategy) -> None:
        super().__init__(group)
        self._strategy = strategy
        self._summed = tf.function(self.in_graph, input_signature=[tf.TensorSpec([None], tf.float32)])

    def sum(self, values: np.ndarray) -> np.ndarray:
        return self.told(lambda: self._summed(tf.constant(values, tf.float32)).numpy())

    def in_graph(self, row: tf.Tensor) -> tf.Tensor:
        """Add a row of numbers over all workers, as part of a step."""

        def add(row: tf.Tensor) -> tf.Tensor:
            here = tf.identity(row)  # a tensor of this replica; one from outside is refused: it has no device
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)

        return self._strategy.run(add, args=(row,))

    def told(self, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Compute what needs the others; say in words what it means if they are gone."""
        try:
            return compute()
        except tf.errors.OpError as error:
            # The message begins with our own stack; what happened is where it speaks of collective operations.
            lines = [line for line in str(error.message).splitlines() if line.startswith("Collective ops")]
            why = lines[0] if lines else type(error).__name__
            others = f"the other workers ({self.group.size - 1})"
            raise DataError(f"the numbers of {others} did not come: {why}", GONE) from error


class PictureLearner(keras_learner.PictureLearner):
    """A worker's copy of the network: it learns from its share of each batch, and the group takes the step."""

    def __init__(self, exchange: Collective, architecture: Architecture, weight_decay: float) -> None:
        super().__init__(architecture, weight_decay)
        self._exchange = exchange
        self._step = tf.function(self._take_step)

    def learn(self, images: np.ndarray, targets: np.ndarray, learning_rate: float) -> tuple[float, float]:
        self._optimiser.learning_rate = learning_rate
        given = tf.constant(images), tf.constant(targets)
        loss, accuracy = self._exchange.told(lambda: self._step(*given).numpy())
        return float(loss), float(accuracy)

    def _take_step(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        total = self._exchange.in_graph(self._gradients(images, targets))
        variables = self.network.trainable_variables
        sizes = [int(np.prod(variable.shape)) for variable in variables]
        *parts, seen = tf.split(total, [*sizes, 3])
        loss_sum, right_sum, count = tf.unstack(seen)
        gradients = [
            tf.reshape(part, variable.shape) / count for part, variable in zip(parts, variables, strict=True)
        ]
        self._optimiser.apply(gradients, variables)
        return tf.stack([loss_sum / count, right_sum / count])

    def _gradients(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Sum the gradients of this worker's pictures: one row, with loss, right answers and pictures at its end."""
        variables = [variable.value for variable in self.network.trainable_variables]
        with tf.GradientTape() as tape:
            scores = self.network(images, training=True)
            loss = tf.reduce_sum(keras.losses.categorical_crossentropy(targets, scores, from_logits=True))
        right = tf.reduce_sum(tf.cast(tf.argmax(scores, 1) == tf.argmax(targets, 1), tf.float32))
        seen = tf.stack([loss, right, tf.cast(tf.shape(images)[0], tf.float32)])
        return tf.concat([*(tf.reshape(part, [-1]) for part in tape.gradient(loss, variables)), seen], 0)
