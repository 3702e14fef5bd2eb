"""How good the probabilities of a classifier are; needs scikit-learn."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from sigmoid_models.card import Metrics
from sigmoid_models.dtype import Float64Array

BINS = 15


def one_against_rest(targets: NDArray[np.int64], outputs: int) -> Float64Array:
    """Turn class indices `(rows,)` into 0 and 1, `(rows, outputs)`.

    One output stands for the second of two classes.
    """
    if outputs == 1:
        return targets[:, None].astype(np.float64)
    return np.eye(outputs)[targets]


def measure(likely: Float64Array, targets: NDArray[np.int64]) -> Metrics:
    """Measure the probabilities of rows whose classes are known.

    Args:
        likely: Probabilities, `(rows, outputs)`; one output means two classes.
        targets: Index of each row's class, `(rows,)`; every class occurs.
    """
    truth = one_against_rest(targets, likely.shape[1])
    if likely.shape[1] == 1:
        predicted = (likely[:, 0] >= 0.5).astype(np.int64)
        confidence = np.maximum(likely[:, 0], 1 - likely[:, 0])
    else:
        predicted = likely.argmax(axis=1)
        confidence = likely.max(axis=1)
    right = predicted == targets
    tiny = np.finfo(np.float64).tiny
    entropy = truth * np.log(np.maximum(likely, tiny))
    entropy += (1 - truth) * np.log(np.maximum(1 - likely, tiny))
    return Metrics(
        accuracy=float(right.mean()),
        log_loss=float(-entropy.mean()),
        brier=float(np.square(likely - truth).mean()),
        ece=expected_calibration_error(confidence, right),
        roc_auc=float(roc_auc_score(truth, likely, average="macro")),
    )


def expected_calibration_error(
    confidence: Float64Array, right: NDArray[np.bool_]
) -> float:
    """Average the gap between confidence and accuracy over 15 bins of equal width.

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using
    Bayesian binning", 2015; each bin weighs as many rows as it holds.

    Args:
        confidence: Probability of the predicted label, `(rows,)`.
        right: Whether that label is right, `(rows,)`.

    Returns:
        In [0, 1]; 0 is perfect.
    """
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
