"""JSON values to arrays and back: the one judge of shape, type, finiteness and size.

A tensor in JSON is nested lists of numbers, of any rank from a bare number to 32. Fast
ways take what they can verify: Python's lists of a short body, the text of a long one
(`array_text`). The strict way takes everything else: it walks through the text and
finds the first error (`json_walk`).
"""

import math
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName, Float64Array, FloatArray, round_to
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import Check, JsonText, json_type_name
from sigmoid_serve.payload.array_shape import MAX_RANK, Unverified
from sigmoid_serve.payload.array_text import Tensors, read_array, read_arrays
from sigmoid_serve.payload.features import Features, check_features
from sigmoid_serve.payload.json_errors import BEYOND, number_error
from sigmoid_serve.payload.records import (
    read_records,
    record_row,
    walk_record,
    walk_records,
)
from sigmoid_serve.payload.walk.json_walk import walk_batch, walk_tensor


class Reading(NamedTuple):
    """How the fields of a body are read.

    Attributes:
        max_elements: More elements are an error.
        is_strict: Whether to find the first error, in a body that is JSON. Otherwise
            only what can be verified fast is read; all else is `Unverified`.
        check: Called again and again; it may raise, and so end the work.
        ignores_extra: Whether members of records that are no features are passed over.
    """

    max_elements: int
    is_strict: bool
    check: Check
    ignores_extra: bool = False


def read_tensor(
    value: Any, pointer: str, dtype: DtypeName, reading: Reading
) -> FloatArray:
    """Read nested lists of numbers, rounded once to `dtype`.

    Args:
        value: A value as `sigmoid_serve.json.body` returns it.
        pointer: JSON Pointer of the value.
        dtype: The dtype of the result.
        reading: How it is read.

    Returns:
        An array of the lists' shape, in the type that stores `dtype`: `[]` is `(0,)`,
        `[[], []]` is `(2, 0)`, a bare number is `()`.

    Raises:
        ElementError: `not_a_number`, `ragged`, `rank`, `overflow` or
            `too_many_elements`.
        Unverified: One of these errors may apply.
    """
    most, is_strict, check, _ = reading
    if isinstance(value, JsonText) and value.is_list:
        if is_strict:
            return walk_tensor(value, pointer, dtype, most, check)
        return read_array(value, dtype, most, check)
    if not is_strict:
        return _quick(value, dtype, most)
    error = number_error(value, pointer, dtype)
    if error:
        raise error
    return round_to(np.array(value, dtype=np.float64), dtype)


def read_batch(value: Any, pointer: str, dtype: DtypeName, reading: Reading) -> Tensors:
    """Read a list of tensors, each of its own shape; see `read_tensor`."""
    most, is_strict, check, _ = reading
    if isinstance(value, JsonText) and value.is_list:
        if is_strict:
            return walk_batch(value, pointer, dtype, most, check)
        return read_arrays(value, dtype, most, check)
    if not is_strict:
        return _quick_batch(value, dtype, most)
    raise ElementError(
        "rank" if isinstance(value, float) else "not_a_number",
        pointer=pointer,
        expected="a list of tensors",
        got=json_type_name(value),
    )


def read_features(
    value: Any, count: int, names: Sequence[str] | None, reading: Reading
) -> Features:
    """Read rows, or records by feature name, for a network.

    Args:
        value: The field `inputs`, as `sigmoid_serve.json.body` returns it.
        count: Number of the network's features.
        names: The names of the features, if the model has them.
        reading: How it is read.

    Raises:
        ElementError: As `read_tensor` does; `features` where the last dimension or a
            record's names are not the network's; `rank` for a bare number.
        Unverified: One of these errors may apply.
    """
    pointer = "/inputs"
    if type(value) is not list or (value and type(value[0]) is dict):
        rows = _read_records(value, pointer, names, reading)
        if rows is not None:
            return Features(rows, names)
    values: Any = read_tensor(value, pointer, "float64", reading)
    if not reading.is_strict and values.shape[-1:] != (count,):
        raise Unverified
    check_features(values.shape, count, pointer)
    return Features(values)


def _read_records(
    value: Any, pointer: str, names: Sequence[str] | None, reading: Reading
) -> Float64Array | None:
    """Read a record or a list of records; None if it is something else."""
    most, is_strict, check, ignores_extra = reading
    if isinstance(value, JsonText):
        if not value.is_list:
            return np.array(walk_record(value, pointer, names, ignores_extra))
        if not value.holds_objects:
            return None
        if is_strict:
            return walk_records(value, pointer, names, most, check, ignores_extra)
        if names is None:
            raise Unverified
        return read_records(value, names, most, check, ignores_extra)
    is_one = type(value) is dict
    if is_one or (type(value) is list and value and type(value[0]) is dict):
        records = [value] if is_one else value
        rows = [record_row(record, names, ignores_extra) for record in records]
        if None in rows or len(rows) * len(rows[0] or ()) > most:
            raise Unverified
        return np.array(rows[0] if is_one else rows, np.float64)
    return None


