"""What is wrong with a JSON value that should have been a tensor: the slow walk.

It finds the first bad element in document order, names it by its JSON Pointer, and says
what was expected there and what kind of thing came, never the thing itself.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.dtype import DtypeName, round_to
from service.array_shape import MAX_RANK
from service.errors import ElementError, shown
from service.json_body import Constant
from service.lookalikes import is_protocol_tensor

# Every dtype holds numbers below this.
_SAFE_SIZE = 2.0**15


def child(pointer: str, *names: str | int) -> str:
    """Extend a JSON Pointer by member names or positions, escaped (RFC 6901)."""
    escaped = (shown(str(name)).replace("~", "~0").replace("/", "~1") for name in names)
    return "/".join((pointer, *escaped))


def kind(value: Any) -> str:
    """Say what a JSON value is, without showing it."""
    if isinstance(value, Constant):
        return value.name
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, float) and math.isinf(value):
        return "a number beyond the range of float64"
    if isinstance(value, dict) and is_protocol_tensor(value):
        return (
            "an object as the Open Inference Protocol (Triton, KServe V2) has it; send "
            "the data alone, as nested lists"
        )
    return _KINDS[type(value)]


_KINDS = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    str: "a string",
    type(None): "null",
}


def first_fault(value: Any, pointer: str, dtype: DtypeName) -> ElementError:
    """Find the first fault of a tensor that has one.

    Args:
        value: As `service.json_body` gives it.
        pointer: Where the value stands in the body.
        dtype: Of the tensor's values.

    Returns:
        `not_a_number`, `ragged`, `rank` or `overflow`.
    """
    shape = _outer_shape(value)
    if len(shape) > MAX_RANK:
        return ElementError(
            "rank",
            pointer=pointer,
            expected=f"lists nested at most {MAX_RANK} deep (SIGMOID_MAX_RANK)",
            got="lists nested deeper",
        )
    return next(_faults(value, pointer, shape, dtype))


def _outer_shape(value: Any) -> list[int]:
    """Read the shape off the first element of every level, up to too many."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) <= MAX_RANK:
        shape.append(len(value))
        value = value[0] if value else None
    return shape


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
            # Numbers that every dtype holds are passed over fast.
            if type(part) is float and len(shape) == 1 and abs(part) < _SAFE_SIZE:
                continue
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


def record_fault(
    record: Any, pointer: str, names: Sequence[str] | None
) -> ElementError:
    """Find the first fault of a record, which has one.

    Args:
        record: What stands in the place of `{"feature name": number, ...}`.
        pointer: Where it stands in the body.
        names: Of the features, where the model names them.

    Returns:
        `ragged`, `not_a_number`, `overflow` or `features`.
    """
    if not isinstance(record, dict):
        return ElementError(
            "ragged" if isinstance(record, list | float) else "not_a_number",
            pointer=pointer,
            expected="a record like the first (records and rows do not mix)",
            got=kind(record),
        )
    if names is None:
        return _not_a_number(
            record, pointer, "numbers (this model does not name its features)"
        )
    for name, value in record.items():
        if name not in names:
            return ElementError(
                "features",
                pointer=child(pointer, name),
                expected="the name of a feature (the model card lists them)",
                got=kind(record) if is_protocol_tensor(record) else "another name",
            )
        if isinstance(value, list):
            return ElementError(
                "ragged",
                pointer=child(pointer, name),
                expected="a number (a record is one row; send a list of records)",
                got=kind(value),
            )
        fault = _number_fault(value, child(pointer, name), "float64")
        if fault:
            return fault
    missing = [name for name in names if name not in record]
    return ElementError(
        "features",
        pointer=pointer,
        expected=f"all {len(names)} features",
        got=f"a record without {shown(', '.join(missing))}",
    )
