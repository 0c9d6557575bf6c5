"""How good a sentiment network is: accuracy, macro-F1, precision, recall and F1 of each class, its worst texts.

Try it:  python -c "from workshop.ml import sentiment_metrics as m; print(m.report([[.9, .1], [.2, .8]], [0, 1], 'ab'))"
Knows NumPy alone: probabilities and labels in, figures out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from workshop.ml.metrics import confusion_matrix

LEAST_PROBABILITY = 1e-7  # so that the loss of a sure mistake is finite


def report(probabilities: Any, labels: Any, classes: Sequence[str]) -> dict[str, Any]:
    """What a job reports. macro_f1 is the mean of the classes' F1, so that a rare class counts as much as a common one.

    Precision of a class that was never guessed, and recall of one that never occurred, count as 0.
    """
    table = confusion_matrix(probabilities, labels)
    right = table.diagonal().astype(float)
    guessed, true = table.sum(axis=0), table.sum(axis=1)
    precision = np.divide(right, guessed, out=np.zeros_like(right), where=guessed > 0)
    recall = np.divide(right, true, out=np.zeros_like(right), where=true > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(right), where=both > 0)
    of_truth = np.asarray(probabilities, float)[np.arange(len(labels)), np.asarray(labels)]
    return {
        "accuracy": float(right.sum() / table.sum()),
        "macro_f1": float(f1.mean()),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "loss": float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean()),
        "examples": int(table.sum()),
        # The accuracy of whoever always answers that class.
        "largest_class_share": float(true.max() / table.sum()),
        "classes": {
            name: {
                "precision": float(precision[index]),
                "recall": float(recall[index]),
                "f1": float(f1[index]),
                "examples": int(true[index]),
            }
            for index, name in enumerate(classes)
        },
    }


@dataclass(frozen=True)
class Table:
    """Rows to look at, in a notebook as a table and in a terminal as lines."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = (self.heading, *self.rows)
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heading))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def line(cells: tuple[str, ...], tag: str) -> str:
            style = ' style="text-align: left"'
            return "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(line(row, "td") for row in self.rows)
        return f"<table><thead>{line(self.heading, 'th')}</thead><tbody>{body}</tbody></table>"


def class_table(found: dict[str, Any]) -> Table:
    """Show what `report` says of each class."""
    rows = [
        (name, f"{one['precision']:.3f}", f"{one['recall']:.3f}", f"{one['f1']:.3f}", f"{one['examples']:,}")
        for name, one in found["classes"].items()
    ]
    mean = ("mean", *(f"{found[f'macro_{what}']:.3f}" for what in ("precision", "recall", "f1")))
    return Table(("class", "precision", "recall", "F1", "texts"), (*rows, (*mean, f"{found['examples']:,}")))


def worst(
    texts: Sequence[str], probabilities: Any, labels: Any, classes: Sequence[str], count: int = 12
) -> list[dict[str, Any]]:
    """The wrongly classified texts of whose guess the network was surest, surest first."""
    values, truth = np.asarray(probabilities), np.asarray(labels)
    guesses = values.argmax(axis=1)
    wrong = np.flatnonzero(guesses != truth)
    chosen = wrong[np.argsort(-values[wrong, guesses[wrong]], kind="stable")][:count]
    return [
        {
            "text": texts[index],
            "label": classes[truth[index]],
            "guess": classes[guesses[index]],
            "probability": round(float(values[index, guesses[index]]), 4),
        }
        for index in chosen
    ]


def worst_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Show what `worst` found."""
    return Table(
        ("text", "label", "guess", "probability"),
        tuple((row["text"], row["label"], row["guess"], f"{row['probability']:.1%}") for row in rows),
    )
