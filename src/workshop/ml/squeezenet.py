"""SqueezeNet 1.0, trained on ImageNet's 1,000 classes: 1.2 million weights in a file of 0.66 MB.

Try it:  workshop run classify-images
The published file is pruned and its weights share 256 values a layer (Han et al. 2016, "Deep Compression";
Iandola et al. 2016, "SqueezeNet"). This module reads it, prepares pictures, and holds the table of layers
from which both frameworks build the network. Both see the very same prepared picture, so their answers agree.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from workshop.errors import DataError
from workshop.ml import frameworks

CAT_CLASSES = range(281, 286)  # tabby, tiger cat, Persian, Siamese, Egyptian
NUM_CLASSES = 1000
SIDE = 227  # pixels; with this side every pooling window fits without a remainder
SHORT_SIDE = 256  # pixels, before the centre is cut out
MEAN_BGR = (104.0, 117.0, 123.0)
FEATURES = 512  # channels of fire9
NUM_SHARED = 256  # values that the weights of one layer share
WIDEST_ASPECT = 8  # long side over short side; beyond it the centre says nothing about the picture


@dataclass(frozen=True)
class Fire:
    """A layer that squeezes to few channels and expands by 1x1 and 3x3 kernels side by side."""

    name: str
    before: int
    squeeze: int
    expand: int  # channels of each of the two kinds
    pool_after: bool = False


FIRES = (
    Fire("fire2", 96, 16, 64),
    Fire("fire3", 128, 16, 64),
    Fire("fire4", 128, 32, 128, pool_after=True),
    Fire("fire5", 256, 32, 128),
    Fire("fire6", 256, 48, 192),
    Fire("fire7", 384, 48, 192),
    Fire("fire8", 384, 64, 256, pool_after=True),
    Fire("fire9", 512, 64, 256),
)


def kernel_shapes() -> dict[str, tuple[int, int, int, int]]:
    """Name and kernel shape (out, in, height, width) of the 26 convolutions, in the order of the file."""
    table = {"conv1": (96, 3, 7, 7)}
    for fire in FIRES:
        table[f"{fire.name}/squeeze1x1"] = (fire.squeeze, fire.before, 1, 1)
        table[f"{fire.name}/expand1x1"] = (fire.expand, fire.squeeze, 1, 1)
        table[f"{fire.name}/expand3x3"] = (fire.expand, fire.squeeze, 3, 3)
    table["conv10"] = (NUM_CLASSES, FEATURES, 1, 1)
    return table


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read the compressed file: `NAME/kernel` (out, in, height, width) and `NAME/bias` (out,), float32.

    Layout: 26 counts (uint32); then for each layer 256 shared values (float32), biases (float32), one code
    (uint8) for each stored weight, and the gaps between stored weights (4 bits each, the low half first).
    Errors: DataError that says at which layer and how the file departs from this.
    """
    place = Path(path)
    try:
        stream = io.BytesIO(place.read_bytes())
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror})", "workshop doctor") from error
    shapes = kernel_shapes()
    counts = _take(stream, "<u4", len(shapes), place, "the counts")
    weights: dict[str, np.ndarray] = {}
    for (name, shape), count in zip(shapes.items(), counts.tolist(), strict=True):
        shared = _take(stream, "<f4", NUM_SHARED, place, name)
        bias = _take(stream, "<f4", shape[0], place, name)
        codes = _take(stream, "u1", count, place, name)
        pairs = _take(stream, "u1", (count + 1) // 2, place, name)
        gaps = np.stack([pairs & 0x0F, pairs >> 4], axis=1).reshape(-1)[:count]
        positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
        kernel = np.zeros(int(np.prod(shape)), dtype=np.float32)
        if count and positions[-1] >= kernel.size:
            raise DataError(
                f"{place}: layer {name} has {kernel.size:,} weights, its gaps lead to {positions[-1]:,}",
                "fetch the file again",
            )
        kernel[positions] = shared[codes]
        weights[f"{name}/kernel"] = kernel.reshape(shape)
        weights[f"{name}/bias"] = bias
    if stream.read(1):
        raise DataError(f"{place} goes on after the last layer", "fetch the file again")
    if not all(np.isfinite(value).all() for value in weights.values()):
        raise DataError(f"{place} holds weights that are not finite", "fetch the file again")
    return weights


def _take(stream: io.BytesIO, kind: str, count: int, place: Path, where: str) -> np.ndarray:
    values = np.frombuffer(stream.read(count * np.dtype(kind).itemsize), dtype=np.uint8)
    if len(values) != count * np.dtype(kind).itemsize:
        raise DataError(
            f"{place} ends within {where}: it is no compressed SqueezeNet", "fetch the file again"
        )
    return values.view(kind).astype(np.dtype(kind).newbyteorder("="))


def preprocess(picture: np.ndarray) -> np.ndarray:
    """Prepare a picture uint8 RGB (height, width, 3): float32 (1, 3, 227, 227), blue first, less the mean."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise DataError(f"expected a picture uint8 (height, width, 3), got {picture.dtype} {picture.shape}")
    height, width = picture.shape[:2]
    short, long = sorted((height, width))
    if not short or long > WIDEST_ASPECT * short:
        raise DataError(f"a picture of {width} x {height} pixels is too narrow to classify", "crop it first")
    scale = SHORT_SIDE / short
    size = (max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale)))
    scaled = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    square = np.asarray(scaled.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float32)
    blue_first = square[:, :, ::-1] - np.array(MEAN_BGR, dtype=np.float32)
    return np.ascontiguousarray(blue_first.transpose(2, 0, 1)[None])


def preprocess_all(pictures: list[np.ndarray] | np.ndarray) -> np.ndarray:
    """Prepare several pictures of any sizes: float32 (N, 3, 227, 227)."""
    if not len(pictures):
        raise DataError("there is no picture to classify", "give at least one")
    return np.concatenate([preprocess(picture) for picture in pictures])


def gluon_network(weights: dict[str, np.ndarray]) -> Any:
    """Build the network in MXNet's Gluon."""
    frameworks.mxnet()
    from workshop.ml import squeezenet_gluon

    return squeezenet_gluon.SqueezeNet(weights)


def keras_network(weights: dict[str, np.ndarray]) -> Any:
    """Build the network in Keras."""
    frameworks.keras()
    from workshop.ml import squeezenet_keras

    return squeezenet_keras.SqueezeNet(weights)


def probabilities(network: Any, prepared: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Classify prepared pictures (N, 3, 227, 227): probabilities (N, 1000)."""
    return _in_batches(network.probabilities, prepared, batch_size)


def features(network: Any, prepared: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Describe prepared pictures by fire9's output, mean over all places: float32 (N, 512)."""
    return _in_batches(network.features, prepared, batch_size)


def cat_probability(probability_rows: np.ndarray) -> np.ndarray:
    """Sum over the five classes of cats: (N,)."""
    return np.asarray(probability_rows)[:, CAT_CLASSES.start : CAT_CLASSES.stop].sum(axis=1)


def class_names(path: str | Path) -> list[str]:
    """Read synset.txt: one line a class, as `n02123045 tabby, tabby cat`; returns the words alone."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    names = [line.partition(" ")[2] for line in lines if line.strip()]
    if len(names) != NUM_CLASSES:
        raise DataError(f"{path} names {len(names)} classes, expected {NUM_CLASSES}", "fetch it again")
    return names


def _in_batches(forward: Any, prepared: np.ndarray, batch_size: int) -> np.ndarray:
    if prepared.ndim != 4 or prepared.shape[1:] != (3, SIDE, SIDE) or not len(prepared):
        raise DataError(f"expected prepared pictures (N, 3, {SIDE}, {SIDE}), got {prepared.shape}")
    starts = range(0, len(prepared), batch_size)
    return np.concatenate([forward(prepared[start : start + batch_size]) for start in starts])
