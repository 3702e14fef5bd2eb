"""JSON values to arrays and back: the one judge of shape, type, finiteness and size.

A tensor in JSON is nested lists of numbers of any rank from a bare number to 32. A
dense one is recognised level by level without looking at its numbers one by one, or
from its text alone (`service.array_text`); only when something is wrong does the slow
walk of `service.element_faults` find the first bad element.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from models.dtype import DtypeName, Float64Array, FloatArray, round_to
from service.array_shape import MAX_RANK
from service.array_text import ArrayText, read_array
from service.element_faults import child, first_fault, kind, record_fault
from service.errors import ElementError


class Features(NamedTuple):
    """Rows for a network.

    Attributes:
        values: Raw features in float64, `(..., features)`, finite.
        names: Of the features, where they came as records; else none.
    """

    values: Float64Array
    names: Sequence[str] | None = None

    def rows(self) -> Float64Array:
        """Lay them out as `(rows, features)`."""
        values = self.values
        return values if values.ndim == 2 else values.reshape(-1, values.shape[-1])

    def pointer(self, index: Sequence[int]) -> str:
        """Return the JSON Pointer of the element of `values` at `index`."""
        names: list[str | int] = list(index)
        if self.names and len(index) == self.values.ndim:
            names[-1] = self.names[index[-1]]
        return child("/inputs", *names)


def read_tensor(
    value: Any, pointer: str, dtype: DtypeName, max_elements: int
) -> FloatArray:
    """Read nested lists of numbers, rounded once to `dtype`.

    Args:
        value: As `service.json_body` gives it.
        pointer: Where the value stands in the body.
        dtype: Of the result's values.
        max_elements: More are refused.

    Returns:
        An array of the lists' shape, in the type that stores `dtype`: `[]` is `(0,)`,
        `[[], []]` is `(2, 0)`, a bare number is `()`.

    Raises:
        ElementError: `not_a_number`, `ragged`, `rank`, `overflow` or
            `too_many_elements`.
        Unproven: The value is an `ArrayText`, and one of these errors may apply.
    """
    if isinstance(value, ArrayText):
        return read_array(value, dtype, max_elements)
    shape, numbers = _dense(value)
    if numbers is not None:
        check_size(len(numbers), pointer, max_elements)
        parts = [np.array(part, dtype=np.float64) for part in _parts(numbers)]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        # Finite numbers mostly have a finite sum, which is found faster.
        if dtype == "float64" and len(parts) == 1 and math.isfinite(sum(numbers)):
            return values.reshape(shape)
        rounded = round_to(values, dtype)
        if np.isfinite(rounded).all():
            return rounded.reshape(shape)
    raise first_fault(value, pointer, dtype)


def read_batch(
    value: Any, pointer: str, dtype: DtypeName, max_elements: int
) -> list[FloatArray]:
    """Read a list of tensors, each of its own shape.

    Args:
        value: As `service.json_body` gives it.
        pointer: Where the value stands in the body.
        dtype: Of the results' values.
        max_elements: More, of all tensors together, are refused.

    Raises:
        ElementError: As `read_tensor` does.
        Unproven: As `read_tensor` does.
    """
    if isinstance(value, ArrayText):
        # Tensors of one shape are together one tensor.
        together = read_array(value, dtype, max_elements)
        return [together[position, ...] for position in range(len(together))]
    if not isinstance(value, list):
        raise ElementError(
            "rank" if isinstance(value, float) else "not_a_number",
            pointer=pointer,
            expected="a list of tensors",
            got=kind(value),
        )
    batch: list[FloatArray] = []
    elements = 0
    for position, part in enumerate(value):
        place = child(pointer, position)
        batch.append(read_tensor(part, place, dtype, max_elements))
        elements += batch[-1].size
        check_size(elements, place, max_elements)
    return batch


def read_features(
    value: Any, count: int, names: Sequence[str] | None, max_elements: int
) -> Features:
    """Read rows, or records by feature name, for a network.

    Args:
        value: Of the field `inputs`, as `parse_object` gives it.
        count: Number of the network's features.
        names: Of the features, where the model names them.
        max_elements: More are refused.

    Raises:
        ElementError: As `read_tensor` does; `features` where the last dimension or a
            record's names are not the network's; `rank` for a bare number.
    """
    pointer = "/inputs"
    if isinstance(value, dict):
        row = _record_row(value, names)
        if row is None:
            raise record_fault(value, pointer, names)
        return Features(np.array(row, dtype=np.float64), names)
    if type(value) is list and value and type(value[0]) is dict:
        check_size(len(value) * count, pointer, max_elements)
        rows = np.empty((len(value), count), np.float64)
        for position, record in enumerate(value):
            row = _record_row(record, names)
            if row is None:
                raise record_fault(record, child(pointer, position), names)
            rows[position] = row
        return Features(rows, names)
    values: Any = read_tensor(value, pointer, "float64", max_elements)
    check_features(values.shape, count, pointer)
    return Features(values)


def check_size(elements: int, pointer: str | None, max_elements: int) -> None:
    """Refuse a tensor of more than `max_elements` elements.

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
    """Refuse a tensor of too high a rank, or of too many rows.

    Args:
        shape: Of the tensor; for rows, the last dimension are their features.
        pointer: Where it stands in the body.
        max_rank: Most dimensions.
        max_rows: Most rows; None for a tensor that has none.

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


def check_features(shape: Sequence[int], count: int, pointer: str | None) -> None:
    """Refuse a shape whose last dimension is not the network's.

    Raises:
        ElementError: `rank` or `features`.
    """
    if not shape:
        raise ElementError(
            "rank",
            pointer=pointer,
            expected=f"a list of {count} features, or lists of such lists",
            got="a bare number",
        )
    if shape[-1] != count:
        first_row = pointer and child(pointer, *[0] * (len(shape) - 1))
        raise ElementError(
            "features",
            pointer=first_row,
            expected=f"{count} features in the last dimension",
            got=f"{shape[-1]}",
        )


_PART_ELEMENTS = 2**15
_LISTS = {list}
_NUMBERS = {float, int}


def _dense(value: Any) -> tuple[list[int], list[float] | None]:
    """Return a shape and the numbers in order, if the lists have that shape."""
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list and len(shape) < MAX_RANK:
        size = len(level[0])
        if len(level) == 1:
            level = level[0]
        elif all(_are_lists(part, size) for part in _parts(level)):
            parts = _parts(level)
            level = []
            for part in parts:
                level += chain.from_iterable(part)
        else:
            return shape, None
        shape.append(size)
    are_numbers = all(set(map(type, part)) <= _NUMBERS for part in _parts(level))
    return shape, level if are_numbers else None


def _are_lists(level: list[Any], size: int) -> bool:
    return set(map(type, level)) == _LISTS and set(map(len, level)) == {size}


def _parts(level: list[Any]) -> Sequence[list[Any]]:
    """Cut a long list, so that nothing done to a part takes the interpreter long."""
    if len(level) <= _PART_ELEMENTS:
        return (level,)
    starts = range(0, len(level), _PART_ELEMENTS)
    return [level[start : start + _PART_ELEMENTS] for start in starts]


def _record_row(record: Any, names: Sequence[str] | None) -> list[float] | None:
    """Read one `{"feature name": number, ...}` into the order of the features."""
    if names is None or type(record) is not dict or len(record) != len(names):
        return None
    row: list[Any] = list(map(record.get, names))
    is_good = set(map(type, row)) <= _NUMBERS and all(map(math.isfinite, row))
    return row if is_good else None
