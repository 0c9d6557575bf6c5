"""Pictures of how a sentiment network learned: a curve for each metric.

Try it:  workshop run train-sentiment -p num_epochs=2, then look at its notebook
Returns a matplotlib Figure and shows nothing: a notebook displays it, a job saves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from workshop.ml.figures import LINES, new_figure

METRICS = {
    "loss": "cross-entropy (nats a text)",
    "accuracy": "share of texts classified rightly",
    "precision": "share of the sure answers that are right",
    "recall": "share of the texts with a sure and right answer",
}


def learning_curves(epochs: Sequence[Mapping[str, float]]) -> Figure:
    """Draw each metric by epoch, learned from and watched; members of an ensemble have a colour each."""
    figure, grid = new_figure(10, 6.8, rows=2, columns=2)
    members = sorted({int(row["member"]) for row in epochs})
    for axes, (name, meaning) in zip(grid.flat, METRICS.items(), strict=True):
        for member in members:
            rows = [row for row in epochs if row["member"] == member]
            where, colour = np.arange(1, len(rows) + 1), LINES[(member - 1) % len(LINES)]
            mark = f" (network {member})" if len(members) > 1 else ""
            axes.plot(
                where, [row[name] for row in rows], ":", color=colour, marker=".", label=f"learned from{mark}"
            )
            watched = [row[f"validation_{name}"] for row in rows]
            axes.plot(where, watched, color=colour, marker=".", label=f"watched{mark}")
        axes.set(title=name.capitalize(), xlabel="epoch", ylabel=meaning)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    grid.flat[0].legend(frameon=False, fontsize=8)
    return figure
