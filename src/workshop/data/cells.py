"""Cells of a CSV file as arrays: millions of short numbers and words read without a Python object for each.

Try it:  python -c "from workshop.data import cells; print(cells.read(b'a,b\\n1,2\\n', 'x.csv').number('a'))"
Every byte is looked at: a cell that is no number, or no known word, is a problem with its line. Knows no survey.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workshop.data.texts import FormatError, listed

_COMMA, _LINE_FEED, _RETURN, _ZERO, _POINT = b",\n\r0."
_MOST_DIGITS = 9  # more are no count that a survey asks for; float64 holds 15 exactly
_LONGEST_CELL_TOLD = 30


@dataclass
class Cells:
    """A file cut into cells. starts, ends: int64 (lines, columns), byte positions of each cell."""

    content: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    names: tuple[str, ...]
    where: str
    problems: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def number(
        self, name: str, low: float = 0, high: float = 10**_MOST_DIGITS, may_be_missing: bool = False
    ) -> np.ndarray:
        """A column of whole numbers, which may end in .0, as float64 (N,); an empty cell that may be is NaN.

        Cells that are no such number, or not within low and high, are added to the problems.
        """
        starts, ends = self._span(name)
        dotted = self._ends_in_point_zero(starts, ends)
        lengths = ends - starts - 2 * dotted
        values, is_number = self._digits(starts, lengths)
        missing = ends == starts
        values[missing] = np.nan
        if not may_be_missing:
            self._tell(name, missing, "is empty")
        self._tell(name, ~is_number & ~missing, "is not a whole number")
        outside = is_number & ~missing & ~((values >= low) & (values <= high))
        self._tell(name, outside, f"is not in {low:g} to {high:g}")
        return values

    def category(self, name: str, categories: Sequence[str]) -> np.ndarray:
        """A column of known words as their positions in `categories`, int64 (N,); other words are problems."""
        starts, ends = self._span(name)
        lengths = ends - starts
        codes = np.full(len(starts), -1, dtype=np.int64)
        for code, word in enumerate(categories):
            wanted = np.frombuffer(word.encode(), dtype=np.uint8)
            rows = np.flatnonzero(lengths == len(wanted))
            equal = np.ones(len(rows), dtype=bool)
            for offset, byte in enumerate(wanted):
                equal &= self.content[starts[rows] + offset] == byte
            codes[rows[equal]] = code
        self._tell(name, codes < 0, f"is none of {', '.join(categories)}")
        return codes

    def repeated(self, name: str, values: np.ndarray) -> None:
        """Add to the problems each line whose value was in a line before it."""
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        first = (
            dict(zip(values[order[::-1]].tolist(), order[::-1].tolist(), strict=True)) if len(again) else {}
        )
        for row in sorted(order[again].tolist()):
            value = values[row]
            self.problems.append(f"line {row + 2} repeats the {name} {value:g} of line {first[value] + 2}")

    def check(self, remedy: str) -> None:
        """Errors: FormatError with the first problems and how many there are besides."""
        if self.problems:
            raise FormatError(f"{self.where}: {listed(self.problems)}", remedy)

    def _span(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        at = self.names.index(name)
        return np.ascontiguousarray(self.starts[:, at]), np.ascontiguousarray(self.ends[:, at])

    def _digits(self, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros(len(starts))
        good = (lengths > 0) & (lengths <= _MOST_DIGITS)
        for offset in range(min(int(lengths.max(initial=0)), _MOST_DIGITS)):
            rows = np.flatnonzero(good & (lengths > offset)) if offset else np.flatnonzero(good)
            digits = self.content[starts[rows] + offset] - np.uint8(_ZERO)  # below '0' it wraps to above 9
            good[rows[digits > 9]] = False
            values[rows] = values[rows] * 10 + digits
        return values, good

    def _ends_in_point_zero(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Where a cell ends in .0, as whole numbers do that were once kept as floats."""
        long = ends - starts > 2
        found = (self.content[ends - 1] == _ZERO) & (self.content[ends - 2] == _POINT)
        return long & found

    def _text(self, start: int, end: int) -> str:
        text = self.content[start:end].tobytes().decode("utf-8", "replace")
        return text if len(text) <= _LONGEST_CELL_TOLD else text[:_LONGEST_CELL_TOLD] + "…"

    def _tell(self, name: str, wrong: np.ndarray, what: str) -> None:
        starts, ends = self._span(name) if wrong.any() else (self.starts, self.ends)
        for row in np.flatnonzero(wrong):
            cell = self._text(starts[row], ends[row])
            self.problems.append(f"line {row + 2}, {name}: {repr(cell) + ' ' if cell else ''}{what}")


def read(content: bytes, where: str | Path) -> Cells:
    """Cut a CSV file with a header into cells; every line must have as many as the header.

    Errors: FormatError if it is empty or lines have other numbers of cells.
    """
    content = content.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    if b'"' in content:
        content = _without_quotes(content, where)
    header, _, body = content.partition(b"\n")
    names = tuple(name.strip() for name in header.decode("utf-8", "replace").split(","))
    if not body:
        raise FormatError(f"{where} holds no lines below its header", "give a file with answers")
    text = np.frombuffer(body + b"\n", dtype=np.uint8)
    cuts = np.flatnonzero((text == _COMMA) | (text == _LINE_FEED))
    is_end = text[cuts] == _LINE_FEED
    whole, rest = divmod(len(cuts), len(names))
    if rest or is_end.sum() != whole or not is_end[len(names) - 1 :: len(names)].all():
        raise FormatError(
            f"{where}: {listed(_uneven(is_end, len(names)))}", "every line needs a cell for every column"
        )
    ends = cuts.reshape(whole, len(names))
    starts = np.concatenate(([0], cuts[:-1] + 1)).reshape(whole, len(names))
    ends[:, -1] -= text[ends[:, -1] - 1] == _RETURN
    return Cells(text, starts, ends, names, str(where))


def _uneven(is_end: np.ndarray, expected: int) -> list[str]:
    counts = np.diff(np.flatnonzero(is_end), prepend=-1)
    return [
        f"line {row + 2} has {counts[row]} cell{'' if counts[row] == 1 else 's'}, expected {expected}"
        for row in np.flatnonzero(counts != expected)
    ]


def _without_quotes(content: bytes, where: str | Path) -> bytes:
    """The same table without quotes; a comma inside quotes then is one cell too many, which is told."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""), strict=True))
    except csv.Error as error:
        raise FormatError(f"{where}: {error}", "save it as plain CSV, RFC 4180") from error
    return "\n".join(",".join(row) for row in rows).encode()