def check_finite(
    finite: NDArray[np.bool_], shape: Sequence[int], pointer: str | None
) -> None:
    """Raise for a tensor with NaN or infinities.

    Args:
        finite: Which elements are finite, flat or in the tensor's shape.
        shape: Of the tensor.
        pointer: JSON Pointer of the tensor.

    Raises:
        ElementError: `not_a_number`, at the first of them.
    """
    if finite.all():
        return
    index = np.unravel_index(int(np.argmin(finite)), shape)
    raise ElementError(
        "not_a_number",
        pointer=pointer,
        expected="finite numbers",
        got=f"a NaN or an infinity at index {[int(i) for i in index]}",
    )


def check_size(elements: int, pointer: str | None, max_elements: int) -> None:
    """Raise for a tensor of more than `max_elements` elements.

    Raises:
        ElementError: `too_many_elements`.
    """
    if elements > max_elements:
        raise ElementError(
            "too_many_elements",
            pointer=pointer,
            expected=f"at most {max_elements} elements (SIGMOID_MAX_ELEMENTS)",
            got=f"{elements}",
        )


def check_limits(
    shape: Sequence[int], pointer: str | None, max_rank: int, max_rows: int | None
) -> None:
    """Raise for a tensor of too high a rank, or of too many rows.

    Args:
        shape: The shape of the tensor; in rows, the last dimension is the features.
        pointer: JSON Pointer of the tensor.
        max_rank: The most dimensions.
        max_rows: The most rows; None for a tensor that is not made of rows.

    Raises:
        ElementError: `rank` or `too_many_elements`.
    """
    if len(shape) > max_rank:
        raise ElementError(
            "rank",
            pointer=pointer,
            expected=f"at most {max_rank} dimensions (SIGMOID_MAX_RANK)",
            got=f"{len(shape)}",
        )
    if max_rows is not None and math.prod(shape[:-1]) > max_rows:
        raise ElementError(
            "too_many_elements",
            pointer=pointer,
            expected=f"at most {max_rows} rows (SIGMOID_MAX_ROWS)",
            got=f"{math.prod(shape[:-1])}",
        )


_LISTS = {list}
_NUMBERS = {float, int}


def _quick(value: Any, dtype: DtypeName, max_elements: int) -> FloatArray:
    """Read a tensor of a short body from Python's lists."""
    shape, numbers = _dense(value)
    if numbers is None or len(numbers) > max_elements:
        raise Unverified
    # Finite numbers mostly have a finite sum, which is found faster.
    if dtype == "float32":
        stored = array("f", numbers)  # C's cast of a double rounds once, as `round_to`
        if math.isfinite(sum(stored)):
            single = np.frombuffer(stored, np.float32)
            return single if len(shape) == 1 else single.reshape(shape)
    values = np.array(numbers, dtype=np.float64)
    if dtype == "float64":
        is_finite = math.isfinite(sum(numbers)) or bool(np.isfinite(values).all())
        rounded: FloatArray = values
    else:
        beyond = BEYOND[dtype]
        is_finite = not numbers or -beyond < min(numbers) <= max(numbers) < beyond
        rounded = round_to(values, dtype)
    if not is_finite:
        raise Unverified
    return rounded if len(shape) == 1 else rounded.reshape(shape)


def _quick_batch(value: Any, dtype: DtypeName, max_elements: int) -> Tensors:
    """Read a list of tensors of a short body from Python's lists."""
    if type(value) is not list:
        raise Unverified
    shapes: list[tuple[int, ...]] = []
    numbers: list[float] = []
    for part in value:
        shape, found = _dense(part)
        if found is None:
            raise Unverified
        shapes.append(tuple(shape))
        numbers += found
    return Tensors(_quick(numbers, dtype, max_elements), shapes)


def _dense(value: Any) -> tuple[list[int], list[float] | None]:
    """Return the shape and the numbers of dense lists; else None for the numbers."""
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list and len(shape) < MAX_RANK:
        size = len(level[0])
        if len(level) == 1:
            level = level[0]
        elif set(map(type, level)) == _LISTS and set(map(len, level)) == {size}:
            level = list(chain.from_iterable(level))
        else:
            return shape, None
        shape.append(size)
    return shape, level if set(map(type, level)) <= _NUMBERS else None
