"""Pictures of the survey and of how well a model tells who is satisfied.

Try it:  workshop run prepare-satisfaction, then look at its notebook
Every function returns a matplotlib Figure and shows nothing: a notebook displays it, a job saves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workshop.ml import metrics
from workshop.ml.figures import BLUE, GREEN, GREY, LINES, ORANGE, new_figure
from workshop.ml.satisfaction import measures
from workshop.ml.satisfaction.survey import (
    ARRIVAL_DELAY,
    DEPARTURE_DELAY,
    FEATURES,
    NAMES,
    POSITIONS,
    RATINGS,
    SHORT_CLASSES,
    Answers,
)

LABEL_COLOURS = (ORANGE, BLUE)  # of SHORT_CLASSES
_CATEGORIES = tuple(column.name for column in FEATURES if column.kind == "category")
_MOST_POINTS = 4000  # of a cloud; more hide each other


def satisfied_by_category(answers: Answers, names: Sequence[str] = _CATEGORIES) -> Figure:
    """Draw the share of satisfied passengers in each category, with how many there are."""
    figure, (row,) = new_figure(3.1 * len(names), 3.4, columns=len(names))
    for axes, name in zip(row, names, strict=True):
        categories, given = FEATURES[POSITIONS[name]].categories, answers.column(name)
        shares = [_mean(answers.labels[given == code]) for code in range(len(categories))]
        counts = [int((given == code).sum()) for code in range(len(categories))]
        bars = axes.bar(range(len(categories)), shares, color=BLUE)
        axes.bar_label(
            bars,
            [f"{share:.0%}\nof {count:,}" for share, count in zip(shares, counts, strict=True)],
            fontsize=8,
        )
        axes.axhline(answers.satisfied_share, color=GREY, linestyle=":")
        axes.set_xticks(
            range(len(categories)), [each.replace(" ", "\n", 1) for each in categories], fontsize=9
        )
        axes.set(title=name, ylim=(0, 1), ylabel="share satisfied" if axes is row[0] else "")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def ratings(answers: Answers) -> Figure:
    """Draw for each question how often each rating was given, by those satisfied and those not."""
    columns = 5
    figure, grid = new_figure(11, 6.4, rows=-(-len(RATINGS) // columns), columns=columns)
    for axes in grid.flat:
        axes.axis("off")
    for axes, name in zip(grid.flat, RATINGS, strict=False):
        axes.axis("on")
        below = np.zeros(6)
        for label in (0, 1):
            given = answers.column(name)[answers.labels == label].astype(np.int64)
            counts = np.bincount(given, minlength=6)[:6]
            axes.bar(range(6), counts, bottom=below, color=LABEL_COLOURS[label], label=SHORT_CLASSES[label])
            below += counts
        axes.set_title(name, fontsize=9)
        axes.set_xticks(range(6))
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    grid.flat[-1].legend(*grid.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.supxlabel("rating (0: not applicable)", fontsize=9)
    figure.supylabel("passengers", fontsize=9)
    return figure


def by_rating(answers: Answers, names: Sequence[str], split_by: str = "Type of Travel") -> Figure:
    """Draw the share satisfied by each rating, a line a category: trees can follow lines that are not parallel."""
    figure, (row,) = new_figure(4.2 * len(names), 3.6, columns=len(names))
    group = FEATURES[POSITIONS[split_by]]
    for axes, name in zip(row, names, strict=True):
        for code, category in enumerate(group.categories):
            mine = answers.column(split_by) == code
            given, labels = answers.column(name)[mine], answers.labels[mine]
            seen = [rating for rating in range(6) if (given == rating).any()]
            shares = [_mean(labels[given == rating]) for rating in seen]
            axes.plot(seen, shares, color=LINES[code], marker="o", label=category)
        axes.set(title=name, xlabel="rating (0: not applicable)", ylim=(-0.03, 1.03))
        axes.set_ylabel("share satisfied" if axes is row[0] else "")
        axes.grid(alpha=0.3)
    row[0].legend(frameon=False, fontsize=9)
    return figure


def delays(answers: Answers, rule: Mapping[str, Any]) -> Figure:
    """Draw arrival against departure delay, and the line by which an empty arrival delay is filled."""
    figure, ((axes,),) = new_figure(5.4, 4)
    left, came = answers.column(DEPARTURE_DELAY), answers.column(ARRIVAL_DELAY)
    shown = slice(None, _MOST_POINTS)
    axes.scatter(left[shown], came[shown], s=8, color=BLUE, alpha=0.4, linewidths=0, label="flights")
    ends = np.array([0.0, left[shown].max(initial=0)])
    line = rule["intercept"] + rule["slope"] * ends
    axes.plot(
        ends, line, color=ORANGE, label=f"{rule['intercept']:.2f} + {rule['slope']:.2f} x departure delay"
    )
    empty = left[np.isnan(came)]
    filled = rule["intercept"] + rule["slope"] * empty
    axes.scatter(empty, filled, marker="x", s=16, color=GREEN, label=f"{len(empty)} that were empty")
    axes.set(xlabel="departure delay (minutes)", ylabel="arrival delay (minutes)")
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def correlations(numbers: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw how each of the 22 numbers (N, 22) goes with the label: Pearson's correlation, strongest above."""
    spread = numbers.std(axis=0)
    together = ((numbers - numbers.mean(axis=0)) * (labels - labels.mean())[:, None]).mean(axis=0)
    values = np.divide(together, spread * labels.std(), out=np.zeros(len(spread)), where=spread > 0)
    return _ranked(values, "Correlation with being satisfied", "correlation")


