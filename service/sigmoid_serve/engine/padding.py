"""The layers of a network as plain matrices, padded, each with its bias in it.

A bias is one more column of its layer's matrix. What that column meets is 1 beside the
features; behind a hidden layer it is the signal of one more unit, which no weight but
its own bias reaches. Each function has a number that it turns into a power of two, to
the last bit: that number is the unit's bias, and the next layer's biases are divided by
the power of two, which loses nothing: 32 at most, so only of a bias below 4e-37 digits
are lost, and by less than 3e-44.

What a function makes of the other padded units need not be 0; it meets zeros. But a
signal beyond float32 meets them too, and infinity times 0 is not a number. It spoils
the padding of the next layer, and all layers behind that one; without it, a later
sigmoid, say, makes a number of infinity. `restoring_functions` are for such rows.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sigmoid_models.functions import Function

Compute = Callable[[Tensor], object]


def padded_matrices(
    layers: Sequence[nn.Linear], functions: Sequence[Function], block: int
) -> Iterator[Tensor]:
    """Lay out each layer as `(units, inputs + 1)`, in whole blocks, the bias last.

    Each is made when it is asked for, so that no more of them need be there at once.

    Args:
        layers: Of a network, first to last.
        functions: Behind each layer but the last.
        block: Both dimensions are padded to multiples of it.
    """
    signals = [1.0, *(function.fixed[1] for function in functions)]
    numbers = [*(function.fixed[0] for function in functions), None]
    for layer, signal, number in zip(layers, signals, numbers, strict=True):
        yield _padded_matrix(layer, signal, number, block)


def padded_widths(sizes: Sequence[int], block: int) -> list[int]:
    """Say how wide the signals are, padding included.

    Args:
        sizes: The features, then the units of each layer.
        block: As for `padded_matrices`.
    """
    return [
        *(whole(size + 1, block) for size in sizes[:-1]),
        whole(sizes[-1], block),
    ]


def _padded_matrix(
    layer: nn.Linear, signal: float, number: float | None, block: int
) -> Tensor:
    """Lay out one layer.

    Args:
        layer: Of the network.
        signal: What the bias meets.
        number: What another unit is to have before the function, for the next bias.
        block: Both dimensions are padded to multiples of it.
    """
    units, inputs = layer.weight.shape
    all_units = units if number is None else units + 1
    matrix = torch.empty(whole(all_units, block), whole(inputs + 1, block))
    matrix[:units, :inputs] = layer.weight.detach()
    matrix[:units, inputs] = layer.bias.detach() / signal
    matrix[:units, inputs + 1 :] = 0
    matrix[units:] = 0
    if number is not None:
        matrix[units, inputs] = number / signal
    return matrix


def restoring_functions(
    layers: Sequence[nn.Linear], functions: Sequence[Function]
) -> tuple[Compute, ...]:
    """Make functions that also put the padding right, whatever became of it.

    Args:
        layers: As for `padded_matrices`.
        functions: The same.
    """
    return tuple(
        partial(_restore, function=function, units=layer.out_features)
        for layer, function in zip(layers[:-1], functions, strict=True)
    )


def _restore(signal: Tensor, *, function: Function, units: int) -> None:
    function.in_place(signal)
    signal[:, units:] = 0
    signal[:, units] = function.fixed[1]


def whole(size: int, block: int) -> int:
    """Round up to whole blocks."""
    return size + -size % block
