"""Tensors whose shape and datatype are declared beside their values.

The values are raw bytes, little-endian and without a header, or numbers of JSON that
were read before. NumPy has no bfloat16: such values are stored as the high halves of
float32.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName, Float64Array
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import extend_pointer
from sigmoid_serve.payload.tensors import (
    Reading,
    check_finite,
    check_limits,
    check_size,
    read_tensor,
)

# The bits of a bfloat16's exponent; all are set in infinities and NaN alone.
_EXPONENT: Final = 0x7F80


def check_declared(
    shape: Sequence[int],
    pointer: str | None,
    features: int,
    max_elements: int,
    max_rank: int,
    max_rows: int | None,
) -> None:
    """Raise for a declared shape that is not taken, before anything is made of it.

    Args:
        shape: Sizes from 0 on, as large as they may be.
        pointer: JSON Pointer of the shape.
        features: Of the network, in the last dimension; 0 for any tensor.
        max_elements: More elements are an error.
        max_rank: More dimensions are an error.
        max_rows: More rows are an error, if there are rows.

    Raises:
        ElementError: `rank`, `features` or `too_many_elements`.
    """
    if features and not shape:
        raise ElementError(
            "rank",
            pointer=pointer,
            expected=f"at least one dimension, the last of {features} features",
            got="none",
        )
    if features and shape[-1] != features:
        last = len(shape) - 1
        place = None if pointer is None else extend_pointer(pointer, last)
        raise ElementError(
            "features",
            pointer=place,
            expected=f"{features} features in the last dimension",
            got=f"{shape[-1]}",
        )
    check_limits(shape, pointer, max_rank, max_rows)
    # An empty dimension beside an absurd one would pass as no elements at all.
    check_size(math.prod(max(size, 1) for size in shape), pointer, max_elements)


def read_raw(
    data: memoryview,
    stored: np.dtype[Any],
    dtype: DtypeName,
    shape: Sequence[int],
    pointer: str | None,
) -> NDArray[Any]:
    """Read values as they lie in memory.

    Args:
        data: All of their bytes, and no more.
        stored: Their type there, little-endian.
        dtype: `bfloat16` where 16 bits are the high half of a float32.
        shape: Of the result; its elements have as many bytes as there are.
        pointer: JSON Pointer of the tensor.

    Returns:
        Finite values, without a copy but for bfloat16, which come as float32.

    Raises:
        ElementError: `not_a_number` for NaN and infinities.
    """
    values: NDArray[Any] = np.frombuffer(data, stored)
    if dtype == "bfloat16":
        finite = values & _EXPONENT != _EXPONENT
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif stored.kind == "f":
        finite = np.isfinite(values)
    else:
        return values.reshape(shape)
    check_finite(finite, shape, pointer)
    return values.reshape(shape)


def read_declared(
    value: Any,
    pointer: str,
    stored: np.dtype[Any],
    dtype: DtypeName,
    shape: tuple[int, ...] | None,
    reading: Reading,
) -> NDArray[Any]:
    """Read numbers of JSON, in one list or in lists nested as the shape is.

    Args:
        value: A value as `sigmoid_serve.json.outline` returns it.
        pointer: JSON Pointer of the value.
        stored: The declared type; 16 bits for bfloat16.
        dtype: What floating-point numbers are rounded to.
        shape: The declared shape; None where it is not known.
        reading: How it is read.

    Returns:
        The numbers in the shape in which they came: floating-point ones as
        `read_tensor` returns them, integers in their declared type.

    Raises:
        ElementError: As `read_tensor` and `to_integers` do; `ragged` where the numbers
            do not fit the shape.
        Unverified: One of these errors may apply.
    """
    values: NDArray[Any]
    if stored.kind == "f" or dtype == "bfloat16":
        values = read_tensor(value, pointer, dtype, reading)
    else:
        numbers: Any = read_tensor(value, pointer, "float64", reading)
        values = to_integers(numbers, stored, pointer)
    if shape is None or values.shape == shape:
        return values
    elements = math.prod(shape)
    if values.ndim == 1 and values.size == elements:
        return values
    # Empty lists have nothing to show the dimensions behind them.
    if not elements and values.shape == shape[: shape.index(0) + 1]:
        return values
    raise ElementError(
        "ragged",
        pointer=pointer,
        expected=f"a list of {elements}, or lists nested as shape {list(shape)} says",
        got=f"a list of {values.size}"
        if values.ndim == 1
        else f"lists of shape {list(values.shape)}",
    )


def to_integers(
    numbers: Float64Array, stored: np.dtype[Any], pointer: str
) -> NDArray[Any]:
    """Convert numbers to an integer type, of which each must be a value.

    Beyond 2⁵³ a number of JSON is the nearest float64, so the largest integers of 64
    bits come as 2⁶³ and 2⁶⁴, and are taken as the largest.

    Args:
        numbers: Any shape, finite.
        stored: The type.
        pointer: JSON Pointer of the numbers.

    Raises:
        ElementError: `not_a_number` for a fraction, `overflow` for what is beyond the
            type's range; the first in document order.
    """
    limits = np.iinfo(stored)
    # Of 64 bits, the largest has a power of two for its nearest float64.
    least, most = float(limits.min), float(limits.max)
    are_whole = np.trunc(numbers) == numbers
    are_right = are_whole & (numbers >= least) & (numbers <= most)
    if not are_right.all():
        index = np.unravel_index(int(np.argmin(are_right)), numbers.shape)
        is_whole = bool(are_whole[index])
        raise ElementError(
            "overflow" if is_whole else "not_a_number",
            pointer=extend_pointer(pointer, *map(int, index)),
            expected=f"an integer from {limits.min} to {limits.max}",
            got="an integer beyond them" if is_whole else "a number with a fraction",
        )
    if most > limits.max:
        is_beyond = numbers == most
        whole = np.where(is_beyond, 0.0, numbers).astype(stored)
        whole[is_beyond] = limits.max
        return whole
    return numbers.astype(stored)
