"""Random networks, written in the many ways in which people write them.

Every network has random weights and running statistics, and computes its own logits:
what is served must be these, or a refusal. Nothing here knows how files are read.
"""

import random
from collections.abc import Callable

import torch
from torch import nn

from tests.models.random_blocks import blocks, two_stacks
from tests.models.random_branches import (
    extras,
    heads,
    links,
    strangers,
    transposed,
    twins,
)
from tests.models.random_chains import Made, attributes, lists, sequential


def make_network(seed: int) -> Made:
    """Make a network; the same for the same seed."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    style = rng.choice(STYLES)
    made = style(rng)
    made.style = f"{style.__name__} {made.style}"
    for module in made.module.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.25, 3)
            if module.affine:
                nn.init.normal_(module.weight, 1)
                nn.init.normal_(module.bias)
    made.module.double().eval()
    return made


STYLES: tuple[Callable[[random.Random], Made], ...] = (
    attributes,
    attributes,
    sequential,
    lists,
    blocks,
    two_stacks,
    twins,
    heads,
    links,
    transposed,
    extras,
    strangers,
)
