"""Trained weights with what one must know to use them, in open formats: weights.npz and metadata.json.

Try it:  python -c "from workshop.ml import artefact; print(artefact.metadata('data/samples/cifar-network'))"
Knows no framework: weights have the names and shapes of `architecture`, so either framework reads what the
other wrote. Nothing in an artefact is run when it is read: there is no pickle in it.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from workshop.errors import DataError
from workshop.ml import architecture, augmentation, saved_state

WEIGHTS = "weights.npz"
METADATA = "metadata.json"
FORMAT = 1
REMEDY = "train again, or name the folder of an artefact"
REQUIRED = ("format", "network", "classes", "input", "weights_sha256")


def input_description() -> dict[str, Any]:
    """What the network expects to see, for readers who do not have this package."""
    return {
        "shape": "N, height, width, 3 (RGB)",
        "side": 32,
        "mean": list(augmentation.MEAN),
        "std": list(augmentation.STD),
    }


def write(
    folder: str | Path, weights: dict[str, np.ndarray], metadata: dict[str, Any], half_precision: bool = False
) -> Path:
    """Write an artefact; `metadata` needs at least `classes`, and may hold any JSON beside it.

    half_precision: store float16, half the size; probabilities change in the third digit.
    """
    place = Path(folder)
    shape = architecture.from_weights(weights)
    classes = list(metadata.get("classes", []))
    if len(classes) != shape.num_classes:
        raise DataError(
            f"the network has {shape.num_classes} classes, the metadata names {len(classes)}", REMEDY
        )
    stored = {
        name: value.astype(np.float16 if half_precision else np.float32) for name, value in weights.items()
    }
    saved_state.write_npz(place / WEIGHTS, stored)
    description = {
        **metadata,
        "format": FORMAT,
        "network": architecture.NAME,
        "classes": classes,
        "num_weights": shape.num_weights,
        "width": shape.width,
        "input": input_description(),
        "weights_sha256": _sha256(place / WEIGHTS),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            **metadata.get("versions", {}),
        },
    }
    # The weights go first: metadata that names their hash is what makes the artefact whole.
    temporary = place / f".{METADATA}"
    try:
        temporary.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(place / METADATA)
    except OSError as error:
        raise DataError(f"{place / METADATA} can't be written ({error})", "make room") from error
    finally:
        temporary.unlink(missing_ok=True)
    return place


def metadata(folder: str | Path) -> dict[str, Any]:
    """Read an artefact's description.

    Errors: DataError that says which part is missing or wrong.
    """
    path = Path(folder) / METADATA
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no {METADATA}, so it is no artefact", REMEDY) from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path} can't be read as JSON ({error})", REMEDY) from error
    if not isinstance(description, dict):
        raise DataError(f"{path} must hold one JSON object", REMEDY)
    missing = [name for name in REQUIRED if name not in description]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", REMEDY)
    if description["network"] != architecture.NAME or description["format"] != FORMAT:
        raise DataError(
            f"{path} describes a {description['network']!r} of format {description['format']}, "
            f"expected {architecture.NAME!r} of format {FORMAT}",
            REMEDY,
        )
    expected = input_description()
    for part in ("mean", "std"):
        if description["input"].get(part) != expected[part]:
            raise DataError(
                f"{path}: input {part} {description['input'].get(part)}, this version uses {expected[part]}",
                REMEDY,
            )
    return description


def read(folder: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read weights (as float32) and metadata, after checking that they belong together and fit."""
    description = metadata(folder)
    path = Path(folder) / WEIGHTS
    stored = saved_state.read_npz(path)
    if _sha256(path) != description["weights_sha256"]:
        raise DataError(f"{path} is not the file that {METADATA} describes (its SHA-256 differs)", REMEDY)
    foreign = [name for name, value in stored.items() if value.dtype.kind != "f"]
    if foreign:
        raise DataError(
            f"{path} holds arrays that are not numbers of weights: {', '.join(foreign[:5])}", REMEDY
        )
    weights = {name: value.astype(np.float32) for name, value in stored.items()}
    shape = architecture.from_weights(weights)
    if shape.num_classes != len(description["classes"]):
        raise DataError(
            f"{path} has {shape.num_classes} classes, {METADATA} names {len(description['classes'])}", REMEDY
        )
    return weights, description


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
