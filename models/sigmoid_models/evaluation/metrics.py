"""Figures of probabilities and labels whose truth is known; needs scikit-learn.

A figure that is not defined, such as the recall of a class without rows, is None.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from sigmoid_models.dtype import Float64Array

BINS = 15


class Scored(NamedTuple):
    """What a model says of rows whose classes are known.

    Attributes:
        likely: Probabilities, `(rows, outputs)`; one output is that of the second of
            two classes.
        predicted: Index of the class that each row was given, `(rows,)`.
        targets: Index of the class that it is of, `(rows,)`; at least one row.
        classes: The names of the classes.
    """

    likely: Float64Array
    predicted: NDArray[np.int64]
    targets: NDArray[np.int64]
    classes: tuple[str, ...]

    @property
    def by_class(self) -> Float64Array:
        """A probability for each class, `(rows, classes)`."""
        if self.likely.shape[1] == 1:
            return np.concatenate([1 - self.likely, self.likely], axis=1)
        return self.likely


class ClassFigures(NamedTuple):
    """How good a model is at one class.

    Attributes:
        name: Of the class.
        rows: That are of it.
        predicted: Rows that were given it.
        precision: Share of these that are of it.
        recall: Share of its rows that were given it.
        average_precision: Area under precision over recall.
        roc_auc: Area under the ROC curve, against all other classes.
    """

    name: str
    rows: int
    predicted: int
    precision: float | None
    recall: float | None
    average_precision: float | None
    roc_auc: float | None


def one_against_rest(targets: NDArray[np.int64], outputs: int) -> Float64Array:
    """Turn class indices `(rows,)` into 0 and 1, `(rows, outputs)`.

    One output stands for the second of two classes.
    """
    if outputs == 1:
        return targets[:, None].astype(np.float64)
    return np.eye(outputs)[targets]


def class_figures(scored: Scored) -> tuple[ClassFigures, ...]:
    """Measure each class against all others."""
    indices = np.arange(len(scored.classes))
    precision, recall, _, rows = precision_recall_fscore_support(
        scored.targets, scored.predicted, labels=indices, zero_division=np.nan
    )
    predicted = np.bincount(scored.predicted, minlength=len(indices))
    by_class = scored.by_class
    found = []
    for index, name in enumerate(scored.classes):
        is_of_it, likely = scored.targets == index, by_class[:, index]
        is_ranked = 0 < rows[index] < len(is_of_it)
        figures = ClassFigures(
            name,
            int(rows[index]),
            int(predicted[index]),
            _defined(precision[index]),
            _defined(recall[index]),
            float(average_precision_score(is_of_it, likely)) if rows[index] else None,
            float(roc_auc_score(is_of_it, likely)) if is_ranked else None,
        )
        found.append(figures)
    return tuple(found)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def log_loss(scored: Scored) -> float:
    """Average the binary cross-entropy over rows and outputs, in nats."""
    likely = scored.likely
    truth = one_against_rest(scored.targets, likely.shape[1])
    tiny = np.finfo(np.float64).tiny
    entropy = truth * np.log(np.maximum(likely, tiny))
    entropy += (1 - truth) * np.log(np.maximum(1 - likely, tiny))
    return float(-entropy.mean())


def brier(scored: Scored) -> float:
    """Average the squared error of the probabilities over rows and outputs."""
    truth = one_against_rest(scored.targets, scored.likely.shape[1])
    return float(np.square(scored.likely - truth).mean())


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
    bins = bins_of(confidence)
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def bins_of(likely: Float64Array) -> NDArray[np.int64]:
    """Find for each probability its bin, of 15 of equal width."""
    return np.minimum((likely * BINS).astype(np.int64), BINS - 1)
