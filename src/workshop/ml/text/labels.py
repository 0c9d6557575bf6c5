"""Each text once, with its commonest label, and whether a class has enough of them.

Try it:  python -c "from workshop.ml.text import labels; print(labels.once([('Hi', 'joy'), ('hi ', 'joy')]))"
What training does, and whoever looks at data before training is paid for: so it needs the standard library alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

LEAST_OF_A_CLASS = 5  # so that each part of a split has at least one


def key_of(text: str) -> str:
    """What makes two texts the same: case and blanks do not count."""
    return " ".join(text.casefold().split())


def once(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(text, label), each text as it came first and with its commonest label."""
    first: dict[str, str] = {}
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for text, label in pairs:
        key = key_of(text)
        first.setdefault(key, text)
        votes[key][label] += 1
    return [(text, votes[key].most_common(1)[0][0]) for key, text in first.items()]


def too_few(counts: Mapping[str, int]) -> str:
    """What is wrong with how many different texts the classes have; '' if nothing."""
    few = ", ".join(f"{name} {count}" for name, count in counts.items() if count < LEAST_OF_A_CLASS)
    return f"too few different texts of a class: {few}; at least {LEAST_OF_A_CLASS} are needed" if few else ""
