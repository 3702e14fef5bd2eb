"""How a gradient changes from the last hidden layer of a network back to the first."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, prod
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sigmoid_models.card import ModelCard
from sigmoid_models.classifier import linear_layers
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of
from sigmoid_models.logits import standardise

MOST_PARAMETERS: Final = 2**20
"""Of larger networks nothing is computed."""

MOST_ROWS: Final = 16

# Multiplications in all, which take a core about 0.1 s.
_MOST_PRODUCTS: Final = 2**28

# Signals that are kept, and numbers of gradients at a time.
_MOST_SIGNALS: Final = 2**20
_GRADIENTS_AT_ONCE: Final = 2**16


class LayerDepth(NamedTuple):
    """What a hidden layer does to a gradient.

    Attributes:
        derivative: Mean of the derivative of the function behind it, over the rows and
            its units.
        product: Of the `derivative`s from this layer to the last hidden one.
        gradient: Mean over the rows of the Frobenius norm of the derivative of the
            logits by the input of its function.
    """

    derivative: float
    product: float
    gradient: float


def layer_depths(
    network: nn.Module, card: ModelCard, rows: Float64Array
) -> tuple[LayerDepth, ...] | None:
    """Compute how the gradient fades or grows with depth, in float64.

    Args:
        network: As the card's architecture builds it.
        card: Its scaler is applied.
        rows: Raw features, `(rows, features)`, one at least; of many, only the first
            are taken.

    Returns:
        One entry per hidden layer, first to last. None where there is no hidden layer,
        where it would take long, or where a number is not finite.
    """
    count = _rows_to_take(card)
    if not count or not card.activations:
        return None
    layers = linear_layers(network)
    with np.errstate(over="ignore"):
        features = standardise(rows[:count], card).astype(np.float32)
    # The thread may be in inference mode, in which nothing has a gradient.
    with torch.inference_mode(mode=False):
        slopes = _slopes(layers, card.activations, torch.from_numpy(features))
        norms = _norms(layers, slopes)
    derivatives = [float(slope.mean()) for slope in slopes]
    found = tuple(
        LayerDepth(derivative, prod(derivatives[position:]), norm)
        for position, (derivative, norm) in enumerate(
            zip(derivatives, norms, strict=True)
        )
    )
    return found if all(map(isfinite, (n for one in found for n in one))) else None


def rows_of(card: ModelCard) -> Float64Array:
    """Take the raw rows of a card: golden ones, else one of the scaler's means."""
    if card.golden:
        return np.asarray(card.golden.inputs, dtype=np.float64)
    means = card.scaler.mean if card.scaler else (0.0,) * card.architecture.features
    return np.asarray([means], dtype=np.float64)


def _rows_to_take(card: ModelCard) -> int:
    if card.architecture.parameters > MOST_PARAMETERS:
        return 0
    features, *hidden, outputs = card.architecture.sizes
    products = outputs * sum(n * (1 + after) for n, after in pairwise([*hidden, 0]))
    signals = features + sum(hidden)
    return min(MOST_ROWS, _MOST_SIGNALS // signals, _MOST_PRODUCTS // max(1, products))


def _slopes(
    layers: Sequence[nn.Linear], activations: Sequence[str], features: Tensor
) -> list[Tensor]:
    """Return the derivatives of each function, `(rows, units)`, first to last."""
    signals, slopes = features.double(), list[Tensor]()
    for layer, name in zip(layers, activations, strict=False):
        with torch.no_grad():
            sums = signals @ layer.weight.double().T + layer.bias.double()
        with torch.enable_grad():
            sums.requires_grad_()
            signals = function_of(name).module()(sums)
            slopes += torch.autograd.grad(signals.sum(), sums)
        signals = signals.detach()
    return slopes


@torch.no_grad()
def _norms(layers: Sequence[nn.Linear], slopes: Sequence[Tensor]) -> list[float]:
    """Return the mean norm of the gradient at each hidden layer, first to last."""
    weights = [layer.weight.double() for layer in layers[1:]]
    squares = torch.zeros(len(slopes), len(slopes[0]), dtype=torch.float64)
    # The square of the norm is a sum over the logits, which need not be there at once.
    for some_logits in _some_at_a_time(weights[-1], slopes):
        by_signals = some_logits[:, None, :]  # (logits, rows or 1, units)
        for position in reversed(range(len(slopes))):
            by_sums = by_signals * slopes[position]  # (logits, rows, units)
            squares[position] += by_sums.square().sum(dim=(0, 2))
            if position:
                by_signals = by_sums @ weights[position - 1]
    norms: list[float] = squares.sqrt().mean(dim=1).tolist()
    return norms


def _some_at_a_time(weight: Tensor, slopes: Sequence[Tensor]) -> Sequence[Tensor]:
    """Split the last layer's weights by logits, so that few gradients are there."""
    widest = max(slope.numel() for slope in slopes)
    return torch.split(weight, max(1, _GRADIENTS_AT_ONCE // widest))
