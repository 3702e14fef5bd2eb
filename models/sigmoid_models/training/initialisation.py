"""Initial weights under which a deep stack of sigmoids learns."""

import math

import torch
from torch import nn

from sigmoid_models.classifier import linear_layers

SLOPE = 1 / 4
"""Derivative of the sigmoid at 0, its largest."""

MEAN = 1 / 2
"""Value of the sigmoid at 0, about which its outputs spread."""


def initialise_for_sigmoid(network: nn.Module, generator: torch.Generator) -> None:
    """Draw weights so that neither signals nor gradients fade from layer to layer.

    Near 0 the sigmoid is `1/2 + z/4`. If the sums `z` of one layer have variance v
    and mean 0, its outputs have variance `v/16` and mean 1/2. Weights of variance
    `16 / fan_in` undo the factor, biases of `-1/2 · (sum of the weights)` undo the
    mean; the gradient passes back through the same product of slope and weights and
    keeps its size too. The first layer sees standardised features, so its weights
    have variance `1 / fan_in` and its biases are 0.

    The condition, variance kept from layer to layer, is that of Glorot and Bengio,
    "Understanding the difficulty of training deep feedforward neural networks",
    2010, for a linear unit; slope and mean of the sigmoid enter as in Xu, Huang and
    Li, "Revise saturated activation functions", 2016 (arXiv:1602.05980).

    PyTorch's default, weights of variance `1 / (3 fan_in)`, shrinks the signal by
    `1/48` of its variance per layer, and the gradient likewise: nothing arrives.

    Args:
        network: One of `sigmoid_models.classifier`; changed in place.
        generator: Source of the random numbers.
    """
    with torch.no_grad():
        for position, layer in enumerate(linear_layers(network)):
            first = position == 0
            gain = 1.0 if first else 1 / SLOPE
            deviation = gain / math.sqrt(layer.in_features)
            layer.weight.normal_(0.0, deviation, generator=generator)
            layer.bias.copy_(-(0.0 if first else MEAN) * layer.weight.sum(dim=1))
