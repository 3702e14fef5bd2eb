"""The elementwise sigmoid, exact to the last bit or two of every dtype."""

import numpy as np

from models.dtype import DtypeName, Float64Array, FloatArray, round_to


def sigmoid64(values: Float64Array) -> Float64Array:
    """Compute `1 / (1 + exp(-x))` in float64, over the whole range of float64.

    With `e = exp(-|x|)` nothing overflows and nothing cancels: the result is
    `1 / (1 + e)` for `x >= 0` and `e / (1 + e)` below, so that values far below
    zero keep their digits (`sigmoid(-740)` is about 4e-322, not 0).

    Args:
        values: Any shape, finite.

    Returns:
        The same shape, in [0, 1].
    """
    exponential = np.exp(-np.abs(np.ascontiguousarray(values)))
    numerator = np.where(values >= 0, 1.0, exponential)
    quotient: Float64Array = numerator / (1.0 + exponential)
    return quotient.reshape(np.shape(values))


def sigmoid(values: Float64Array, dtype: DtypeName) -> FloatArray:
    """Compute the sigmoid through float64 and round it once to `dtype`.

    Args:
        values: Any shape, finite; values of `dtype`, widened to float64.
        dtype: The type of the result.

    Returns:
        The same shape, in [0, 1]; bfloat16 comes as float32 (see `round_to`).
    """
    return round_to(sigmoid64(values), dtype)
