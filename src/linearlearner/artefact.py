"""Keep a trained model in a folder, and load it again: JSON and NumPy arrays, no pickle.

Try it:  python -c "from pathlib import Path; from linearlearner import artefact; print(artefact.load(Path('model')))"
SageMaker packs the folder into model.tar.gz. AWS's own algorithm keeps an MXNet file there (model_algo-1), which this
does not read, and AWS's does not read this: the two are not interchangeable.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from linearlearner.errors import ArtefactError
from linearlearner.hyperparameters import PREDICTORS
from linearlearner.losses import LOSSES
from linearlearner.predictor import Predictor

FORMAT = "workshop-linear-learner"
VERSION = 1
DESCRIPTION, WEIGHTS = "model.json", "weights.npz"
OF_AWS = "model_algo-1"


def save(predictor: Predictor, folder: Path, about: dict[str, Any]) -> None:
    """Write the model. about: what else a reader may want to know, as JSON; the weights come first."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, weights=predictor.weights, bias=predictor.bias)
    description = {
        "format": FORMAT,
        "version": VERSION,
        "note": "a stand-in for SageMaker's Linear Learner made this; the built-in algorithm can't read it",
        "predictor_type": predictor.predictor_type,
        "loss": predictor.loss,
        "feature_dim": predictor.feature_dim,
        "num_classes": int(predictor.weights.shape[1]),
        "threshold": predictor.threshold,
        "weights_sha256": _digest(folder / WEIGHTS),
        **about,
    }
    beside = folder / f"{DESCRIPTION}.tmp"
    beside.write_text(json.dumps(description, indent=2) + "\n")
    beside.replace(folder / DESCRIPTION)


def load(folder: Path) -> Predictor:
    """Read and check the model. Errors: ArtefactError."""
    path = folder / DESCRIPTION
    if not path.is_file():
        theirs = (
            f": {OF_AWS} is from AWS's own Linear Learner, which this can't read"
            if (folder / OF_AWS).exists()
            else ""
        )
        raise ArtefactError(f"there is no {path}{theirs}")
    try:
        found = json.loads(path.read_bytes())
        known = (found["format"], found["version"])
    except (ValueError, TypeError, KeyError) as error:
        raise ArtefactError(f"{path} is no description of a model: {error!r}") from error
    if known != (FORMAT, VERSION):
        raise ArtefactError(f"{path} has format {known[0]} {known[1]}, and this reads {FORMAT} {VERSION}")
    return _checked(folder, found)


def _checked(folder: Path, found: dict[str, Any]) -> Predictor:
    path = folder / WEIGHTS
    if not path.is_file() or _digest(path) != found.get("weights_sha256"):
        raise ArtefactError(f"{path} is missing or not the file that {DESCRIPTION} was written for")
    with np.load(path, allow_pickle=False) as arrays:
        weights, bias = arrays["weights"], arrays["bias"]
    shape = (found.get("feature_dim"), found.get("num_classes"))
    if weights.shape != shape or bias.shape != shape[1:]:
        raise ArtefactError(f"{path} has weights of shape {weights.shape}, and {DESCRIPTION} says {shape}")
    if found.get("predictor_type") not in PREDICTORS or found.get("loss") not in LOSSES:
        raise ArtefactError(f"{folder / DESCRIPTION} names a predictor_type or loss that does not exist")
    return Predictor(weights, bias, found["predictor_type"], found["loss"], float(found["threshold"]))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
