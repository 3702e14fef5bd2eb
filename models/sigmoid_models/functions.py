"""The functions between layers: in PyTorch, in float64, and how each carries a one.

Formulas: PyTorch's documentation of `torch.nn`, softplus's threshold included.
"""

from collections.abc import Callable
from functools import cache, partial
from math import erfc, pi, sqrt
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sigmoid_models.activation import slope_of
from sigmoid_models.dtype import Float64Array
from sigmoid_models.exact_sigmoid import sigmoid64

_SELU_SCALE: Final = 1.0507009873554804934193349852946
_SELU_ALPHA: Final = 1.6732632423543772848170429916717

# PyTorch defines its softplus as the identity beyond it, which differs by 2e-9 from the
# logarithm; that is the function that networks were trained with.
_SOFTPLUS_THRESHOLD: Final = 20.0


class Function(NamedTuple):
    """An elementwise function between two layers.

    Attributes:
        in_place: Computes it in float32 in the place of its argument.
        module: Makes PyTorch's module of it.
        reference: Computes it in float64.
        fixed: A number, and what `in_place` makes of it: a power of two, to the last
            bit of float32. So one signal of a layer can be constant.
    """

    in_place: Callable[[Tensor], object]
    module: Callable[[], nn.Module]
    reference: Callable[[Float64Array], Float64Array]
    fixed: tuple[float, float]


@cache
def function_of(activation: str) -> Function:
    """Find a function by its name, as `sigmoid_models.activation` reads it."""
    if activation.startswith("leaky_relu"):
        return _leaky_relu(slope_of(activation))
    return _FUNCTIONS[activation]


def _leaky_relu(slope: float) -> Function:
    return Function(
        partial(nn.functional.leaky_relu_, negative_slope=slope),
        partial(nn.LeakyReLU, slope),
        lambda x: np.where(x > 0, x, slope * x),
        (1.0, 1.0),
    )


def _selu64(x: Float64Array) -> Float64Array:
    result: Float64Array = _SELU_SCALE * _elu64(x, _SELU_ALPHA)
    return result


def _elu64(x: Float64Array, alpha: float = 1.0) -> Float64Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _gelu64(x: Float64Array) -> Float64Array:
    # 1 + erf(y) loses all digits far below 0, where erfc(-y) has them.
    tail = np.vectorize(erfc, otypes=[np.float64])(-x / sqrt(2))
    result: Float64Array = 0.5 * x * tail
    return result


def _gelu_tanh64(x: Float64Array) -> Float64Array:
    # 0.5 * (1 + tanh(y)) is the sigmoid of 2 y, which loses no digits below 0.
    inner = sqrt(2 / pi) * (x + 0.044715 * x**3)
    result: Float64Array = x * sigmoid64(2 * inner)
    return result


def _silu64(x: Float64Array) -> Float64Array:
    result: Float64Array = x * sigmoid64(x)
    return result


def _softplus64(x: Float64Array) -> Float64Array:
    return np.where(x > _SOFTPLUS_THRESHOLD, x, np.logaddexp(0, x))


def _gelu_(x: Tensor, *, approximate: str) -> None:
    torch.ops.aten.gelu.out(x, approximate=approximate, out=x)


def _softplus_(x: Tensor) -> None:
    torch.ops.aten.softplus.out(x, 1.0, _SOFTPLUS_THRESHOLD, out=x)


# The sigmoid of 32 is 1, to the last bit of float32, and its exponential is no
# subnormal number, with which processors take many times as long.
_FUNCTIONS: Final = {
    "sigmoid": Function(Tensor.sigmoid_, nn.Sigmoid, sigmoid64, (32.0, 1.0)),
    "relu": Function(Tensor.relu_, nn.ReLU, lambda x: np.maximum(x, 0), (1.0, 1.0)),
    "tanh": Function(Tensor.tanh_, nn.Tanh, np.tanh, (32.0, 1.0)),
    "elu": Function(nn.functional.elu_, nn.ELU, _elu64, (1.0, 1.0)),
    "selu": Function(torch.selu_, nn.SELU, _selu64, (1 / _SELU_SCALE, 1.0)),
    "gelu": Function(
        partial(_gelu_, approximate="none"), nn.GELU, _gelu64, (32.0, 32.0)
    ),
    "gelu:tanh": Function(
        partial(_gelu_, approximate="tanh"),
        partial(nn.GELU, "tanh"),
        _gelu_tanh64,
        (32.0, 32.0),
    ),
    "silu": Function(
        partial(nn.functional.silu, inplace=True), nn.SiLU, _silu64, (32.0, 32.0)
    ),
    "softplus": Function(_softplus_, nn.Softplus, _softplus64, (32.0, 32.0)),
    "none": Function(lambda x: x, nn.Identity, lambda x: x, (1.0, 1.0)),
}
