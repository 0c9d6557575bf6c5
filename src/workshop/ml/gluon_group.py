"""Learning in a group with MXNet: parameter servers add up what the workers found.

Try it:  python benchmarks/group_training.py --framework mxnet --workers 2
A group is one scheduler, one or more servers and the workers, all told of each other by the variables
DMLC_ROLE, DMLC_PS_ROOT_URI, DMLC_PS_ROOT_PORT, DMLC_NUM_SERVER, DMLC_NUM_WORKER and DMLC_NODE_HOST. Scheduler and
servers are `python -c "import mxnet"`: they end by themselves when the workers have left.

The servers are used for sums alone, and each worker's own optimiser takes the step: all take the same step from
the same weights, a state is saved and read as that of one worker is, and no optimiser has to be pickled and
sent to a server. First weights are drawn from the seed or come from worker 0, so nothing has to be broadcast by
the servers; without either, weights that are not updated on the servers would never have been equal.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

import mxnet as mx
import numpy as np

from workshop.errors import DataError, SettingsError
from workshop.ml import gluon_learner
from workshop.ml.architecture import Architecture
from workshop.ml.exchange import JOIN_SECONDS, PATIENCE_SECONDS, Exchange, within
from workshop.ml.group import Group

NEEDED = ("DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_SERVER", "DMLC_NUM_WORKER")
# Rows longer than this are cut up among all servers; MXNet's own limit of a million would leave our half
# million numbers to one of them. https://mxnet.apache.org/versions/1.9.1/api/faq/env_var
LONGEST_WHOLE_ROW = "10000"


def join(
    group: Group, join_seconds: float = JOIN_SECONDS, patience_seconds: float = PATIENCE_SECONDS
) -> ParameterServers:
    """Meet the others of the group.

    Errors: SettingsError if the variables of the group are missing or name another one; DataError if the others
    don't come.
    """
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing or os.environ.get("DMLC_ROLE") != "worker":
        raise SettingsError(
            f"this is {group.heading}MXNet needs DMLC_ROLE=worker and {', '.join(missing or NEEDED)}",
            "start a group by: workshop run train-images-mxnet --workers 2",
        )
    if os.environ["DMLC_NUM_WORKER"] != str(group.size):
        raise SettingsError(
            f"the group has {group.size} workers, but DMLC_NUM_WORKER is {os.environ['DMLC_NUM_WORKER']}",
            "set both to the same number",
        )
    os.environ.setdefault("MXNET_KVSTORE_BIGARRAY_BOUND", LONGEST_WHOLE_ROW)
    scheduler = f"{os.environ['DMLC_PS_ROOT_URI']}:{os.environ['DMLC_PS_ROOT_PORT']}"
    all_of_them = f"{group.size} workers and {os.environ['DMLC_NUM_SERVER']} servers"
    try:
        store = within(
            join_seconds,
            lambda: mx.kv.create("dist_sync"),
            f"{all_of_them} to meet at the scheduler {scheduler}",
        )
    except DataError:
        atexit.register(_end_at_once)
        raise
    return ParameterServers(group, store, patience_seconds)


def _end_at_once() -> None:
    """End this process without MXNet's own farewell, which would wait for others that may never come."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class ParameterServers(Exchange):
    """Sums by way of a store of `dist_sync`: a server answers when it has the values of every worker.

    A store without an optimiser keeps the sum of the last values; one key serves all rows of a length.
    """

    def __init__(self, group: Group, store: mx.kv.KVStore, patience_seconds: float) -> None:
        super().__init__(group)
        self._store: mx.kv.KVStore | None = store
        self._patience_seconds = patience_seconds
        self._keys: dict[int, str] = {}

    def sum(self, values: np.ndarray) -> np.ndarray:
        return self.sum_on_device(mx.nd.array(values, dtype=np.float32)).asnumpy()

    def sum_on_device(self, row: mx.nd.NDArray) -> mx.nd.NDArray:
        """Add float32 (N,) over all workers, in place."""
        self._wait(lambda: self._exchange(row), "numbers")
        return row

    def _exchange(self, row: mx.nd.NDArray) -> None:
        assert self._store is not None, "the group was left"
        if row.size not in self._keys:
            self._keys[row.size] = f"row of {row.size}"
            self._store.init(self._keys[row.size], mx.nd.zeros(row.shape))
        self._store.push(self._keys[row.size], row)
        self._store.pull(self._keys[row.size], out=row)
        row.wait_to_read()

    def close(self, after_error: bool) -> None:
        """Tell the servers that this worker leaves, or leave without a word.

        A store says farewell when it is let go, and waits there for all the others. After an error they may
        not come, so it is kept until this process ends, and then at once.
        """
        if after_error:
            atexit.register(_end_at_once)
            _abandoned.append(self._store)
        else:
            self._wait(self._leave, "farewell")

    def _leave(self) -> None:
        self._store = None

    def _wait(self, work: Callable[[], None], what: str) -> None:
        within(self._patience_seconds, work, f"the {what} of the other workers ({self.group.size - 1})")


_abandoned: list[mx.kv.KVStore | None] = []


class PictureLearner(gluon_learner.PictureLearner):
    """A worker's copy of the network: it learns from its share of each batch, and the group takes the step."""

    def __init__(self, exchange: ParameterServers, architecture: Architecture, weight_decay: float) -> None:
        super().__init__(architecture, weight_decay)
        self._exchange = exchange

    def learn(self, images: np.ndarray, targets: np.ndarray, learning_rate: float) -> tuple[float, float]:
        scores, losses = self._backward(images, targets)
        right = np.sum(scores.asnumpy().argmax(1) == targets.argmax(1))
        seen = mx.nd.array([losses.sum().asscalar(), right, len(images)], ctx=losses.context)
        gradients = [parameter.grad() for parameter in self._trained.values()]
        # One row for everything: a message a step, not one for each of the weights.
        total = self._exchange.sum_on_device(
            mx.nd.concat(*[part.reshape(-1) for part in gradients], seen, dim=0)
        )
        start = 0
        for part in gradients:
            part[:] = total[start : start + part.size].reshape(part.shape)
            start += part.size
        loss_sum, right_sum, count = total[start:].asnumpy().tolist()
        self._update(learning_rate, int(count))
        return loss_sum / count, right_sum / count
