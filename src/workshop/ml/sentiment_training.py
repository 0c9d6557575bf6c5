"""The training loop of the sentiment networks: batches of like length, early stopping, saved states, resume.

Try it:  workshop run train-sentiment -p num_epochs=1
With the same seed it takes the same steps, also when it was killed between two epochs and started again. Knows
no files but the saved state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError
from workshop.ml import sentiment_network
from workshop.ml.sentiment_layouts import Layout
from workshop.ml.sentiment_state import Metrics, State, assign
from workshop.ml.text.encoding import Encoder, Row
from workshop.ml.text.examples import Examples
from workshop.ml.text.vocabulary import UNKNOWN_INDEX

OnEpoch = Callable[[int, Metrics], None]
SORTED_BATCHES = 40  # so many batches' texts are sorted by length together: less padding, and still chance
SCORED_AT_ONCE = 500  # texts
LABELS_SHARE = 0.5  # of what is learned after teachers; the rest is what they say


@dataclass
class History:
    """epochs: one row of metrics an epoch and member, in order; network: the trained network."""

    epochs: list[Metrics] = field(default_factory=list)
    network: Any = None


@dataclass(frozen=True)
class Part:
    """Examples as the loop wants them. targets: float32 (N, classes), what share of the text each class has."""

    rows: Sequence[Row]
    targets: np.ndarray

    @classmethod
    def of(cls, examples: Examples, encoder: Encoder) -> Part:
        targets = np.eye(len(examples.classes), dtype=np.float32)[examples.labels]
        return cls([encoder.row(text) for text in examples.texts], targets)


def fit(
    layout: Layout,
    encoder: Encoder,
    train: Examples,
    validation: Examples,
    seed: int,
    save_dir: Path | None = None,
    on_epoch: OnEpoch | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> History:
    """Train the layout's teachers and members one after another; encoder: one that spells all words.

    save_dir: where the state is kept after each epoch; a state found there is gone on from.
    Errors: DataError if the state is of another plan, or the loss is no number any more.
    """
    labelled, watch = Part.of(train, encoder), Part.of(validation, encoder)
    plan = {**asdict(layout), "cleaning": list(layout.cleaning), "seed": seed, "data": train.sha256()}
    # All at once, because setting a seed makes TensorFlow forget the functions that it has made ready.
    first = [_built(layout, encoder, train, seed + index) for index in range(layout.networks)]
    network = _compiled(layout, encoder, train, seed)
    state = State(plan, save_dir, network)
    state.restore()

    def learn(networks: int, part: Part) -> None:
        while len(state.finished) < networks:
            _epoch(state, layout, encoder, (part, watch), first, seed, clock)
            if on_epoch is not None:
                on_epoch(len(state.epochs), state.epochs[-1])

    learn(layout.teachers, labelled)
    taught = labelled
    if layout.teachers:
        taught = _taught(first[0], state.finished[: layout.teachers], encoder, labelled)
    learn(layout.networks, taught)
    members = first[layout.teachers :]
    for member, weights in zip(members, state.finished[layout.teachers :], strict=True):
        member.set_weights(weights)
    return History(state.epochs, sentiment_network.together(members))


def predict(network: Any, encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Probabilities (N, classes) from Keras; encoder: one that spells all words."""
    return _answers(network, encoder, [encoder.row(text) for text in texts])


