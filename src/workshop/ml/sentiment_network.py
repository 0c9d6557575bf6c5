"""The sentiment networks in Keras 3, of the layers of any backend: words, and their spellings, to probabilities.

Try it:  python -c "from workshop.ml import sentiment_layouts as s, sentiment_network as n; n.build(s.OURS, 9, 3, 5)"
Loads Keras when it is imported, which takes seconds: `sentiment` loads it when it is needed. Its inputs are those of
`text.encoding` but for the lengths, which Keras takes from the padding.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from workshop.ml.sentiment_layouts import Layout

OUTSIDE = 10.0  # more than any output of a recurrent layer with tanh, so that padding never is the largest


def build(layout: Layout, num_words: int, num_classes: int, buckets: int = 0, seed: int = 0) -> keras.Model:
    """Make one untrained network.

    num_words: rows of the table of words; buckets: of letter groups, 0 for none.
    """
    keras.utils.set_random_seed(seed)
    words = keras.Input((None,), dtype="int32", name="words")
    inputs = {"words": words}
    is_word = ops.not_equal(words, 0)
    if not layout.spells:
        x = layers.Embedding(num_words, layout.word_size, mask_zero=True, name="table")(words)
    else:
        inputs |= _spelling_inputs()
        table = layers.Embedding(num_words, layout.word_size, embeddings_initializer=_small(), name="table")(
            words
        )
        x = table + _spellings(layout, inputs, buckets)
        x = x * ops.expand_dims(ops.cast(is_word, "float32"), -1)
    drop = layers.SpatialDropout1D if layout.columns_drop else layers.Dropout
    x = drop(layout.dropout)(x)
    x = _recurrent(layout)(x, mask=is_word)
    if layout.pooling == "max":
        x = ops.max(x + (ops.expand_dims(ops.cast(is_word, "float32"), -1) - 1.0) * OUTSIDE, axis=1)
    x = layers.Dropout(layout.output_dropout)(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", name="head")(x))


def together(members: list[keras.Model]) -> keras.Model:
    """One network whose probabilities are the mean of the members'."""
    if len(members) == 1:
        return members[0]
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in members[0].input.items()
    }
    for index, member in enumerate(members):
        member.name = f"member_{index}"
    return keras.Model(inputs, layers.Average()([member(inputs) for member in members]))


def members(model: keras.Model) -> list[keras.Model]:
    """The networks of which `together` made one."""
    return [layer for layer in model.layers if isinstance(layer, keras.Model)] or [model]


def _spelling_inputs() -> dict[str, Any]:
    return {
        "spelled": keras.Input((None,), dtype="int32", name="spelled"),
        "spellings": keras.Input((None,), dtype="int32", name="spellings"),
    }


def _spellings(layout: Layout, inputs: dict[str, Any], buckets: int) -> Any:
    """The sum of the vectors of a word's letter groups, over the root of their number: (B, T, word_size)."""
    groups = inputs["spellings"]
    vectors = layers.Embedding(
        buckets + 1, layout.word_size, embeddings_initializer=_small(), name="letters"
    )(groups)
    is_there = ops.expand_dims(ops.cast(ops.not_equal(groups, 0), "float32"), -1)
    count = ops.maximum(ops.sum(is_there, axis=1), 1.0)
    return ops.take(ops.sum(vectors * is_there, axis=1) / ops.sqrt(count), inputs["spelled"], axis=0)


def _recurrent(layout: Layout) -> Any:
    kind = {"lstm": layers.LSTM, "gru": layers.GRU}[layout.cell]
    layer = kind(layout.units, activation=layout.activation, return_sequences=layout.pooling != "last")
    return layers.Bidirectional(layer, name="recurrent") if layout.bidirectional else layer


def _small() -> Any:
    return keras.initializers.RandomNormal(stddev=0.05)
