"""The layouts of the sentiment networks, as data: what `layout=` of the jobs chooses from.

Try it:  python -c "from workshop.ml import sentiment_layouts; print(sentiment_layouts.layout('ours', 20_000))"
Chosen on validation texts that were split off the training texts, never on test texts. Knows no framework.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workshop.errors import SettingsError
from workshop.ml.text import cleaning


@dataclass(frozen=True)
class Layout:
    """One network and how it learns.

    cleaning: steps of `text.cleaning`. word_size: numbers that stand for a word. spells: a word's letter groups are
    read too, so that words that no training text had say something. units: of the recurrent layer, in each direction.
    pooling: what becomes of its outputs, `last` or `max`. dropout: of word vectors, whole columns of them if
    columns_drop. output_dropout: before the last layer. word_dropout: share of known words that are given as unknown,
    so that spellings are learned. least_count: how often a word must occur to have a number.
    averaging: how much of the running mean of the weights each step keeps; the mean is what answers; 0: the last
    weights answer. validation_share: of the
    training texts, to watch progress on. patience: epochs without a better accuracy on them before training ends and
    goes back to the best; 0: all epochs, and the last weights. members: networks that learn one after another, from
    different first weights, and answer together. teachers: networks that learn before them and answer nobody: the
    members learn from what the teachers say of the training texts as much as from the labels.
    """

    name: str
    cleaning: tuple[str, ...]
    cell: str = "lstm"
    activation: str = "tanh"
    units: int = 64
    bidirectional: bool = True
    pooling: str = "max"
    word_size: int = 64
    spells: bool = False
    dropout: float = 0.3
    columns_drop: bool = True
    output_dropout: float = 0.0
    word_dropout: float = 0.0
    least_count: int = 1
    num_epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 2e-3
    averaging: float = 0.0
    decays: bool = True  # the learning rate, in a straight line to 0
    validation_share: float = 0.1
    patience: int = 1
    members: int = 1
    teachers: int = 0

    @property
    def networks(self) -> int:
        """How many learn, one after another."""
        return self.teachers + self.members


LAYOUTS = {
    # As it was published, but for the padding: theirs was the longest text and 100 more, ours is masked.
    "published": Layout(
        "published",
        cleaning=("lower", "strip", "stop-words", "lemma", "stem"),
        activation="relu",
        units=32,
        bidirectional=False,
        pooling="last",
        word_size=32,
        dropout=0.2,
        columns_drop=False,
        num_epochs=20,
        batch_size=10,
        learning_rate=1e-3,
        decays=False,
        patience=0,
    ),
}
# Ours, by how many labelled texts there are: the fewer, the smaller the steps' batches and the more passes.
MANY_TEXTS, SOME_TEXTS = 10_000, 1_000
OURS = Layout(
    "ours",
    cleaning=("lower", "squeeze"),
    spells=True,
    teachers=2,
    dropout=0.5,
    output_dropout=0.5,
    word_dropout=0.2,
    least_count=3,
    num_epochs=3,
    learning_rate=7e-3,
    averaging=0.99,
    validation_share=0.05,
)
OURS_FOR_SOME = replace(
    OURS, least_count=2, num_epochs=4, batch_size=32, averaging=0.98, patience=2, members=3, teachers=0
)
OURS_FOR_FEW = replace(
    OURS,
    least_count=1,
    num_epochs=8,
    batch_size=16,
    averaging=0.9,
    validation_share=0.1,
    patience=1,
    teachers=0,
)
NAMES = (*LAYOUTS, OURS.name)


def layout(name: str, num_texts: int, **changes: Any) -> Layout:
    """Look a layout up, with what is to be different: numbers that are 0 and texts that are empty change nothing.

    num_texts: how many labelled texts there are.
    Errors: SettingsError if there is none by that name, or a number can't be used.
    """
    if name not in NAMES:
        raise SettingsError(f"there is no layout {name!r}", f"choose one of {', '.join(NAMES)}")
    steps = changes.pop("cleaning", "")
    given = {key: value for key, value in changes.items() if value}
    wrong = [f"{key}={value}" for key, value in given.items() if not value > 0]
    if wrong:
        raise SettingsError(f"{', '.join(wrong)} can't be used to train", "give positive numbers")
    if steps:
        given["cleaning"] = cleaning.parse_steps(steps)
    return replace(LAYOUTS.get(name) or _ours(num_texts), **given)


def _ours(num_texts: int) -> Layout:
    if num_texts >= MANY_TEXTS:
        return OURS
    return OURS_FOR_SOME if num_texts >= SOME_TEXTS else OURS_FOR_FEW
