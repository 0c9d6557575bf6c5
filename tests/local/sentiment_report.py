"""Train tiny sentiment networks in a process of their own, and write down what the tests want to know.

Try it:  python tests/local/sentiment_report.py /tmp/report
"""

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from workshop.errors import DataError
from workshop.ml import frameworks, sentiment, sentiment_layouts
from workshop.ml.text import artefact
from workshop.ml.text.examples import collect
from workshop.serving.predictor import Predictor

frameworks.keras()

from workshop.ml import sentiment_network, sentiment_onnx, sentiment_training  # noqa: E402

GOOD, BAD = ["good", "nice", "lovely", "great", "happy"], ["bad", "awful", "sad", "nasty", "ugly"]
THINGS = ["tea", "book", "song", "rain", "house", "dog", "train", "lesson"]
EXAMPLES = collect(
    [
        (f"The {thing} is {more} {word}!", name)
        for name, words in (("positive", GOOD), ("negative", BAD))
        for word in words
        for thing in THINGS
        for more in ("very", "so")
    ]
)
TINY = replace(
    sentiment_layouts.OURS,
    word_size=8,
    units=6,
    batch_size=16,
    num_epochs=4,
    learning_rate=0.02,
    least_count=1,
    patience=0,
    averaging=0.9,
    teachers=1,
    dropout=0.1,
    output_dropout=0.0,
)
SHAPES = {
    "lstm, both ways, max, spelled": TINY,
    "gru, both ways, max, spelled, two members": replace(TINY, cell="gru", members=2),
    "lstm, both ways, last, words": replace(TINY, spells=False, pooling="last"),
    "gru, one way, max, words": replace(TINY, cell="gru", spells=False, bidirectional=False),
    "published": replace(sentiment_layouts.LAYOUTS["published"], word_size=8, units=6),
}
KILLED_AFTER = 6  # epochs: the teacher is done, the one that it teaches is not
ODD = ["", "!!!", "zzyzx qwrtp", "The tea is very good! " * 30, "مرحبا 🙂", "a"]


def difference(layout: sentiment_layouts.Layout, folder: Path) -> float:
    """Build, with no training, and compare ONNX and Keras on texts of all lengths, also such as no one learned."""
    parts = sentiment.parts(EXAMPLES, layout)
    found = sentiment.words(layout, parts.train, ["the", "not"])
    spelling = found.vocabulary.spelling
    networks = [
        sentiment_network.build(layout, len(found.vocabulary), 2, spelling.buckets if spelling else 0, seed)
        for seed in range(layout.members)
    ]
    for network in networks:  # first weights are so small that a wrong gate would hardly show
        network.set_weights([np.random.default_rng(1).normal(0, 0.5, w.shape) for w in network.get_weights()])
    model = sentiment_network.together(networks)
    path = folder / "model.onnx"
    sentiment_onnx.export(model, layout, found.vocabulary, 2, path)
    texts = [*parts.test.texts, *ODD]
    return sentiment_onnx.check(
        path, model, found.encoder().encode(texts), found.encoder(spells_all=True).encode(texts)
    )


class Answering:
    """Stands for a teacher, whose answer can be foretold from its one weight and the number of a text's second word."""

    def set_weights(self, weights: list[float]) -> None:
        self.weight = weights[0]

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        share = inputs["words"][:, 1] * self.weight
        return np.stack([share, 1 - share], axis=1)


def mistaught() -> float:
    """How far what two teachers make of the texts' targets is from half the labels and half their answers' mean."""
    cut = tuple(" ".join(text.split()[: 2 + at % 4]) for at, text in enumerate(EXAMPLES.texts))
    texts = replace(EXAMPLES, texts=cut)  # of several lengths, in no order
    encoder = sentiment.words(TINY, EXAMPLES).encoder(spells_all=True)
    labelled = sentiment_training.Part.of(texts, encoder)
    taught = sentiment_training._taught(Answering(), [[0.001], [0.003]], encoder, labelled)
    said = np.array([encoder.row(text)[1][0] * 0.002 for text in texts.texts])
    wanted = (labelled.targets + np.stack([said, 1 - said], axis=1)) / 2
    return float(np.abs(taught.targets - wanted).max())


class Killed(Exception):
    """What stands for the end of the process between two epochs."""


def trained(folder: Path) -> dict:
    """Train, save, and answer from the artefact; train again, killed while the taught one learns, and go on."""
    parts = sentiment.parts(EXAMPLES, TINY)
    found = sentiment.words(TINY, parts.train)
    history = sentiment.train(TINY, found, parts)
    record = {"data": {"sha256": EXAMPLES.sha256()}, "parameters": {"seed": 10}, "metrics": {}}
    sentiment.save(history, TINY, found, parts, folder / "artefact", record)
    predictor = Predictor.load(folder / "artefact")
    served = predictor.predict(list(parts.test.texts))
    unseen = predictor.predict(["the tea is very gooood and lovelyy", "the tea is very baad and nastyy"])

    def kill(epoch: int, _metrics: dict) -> None:
        if epoch == KILLED_AFTER:
            raise Killed

    with contextlib.suppress(Killed):
        sentiment.train(TINY, found, parts, save_dir=folder / "state", on_epoch=kill)
    resumed = sentiment.train(TINY, found, parts, save_dir=folder / "state", on_epoch=kill)
    return {
        "accuracy": float(np.mean(served.argmax(axis=1) == parts.test.labels)),
        "difference": float(np.abs(served - sentiment.predict(history, found, parts.test.texts)).max()),
        "unseen": [predictor.labels[index] for index in unseen.argmax(axis=1)],
        "metadata": artefact.check(folder / "artefact").metadata,
        "epochs": history.epochs,
        "resumed_epochs": len(resumed.epochs),
        "resumed_is_same": all(
            np.array_equal(one, other)
            for one, other in zip(history.network.get_weights(), resumed.network.get_weights(), strict=True)
        ),
        "refusal": refusal(found, parts, folder / "state"),
    }


def refusal(found: sentiment.Words, parts: sentiment.Parts, state: Path) -> str:
    """What a run with another learning rate is told that finds this state."""
    try:
        sentiment.train(replace(TINY, learning_rate=0.5), found, parts, save_dir=state)
    except DataError as error:
        return error.message
    return ""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "differences": {name: difference(layout, folder) for name, layout in SHAPES.items()},
        "mistaught": mistaught(),
        "trained": trained(folder),
    }
    (folder / "report.json").write_text(json.dumps(report))


main()
