"""From pictures to probabilities, for any framework's forward pass.

Try it:  python -c "import numpy as np; from workshop.ml.inference import *; print(softmax(np.ones((1, 2))))"
Knows no framework: it is given a function from normalised pictures to logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from workshop.errors import DataError
from workshop.ml.augmentation import normalise
from workshop.ml.pictures import views

BATCH_SIZE = 250  # pictures; fits the caches of a small machine


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits (N, classes) into float64 probabilities whose rows sum to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # keeps exp() from overflowing
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def predict(
    forward: Callable[[np.ndarray], np.ndarray], images: np.ndarray, mirrored: bool = True
) -> np.ndarray:
    """Classify uint8 pictures (N, side, side, 3): probabilities (N, classes).

    mirrored: average with the left-right mirrored picture, twice the time for a point or two.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise DataError(
            f"expected pictures uint8 (N, height, width, 3) with N of 1 or more, "
            f"got {images.dtype} {images.shape}"
        )
    rows = []
    for start in range(0, len(images), BATCH_SIZE):
        batch = normalise(images[start : start + BATCH_SIZE])
        probabilities = softmax(forward(batch))
        if mirrored:
            probabilities = (probabilities + softmax(forward(batch[:, :, ::-1]))) / 2
        rows.append(probabilities)
    return np.concatenate(rows)


def predict_photos(answer: Callable[[np.ndarray], np.ndarray], photos: Sequence[np.ndarray]) -> np.ndarray:
    """Classify photos of any sizes with a network for small pictures: mean over the views of each, (N, classes).

    answer: uint8 pictures (N, side, side, 3) to probabilities, as `Framework.predict` of `network` does.
    """
    if not len(photos):
        raise DataError("there is no picture to classify", "give at least one")
    seen = [views(photo) for photo in photos]
    ends = np.cumsum([len(views_of_one) for views_of_one in seen])
    return np.stack([rows.mean(axis=0) for rows in np.split(answer(np.concatenate(seen)), ends[:-1])])
