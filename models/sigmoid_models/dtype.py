"""The four floating-point types of requests, and the rounding to each."""

from functools import cache
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

DtypeName = Literal["float16", "bfloat16", "float32", "float64"]
DTYPES: Final[tuple[DtypeName, ...]] = get_args(DtypeName)

# How many values are shortened in one step, which takes a few milliseconds.
_AT_ONCE: Final = 2**15

Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]

STORAGE: Final = {
    "float16": np.float16,
    "bfloat16": np.float32,
    "float32": np.float32,
    "float64": np.float64,
}


def round_to(values: Float64Array, dtype: DtypeName) -> FloatArray:
    """Round float64 values once, to nearest and ties to even, to `dtype`.

    Args:
        values: Any shape.
        dtype: The name of the type to round to.

    Returns:
        The same shape. NumPy has no bfloat16, so those values come as float32,
        each of them exactly a bfloat16. A value beyond the largest of the type
        becomes an infinity, one below the smallest a subnormal or a zero.
    """
    with np.errstate(over="ignore", under="ignore"):
        if dtype == "bfloat16":
            return _round_to_bfloat16(values)
        return values.astype(STORAGE[dtype])


def _round_to_bfloat16(values: Float64Array) -> NDArray[np.float32]:
    """Round through float32 without rounding twice.

    The first step rounds to odd (truncate, then set the last bit if anything was
    lost), after which rounding to nearest gives what one direct rounding would:
    Boldo and Melquiond, "When double rounding is odd", 2005.
    """
    nearest = np.ascontiguousarray(values.astype(np.float32))
    widened = nearest.astype(np.float64)
    bits = nearest.view(np.uint32)
    truncated = bits - (np.abs(widened) > np.abs(values))
    odd = truncated | (widened != values)
    rounded = (odd + 0x7FFF + ((odd >> 16) & 1)) & 0xFFFF0000
    result: NDArray[np.float32] = rounded.astype(np.uint32).view(np.float32)
    return result.reshape(values.shape)


def shortened(values: FloatArray, dtype: DtypeName) -> FloatArray:
    """Replace values by those whose shortest digits, read as `dtype`, give them back.

    A float16 of 0.1 is 0.0999755859375, and as float32 has the digits 0.099975586; but
    0.1 is read back to the same float16.

    Args:
        values: Any shape, finite, as `round_to` gives them.
        dtype: The dtype that they were rounded to.

    Returns:
        The same shape: float64 for the two short types, the values themselves for the
        others, which are written well as they are.
    """
    if dtype not in ("float16", "bfloat16"):
        return values
    flat: Any = np.ascontiguousarray(values).reshape(-1)
    short = np.empty(flat.shape, np.float64)
    for start in range(0, flat.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        short[part] = _shortest(flat[part], dtype)
    return short.reshape(values.shape)


def _shortest(values: FloatArray, dtype: DtypeName) -> Float64Array:
    known, patterns = _known(dtype), _patterns(values)
    is_new = np.isnan(known[patterns])
    if is_new.any():
        found = np.unique(values[is_new])
        short = found.astype(np.float64)
        for digits in range(4, -1, -1):
            fewer = np.array([float(f"{value:.{digits}e}") for value in found.tolist()])
            is_same = round_to(fewer, dtype) == found
            short[is_same] = fewer[is_same]
        known[_patterns(found)] = short
    result: Float64Array = known[patterns]
    return result


@cache
def _known(dtype: DtypeName) -> Float64Array:
    """Remember what `_shortest` found, by the bits of a value; else it is NaN.

    Args:
        dtype: One of the two short types, each of which has a memory of its own.
    """
    return np.full(2**16, np.nan)


def _patterns(values: FloatArray) -> NDArray[Any]:
    """Return the 16 bits of values of a short type."""
    if values.dtype == np.float16:
        return values.view(np.uint16)
    return np.ascontiguousarray(values).view(np.uint32) >> 16
