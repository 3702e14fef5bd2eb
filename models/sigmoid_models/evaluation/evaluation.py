"""All that is said of how good a model is: figures, confusions, warnings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.card import Metrics, ModelCard
from sigmoid_models.dtype import Float64Array
from sigmoid_models.evaluation.metrics import (
    ClassFigures,
    Scored,
    brier,
    class_figures,
    expected_calibration_error,
    log_loss,
)
from sigmoid_models.evaluation.names import MEASURES, quoted
from sigmoid_models.evaluation.warning import warnings_of
from sigmoid_models.exact_sigmoid import sigmoid64

_LARGEST_MATRIX: Final = 100


class Confusion(NamedTuple):
    """How many rows of one class were given which."""

    true: int
    predicted: int
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on some rows.

    Attributes:
        scored: What it said of them.
        measures: By the names of `sigmoid_models.evaluation.names`; those defined.
        undefined: Of the others, why they are not.
        per_class: Figures of each class, in the order of the classes.
        confusions: Pairs of a true and a given class that occur, right ones too.
        warnings: What a reader should know before the figures; a sentence each.
    """

    scored: Scored
    measures: dict[str, float]
    undefined: dict[str, str]
    per_class: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]
    warnings: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many there were."""
        return len(self.scored.targets)

    def matrix(self) -> NDArray[np.int64]:
        """Lay out the confusions, `(true, predicted)`; for few classes."""
        count = len(self.per_class)
        matrix = np.zeros((count, count), dtype=np.int64)
        for true, predicted, rows in self.confusions:
            matrix[true, predicted] = rows
        return matrix

    def mistakes(self, most: int) -> list[Confusion]:
        """List the wrong pairs, those of most rows first."""
        wrong = [each for each in self.confusions if each.true != each.predicted]
        return sorted(wrong, key=lambda each: -each.rows)[:most]

    def document(self) -> dict[str, Any]:
        """Say all of it in what JSON can hold; no value is NaN."""
        few = len(self.per_class) <= _LARGEST_MATRIX
        mistakes = [
            {
                "true": self.per_class[each.true].name,
                "predicted": self.per_class[each.predicted].name,
                "rows": each.rows,
            }
            for each in self.mistakes(_LARGEST_MATRIX)
        ]
        return {
            "rows": self.rows,
            "classes": [each.name for each in self.per_class],
            "measures": self.measures,
            "undefined": self.undefined,
            "per_class": [each._asdict() for each in self.per_class],
            "confusion_matrix": self.matrix().tolist() if few else None,
            "mistakes": mistakes,
            "warnings": list(self.warnings),
        }


def evaluate(scored: Scored) -> Evaluation:
    """Measure what a model says of rows whose classes are known."""
    right = scored.predicted == scored.targets
    counts = np.bincount(scored.targets, minlength=len(scored.classes))
    per_class = class_figures(scored)
    confidence = scored.by_class[np.arange(len(right)), scored.predicted]
    found: dict[str, float | str] = {
        "accuracy": float(right.mean()),
        "majority_share": float(counts.max() / len(right)),
        "balanced_accuracy": _balanced_accuracy(per_class),
        **_of_classes(per_class),
        "log_loss": log_loss(scored),
        "brier": brier(scored),
        "ece": expected_calibration_error(confidence, right),
    }
    ordered = {name: found[name] for name in MEASURES}
    measures = {n: v for n, v in ordered.items() if not isinstance(v, str)}
    return Evaluation(
        scored=scored,
        measures=measures,
        undefined={n: v for n, v in ordered.items() if isinstance(v, str)},
        per_class=per_class,
        confusions=tuple(_confusions(scored)),
        warnings=warnings_of(measures, per_class),
    )


def card_metrics(evaluation: Evaluation) -> Metrics:
    """Return the figures that a card keeps."""
    return Metrics.model_validate(evaluation.measures)


def scored_logits(
    logits: Float64Array, card: ModelCard, targets: NDArray[np.int64]
) -> Scored:
    """Turn logits into probabilities, in float64, and into labels, as the card says.

    Args:
        logits: `(rows, outputs)`.
        card: Of a binary or a multiclass model, with the names of its classes.
        targets: Index of each row's class, `(rows,)`.
    """
    # float32 would make 0 of the loss of a row that is wrong, but not quite sure.
    with np.errstate(over="ignore"):
        scaled = logits / card.temperature
    likely = _softmax(logits, card) if card.link == "softmax" else sigmoid64(scaled)
    if card.task == "binary":
        threshold = (card.thresholds or (0.5,))[0]
        predicted = (likely[:, 0] >= threshold).astype(np.int64)
    else:
        predicted = logits.argmax(axis=1)
    assert card.classes is not None
    return Scored(likely, predicted, targets, card.classes)


def _softmax(logits: Float64Array, card: ModelCard) -> Float64Array:
    with np.errstate(over="ignore"):
        scaled = (logits - logits.max(axis=1, keepdims=True)) / card.temperature
    shares = np.exp(scaled)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _balanced_accuracy(per_class: Iterable[ClassFigures]) -> float | str:
    recalls = [each.recall for each in per_class if each.recall is not None]
    if len(recalls) < 2:
        return "all rows are of one class"
    return float(np.mean(recalls))


def _of_classes(per_class: tuple[ClassFigures, ...]) -> dict[str, float | str]:
    """Give the figures of the positive of two classes, or else their means."""
    chosen = per_class[1:] if len(per_class) == 2 else per_class
    found: dict[str, float | str] = {}
    for name in ("precision", "recall", "average_precision", "roc_auc"):
        values = [getattr(each, name) for each in chosen]
        if None not in values:
            found[name] = float(np.mean(values))
            continue
        lacking = chosen[values.index(None)]
        if name == "precision":
            found[name] = f"no row was given {quoted(lacking.name)}"
        elif lacking.rows:
            found[name] = f"all rows are of {quoted(lacking.name)}"
        else:
            found[name] = f"no row is of {quoted(lacking.name)}"
    return found


def _confusions(scored: Scored) -> Iterable[Confusion]:
    count = len(scored.classes)
    pairs, rows = np.unique(
        scored.targets * count + scored.predicted, return_counts=True
    )
    for pair, number in zip(pairs.tolist(), rows.tolist(), strict=True):
        true, predicted = divmod(pair, count)
        yield Confusion(true, predicted, number)
