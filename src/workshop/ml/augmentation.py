"""What training changes in a picture, and the numbers that a network sees.

Try it:  python -c "from workshop.ml import augmentation as a; print(a.normalise(a.np.uint8([9])))"
Knows no framework: both see the very same numbers, because NumPy draws them from (seed, epoch).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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


def augment(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move, mirror and partly hide each picture; returns normalised float32 of the same shape."""
    count, side = images.shape[:2]
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="reflect")
    tops, lefts = generator.integers(0, 2 * SHIFT + 1, size=(2, count))
    moved = windows(padded, tops, lefts, side)
    mirrored = generator.random(count) < 0.5
    moved[mirrored] = moved[mirrored, :, ::-1]
    changed = normalise(moved)
    tops, lefts = generator.integers(0, side - CUTOUT + 1, size=(2, count))
    at = np.arange(side)
    hidden_rows = (at >= tops[:, None]) & (at < tops[:, None] + CUTOUT)
    hidden_columns = (at >= lefts[:, None]) & (at < lefts[:, None] + CUTOUT)
    changed *= ~(hidden_rows[:, :, None] & hidden_columns[:, None, :])[..., None]  # 0 is the mean colour
    return changed


def batches(
    images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield one epoch of augmented batches; the incomplete last batch is left out.

    The generator is made from (seed, epoch), so epoch 7 is the same whether or not the run was resumed at 7.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(images))
    for start in range(0, len(images) - batch_size + 1, batch_size):
        chosen = order[start : start + batch_size]
        yield augment(images[chosen], generator), labels[chosen]
