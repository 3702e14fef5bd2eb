"""From logits to probabilities and labels, as the card says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.card import ModelCard
from sigmoid_models.exact_sigmoid import sigmoid

Float32Array = NDArray[np.float32]
Labels = NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.object_]


def probabilities(logits: Float32Array, card: ModelCard) -> Float32Array:
    """Compute `sigmoid(logits / temperature)`, or the softmax where the card says so.

    With the sigmoid every output has a probability of its own; they do not add up to 1.

    Args:
        logits: `(..., outputs)`.
        card: The card of the network.

    Returns:
        The same shape, rounded once from float64.
    """
    if card.link == "softmax":
        return _softmax(logits, card.temperature)
    scaled: NDArray[Any] = logits
    if card.temperature != 1:
        # A quotient beyond float64 is an infinity, of which the sigmoid is 0 or 1.
        with np.errstate(over="ignore"):
            scaled = logits.astype(np.float64) / card.temperature
    return sigmoid(scaled, "float32").astype(np.float32, copy=False)


def _softmax(logits: Float32Array, temperature: float) -> Float32Array:
    """Compute the softmax of each row, whatever its size: the largest logit gives 1."""
    wide = logits.astype(np.float64)
    # A difference of float32 is finite in float64, but its quotient may be -infinity.
    with np.errstate(over="ignore"):
        scaled = (wide - wide.max(axis=-1, keepdims=True)) / temperature
    shares = np.exp(scaled)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), dtype=np.float32)


def labels(logits: Float32Array, likely: Float32Array, card: ModelCard) -> Labels:
    """Decide, as the card's task says.

    Args:
        logits: `(..., outputs)`.
        likely: The probabilities of these logits, the same shape.
        card: The card of the network.

    Returns:
        `binary` and `multiclass`: `(...)`, class names where known, else integers;
        the positive class from its threshold on, or the class of the largest logit
        and the first of equals. `multilabel`: `(..., outputs)`, booleans.
    """
    if card.task == "multiclass":
        indices = _largest(logits)
    else:
        reached = likely >= np.asarray(card.thresholds or 0.5)
        if card.task == "multilabel":
            return reached
        indices = reached[..., 0].astype(np.int64)
    if card.classes is None:
        return np.asarray(indices)
    names: NDArray[np.object_] = np.asarray(card.classes, dtype=object)
    return np.asarray(names[indices])


def _largest(logits: Float32Array) -> NDArray[np.int64]:
    """Find the first of the largest logits of each row."""
    # Of two classes a comparison tells, without guessing at each row which it will be.
    if logits.shape[-1] == 2:
        return (logits[..., 1] > logits[..., 0]).astype(np.int64)
    return np.asarray(logits.argmax(axis=-1))
