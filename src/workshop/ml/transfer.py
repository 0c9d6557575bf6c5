"""Learn from few pictures on top of a network that others trained: its features, and a logistic regression.

Try it:  workshop run evaluate-images
Knows no framework: it is given the features of the pictures, one row each.
"""

from __future__ import annotations

import numpy as np

from workshop.errors import DataError

REGULARISATION = 1.0  # scikit-learn's C for features of unit variance; not tuned on test pictures
MAX_STEPS = 2000


def classifier(features: np.ndarray, labels: np.ndarray):
    """Fit a classifier: features float (N, F), labels int (N,); its predict_proba gives (N, classes).

    Errors: DataError if there is but one class to learn.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) < 2:
        raise DataError("the pictures to learn from are all of one class", "use a dataset with at least two")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=MAX_STEPS))
    return model.fit(np.asarray(features, dtype=np.float64), labels)
