"""Pictures of what was learned: curves, confusion matrix, classified photos, confident mistakes.

Try it:  labs/04-*.ipynb
Every function returns a matplotlib Figure and shows nothing: a notebook displays it, a job saves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workshop.ml.verdict import Verdict

# Okabe and Ito's colours, told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"
LINES = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9")
LONGEST_NAME = 22  # characters of a class name beside its bar


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """Make a figure that pyplot forgets at once: returned from a notebook cell it appears once, not twice."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", dpi=100
    )
    plt.close(figure)
    return figure, axes


def learning_curves(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draw loss and accuracy by epoch; histories: name (a framework, a run) to its rows of metrics."""
    figure, ((left, right),) = new_figure(10, 3.8, columns=2)
    for index, (name, rows) in enumerate(histories.items()):
        colour = LINES[index % len(LINES)]
        epochs = np.arange(1, len(rows) + 1)
        left.plot(epochs, [row["loss"] for row in rows], color=colour, marker=".", label=name)
        right.plot(
            epochs,
            [row["accuracy"] for row in rows],
            color=colour,
            linestyle=":",
            label=f"{name}, training (changed pictures)",
        )
        if all("validation_accuracy" in row for row in rows):
            held_out = [row["validation_accuracy"] for row in rows]
            right.plot(epochs, held_out, color=colour, marker=".", label=f"{name}, held out")
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats a picture)")
    right.set(title="Accuracy", xlabel="epoch", ylabel="share of pictures classified rightly", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=9)
    return figure


def confusion_matrix(table: np.ndarray, classes: Sequence[str], title: str = "Confusion matrix") -> Figure:
    """Draw counts (true, guessed): int (classes, classes); the colour is the share of the true class."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.55 * len(classes)
    figure, ((axes,),) = new_figure(side + 0.8, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, guessed in np.ndindex(table.shape):
        if table[true, guessed]:
            colour = "white" if shares[true, guessed] > 0.5 else "black"
            axes.text(
                guessed, true, f"{table[true, guessed]}", ha="center", va="center", color=colour, fontsize=8
            )
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    right = np.trace(table) / max(table.sum(), 1)
    axes.set(
        title=f"{title}: {right:.1%} of {table.sum():,} right", xlabel="guessed class", ylabel="true class"
    )
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return figure


def classified_pictures(
    pictures: Sequence[np.ndarray], verdicts: Sequence[Verdict], names: Sequence[str] | None = None
) -> Figure:
    """Draw each picture uint8 (height, width, 3) above its likeliest classes, four in a row."""
    columns = min(4, max(1, len(pictures)))
    rows = -(-len(pictures) // columns)
    figure, grid = new_figure(3.4 * columns, 4.6 * rows, rows=2 * rows, columns=columns)
    for axes in grid.flat:
        axes.axis("off")
    for index, (picture, verdict) in enumerate(zip(pictures, verdicts, strict=True)):
        row, column = divmod(index, columns)
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        above.imshow(picture, interpolation="nearest" if max(picture.shape[:2]) < 100 else "antialiased")
        above.set_title(
            (f"{names[index]}\n" if names else "") + f"{verdict.words} ({verdict.cat_probability:.1%})",
            color=GREEN if verdict.is_cat else ORANGE,
            fontsize=11,
            fontweight="bold",
        )
        _bars(below, verdict)
    return figure


def _bars(axes: Axes, verdict: Verdict) -> None:
    names = [_short(name) for name, _ in verdict.top]
    values = [probability for _, probability in verdict.top]
    axes.axis("on")
    axes.barh(range(len(values)), values, color=[BLUE] + [GREY] * (len(values) - 1))
    axes.set(xlim=(0, 1), xlabel="probability")
    axes.set_yticks(range(len(values)), [""] * len(values))
    axes.invert_yaxis()
    for position, (name, value) in enumerate(zip(names, values, strict=True)):
        inside = value > 0.5
        axes.text(
            0.02 if inside else value + 0.02,
            position,
            f"{name} {value:.1%}",
            va="center",
            fontsize=9,
            color="white" if inside else "black",
        )
    axes.spines[["top", "right"]].set_visible(False)


def confident_mistakes(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], count: int = 12
) -> Figure:
    """Draw the wrongly classified pictures that the network was surest of, surest first."""
    guesses, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(guesses != labels)
    worst = wrong[np.argsort(-sureness[wrong], kind="stable")][:count]
    columns = min(6, max(1, len(worst)))
    rows = max(1, -(-len(worst) // columns))
    figure, grid = new_figure(1.9 * columns, 2.4 * rows + 0.6, rows=rows, columns=columns)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, worst, strict=False):
        axes.imshow(images[index], interpolation="nearest")
        axes.set_title(
            f"{classes[guesses[index]]} {sureness[index]:.0%}\nis {classes[labels[index]]}", fontsize=9
        )
    figure.suptitle(
        f"Surest mistakes: guess with its probability, then the truth ({len(wrong)} wrong of {len(labels)})"
    )
    return figure


def _short(name: str) -> str:
    first = name.partition(",")[0]  # ImageNet lists synonyms
    return first if len(first) <= LONGEST_NAME else first[: LONGEST_NAME - 1] + "…"