def _answers(network: Any, encoder: Encoder, rows: Sequence[Row]) -> np.ndarray:
    """Probabilities (N, classes), in the rows' order; rows of like length are asked together, to pad them less."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    batches = [order[batch] for batch in _in_order(len(rows))]
    found = [
        np.asarray(network.predict_on_batch(_inputs(encoder, [rows[index] for index in batch])))
        for batch in batches
    ]
    return np.concatenate(found)[np.argsort(order)]


def _taught(network: Any, teachers: Sequence[list[np.ndarray]], encoder: Encoder, labelled: Part) -> Part:
    """Targets that are partly the labels, partly what the teachers together say of the same texts.

    A label says nothing of how sure a reader would be; the teachers' probabilities do, and wrong labels count less.
    """
    said = np.zeros_like(labelled.targets)
    for weights in teachers:
        network.set_weights(weights)
        said += _answers(network, encoder, labelled.rows) / len(teachers)
    return Part(labelled.rows, LABELS_SHARE * labelled.targets + (1 - LABELS_SHARE) * said)


def _built(layout: Layout, encoder: Encoder, train: Examples, seed: int) -> Any:
    spelling = encoder.vocabulary.spelling
    return sentiment_network.build(
        layout, len(encoder.vocabulary), len(train.classes), spelling.buckets if spelling else 0, seed
    )


def _compiled(layout: Layout, encoder: Encoder, train: Examples, seed: int) -> Any:
    import keras

    network = _built(layout, encoder, train, seed)
    rate: Any = layout.learning_rate
    if layout.decays:
        steps = layout.num_epochs * -(-len(train) // layout.batch_size)
        rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    network.compile(
        keras.optimizers.Adam(rate, use_ema=layout.averaging > 0, ema_momentum=layout.averaging),
        keras.losses.CategoricalCrossentropy(),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            _of_labels(keras.metrics.Precision)(name="precision"),
            _of_labels(keras.metrics.Recall)(name="recall"),
        ],
    )
    network.optimizer.build(network.trainable_variables)
    return network


def _of_labels(metric: Any) -> Any:
    """The metric by the label alone, which has most of a target; Keras counts every class that has a share of it."""

    class OfLabels(metric):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(y_true > LABELS_SHARE, y_pred, sample_weight)

    return OfLabels


def _epoch(
    state: State,
    layout: Layout,
    encoder: Encoder,
    parts: tuple[Part, Part],
    first: Sequence[Any],
    seed: int,
    clock: Callable[[], float],
) -> None:
    """One pass over the training texts, then a look at the validation texts."""
    started = clock()
    learn, watch = parts
    member = len(state.finished)
    if state.member_epoch == 0:
        state.begin_member(first[member])
    random = np.random.default_rng([seed, member, state.member_epoch])
    network = state.network
    batches = _batches(learn.rows, layout.batch_size, random)
    feed = _feed(encoder, learn, batches, layout.word_dropout, random)
    told = network.fit(feed, epochs=1, shuffle=False, verbose=0).history
    metrics = {name: float(values[0]) for name, values in told.items()}
    if not math.isfinite(metrics["loss"]):
        raise DataError(
            f"the loss became {metrics['loss']} in epoch {state.member_epoch + 1}",
            f"use a learning rate below {layout.learning_rate}",
        )
    last = [np.asarray(value) for value in network.variables]
    network.optimizer.finalize_variable_values(
        network.trainable_variables
    )  # the mean of the weights, if it is kept
    told = network.evaluate(_feed(encoder, watch, _in_order(len(watch.rows))), verbose=0, return_dict=True)
    metrics |= {f"validation_{name}": float(value) for name, value in told.items()}
    metrics |= {"member": member + 1, "seconds": clock() - started}
    state.note(metrics, layout.num_epochs, layout.patience, len(watch.rows))
    assign(network.variables, last)
    state.save()


def _feed(
    encoder: Encoder,
    part: Part,
    batches: Sequence[np.ndarray],
    word_dropout: float = 0.0,
    random: np.random.Generator | None = None,
) -> Any:
    """Batches as Keras takes them, each made when it is asked for.

    TensorFlow's own kind of data set, because Keras takes the first two batches' shapes for those of all.
    """
    import tensorflow

    def batch(chosen: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        inputs = _inputs(encoder, [part.rows[index] for index in chosen])
        if random is not None and word_dropout:
            _forget_words(inputs["words"], word_dropout, random)
        return inputs, part.targets[chosen]

    numbers = tensorflow.TensorSpec((None, None), tensorflow.int32)
    signature = (
        dict.fromkeys(_inputs(encoder, part.rows[:1]), numbers),
        tensorflow.TensorSpec((None, part.targets.shape[1]), tensorflow.float32),
    )
    made = tensorflow.data.Dataset.from_generator(lambda: map(batch, batches), output_signature=signature)
    return made.apply(tensorflow.data.experimental.assert_cardinality(len(batches))).prefetch(2)


def _in_order(count: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + SCORED_AT_ONCE, count)) for start in range(0, count, SCORED_AT_ONCE)]


def _batches(rows: Sequence[Row], batch_size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Indices of each batch, in an order of chance; the texts of a batch are about equally long."""
    order = random.permutation(len(rows))
    lengths = np.array([len(row) for row in rows])
    pool = SORTED_BATCHES * batch_size
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        mine = order[start : start + pool]
        mine = mine[np.argsort(lengths[mine], kind="stable")]
        batches += [mine[at : at + batch_size] for at in range(0, len(mine), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def _inputs(encoder: Encoder, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    return {name: value for name, value in encoder.inputs(rows).items() if name != "lengths"}


def _forget_words(words: np.ndarray, share: float, random: np.random.Generator) -> None:
    """Replace a share of the known words by the unknown one, in place."""
    words[(random.random(words.shape) < share) & (words > UNKNOWN_INDEX)] = UNKNOWN_INDEX
