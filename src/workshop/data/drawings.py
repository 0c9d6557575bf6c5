"""The sample pictures: drawn here, so that training works with no download at all.

Try it:  python -m workshop.data.drawings gallery.png   (a sheet with ten pictures of each class)
The same numbers give the same pictures. They are drawings: what a network learns from them says nothing of
photographs.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from workshop.data import files
from workshop.data.shapes import SHAPES, Pencil, colour, shade

SIDE = 32
TRAIN_A_CLASS = 200
TEST_A_CLASS = 50
# Named in the cached file: raise it when a shape or the seed changes.
VERSION = 1
_OVERSAMPLED = 4  # drawn larger, then averaged: smooth edges
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the same zip file byte for byte whenever it is made


def picture(name: str, number: int, side: int = SIDE) -> np.ndarray:
    """The drawing of class `name` with this number: uint8 RGB (side, side, 3), always the same."""
    random = Random(f"{VERSION} {name} {number}")
    image = _background(random, side * _OVERSAMPLED)
    scale = random.uniform(0.5, 1.0)
    room = (1 - scale) / 2 + 0.06
    centre = 0.5 + random.uniform(-room, room), 0.5 + random.uniform(-room, room)
    SHAPES[name](Pencil(image, centre, scale, random.gauss(0, 14)), random)
    _cover(image, random)
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32)
    noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(2, 16), small.shape)
    contrast, brightness = random.uniform(0.55, 1.1), random.uniform(-30, 30)
    return np.clip((small - 128) * contrast + 128 + brightness + noise, 0, 255).astype(np.uint8)


def write_zip(path: Path) -> Path:
    """All pictures as train/<class>/NNNN.png and test/<class>/NNNN.png; at once there or not at all."""
    with files.replacing(path) as fresh, zipfile.ZipFile(fresh, "w") as archive:
        for name in SHAPES:
            for number in range(TRAIN_A_CLASS + TEST_A_CLASS):
                part, index = (
                    ("train", number) if number < TRAIN_A_CLASS else ("test", number - TRAIN_A_CLASS)
                )
                content = io.BytesIO()
                Image.fromarray(picture(name, number)).save(content, "PNG", compress_level=1)
                entry = zipfile.ZipInfo(f"{part}/{name}/{index:04d}.png", _MOMENT)
                archive.writestr(entry, content.getvalue())
    return path


def cat_or_not(train: int, test: int, side: int = 64) -> tuple[list[np.ndarray], list[int]]:
    """Pictures with label 1 for a cat, every other one a cat; the first `train` to train on, then `test`."""
    others = [name for name in SHAPES if name != "cat"]
    labels = [1 - number % 2 for number in range(train + test)]
    # Numbers above those of the 32-pixel set: none is a larger copy of one that a network was trained on.
    first = TRAIN_A_CLASS + TEST_A_CLASS
    images = [
        picture("cat" if label else others[number // 2 % len(others)], first + number, side)
        for number, label in enumerate(labels)
    ]
    return images, labels


def sheet(columns: int = 10) -> Image.Image:
    """One row a class, at twice the size."""
    rows = [np.concatenate([picture(name, number) for number in range(columns)], axis=1) for name in SHAPES]
    whole = Image.fromarray(np.concatenate(rows))
    return whole.resize((whole.width * 2, whole.height * 2), Image.Resampling.NEAREST)


def _background(random: Random, side: int) -> Image.Image:
    """A gradient between two colours, with a few shapes that mean nothing."""
    top, bottom = np.array(colour(random, 20, 250)), np.array(colour(random, 20, 250))
    share = np.linspace(0, 1, side)[:, None, None]
    rows = np.broadcast_to(top * (1 - share) + bottom * share, (side, side, 3)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(rows if random.random() < 0.5 else rows.transpose(1, 0, 2)))
    for _ in range(random.randint(0, 5)):
        place = random.random(), random.random()
        pencil = Pencil(image, place, random.uniform(0.1, 0.45), random.uniform(0, 360))
        tint = colour(random, 20, 250)
        if random.random() < 0.5:
            pencil.box(0.2, 0.2, 0.8, random.uniform(0.3, 0.8), tint)
        else:
            pencil.oval(0.5, 0.5, 0.7, random.uniform(0.3, 0.8), tint)
    return image


def _cover(image: Image.Image, random: Random) -> None:
    """Now and then something stands in front."""
    if random.random() < 0.3:
        pencil = Pencil(
            image, (random.random(), random.random()), random.uniform(0.3, 0.9), random.uniform(0, 360)
        )
        pencil.box(0.0, 0.46, 1.0, 0.58, shade(colour(random), 0.8))


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "gallery.png"
    sheet().quantize(128).save(target, optimize=True)
