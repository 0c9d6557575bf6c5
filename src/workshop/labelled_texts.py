"""Labelled texts for the jobs, by name, path or s3:// address, and what cleaning them needs.

Try it:  python -c "from workshop import labelled_texts as t; print(t.find('tweets').note)"
Joins datasets, S3 and learning, so that a notebook says in one line what it reads. Knows no networks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop import datasets
from workshop.errors import DataError
from workshop.ml import sentiment
from workshop.ml.text import lemmas
from workshop.ml.text.artefact import Artefact
from workshop.ml.text.examples import Examples
from workshop.settings import Settings

ASKED_AT_ONCE = 100  # texts


@dataclass(frozen=True)
class Labelled:
    """Examples with where they come from. note: one line for the reader."""

    name: str
    source: str
    is_sample: bool
    note: str
    examples: Examples

    def as_json(self) -> dict[str, Any]:
        """What an artefact records of the data that it was learned from."""
        return {
            "name": self.name,
            "source": self.source,
            "is_sample": self.is_sample,
            "sha256": self.examples.sha256(),
            "rows": len(self.examples),
            "classes": self.examples.counts(),
        }


@dataclass(frozen=True)
class Helps:
    """What cleaning may use; lemma: None where there is no WordNet."""

    stop_words: frozenset[str]
    lemma: Callable[[str], str] | None
    note: str


def find(where: str, settings: Settings | None = None) -> Labelled:
    """Read 'tweets', 'isear', or a CSV file with `text,label_text` at a path or an s3:// address.

    Errors: DataError that says what is wrong with the name or the file.
    """
    where = where.strip()
    if where in datasets.TEXTS:
        found = datasets.find(where, settings)
        return Labelled(where, found.source, found.is_sample, found.note, datasets.texts(found))
    if where.startswith("s3://"):
        from workshop.aws import objects

        with tempfile.TemporaryDirectory(prefix="workshop-texts-") as folder:
            path = objects.download(where, Path(folder, "texts.csv"))
            return _own(where, datasets.texts(path))
    if not where or not ("/" in where or Path(where).suffix):
        raise DataError(
            f"there is no set of labelled texts '{where}'",
            f"one of {', '.join(datasets.TEXTS)}, or a CSV file as path or s3:// address",
        )
    return _own(where, datasets.texts(Path(where).expanduser()))


def helps(settings: Settings | None = None) -> Helps:
    """Find stop words and WordNet, without which the step `lemma` does nothing."""
    found = datasets.find("stopwords", settings)
    folder = found.files.get("wordnet")
    return Helps(datasets.stop_words(found), lemmas.of(folder) if folder else None, found.note)


def to_score(found: Labelled, checked: Artefact) -> tuple[Examples, str]:
    """The examples that an artefact is scored on, and a sentence that says which.

    Of the data that it was learned from only the part that training never saw; of other data all.
    Errors: DataError if the data has a class that the artefact does not know.
    """
    if found.examples.sha256() == checked.metadata["data"].get("sha256"):
        _, test = sentiment.held_out(found.examples, int(checked.metadata["parameters"]["seed"]))
        return test, f"{len(test):,} texts that were held out when it was trained"
    unknown = [name for name in found.examples.classes if name not in checked.labels]
    if unknown:
        raise DataError(
            f"{found.name} has texts labelled {', '.join(unknown)}, the artefact knows {', '.join(checked.labels)}",
            "score it on texts with its own labels",
        )
    labels = np.array(
        [checked.labels.index(found.examples.classes[label]) for label in found.examples.labels]
    )
    examples = Examples(found.examples.texts, labels, checked.labels)
    return examples, f"all {len(examples):,} texts of other data than it was trained on"


def answers(predict: Callable[[Sequence[str]], np.ndarray], examples: Examples) -> np.ndarray:
    """Ask for all examples, a few at a time, as a service would: probabilities (N, classes)."""
    starts = range(0, len(examples), ASKED_AT_ONCE)
    return np.concatenate([predict(examples.texts[start : start + ASKED_AT_ONCE]) for start in starts])


def _own(where: str, examples: Examples) -> Labelled:
    name = where.rsplit("/", 1)[-1]
    return Labelled(name, where, False, f"{name}: {len(examples):,} different texts from {where}", examples)
