"""A trained model: from features to scores and labels.

Try it:  python -c "import numpy as np; from linearlearner.predictor import Predictor as P;
         print(P(np.array([[1.0], [-1.0]]), np.zeros(1), 'binary_classifier', 'logistic', 0.5).scores(np.eye(2)))"
Weights are those for features as they come: no scaler is needed beside them. Knows no formats.
"""

from dataclasses import dataclass

import numpy as np

from linearlearner.hyperparameters import BINARY, MULTICLASS, REGRESSOR
from linearlearner.losses import sigmoid, softmax


@dataclass(frozen=True)
class Predictor:
    """weights: float64 (D, C), C classes or 1; bias: float64 (C,). threshold: on the score, for two classes."""

    weights: np.ndarray
    bias: np.ndarray
    predictor_type: str
    loss: str
    threshold: float

    @property
    def feature_dim(self) -> int:
        return int(self.weights.shape[0])

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """The linear function's values, float64 (N, C)."""
        return np.asarray(features @ self.weights + self.bias)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """float32: (N,), or (N, C) for many classes. With hinge_loss a score is no probability."""
        return self.as_scores(self.outputs(features))

    def as_scores(self, outputs: np.ndarray) -> np.ndarray:
        """What the algorithm answers for values of the linear function."""
        if self.predictor_type == MULTICLASS:
            return np.asarray(softmax(outputs), dtype=np.float32)
        scored = sigmoid(outputs[:, 0]) if self.loss == "logistic" else outputs[:, 0]
        return np.asarray(scored, dtype=np.float32)

    def labels(self, scores: np.ndarray) -> np.ndarray | None:
        """int64 (N,); None for a regressor, which has none."""
        if self.predictor_type == REGRESSOR:
            return None
        if self.predictor_type == BINARY:
            return (scores >= np.float32(self.threshold)).astype(np.int64)
        return np.asarray(scores.argmax(axis=1))


def natural_threshold(loss: str) -> float:
    """Where the loss itself puts the border between the two classes."""
    return 0.5 if loss == "logistic" else 0.0
