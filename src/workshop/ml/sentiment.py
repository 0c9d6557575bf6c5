"""Learn the sentiment of texts, and keep what was learned: the steps of the jobs, one function each.

Try it:  workshop run train-sentiment -p num_epochs=1
Knows no files but the folders that it is given. Keras and ONNX are loaded when a function needs them.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop.ml import frameworks
from workshop.ml.sentiment_layouts import Layout
from workshop.ml.text import artefact, cleaning, vocabulary
from workshop.ml.text.encoding import Encoder
from workshop.ml.text.examples import TEST_SHARE, Examples, check_enough, split

if TYPE_CHECKING:
    from workshop.ml.sentiment_training import History, OnEpoch

PACKAGES = ("keras", "tensorflow-cpu", "tensorflow", "onnx", "onnxruntime", "numpy", "nltk")
COMPARED = 200  # texts for which the ONNX file is compared with Keras


@dataclass(frozen=True)
class Parts:
    """train is learned from, validation watched, test scored once."""

    train: Examples
    validation: Examples
    test: Examples

    def __str__(self) -> str:
        return (
            f"{len(self.train):,} texts to learn from, {len(self.validation):,} to watch progress on, "
            f"{len(self.test):,} for the final score"
        )


@dataclass(frozen=True)
class Words:
    """What turns texts into numbers, made from training texts alone."""

    cleaning: cleaning.Cleaning
    vocabulary: vocabulary.Vocabulary

    def encoder(self, spells_all: bool = False) -> Encoder:
        return Encoder(self.cleaning, self.vocabulary, spells_all)


def held_out(examples: Examples, seed: int = 10) -> tuple[Examples, Examples]:
    """Split 80/20 by class: to learn from, and to score. The same seed gives the same parts."""
    check_enough(examples)
    return split(examples, TEST_SHARE, seed)


def parts(examples: Examples, layout: Layout, seed: int = 10) -> Parts:
    """Split a validation part off the training part; the test part does not depend on the layout."""
    rest, test = held_out(examples, seed)
    train, validation = split(rest, layout.validation_share, seed)
    return Parts(train, validation, test)


def words(
    layout: Layout,
    train: Examples,
    stop_words: Iterable[str] = (),
    lemma: Callable[[str], str] | None = None,
) -> Words:
    """Clean the training texts and collect their words; lemma: takes a word to its lemma, None without WordNet."""
    steps = cleaning.make(layout.cleaning, stop_words)
    if lemma is not None and "lemma" in layout.cleaning:
        tokens = {token for text in train.texts for token in steps.tokens(text)}
        table = {token: found for token in tokens if (found := lemma(token)) != token}
        steps = cleaning.make(layout.cleaning, stop_words, table)
    spelling = vocabulary.Spelling() if layout.spells else None
    cleaned = (steps.words(text) for text in train.texts)
    return Words(steps, vocabulary.learn(cleaned, least_count=layout.least_count, spelling=spelling))


def train(
    layout: Layout,
    found: Words,
    examples: Parts,
    seed: int = 10,
    save_dir: Path | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Train a layout; see `sentiment_training.fit`."""
    # oneDNN complains in every log that it can't turn the padding's mask; these networks are too small to need it.
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    frameworks.keras()
    from workshop.ml import sentiment_training

    return sentiment_training.fit(
        layout, found.encoder(spells_all=True), examples.train, examples.validation, seed, save_dir, on_epoch
    )


def forget(save_dir: Path) -> None:
    """Take away what a killed training would have gone on from; the artefact is there now."""
    shutil.rmtree(save_dir, ignore_errors=True)


def save(
    history: History,
    layout: Layout,
    found: Words,
    examples: Parts,
    folder: str | Path,
    metadata: Mapping[str, Any],
) -> artefact.Artefact:
    """Write the artefact, after comparing the ONNX file with Keras on test texts.

    metadata: at least `data`, `parameters` and `metrics`.
    """
    from workshop.ml import sentiment_onnx

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    onnx_file = place / artefact.ONNX
    classes = examples.train.classes
    network = sentiment_onnx.export(history.network, layout, found.vocabulary, len(classes), onnx_file)
    texts = [*examples.test.texts[:COMPARED], "", "zzyzx qwrtp"]
    difference = sentiment_onnx.check(
        onnx_file,
        history.network,
        found.encoder().encode(texts),
        found.encoder(spells_all=True).encode(texts),
    )
    history.network.save(place / artefact.KERAS)
    described = {
        **metadata,
        "parameters": {**asdict(layout), **metadata["parameters"]},
        "versions": {"python": platform.python_version(), **_versions()},
    }
    network |= {"difference_to_keras": difference, "num_weights": int(history.network.count_params())}
    return artefact.save(place, found.vocabulary, classes, found.cleaning, network, described)


def predict(history: History, found: Words, texts: Iterable[str]) -> np.ndarray:
    """Probabilities (N, classes) of the network as trained, from Keras."""
    from workshop.ml import sentiment_training

    return sentiment_training.predict(history.network, found.encoder(spells_all=True), list(texts))


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):  # one of TensorFlow's two names
            found[name] = version(name)
    return found
