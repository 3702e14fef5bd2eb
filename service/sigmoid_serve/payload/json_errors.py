"""The errors of a tensor in JSON."""

from math import inf
from typing import Any, Final

from sigmoid_models.dtype import DtypeName
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import JsonText, json_type_name

BEYOND: Final[dict[DtypeName, float]] = {
    "float16": 65520.0,
    "bfloat16": 2.0**128 * (1 - 2.0**-9),
    "float32": 2.0**128 * (1 - 2.0**-25),
    "float64": inf,
}
"""The least number that is rounded to infinity: half a step above the largest."""


def too_many_error(pointer: str, max_elements: int) -> ElementError:
    """Make the error of a tensor of more elements than are allowed."""
    return ElementError(
        "too_many_elements",
        pointer=pointer,
        expected=f"at most {max_elements} elements (SIGMOID_MAX_ELEMENTS)",
        got="more",
    )


def number_error(value: Any, pointer: str, dtype: DtypeName) -> ElementError | None:
    """Make the error of a value that should be a number of the dtype.

    Returns:
        `ragged`, `not_a_number` or `overflow`; None if it is such a number.
    """
    if isinstance(value, JsonText) and value.is_list:
        return ElementError(
            "ragged", pointer=pointer, expected="a number", got=json_type_name(value)
        )
    if type(value) not in (float, int):
        return ElementError(
            "not_a_number",
            pointer=pointer,
            expected="a number",
            got=json_type_name(value),
        )
    if -BEYOND[dtype] < value < BEYOND[dtype]:
        return None
    return ElementError(
        "overflow",
        pointer=pointer,
        expected=f"a number within the range of {dtype}",
        got="a number that rounds to infinity",
    )


def ragged_error(pointer: str, expected: int | None, length: int) -> ElementError:
    """Make the error of a list that is not as long as the first of its level."""
    return ElementError(
        "ragged",
        pointer=pointer,
        expected=f"a list of {expected}",
        got=f"a list of {length}",
    )
