"""Read the log of a built-in algorithm: show what a person wants of it, and find the figures in it.

Try it:  from workshop.aws import training_lines; print(training_lines.shown(line))
Built-in algorithms write `#progress_metric`, `#quality_metric` and `#metrics` lines, the last for SageMaker alone.
Every other line, and every line of another container, is shown as it is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from workshop.progress import bar

_PROGRESS = re.compile(r"#progress_metric: host=[\w-]+, completed (?P<percent>[\d.]+) ?% of epochs")
_QUALITY = re.compile(
    r"#quality_metric: host=[\w-]+, (?:epoch=(?P<epoch>\d+), (?:batch=\d+ )?)?"
    r"(?P<what>[\w. /-]+?) (?:<(?P<kind>[\w ]+)> ?= ?|\(?)(?P<value>-?[\d.]+(?:e[+-]?\d+)?|-?inf|nan)\)?\s*$"
)
# [11/20/2026 19:48:59 INFO 139873] begins each line of the algorithm's.
_STAMP = re.compile(r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d (?P<level>\w+) \d+\] ")
# The same figures again, for SageMaker or for whoever mends the algorithm.
SAID_TWICE = ("#metrics ", "#early_stopping_criteria_metric", "#throughput_metric", "_score (algo-")
LONGEST = 160  # characters; the algorithm says its whole configuration in one line


def shown(line: str) -> str | None:
    """The line as a person reads it; None for one that says what others say."""
    if any(mark in line for mark in SAID_TWICE):
        return None
    if found := _PROGRESS.search(line):
        percent = float(found["percent"])
        return f"{bar(percent / 100)} {percent:3.0f} % of epochs"
    if found := _QUALITY.search(line):
        epoch = f"epoch {int(found['epoch']) + 1}  " if found["epoch"] else ""
        return f"{epoch}{found['what']} {float(found['value']):.4g}"
    stamp = _STAMP.match(line)
    plain = line[stamp.end() :] if stamp else line
    if stamp is None:
        return plain
    told = plain if stamp["level"] == "INFO" else f"{stamp['level'].lower()}: {plain}"
    return textwrap.shorten(told, LONGEST, placeholder=" …")


def curve(lines: Iterable[str], what: str = "") -> list[dict[str, float]]:
    """A row for each epoch, counted from 1, with its figures by name; what: a part of the names that are wanted.

    A figure without an epoch, such as the score on the validation data, belongs to the last one.
    """
    rows: dict[int, dict[str, float]] = {}
    for line in lines:
        found = _QUALITY.search(line)
        if found and what in found["what"]:
            epoch = int(found["epoch"]) + 1 if found["epoch"] else max(rows, default=1)
            rows.setdefault(epoch, {"epoch": float(epoch)})[found["what"]] = float(found["value"])
    return [rows[epoch] for epoch in sorted(rows)]
