"""Labelled texts: each text once, split by class so that no text is on both sides.

Try it:  python -c "from workshop.ml.text import examples as e; print(e.collect([('Hi', 'joy'), ('Oh', 'fear')]))"
Knows NumPy alone, and nothing of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from workshop.errors import DataError
from workshop.ml.text import labels

TEST_SHARE = 0.2


@dataclass(frozen=True)
class Examples:
    """texts and labels of the same length; labels int64 (N,) are indices into classes."""

    texts: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts().items())
        return f"{len(self):,} texts: {counts}"

    def part(self, indices: Sequence[int] | np.ndarray) -> Examples:
        return Examples(tuple(self.texts[i] for i in indices), self.labels[indices], self.classes)

    def sha256(self) -> str:
        """Fingerprint of texts and labels in their order: the same for the same examples, whatever file held them."""
        digest = hashlib.sha256()
        for text, label in zip(self.texts, self.labels, strict=True):
            digest.update(f"{self.classes[label]}\0{text}\0".encode())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Examples of each class."""
        return {name: int(np.sum(self.labels == index)) for index, name in enumerate(self.classes)}


def collect(pairs: Iterable[tuple[str, str]]) -> Examples:
    """Make examples of (text, label name), each text once with its commonest label; classes are in alphabetical order.

    Errors: DataError if less than two classes are left, or too few examples of one.
    """
    found = labels.once(pairs)
    classes = tuple(sorted({name for _, name in found}))
    if len(classes) < 2:
        raise DataError(
            f"the texts have {len(classes)} class{'' if len(classes) == 1 else 'es'} ({', '.join(classes)})",
            "give texts of two classes or more",
        )
    number = {name: index for index, name in enumerate(classes)}
    numbers = np.array([number[name] for _, name in found], dtype=np.int64)
    return Examples(tuple(text for text, _ in found), numbers, classes)


def check_enough(examples: Examples) -> None:
    """Errors: DataError that names every class with too few examples to learn from and to test on."""
    few = labels.too_few(examples.counts())
    if few:
        raise DataError(few, "give more texts of it, or leave the class out")


def split(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Split off a share of each class: (the rest, the share). The same seed gives the same parts.

    Errors: DataError if a class is too small for both sides.
    """
    if not 0 < share < 1:
        raise DataError(f"a share of {share} can't be split off", "give a number between 0 and 1")
    random = np.random.default_rng(seed)
    taken = []
    for index in range(len(examples.classes)):
        mine = random.permutation(np.flatnonzero(examples.labels == index))
        count = max(1, round(share * len(mine)))
        if count >= len(mine):
            name = examples.classes[index]
            raise DataError(
                f"{len(mine)} texts of class '{name}' can't be split in two", f"give more texts of '{name}'"
            )
        taken.append(mine[:count])
    is_taken = np.zeros(len(examples), dtype=bool)
    is_taken[np.concatenate(taken)] = True
    return examples.part(np.flatnonzero(~is_taken)), examples.part(np.flatnonzero(is_taken))
