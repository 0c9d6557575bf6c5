"""What training changes in a picture, and the numbers that a network sees.

Try it:  python -c "from workshop.ml import augmentation as a; print(a.normalise(a.np.uint8([9])))"
Knows no framework: both see the very same numbers, because NumPy draws them from (seed, epoch).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from workshop.ml.group import ALONE, Group

# Mean and standard deviation of red, green and blue over CIFAR-10's training pictures, in 0 to 255.
MEAN = (125.3, 123.0, 113.9)
STD = (63.0, 62.1, 66.7)
SHIFT = 4  # pixels that a picture may move
CUTOUT = 8  # side in pixels of the square that is hidden


def normalise(images: np.ndarray) -> np.ndarray:
    """Turn uint8 (N, side, side, 3) into float32 with mean near 0 and deviation near 1 per channel."""
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    return (images.astype(np.float32) - mean) / std


def windows(images: np.ndarray, tops: np.ndarray, lefts: np.ndarray, side: int) -> np.ndarray:
    """Cut one square of `side` from each picture at its own (top, left), without a Python loop."""
    rows = tops[:, None] + np.arange(side)
    columns = lefts[:, None] + np.arange(side)
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


@dataclass(frozen=True)
class Changes:
    """What happens to each picture of a batch: integers (N,) and, for mirrored, booleans (N,)."""

    tops: np.ndarray
    lefts: np.ndarray
    mirrored: np.ndarray
    hidden_tops: np.ndarray
    hidden_lefts: np.ndarray

    @classmethod
    def draw(cls, count: int, side: int, generator: np.random.Generator) -> Changes:
        """Changes for `count` pictures of `side` pixels, by chance."""
        tops, lefts = generator.integers(0, 2 * SHIFT + 1, size=(2, count))
        mirrored = generator.random(count) < 0.5
        hidden_tops, hidden_lefts = generator.integers(0, side - CUTOUT + 1, size=(2, count))
        return cls(tops, lefts, mirrored, hidden_tops, hidden_lefts)

    def of(self, share: slice) -> Changes:
        """Those of some of the pictures."""
        return Changes(*(getattr(self, part.name)[share] for part in fields(self)))


def augment(images: np.ndarray, changes: Changes) -> np.ndarray:
    """Move, mirror and partly hide each picture; returns normalised float32 of the same shape."""
    side = images.shape[1]
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="reflect")
    moved = windows(padded, changes.tops, changes.lefts, side)
    moved[changes.mirrored] = moved[changes.mirrored, :, ::-1]
    changed = normalise(moved)
    at = np.arange(side)
    tops, lefts = changes.hidden_tops[:, None], changes.hidden_lefts[:, None]
    hidden_rows = (at >= tops) & (at < tops + CUTOUT)
    hidden_columns = (at >= lefts) & (at < lefts + CUTOUT)
    changed *= ~(hidden_rows[:, :, None] & hidden_columns[:, None, :])[..., None]  # 0 is the mean colour
    return changed


def batches(
    images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, epoch: int, group: Group = ALONE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield this worker's share of one epoch's augmented batches; the incomplete last batch is left out.

    The generator is made from (seed, epoch), so epoch 7 is the same whether or not the run was resumed at 7.
    Every worker of a group draws the same numbers for the whole batch and changes its own share of it, so
    together they see what one worker alone would see.
    """
    generator = np.random.default_rng((seed, epoch))
    order, share = generator.permutation(len(images)), group.share(batch_size)
    for start in range(0, len(images) - batch_size + 1, batch_size):
        changes = Changes.draw(batch_size, images.shape[1], generator)
        chosen = order[start : start + batch_size][share]
        yield augment(images[chosen], changes.of(share)), labels[chosen]
