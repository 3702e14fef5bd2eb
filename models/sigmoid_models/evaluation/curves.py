"""The curves of a report, as points; needs scikit-learn."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from sigmoid_models.dtype import Float64Array
from sigmoid_models.evaluation.evaluation import Evaluation
from sigmoid_models.evaluation.metrics import BINS, bins_of

MOST_CURVES: Final = 8

# A curve of more points looks the same.
_MOST_POINTS: Final = 400


class Curve(NamedTuple):
    """One line, from left to right or back.

    Attributes:
        name: Of the class.
        x: Of the points.
        y: The same.
    """

    name: str
    x: Float64Array
    y: Float64Array


class Reliability(NamedTuple):
    """How often what was said with some probability came true; a point for each bin.

    Attributes:
        said: The mean probability, of those bins that hold rows.
        true: The share of rows of which it came true.
        rows: In each of these bins.
    """

    said: Float64Array
    true: Float64Array
    rows: NDArray[np.int64]


class Curves(NamedTuple):
    """The curves of a report.

    Attributes:
        roc: False-positive rate and true-positive rate, for each class shown.
        precision: Recall and precision, for each class shown.
        reliability: Of the positive of two classes, else of the class predicted.
    """

    roc: tuple[Curve, ...]
    precision: tuple[Curve, ...]
    reliability: Reliability


def curves_of(evaluation: Evaluation) -> Curves:
    """Compute the curves.

    Of two classes there are those of the positive, of many those of the eight that
    are found worst.
    """
    scored = evaluation.scored
    by_class = scored.by_class
    roc, precision = [], []
    for index in _shown(evaluation):
        name = scored.classes[index]
        is_of_it, likely = scored.targets == index, by_class[:, index]
        false, true, _ = roc_curve(is_of_it, likely)
        roc.append(Curve(name, *_thinned(false, true)))
        # The last point is no threshold's: by definition, recall 0 and precision 1.
        right, found, _ = precision_recall_curve(
            is_of_it, likely, drop_intermediate=True
        )
        precision.append(Curve(name, *_thinned(found, right)))
    return Curves(tuple(roc), tuple(precision), _reliability(evaluation))


def _shown(evaluation: Evaluation) -> list[int]:
    """Choose classes that have both rows and others' rows beside them."""
    drawn = {
        index: each.average_precision or 0.0
        for index, each in enumerate(evaluation.per_class)
        if each.roc_auc is not None
    }
    if len(evaluation.per_class) == 2:
        return [index for index in drawn if index == 1]
    return sorted(sorted(drawn, key=lambda index: drawn[index])[:MOST_CURVES])


def _thinned(x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    chosen = np.unique(
        np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int)
    )
    return x[chosen], y[chosen]


def _reliability(evaluation: Evaluation) -> Reliability:
    scored = evaluation.scored
    if len(scored.classes) == 2:
        likely, came_true = scored.by_class[:, 1], scored.targets == 1
    else:
        likely = scored.by_class[np.arange(evaluation.rows), scored.predicted]
        came_true = scored.predicted == scored.targets
    bins = bins_of(likely)
    rows = np.bincount(bins, minlength=BINS)
    held = rows > 0
    said = np.bincount(bins, weights=likely, minlength=BINS)[held] / rows[held]
    true = np.bincount(bins, weights=came_true, minlength=BINS)[held] / rows[held]
    return Reliability(said, true, rows[held])
