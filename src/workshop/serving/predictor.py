"""An artefact that answers: texts in, a probability for each class out.

Try it:  .venvs/serving/bin/python -m workshop.serving.predictor ARTEFACT "I love it"
onnxruntime with one thread: a request is too small to share, and the other processors serve other workers.
Knows no HTTP and no versions of a service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workshop.ml.text import artefact
from workshop.ml.text.artefact import Artefact, ArtefactError

# Texts that are tried before the first request: none of their words need be known.
WARM_UP = ("I love it!", "this is not what I was promised, and I am angry", "مرحبا 🙂 zweiundvierzig", "…")
TOLERANCE = 1e-3


class Predictor:
    """A checked artefact with its network loaded. version: the first digits of its metadata's SHA-256."""

    def __init__(self, found: Artefact) -> None:
        self.labels = found.labels
        self.version = found.metadata_sha256[:12]
        self._encoder = found.encoder()
        self._session = _session(found)
        self._outputs = [self._session.get_outputs()[0].name]

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """Check an artefact, load its network and let it answer once.

        Errors: ArtefactError that says what does not fit together.
        """
        predictor = cls(artefact.check(folder))
        predictor._try_out(Path(folder))
        return predictor

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Classify texts. Returns: probabilities, float32 (B, classes), in the order of `labels`."""
        found: np.ndarray = self._session.run(self._outputs, self._encoder.encode(texts))[0]
        return found

    def _try_out(self, folder: Path) -> None:
        """One text at a time, as most requests come, and all together."""
        try:
            alone = [self.predict([text])[0] for text in WARM_UP]
            found = self.predict(WARM_UP)
        except (
            Exception
        ) as error:  # onnxruntime's own kinds have no common one, and KeyError is a wrong input
            raise ArtefactError(
                f"{folder}: its network does not take its encoder's inputs ({error})"
            ) from error
        wanted = (len(WARM_UP), len(self.labels))
        if found.shape != wanted:
            raise ArtefactError(f"{folder}: its network answers {found.shape}, and its labels need {wanted}")
        if not np.allclose(found.sum(axis=1), 1, atol=TOLERANCE) or not np.allclose(
            found, alone, atol=TOLERANCE
        ):
            raise ArtefactError(f"{folder}: what its network answers are no probabilities")


def runtime() -> Any:
    """Import onnxruntime, which since 1.29 sends its maker who uses which model unless it is told, before, not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def _session(found: Artefact) -> Any:
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # patterns are kept for each shape, and texts have many
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(found.onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtefactError(f"{found.onnx} is no network that can be run ({error})") from error


if __name__ == "__main__":
    chosen = Predictor.load(sys.argv[1])
    for row in chosen.predict(sys.argv[2:]).tolist():
        print(dict(zip(chosen.labels, row, strict=True)))
