"""The elementwise sigmoid, exact to the last bit or two of every dtype."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import STORAGE, DtypeName, Float64Array, FloatArray, round_to

BLOCK_ELEMENTS: Final = 8192
"""Computed at once: float64 blocks of this size stay in a core's cache."""


# exp(700) is within float64; the sigmoid there is far below all that is rounded to.
_LARGEST_EXPONENT: Final = 700.0


def sigmoid(
    values: NDArray[Any], dtype: DtypeName, out: FloatArray | None = None
) -> FloatArray:
    """Compute `1 / (1 + exp(-x))` with more digits than `dtype` has, and round it once.

    Through float64 for the shorter types, through the long double for float64: 80 bits
    on x86-64, 128 on 64-bit Arm under Linux. Nothing cancels, so the relative error is
    that of a few roundings everywhere; and each step is monotone in the one before, so
    the whole is.

    Args:
        values: Any shape and real type, no NaN.
        dtype: The type of the result.
        out: Where the result is put, flat; by default in memory of its own.

    Returns:
        The same shape, in [0, 1]; bfloat16 comes as float32 (see `round_to`).
    """
    compute = sigmoid64 if dtype == "float64" else _through_float64
    if values.size <= BLOCK_ELEMENTS and out is None:
        return _rounded(compute(values), dtype)
    flat = np.ascontiguousarray(values).reshape(-1)
    result: FloatArray = np.empty(flat.shape, STORAGE[dtype]) if out is None else out
    for start in range(0, flat.size, BLOCK_ELEMENTS):
        block = slice(start, start + BLOCK_ELEMENTS)
        result[block] = _rounded(compute(flat[block]), dtype)
    return result.reshape(values.shape)


def sigmoid64(values: NDArray[Any]) -> Float64Array:
    """Compute the sigmoid through the long double and round it once to float64.

    Args:
        values: Any shape and real type, no NaN.

    Returns:
        The same shape, in [0, 1].
    """
    # The range of the long double's exponential is far beyond float64's.
    with np.errstate(over="ignore"):
        exponential = np.exp(-values.astype(np.longdouble))
    result: Float64Array = np.reciprocal(exponential + 1).astype(np.float64)
    return result


def _through_float64(values: NDArray[Any]) -> Float64Array:
    exponential: Float64Array = np.negative(values, dtype=np.float64, order="C")
    exponential = np.exp(np.minimum(exponential, _LARGEST_EXPONENT))
    exponential += 1.0
    return np.reciprocal(exponential)


def _rounded(exact: Float64Array, dtype: DtypeName) -> FloatArray:
    # Rounding a value of [0, 1] cannot overflow, which round_to must expect.
    if dtype == "bfloat16":
        return round_to(exact, dtype)
    rounded: FloatArray = exact.astype(STORAGE[dtype], copy=False)
    return rounded
