"""JSON values to arrays and back: the one judge of shape, type, finiteness and size.

A tensor in JSON is nested lists of numbers of any rank from a bare number to 32. A
dense one is recognised level by level without looking at its numbers one by one; only
when something is wrong does the slow walk find the first bad element in document order.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from models.dtype import DtypeName, Float64Array, round_to
from service.errors import ElementError, shown
from service.json_body import Constant

MAX_RANK = 32


@dataclass(frozen=True)
class Features:
    """Rows for a network.

    Attributes:
        values: Raw features in float64, `(..., features)`, finite.
        names: Of the features, where they came as records; else none.
    """

    values: Float64Array
    names: Sequence[str] | None = None

    def pointer(self, index: Sequence[int]) -> str:
        """Return the JSON Pointer of the element of `values` at `index`."""
        names: list[str | int] = list(index)
        if self.names and len(index) == self.values.ndim:
            names[-1] = self.names[index[-1]]
        return child("/inputs", *names)


def child(pointer: str, *names: str | int) -> str:
    """Extend a JSON Pointer by member names or positions, escaped (RFC 6901)."""
    escaped = (shown(str(name)).replace("~", "~0").replace("/", "~1") for name in names)
    return "/".join((pointer, *escaped))


def read_tensor(
    value: Any, pointer: str, dtype: DtypeName, max_elements: int
) -> Float64Array:
    """Read nested lists of numbers, rounded once to `dtype`.

    Args:
        value: As `parse_object` gives it.
        pointer: Where the value stands in the body.
        dtype: Of the result's values.
        max_elements: More are refused.

    Returns:
        An array of the lists' shape, widened back to float64: `[]` is `(0,)`,
        `[[], []]` is `(2, 0)`, a bare number is `()`.

    Raises:
        ElementError: `not_a_number`, `ragged`, `rank`, `overflow` or
            `too_many_elements`.
    """
    shape = _outer_shape(value, pointer)
    numbers = _flattened(value, shape)
    if numbers is not None:
        check_size(len(numbers), pointer, max_elements)
        flat = np.array(numbers, dtype=np.float64)
        rounded = round_to(flat, dtype).astype(np.float64)
        if np.isfinite(rounded).all():
            return rounded.reshape(shape)
    raise next(_faults(value, pointer, shape, dtype))


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
        row = _read_record(value, pointer, names)
        return Features(np.array(row, dtype=np.float64), names)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        check_size(len(value) * count, pointer, max_elements)
        rows = [
            _read_record(record, child(pointer, position), names)
            for position, record in enumerate(value)
        ]
        return Features(np.array(rows, dtype=np.float64), names)
    values = read_tensor(value, pointer, "float64", max_elements)
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


def encode(document: dict[str, Any]) -> bytes:
    """Write JSON; arrays in the shortest digits that read back to the same float."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def kind(value: Any) -> str:
    """Say what a JSON value is, without showing it."""
    if isinstance(value, Constant):
        return value.name
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, float) and math.isinf(value):
        return "a number beyond the range of float64"
    return _KINDS[type(value)]


_KINDS = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    str: "a string",
    type(None): "null",
}


def _outer_shape(value: Any, pointer: str) -> tuple[int, ...]:
    """Read the shape off the first element of every level."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise ElementError(
                "rank",
                pointer=pointer,
                expected=f"lists nested at most {MAX_RANK} deep",
                got="lists nested deeper",
            )
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _flattened(value: Any, shape: Sequence[int]) -> list[float] | None:
    """Return the numbers in order if the lists have exactly this shape, else None."""
    level = [value]
    for size in shape:
        if any(type(part) is not list or len(part) != size for part in level):
            return None
        level = list(chain.from_iterable(level))
    return level if set(map(type, level)) <= {float} else None


def _faults(
    value: Any, pointer: str, shape: Sequence[int], dtype: DtypeName
) -> Iterator[ElementError]:
    """Find what is wrong, in document order; a list comes before its elements."""
    if not shape:
        error = _number_fault(value, pointer, dtype)
        if error:
            yield error
        return
    expected = f"a list of {shape[0]}"
    if not isinstance(value, list | float):
        yield _not_a_number(value, pointer, expected)
    elif isinstance(value, float) or len(value) != shape[0]:
        yield ElementError(
            "ragged", pointer=pointer, expected=expected, got=kind(value)
        )
    else:
        for position, part in enumerate(value):
            yield from _faults(part, child(pointer, position), shape[1:], dtype)


def _number_fault(value: Any, pointer: str, dtype: DtypeName) -> ElementError | None:
    if isinstance(value, list):
        return ElementError(
            "ragged", pointer=pointer, expected="a number", got=kind(value)
        )
    if not isinstance(value, float):
        return _not_a_number(value, pointer, "a number")
    if np.isfinite(round_to(np.array(value), dtype)):
        return None
    return ElementError(
        "overflow",
        pointer=pointer,
        expected=f"a number within the range of {dtype}",
        got="a number that rounds to infinity",
    )


def _not_a_number(value: Any, pointer: str, expected: str) -> ElementError:
    return ElementError(
        "not_a_number", pointer=pointer, expected=expected, got=kind(value)
    )


def _read_record(record: Any, pointer: str, names: Sequence[str] | None) -> list[float]:
    """Read one `{"feature name": number, ...}` into the order of the features."""
    if not isinstance(record, dict):
        raise ElementError(
            "ragged" if isinstance(record, list | float) else "not_a_number",
            pointer=pointer,
            expected="a record like the first (records and rows do not mix)",
            got=kind(record),
        )
    if names is None:
        raise _not_a_number(
            record, pointer, "numbers (this model does not name its features)"
        )
    known = set(names)
    for name, value in record.items():
        if name not in known:
            raise ElementError(
                "features",
                pointer=child(pointer, name),
                expected="the name of a feature (the model card lists them)",
                got="another name",
            )
        fault = _number_fault(value, child(pointer, name), "float64")
        if fault:
            raise fault
    missing = [name for name in names if name not in record]
    if missing:
        raise ElementError(
            "features",
            pointer=pointer,
            expected=f"all {len(names)} features",
            got=f"a record without {shown(', '.join(missing))}",
        )
    return [record[name] for name in names]