def importances(lost: np.ndarray) -> Figure:
    """Draw how much accuracy each feature is worth to a model, as `boosting.importances` measures it."""
    return _ranked(lost * 100, "What each answer is worth", "accuracy lost without it (percentage points)")


def roc(models: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw hits against false alarms; models: name to (scores, labels)."""
    figure, ((axes,),) = new_figure(5, 4.4)
    for index, (name, (scores, labels)) in enumerate(models.items()):
        alarms, hits = measures.roc(scores, labels)
        area = metrics.auc(scores, np.asarray(labels) == 1)
        axes.plot(alarms, hits, color=LINES[index % len(LINES)], label=f"{name}, AUC {area:.3f}")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="guessing, AUC 0.5")
    axes.set(title="Receiver operating characteristic", xlim=(0, 1), ylim=(0, 1.01))
    axes.set(xlabel="share of the dissatisfied called satisfied", ylabel="share of the satisfied found")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def calibration(models: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw how often each score came true; models: name to (scores, labels). On the dotted line scores are honest."""
    figure, ((axes,),) = new_figure(5, 4.4)
    for index, (name, (scores, labels)) in enumerate(models.items()):
        rows = measures.calibration(scores, labels)
        where, came = [row["score"] for row in rows], [row["satisfied"] for row in rows]
        axes.plot(where, came, color=LINES[index % len(LINES)], marker="o", label=name)
    axes.plot([0, 1], [0, 1], ":", color=GREY)
    axes.set(title="Do scores come true?", xlabel="score (mean of each tenth)", ylabel="share satisfied")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return figure


def learning_curves(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Draw what Linear Learner's log says epoch by epoch, learned from and watched; rows: one an epoch, `epoch` beside
    figures by name, as `train …` and `validation …`. What was said once is left out: it is no curve.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "epoch"]
    curves = {name: points for name in names if len(points := _points(rows, name)) > 1}
    measures_said = list(dict.fromkeys(name.partition(" ")[2] for name in curves))
    columns = max(1, len(measures_said))
    figure, (panels,) = new_figure(5.2 * columns, 3.6, columns=columns)
    for axes, measure in zip(panels, measures_said, strict=False):
        for part, colour, style in (("train", BLUE, ":"), ("validation", ORANGE, "-")):
            if curve := curves.get(f"{part} {measure}"):
                axes.plot(*zip(*curve, strict=True), style, color=colour, marker=".", label=part)
        axes.set(title=measure.replace("_", " "), xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False, fontsize=9)
    return figure


def _points(rows: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[name]) for row in rows if name in row]


def _ranked(values: np.ndarray, title: str, meaning: str) -> Figure:
    figure, ((axes,),) = new_figure(7.4, 5.6)
    order = np.argsort(np.abs(values), kind="stable")
    _bars(axes, values[order], [NAMES[index] for index in order])
    axes.set(title=title, xlabel=meaning)
    return figure


def _bars(axes: Axes, values: np.ndarray, names: Sequence[str]) -> None:
    colours = [BLUE if value >= 0 else ORANGE for value in values]
    axes.barh(range(len(values)), values, color=colours)
    axes.set_yticks(range(len(values)), names, fontsize=9)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


def _mean(labels: np.ndarray) -> float:
    return float(labels.mean()) if len(labels) else 0.0
