"""The elementwise sigmoid, exact to the last bit or two of every dtype."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.dtype import STORAGE, DtypeName, Float64Array, FloatArray, round_to

BLOCK_ELEMENTS: Final = 8192
"""Computed at once: float64 blocks of this size stay in a core's cache."""


def sigmoid64(values: Float64Array) -> Float64Array:
    """Compute `1 / (1 + exp(-x))` in float64, over the whole range of float64.

    With `e = exp(-|x|)` nothing overflows and nothing cancels: the result is
    `1 / (1 + e)` for `x >= 0` and `e / (1 + e)` below, so that values far below
    zero keep their digits (`sigmoid(-740)` is about 4e-322, not 0). Each of the three
    steps rounds, which makes 2.5 ULP of float64 at most.

    Args:
        values: Any shape, no NaN.

    Returns:
        The same shape, in [0, 1].
    """
    exponential = np.exp(-np.abs(np.ascontiguousarray(values)))
    numerator = np.where(values >= 0, 1.0, exponential)
    exponential += 1.0
    quotient: Float64Array = np.divide(numerator, exponential, out=numerator)
    return quotient.reshape(np.shape(values))


def sigmoid(values: NDArray[Any], dtype: DtypeName) -> FloatArray:
    """Compute the sigmoid with more digits than `dtype` has, and round it once.

    Through float64 for the shorter types, through the long double for float64: 80 bits
    on x86-64, 128 on 64-bit Arm under Linux.

    Args:
        values: Any shape and real type, no NaN.
        dtype: The type of the result.

    Returns:
        The same shape, in [0, 1]; bfloat16 comes as float32 (see `round_to`).
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    result: FloatArray = np.empty(flat.shape, STORAGE[dtype])
    for start in range(0, flat.size, BLOCK_ELEMENTS):
        block = slice(start, start + BLOCK_ELEMENTS)
        if dtype == "float64":
            result[block] = _sigmoid_long(flat[block])
        else:
            exact = sigmoid64(flat[block].astype(np.float64))
            result[block] = round_to(exact, dtype) if dtype == "bfloat16" else exact
    return result.reshape(np.shape(values))


def _sigmoid_long(values: NDArray[Any]) -> NDArray[np.longdouble]:
    """Compute `1 / (1 + exp(-x))`; the exponential's range is far beyond float64's.

    Each step is monotone in the one before, so that the whole is.
    """
    with np.errstate(over="ignore"):
        exponential = np.exp(-values.astype(np.longdouble))
    exponential += 1
    return np.reciprocal(exponential, out=exponential)
