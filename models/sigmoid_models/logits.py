"""Logits in float64 by plain NumPy: the reference for every device."""

import numpy as np
from torch import nn

from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.classifier import linear_layers
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of


def standardise(rows: Float64Array, card: ModelCard) -> Float64Array:
    """Apply the card's scaler, where it has one, in float64.

    Args:
        rows: Raw features, `(rows, features)`.
        card: The card of the network.

    Returns:
        The same shape; infinite where float64 overflows, which NumPy reports as
        `np.errstate` has it.
    """
    if card.scaler is None:
        return rows
    scaled: Float64Array = (rows - card.scaler.mean) / card.scaler.scale
    return scaled


def reference_logits(
    network: nn.Module, card: ModelCard, rows: Float64Array
) -> Float64Array:
    """Compute the logits of raw features in float64, from the float32 weights.

    Args:
        network: One of `sigmoid_models.classifier`.
        card: The card of the network; its scaler is applied.
        rows: `(rows, features)`, within the range of float32 once standardised.

    Returns:
        `(rows, outputs)`.
    """
    # The network is given float32, so that is what the reference is of.
    values = standardise(rows, card).astype(np.float32).astype(np.float64)
    layers = linear_layers(network)
    for position, layer in enumerate(layers):
        weight = layer.weight.detach().numpy().astype(np.float64)  # (out, in)
        values = values @ weight.T + layer.bias.detach().numpy()  # (rows, out)
        if position < len(layers) - 1:
            values = function_of(card.activations[position]).reference(values)
    return values


def golden_of(network: nn.Module, card: ModelCard, rows: Float64Array) -> Golden:
    """Make golden rows of raw features, `(rows, features)`, and their logits."""
    logits = reference_logits(network, card, rows)
    return Golden(
        inputs=tuple(map(tuple, rows.tolist())),
        logits=tuple(map(tuple, logits.tolist())),
    )
