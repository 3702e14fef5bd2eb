"""Lists and dictionaries as JSON, without a loss that the server would not see."""

import json
from math import prod
from typing import Any, Final

import numpy as np
import orjson

from sigmoid_serve.client.arrays import as_array, is_array
from sigmoid_serve.client.errors import InvalidInputError, invalid

_OPTIONS: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def write_json(value: Any) -> bytes:
    """Write what a caller gave, for the server to judge every element of it.

    NaN and infinities are written as such: the server names them where they stand.

    Raises:
        InvalidInputError: It holds what is no number, list, text or dictionary.
    """
    try:
        text = orjson.dumps(value, _plain, _OPTIONS)
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, InvalidInputError):
            raise error.__cause__ from None
    else:
        # It stands for NaN too, which has no other spelling there.
        if b"null" not in text:
            return text
    try:
        return json.dumps(value, default=_plain).encode()
    except (RecursionError, TypeError, ValueError) as error:
        raise invalid(
            "not_a_number",
            f"the input cannot be written as JSON: {str(error)[:200]}",
            "pass lists of numbers, or dictionaries by feature name",
        ) from None


def _plain(value: Any) -> Any:
    """Turn what is inside of lists into what JSON has."""
    if isinstance(value, np.bool_):
        return bool(value)
    if is_array(value):
        # Exact: float64 holds every value of the shorter types.
        return as_array(value).tolist()
    if isinstance(value, list | tuple | dict | str | int | float):
        return _builtin(value)
    name = type(value).__name__
    raise invalid(
        "not_a_number",
        f"expected numbers in the lists, got a value of the type {name}",
        "convert it to float, or leave the row out",
        expected="a number",
        got=name,
    )


def _builtin(value: Any) -> Any:
    """Turn an instance of a subclass, such as a named tuple, into its base."""
    bases: tuple[Any, ...] = (list, tuple, dict, str, int, float)
    return next(base(value) for base in bases if isinstance(value, base))


def leaves(value: Any) -> int:
    """Count the numbers of what is dense, by its first elements; at least one."""
    if isinstance(value, dict):
        return max(1, len(value))
    if isinstance(value, list | tuple) and value:
        return len(value) * leaves(value[0])
    return max(1, prod(np.shape(value))) if is_array(value) else 1
