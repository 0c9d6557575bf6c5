"""Texts to the inputs of model.onnx, fast: what is known of a word is remembered.

Try it:  python -c "from workshop.ml.text.encoding import Encoder; print(Encoder.load('artefact').encode(['hello']))"

    words    int32 (B, T)    index of each word in the vocabulary; 0 is padding, 1 a word it does not have
    lengths  int32 (B,)      words of each text, 1 or more: a text without words counts as one unknown word
    spelled  int32 (B, T)    which row of `spellings` spells the word; row 0 spells nothing
    spellings  int32 (U, G)  the letter groups of the words that are spelled; 0 is padding

The last two are there if the network reads spellings. T is the longest text given, never above the longest that was
learned from. Knows no network: what the numbers mean is the artefact's matter.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from workshop.ml.text.cleaning import Cleaning
from workshop.ml.text.vocabulary import UNKNOWN_INDEX, Vocabulary

# Words, and letters of one: about 8 MB, a bound for a service that is sent rubbish.
MOST_REMEMBERED, LONGEST_REMEMBERED = 20_000, 100

Groups = array  # of int32: as a list they would take six times the memory
Row = list[tuple[int, Groups | None]]  # of each word its index, and its letter groups if it is spelled
_LEFT_OUT = -1


class Encoder:
    """What cleaning and vocabulary make of texts.

    spells_all: give the spelling of every word, as training needs; a trained table of words holds it already.
    """

    def __init__(self, cleaning: Cleaning, vocabulary: Vocabulary, spells_all: bool = False) -> None:
        self.cleaning, self.vocabulary = cleaning, vocabulary
        self._spells_all = spells_all
        self._known: dict[str, tuple[int, Groups | None]] = {}

    @classmethod
    def load(cls, folder: str | Path) -> Encoder:
        """Read the encoder of an artefact, which is checked first."""
        from workshop.ml.text import artefact

        return artefact.check(folder).encoder()

    def encode(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Turn texts into the network's inputs."""
        return self.inputs([self.row(text) for text in texts])

    def inputs(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """Turn what `row` made of texts into the network's inputs."""
        lengths = [len(row) for row in rows]
        shape = (len(rows), max(lengths, default=1))
        inputs = {"words": np.zeros(shape, np.int32), "lengths": np.array(lengths, np.int32)}
        for index, row in enumerate(rows):
            inputs["words"][index, : len(row)] = [number for number, _ in row]
        if self.vocabulary.spelling is not None:
            inputs |= self._spellings(rows, shape)
        return inputs

    def row(self, text: str) -> Row:
        """Look up the words of one text, so that training does it once."""
        known, most = self._known, self.vocabulary.longest_text
        row: Row = []
        for token in self.cleaning.tokens(text):
            found = known.get(token) or self._look_up(token)
            if found[0] != _LEFT_OUT:
                row.append(found)
                if len(row) == most:
                    break
        return row or [(UNKNOWN_INDEX, None)]

    def _look_up(self, token: str) -> tuple[int, Groups | None]:
        word = self.cleaning.word(token)
        if not word:
            found: tuple[int, Groups | None] = (_LEFT_OUT, None)
        else:
            number = self.vocabulary.index.get(word, UNKNOWN_INDEX)
            spelling = self.vocabulary.spelling
            is_spelled = spelling is not None and (self._spells_all or number == UNKNOWN_INDEX)
            groups = spelling.groups(word) if spelling and is_spelled else []
            found = (number, array("i", groups) if groups else None)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if len(token) <= LONGEST_REMEMBERED:
            self._known[token] = found
        return found

    def _spellings(self, rows: Iterable[Row], shape: tuple[int, int]) -> dict[str, np.ndarray]:
        spelled = np.zeros(shape, np.int32)
        place: dict[int, int] = {}
        distinct: list[Groups] = []
        for index, row in enumerate(rows):
            for position, (_, groups) in enumerate(row):
                if groups is not None:
                    # The same word is the same remembered array, so its identity stands for it.
                    key = id(groups)
                    if key not in place:
                        distinct.append(groups)
                        place[key] = len(distinct)
                    spelled[index, position] = place[key]
        table = np.zeros((len(distinct) + 1, max(map(len, distinct), default=1)), np.int32)
        for number, groups in enumerate(distinct, start=1):
            table[number, : len(groups)] = groups
        return {"spelled": spelled, "spellings": table}
