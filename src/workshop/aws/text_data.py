"""Look at a CSV of labelled texts before anything is paid for: is it what training needs?

Try it:  from workshop.aws import text_data; text_data.examine(b"text,label_text\\nfine,positive\\n")
Read and counted by the code that training reads and counts with, so that what passes here does not fail there. Knows
nothing of what the texts mean. Every problem is reported, not the first alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from workshop.aws import objects
from workshop.aws.session import Aws
from workshop.data import texts
from workshop.errors import AwsError, DataError
from workshop.ml.text import labels

FEWEST_ROWS = 50
MOST_CLASSES = 50
REMEDY = "mend the CSV (columns text,label_text; one labelled text a row), upload it, run it again"


@dataclass(frozen=True)
class Summary:
    """What is in a file. classes: of different texts; duplicates: rows whose text came before; contradictions: rows
    with another label than the one that their text gets."""

    rows: int
    classes: dict[str, int]
    duplicates: int
    contradictions: int
    sha256: str
    size_bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count:,}" for name, count in self.classes.items())
        told = f"{self.rows:,} rows in {len(self.classes)} classes ({each})"
        notes = {
            "that repeat a text": self.duplicates,
            "that contradict its label": self.contradictions,
        }
        return "; ".join([told, *(f"{count:,} {what}" for what, count in notes.items() if count)])


def read(address: str, aws: Aws) -> Summary:
    """Examine the file at an s3:// address. Errors: DataError with all that is wrong with it."""
    try:
        found = next(entry for entry in objects.list(address, aws) if entry.uri == address)
    except (StopIteration, AwsError) as error:
        cause = f": {error.message}" if isinstance(error, AwsError) else ""
        raise DataError(
            f"there is no data at {address}{cause}", "upload the CSV, or name another dataset"
        ) from error
    if found.size_bytes > texts.LARGEST_BYTES:
        raise DataError(
            f"{address} has {found.size_bytes:,} bytes; at most {texts.LARGEST_BYTES:,} are taken",
            "send fewer rows",
        )
    return examine(objects.read_bytes(address, aws), address)


def examine(content: bytes, name: str = "the file") -> Summary:
    """Count rows, classes and repeats. Errors: DataError with all that is wrong."""
    pairs, problems = texts.parse(content, name)
    summary = _summary([pair for pair in pairs if all(pair)], content)
    told = [texts.listed(problems)] if problems else []
    told += _problems(summary)
    if told:
        raise DataError(f"{name}: {'; '.join(told)}", REMEDY)
    return summary


def _summary(pairs: texts.Pairs, content: bytes) -> Summary:
    found = labels.once(pairs)
    label_of = {labels.key_of(text): label for text, label in found}
    return Summary(
        rows=len(pairs),
        classes=dict(sorted(Counter(label_of.values()).items())),
        duplicates=len(pairs) - len(found),
        contradictions=sum(label_of[labels.key_of(text)] != label for text, label in pairs),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


def _problems(summary: Summary) -> list[str]:
    found = []
    if summary.rows < FEWEST_ROWS:
        found.append(f"only {summary.rows} labelled texts, at least {FEWEST_ROWS} are needed")
    if not 2 <= len(summary.classes) <= MOST_CLASSES:
        found.append(f"{len(summary.classes)} classes, expected 2 to {MOST_CLASSES}")
    few = labels.too_few(summary.classes)
    return [*found, few] if few else found
