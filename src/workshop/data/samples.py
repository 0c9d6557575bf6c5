"""What is used where there is neither a copy of the data nor a network: drawings, photographs, sentences, passengers.

Try it:  python -c "from workshop.data import samples; print(sorted(samples.photographs()))"
scikit-image brings photographs with free licences in its wheel, one of them of a cat. Its downloader is never
used.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workshop.data import drawings, files, passengers
from workshop.data.shapes import SHAPES
from workshop.errors import DataError
from workshop.ml.pictures import Pictures

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"}
CATS = ("chelsea",)
OWN_NETWORK = Path("data", "samples", "cifar-network")  # made by data/make_sample_network.py
TEXTS = {  # kind: its file, and what it holds; lines are counted, so that a note is true
    "own sentences": ("sentences.csv", "sentences of our own"),
    "own emotions": ("emotions.csv", "sentences of our own"),
    "own stop words": ("stop-words.txt", "stop words of our own"),
}
# Files that are in every wheel from 0.24 to 0.26. CC0 or public domain, as scikit-image states for each.
PHOTOGRAPHS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg")
# The five domestic cats among ImageNet's classes, as WordNet names them.
CAT_NAMES = {281: "tabby cat", 282: "tiger cat", 283: "Persian cat", 284: "Siamese cat", 285: "Egyptian cat"}
CAT_OR_NOT_TRAIN, CAT_OR_NOT_TEST = 209, 50  # as many as in catvnoncat


@dataclass(frozen=True)
class Sample:
    """A sample as it lies on disk; what: in words, for the first line of an output."""

    what: str
    path: Path
    files: dict[str, Path]
    licence: str


def make(kind: str, root: Path, cache: Path) -> Sample | None:
    """The sample of that kind, as named in datasets.toml, made if it isn't there; None if there is none."""
    if kind == "drawn pictures":
        path = _made(cache / "samples" / f"drawings-{drawings.VERSION}.zip", drawings.write_zip)
        count = len(SHAPES) * (drawings.TRAIN_A_CLASS + drawings.TEST_A_CLASS)
        return Sample(f"{count:,} drawn pictures", path, {"pictures": path}, "the workshop's own")
    if kind == "drawn cat or not":  # quick to draw: nothing is kept but the decoded arrays
        count = CAT_OR_NOT_TRAIN + CAT_OR_NOT_TEST
        return Sample(f"{count} drawn pictures", Path(drawings.__file__), {}, "the workshop's own")
    if kind == "made-up passengers":
        path = _made(cache / "samples" / f"passengers-{passengers.VERSION}.zip", passengers.write_zip)
        what = f"answers of {passengers.TRAIN + passengers.TEST:,} made-up passengers"
        return Sample(what, path, {"answers": path}, "the workshop's own")
    if kind == "scikit-image":
        found = photographs()
        folder = next(iter(found.values())).parent
        return Sample(f"{len(found)} photographs of scikit-image", folder, found, "CC0 or public domain")
    if kind in TEXTS:
        return _texts(kind, root)
    if kind == "own network" and (root / OWN_NETWORK).is_dir():
        return Sample("a small network of our own", root / OWN_NETWORK, {}, "the workshop's own")
    return None


def _texts(kind: str, root: Path) -> Sample | None:
    name, what = TEXTS[kind]
    path = root / "data" / "samples" / name
    if not path.is_file():
        return None
    count = len(path.read_text(encoding="utf-8").splitlines()) - (path.suffix == ".csv")
    return Sample(f"{count:,} {what}", path, {"texts": path}, "the workshop's own")


def photographs() -> dict[str, Path]:
    """The photographs in scikit-image's wheel, by name."""
    return {name.rsplit(".", 1)[0]: from_wheel(name) for name in PHOTOGRAPHS}


def from_wheel(name: str, sha256: str = "") -> Path:
    """A data file inside the installed scikit-image package, which is not imported for it."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise DataError("scikit-image is not installed here", "make setup")
    path = Path(package.origin).parent / "data" / name
    if not path.is_file() or (sha256 and files.sha256_of(path) != sha256):
        raise DataError(f"scikit-image's {name} is missing or is not the one expected: {path}", "make setup")
    return path


def cat_or_not() -> tuple[Pictures, Pictures]:
    """Drawn pictures of 64x64 with label 1 for a cat, as many as catvnoncat has."""
    images, labels = drawings.cat_or_not(CAT_OR_NOT_TRAIN, CAT_OR_NOT_TEST)
    classes = ["not cat", "cat"]
    stacked, known = np.stack(images), np.array(labels, dtype=np.int64)
    train, test = slice(None, CAT_OR_NOT_TRAIN), slice(CAT_OR_NOT_TRAIN, None)
    return Pictures(stacked[train], known[train], classes), Pictures(stacked[test], known[test], classes)


def _made(path: Path, write: Callable[[Path], Path]) -> Path:
    if path.is_file():
        return path
    try:
        return write(path)
    except OSError as error:
        raise DataError(
            f"the sample can't be written to {path.parent}: {error.strerror or error}",
            "set WORKSHOP_CACHE_DIR to a folder that you may write to",
        ) from error
