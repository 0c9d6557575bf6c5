"""The sample survey: passengers made up here, so that lab 8 works with no download at all.

Try it:  python -m workshop.data.passengers survey.zip
The same numbers give the same passengers. Who is satisfied follows rules that a straight line can't follow, as in the
real survey: some want a quick boarding, others nothing but wifi. They are made up: figures from them say nothing of
real flights.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from workshop.data import files
from workshop.ml.satisfaction import survey

TRAIN, TEST = 4800, 1200
VERSION = 1  # named in the cached file: raise it when a rule or the seed changes
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the same zip file byte for byte whenever it is made
_NOT_APPLICABLE = {  # share of passengers whom a question does not concern: they give 0
    "Inflight wifi service": 0.03,
    "Departure/Arrival time convenient": 0.05,
    "Ease of Online booking": 0.043,
    "Online boarding": 0.024,
    "Leg room service": 0.005,
}
# What moods a rating follows besides its own: of booking, of the cabin, of the crew.
_MOODS = {
    "Inflight wifi service": (0.7, 0.0, 0.0),
    "Departure/Arrival time convenient": (0.6, 0.0, 0.0),
    "Ease of Online booking": (0.85, 0.0, 0.0),
    "Gate location": (0.55, 0.0, 0.0),
    "Food and drink": (0.0, 0.8, 0.0),
    "Online boarding": (0.4, 0.35, 0.0),
    "Seat comfort": (0.0, 0.8, 0.0),
    "Inflight entertainment": (0.0, 0.75, 0.35),
    "On-board service": (0.0, 0.0, 0.7),
    "Leg room service": (0.0, 0.1, 0.5),
    "Baggage handling": (0.0, 0.0, 0.8),
    "Checkin service": (0.0, 0.15, 0.3),
    "Inflight service": (0.0, 0.0, 0.8),
    "Cleanliness": (0.0, 0.85, 0.0),
}
_MIDDLE, _MIDDLE_OF_BOOKING = 3.3, 2.7

Columns = dict[str, np.ndarray]


def answers(count: int) -> Columns:
    """So many filled forms: column to values (count,), categories as codes, a missing number as NaN, and the label."""
    random = np.random.default_rng([VERSION, count])
    found = _travellers(random, count)
    found |= _ratings(random, found["Class"])
    found |= _delays(random, count)
    chance = 1 / (1 + np.exp(-1.6 * _content(found)))
    return {**found, survey.LABEL: (random.random(count) < chance).astype(np.int64)}


def write_zip(path: Path) -> Path:
    """train.csv and test.csv with the 25 columns of the real survey; at once there or not at all."""
    found = answers(TRAIN + TEST)
    ids = np.random.default_rng(VERSION).permutation(np.arange(1, TRAIN + TEST + 1))
    with files.replacing(path) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in (("train", range(TRAIN)), ("test", range(TRAIN, TRAIN + TEST))):
            entry = zipfile.ZipInfo(f"{name}.csv", _MOMENT)
            archive.writestr(entry, _csv(found, ids, rows), zipfile.ZIP_DEFLATED, 1)
    return path


def _travellers(random: np.random.Generator, count: int) -> Columns:
    loyal = random.random(count) < 0.82
    business = random.random(count) < np.where(loyal, 0.62, 0.99)
    in_business = random.random(count) < np.where(business, np.where(loyal, 0.8, 0.4), 0.06)
    seat = np.where(in_business, 2, np.where(random.random(count) < 0.14, 1, 0))
    age = np.where(business & loyal, random.normal(44, 11, count), random.normal(34, 15, count))
    far = np.where(seat == 2, 7.1, 6.5)
    return {
        "Gender": random.integers(0, 2, count),
        "Customer Type": loyal.astype(np.int64),
        "Age": np.clip(age, 7, 85).astype(np.int64),
        "Type of Travel": business.astype(np.int64),
        "Class": seat,
        "Flight Distance": np.clip(random.lognormal(far, 0.7), 31, 4983).astype(np.int64),
    }


def _ratings(random: np.random.Generator, seat: np.ndarray) -> Columns:
    count = len(seat)
    moods = random.normal(0, 1, (count, 3))
    moods[:, 1:] += 0.25 * (seat[:, None] - 1)  # the dearer the seat, the better the cabin and the crew
    found = {}
    for name, weights in _MOODS.items():
        own = np.sqrt(max(0.0, 1 - np.dot(weights, weights)))
        felt = moods @ np.array(weights) + own * random.normal(0, 1, count)
        middle = _MIDDLE_OF_BOOKING if weights[0] > 0.5 else _MIDDLE
        rating = np.clip(np.round(middle + 1.3 * felt), 1, 5).astype(np.int64)
        found[name] = np.where(random.random(count) < _NOT_APPLICABLE.get(name, 0.0005), 0, rating)
    return found


def _delays(random: np.random.Generator, count: int) -> Columns:
    left = np.where(random.random(count) < 0.56, 0, random.exponential(34, count)).astype(np.int64)
    came = np.clip(np.round(left + random.normal(0, 7, count)), 0, None)
    unknown = random.random(count) < np.where(left > 0, 0.006, 0.002)
    return {survey.DEPARTURE_DELAY: left, survey.ARRIVAL_DELAY: np.where(unknown, np.nan, came)}


def _content(found: Columns) -> np.ndarray:
    """How content each is, about -4 to 4. Three kinds of travellers want three things: hence no straight line."""
    wifi, boarding = found["Inflight wifi service"], found["Online boarding"]
    crew = (found["On-board service"] + found["Inflight service"] + found["Baggage handling"]) / 3 - 3.2
    cabin = (found["Seat comfort"] + found["Inflight entertainment"] + found["Cleanliness"]) / 3 - 3.2
    late = np.nan_to_num(found[survey.ARRIVAL_DELAY]) > 15
    at_leisure = -3.2 + 5.6 * ((wifi == 5) | (wifi == 0)) + 0.3 * cabin
    loyal = (
        -2.4
        + 3.0 * (boarding >= 4)
        + 2.0 * (found["Class"] == 2)
        + 1.6 * crew
        + 1.8 * cabin
        + 2 * (wifi == 0)
    )
    newcomer = -3.0 + 4.0 * ((wifi >= 4) | (wifi == 0)) + 1.2 * (boarding >= 4) + 0.4 * cabin
    business = np.where(found["Customer Type"] == 1, loyal, newcomer)
    return np.where(found["Type of Travel"] == 1, business, at_leisure) - 0.5 * late


def _csv(found: Columns, ids: np.ndarray, rows: range) -> bytes:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow((survey.INDEX, survey.ID, *survey.NAMES, survey.LABEL))
    columns = [_words(column, found[column.name]) for column in survey.FEATURES]
    labels = [survey.CLASSES[label] for label in found[survey.LABEL]]
    for index, row in enumerate(rows):
        lines.writerow((index, ids[row], *(column[row] for column in columns), labels[row]))
    return text.getvalue().encode()


def _words(column: survey.Column, values: np.ndarray) -> list[str]:
    """As the real file has them: a delay that may be missing is 18.0, or nothing."""
    if column.kind == "category":
        return [column.categories[code] for code in values]
    if column.may_be_missing:
        return ["" if np.isnan(value) else f"{value:.1f}" for value in values]
    return [str(value) for value in values]


if __name__ == "__main__":
    print(write_zip(Path(sys.argv[1] if len(sys.argv) > 1 else "survey.zip")))
