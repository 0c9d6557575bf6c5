"""Shift and scale features and labels, and fold that back into a model's weights.

Try it:  python -c "import numpy as np; from linearlearner.scaling import fit; help(fit)"
Means and deviations come from the first num_point_for_scaler rows, "a small sample of the data":
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_how-it-works.html
"""

from dataclasses import dataclass

import numpy as np

from linearlearner.channels import Rows
from linearlearner.hyperparameters import REGRESSOR, Hyperparameters


@dataclass(frozen=True)
class Scaler:
    """mean, scale: (D,) of the features. label_mean, label_scale: of the label; 0 and 1 for classes."""

    mean: np.ndarray
    scale: np.ndarray
    label_mean: float = 0.0
    label_scale: float = 1.0

    def features(self, features: np.ndarray) -> np.ndarray:
        """float32 (N, D)."""
        return ((features - self.mean) / self.scale).astype(np.float32)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """float32 (N,)."""
        return ((labels - self.label_mean) / self.label_scale).astype(np.float32)

    def unscaled(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (D, K) and bias (K,) that take features and give labels as they are; float64."""
        folded = weights.astype(np.float64) / self.scale[:, None]
        shifted = bias.astype(np.float64) - self.mean @ folded
        return folded * self.label_scale, shifted * self.label_scale + self.label_mean


def fit(rows: Rows, given: Hyperparameters) -> Scaler:
    """The shift and scale that these hyperparameters ask for; a column that never changes is not scaled."""
    sample = rows.features[: given.num_point_for_scaler].astype(np.float64)
    mean, scale = np.zeros(sample.shape[1]), np.ones(sample.shape[1])
    # "By default data is unbiased as the use_bias hyperparameter is set to true": without a bias no shift is made.
    if given.use_bias if given.unbias_data is None else given.unbias_data:
        mean = sample.mean(axis=0)
    if given.normalize_data is not False:
        deviation = sample.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1.0)
    if given.predictor_type != REGRESSOR:
        return Scaler(mean, scale)
    labels = rows.labels[: given.num_point_for_scaler].astype(np.float64)
    normalized = given.normalize_label is not False
    shifted = given.use_bias and (normalized if given.unbias_label is None else given.unbias_label)
    label_scale = float(labels.std()) if normalized else 1.0
    return Scaler(mean, scale, float(labels.mean()) if shifted else 0.0, label_scale or 1.0)
