"""Words to numbers: the words of the training texts have one each, all others are spelled.

Try it:  python -c "from workshop.ml.text import vocabulary as v; print(v.learn([['a', 'b'], ['a']]).words)"
0 is padding and 1 any word that no training text had. A word's spelling is the hashes of its letter groups, so that
a network that reads spellings has an idea of `happpy` too. Knows no files.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workshop.errors import DataError

PADDING, UNKNOWN = "", "<unknown>"
PADDING_INDEX, UNKNOWN_INDEX = 0, 1
LONGEST_GROUP = 50  # letters: the work for an unknown word is as much


@dataclass(frozen=True)
class Spelling:
    """Groups of `shortest` to `longest` letters, hashed into `buckets`; of a long word `most`, evenly spaced."""

    buckets: int = 20_000
    shortest: int = 3
    longest: int = 5
    most: int = 12

    def groups(self, word: str) -> list[int]:
        """Hash a word's letter groups, its ends marked: numbers from 1 to `buckets`; 0 is padding."""
        marked = f"<{word}>".encode()
        found = [
            1 + zlib.crc32(marked[start : start + length]) % self.buckets
            for length in range(self.shortest, self.longest + 1)
            for start in range(len(marked) - length + 1)
        ]
        if len(found) <= self.most:
            return found
        return [found[place * (len(found) - 1) // (self.most - 1)] for place in range(self.most)]


@dataclass(frozen=True)
class Vocabulary:
    """words: by index, the first two are padding and unknown; longest_text: words of the longest training text."""

    words: tuple[str, ...]
    longest_text: int
    spelling: Spelling | None = None
    index: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {word: number for number, word in enumerate(self.words)})

    def __len__(self) -> int:
        return len(self.words)

    def as_json(self) -> dict[str, Any]:
        spelling = None if self.spelling is None else vars(self.spelling)
        return {"words": list(self.words), "longest_text": self.longest_text, "spelling": spelling}


def learn(
    texts: Iterable[Sequence[str]],
    most_words: int = 20_000,
    least_count: int = 1,
    spelling: Spelling | None = None,
) -> Vocabulary:
    """Collect the words of cleaned training texts, commonest first; of equally common ones in alphabetical order."""
    counts: Counter[str] = Counter()
    longest = 1
    for words in texts:
        counts.update(words)
        longest = max(longest, len(words))
    common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    kept = [word for word, count in common if count >= least_count][:most_words]
    if not kept:
        raise DataError("no word is left of the training texts", "take fewer cleaning steps, or other texts")
    return Vocabulary((PADDING, UNKNOWN, *kept), longest, spelling)


def from_json(description: Mapping[str, Any]) -> Vocabulary:
    """Read what `as_json` wrote.

    Errors: DataError if it is not that.
    """
    try:
        words = tuple(description["words"])
        spelling = description["spelling"]
        longest = int(description["longest_text"])
        read = (
            None if spelling is None else Spelling(**{name: int(value) for name, value in spelling.items()})
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the vocabulary can't be read ({error!r})", "train again") from error
    if read and not (
        1 <= read.shortest <= read.longest <= LONGEST_GROUP and read.most > 1 and read.buckets > 0
    ):
        raise DataError("the vocabulary's spelling has sizes that can't be", "train again")
    wrong = words[:2] != (PADDING, UNKNOWN) or len(set(words)) != len(words)
    if wrong or longest < 1 or not all(isinstance(word, str) for word in words):
        raise DataError("the vocabulary is not a list of different words", "train again")
    return Vocabulary(words, longest, read)
