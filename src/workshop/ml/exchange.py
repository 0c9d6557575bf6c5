"""How the workers of a group come to the same numbers: all that is exchanged is sums.

Try it:  python benchmarks/group_training.py --framework mxnet --workers 2
Knows no framework: each gives `sum`, MXNet by its parameter servers, TensorFlow by the workers among
themselves. Everything else is made of it: to send bytes, one adds its bytes and the others add noughts.
The others' numbers are waited for, but never for ever: who starts the workers ought to notice first when one
is gone, and the time limits here are what remains if nobody does.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

from workshop.errors import DataError
from workshop.ml.architecture import STATISTICS
from workshop.ml.group import ALONE, Group, weights_sha256

JOIN_SECONDS = 300.0  # for all to be there: a task may have to pull an image of a gigabyte first
PATIENCE_SECONDS = 180.0  # for the others' part of a sum: worker 0 may be scoring and uploading meanwhile
GONE = "start the job again with --resume: it goes on from the last saved epoch"

T = TypeVar("T")


class Exchange:
    """A worker's line to the others of its group. This one is of a worker alone, which has no others.

    Leaving the `with` block waits for the others unless it is left by an error.
    """

    def __init__(self, group: Group = ALONE) -> None:
        self.group = group

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Add float32 (N,) over all workers; every worker gets the same bits.

        Errors: DataError if the others' values don't come.
        """
        return values

    def close(self, after_error: bool) -> None:
        """Leave the group."""

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(after_error=error is not None)

    def broadcast(self, content: bytes) -> bytes:
        """Give every worker what worker 0 has; the others' own content is ignored."""
        if self.group.is_alone:
            return content
        mine = np.frombuffer(content if self.group.leads else b"", np.uint8).astype(np.float32)
        size = np.array(divmod(len(mine), 1 << 20), np.float32)  # exact in float32 up to 2^44
        high, low = self.sum(size)
        values = np.zeros((int(high) << 20) + int(low), np.float32)
        if not len(values):
            return b""
        values[: len(mine)] = mine
        return self.sum(values).astype(np.uint8).tobytes()

    def digests(self, digest: str) -> list[str]:
        """Show every worker the SHA-256 that each has, in the order of the ranks."""
        rows = np.zeros((self.group.size, 32), np.float32)
        rows[self.group.rank] = np.frombuffer(bytes.fromhex(digest), np.uint8)
        return [row.tobytes().hex() for row in self.sum(rows.ravel()).reshape(rows.shape).astype(np.uint8)]


def require_equal(digests: Sequence[str], what: str, remedy: str) -> None:
    """Refuse digests that are not all equal.

    Errors: DataError that names each worker with the beginning of its own; every worker raises the same.
    """
    if len(set(digests)) > 1:
        each = ", ".join(f"worker {rank} {digest[:12]}" for rank, digest in enumerate(digests))
        raise DataError(f"{what}: {each}", remedy)


def agree(exchange: Exchange, settings: Mapping[str, Any]) -> None:
    """Refuse a group whose workers were given different settings; the pictures' fingerprint is one of them."""
    if exchange.group.is_alone:
        return
    mine = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    require_equal(
        exchange.digests(mine),
        "the workers do not have the same pictures and settings",
        "give all the same parameters, and all the real data or none",
    )


class HasWeights(Protocol):
    """What `level` needs of a learner: weights under the names of `architecture`."""

    def weights(self) -> dict[str, np.ndarray]: ...
    def set_weights(self, weights: dict[str, np.ndarray]) -> None: ...


def level(exchange: Exchange, learner: HasWeights, epoch: int) -> str:
    """Make the workers' weights equal after an epoch, and see that they are; returns their SHA-256.

    Gradients are summed at every step, so what the optimiser writes is equal by itself. What the forward pass
    writes is not: each worker normalises its own part of a batch, and has running means and variances of its
    own. They are only used to predict, so it is enough to average them here, once an epoch.
    For a worker alone there is nothing to do, and no SHA-256.
    """
    if exchange.group.is_alone:
        return ""
    weights = learner.weights()
    names = [name for name in weights if name.rpartition("/")[2] in STATISTICS]
    if names:
        flat = np.concatenate([weights[name].ravel() for name in names]).astype(np.float32)
        mean = exchange.sum(flat) / np.float32(exchange.group.size)
        weights = {**weights, **split(mean, {name: weights[name].shape for name in names})}
        learner.set_weights(weights)
    digest = weights_sha256(learner.weights())
    require_equal(
        exchange.digests(digest),
        f"after epoch {epoch} the workers' weights are not the same",
        "run all workers from one image and on one kind of processor: others round differently",
    )
    return digest


def split(flat: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Cut one row of numbers into named arrays, in the order of `shapes`."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def within(seconds: float, work: Callable[[], T], waiting_for: str) -> T:
    """Do what may wait for others, but no longer than `seconds`.

    The thread that waits can't be stopped; it is a daemon, so it ends with the process.
    Errors: DataError if the time is over; whatever `work` raises.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def attempt() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:  # raised again below, in the thread that asked
            answers.put((None, error))

    threading.Thread(target=attempt, daemon=True, name="others").start()
    try:
        result, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise DataError(f"waited {seconds:.0f} s in vain for {waiting_for}", GONE) from None
    if error is not None:
        raise error
    return result
