"""From a text to its words: lower case, marks off, stop words out, lemma, stem; each step can be taken or not.

Try it:  python -c "from workshop.ml.text.cleaning import Cleaning; print(Cleaning().words('I do NOT like it!'))"
Training and serving call this very code with the same steps, which an artefact holds whole, word lists included.
It knows no files: where stop words and lemmas come from is the caller's matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workshop.errors import DataError
from workshop.ml.text import porter

STEPS = ("lower", "squeeze", "strip", "stop-words", "lemma", "stem")
NEGATIONS = frozenset({"no", "nor", "not", "n't", "never", "none", "nothing", "without", "cannot", "against"})
NOT = "n't"
ADDRESS = "http"  # what becomes of an address where marks are kept

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'"})
_WORD = r"[^\W_]+(?:'[^\W_]+)*"
# Where marks are kept, an address, a face, a heart, and marks typed more than once are one word each.
_MARK = r"(?P<address>https?://\S+|www?\.\S+)|[:;=][-o*']?[)(\]\[dDpP/\\|]+|<3|[!?]+|\.{2,}|\*{2,}|[^\w\s]"
_REPEATS = re.compile(r"(.)\1{2,}")
_WORDS = re.compile(_WORD)
_WORDS_AND_MARKS = re.compile(f"{_MARK}|{_WORD}")


@dataclass(frozen=True)
class Cleaning:
    """The steps and what they need: stop_words are taken out, lemmas replace words before the stemmer sees them.

    squeeze: soooo becomes soo. strip: letters and digits alone are kept; without it marks and faces are words too.
    """

    lower: bool = True
    squeeze: bool = False
    strip: bool = True
    stop_words: frozenset[str] = frozenset()
    lemmas: Mapping[str, str] = field(default_factory=dict)
    stem: bool = True

    def tokens(self, text: str) -> Iterator[str]:
        """Cut a text into words as they stand there; don't is do and n't, as the Penn Treebank cuts it."""
        text = text.translate(_APOSTROPHES)
        if self.lower:
            text = text.lower()
        if self.squeeze:
            text = _REPEATS.sub(r"\1\1", text)
        for match in (_WORDS if self.strip else _WORDS_AND_MARKS).finditer(text):
            token = match[0]
            if match.lastgroup:
                yield ADDRESS
            elif "'" not in token or not token[0].isalnum():
                yield token
            elif token[-3:].lower() == NOT:
                if len(token) > 3:
                    yield token[:-3].replace("'", "")
                yield NOT
            else:
                yield from token.split("'")

    def word(self, token: str) -> str:
        """What becomes of one token: empty if it is left out."""
        if token.lower() in self.stop_words:
            return ""
        token = self.lemmas.get(token, token)
        return porter.stemmer()(token) if self.stem and token[:1].isalpha() else token

    def words(self, text: str) -> list[str]:
        """Clean one text."""
        return [word for token in self.tokens(text) if (word := self.word(token))]

    @property
    def steps(self) -> list[str]:
        """The names of the steps that are taken, in their order."""
        taken = (self.lower, self.squeeze, self.strip, bool(self.stop_words), bool(self.lemmas), self.stem)
        return [name for name, is_taken in zip(STEPS, taken, strict=True) if is_taken]

    def as_json(self) -> dict[str, Any]:
        """All that cleaning needs, for the artefact."""
        return {
            "steps": self.steps,
            "stop_words": sorted(self.stop_words),
            "lemmas": dict(sorted(self.lemmas.items())),
        }


def parse_steps(text: str) -> tuple[str, ...]:
    """Read `lower,strip,stem`; `none` is no step.

    Errors: DataError that names what is no step.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip() not in ("", "none"))
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        raise DataError(
            f"there is no cleaning step {', '.join(unknown)}", f"choose of {','.join(STEPS)}, or none"
        )
    return names


def make(
    steps: Iterable[str], stop_words: Iterable[str] = (), lemmas: Mapping[str, str] | None = None
) -> Cleaning:
    """Make a cleaning of the named steps; negations are never stop words: `not good` must not become `good`."""
    taken = set(steps)
    return Cleaning(
        lower="lower" in taken,
        squeeze="squeeze" in taken,
        strip="strip" in taken,
        stop_words=frozenset(stop_words) - NEGATIONS if "stop-words" in taken else frozenset(),
        lemmas=dict(lemmas or {}) if "lemma" in taken else {},
        stem="stem" in taken,
    )


def from_json(description: Mapping[str, Any]) -> Cleaning:
    """Read what `as_json` wrote.

    Errors: DataError if it is not that.
    """
    try:
        steps = parse_steps(",".join(description["steps"]))
        stop_words = frozenset(str(word) for word in description["stop_words"])
        lemmas = {str(word): str(lemma) for word, lemma in description["lemmas"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"the cleaning steps can't be read ({error!r})", "train again") from error
    return Cleaning(
        "lower" in steps, "squeeze" in steps, "strip" in steps, stop_words, lemmas, "stem" in steps
    )
