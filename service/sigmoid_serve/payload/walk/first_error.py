"""Which error of a tensor comes first in document order.

The first error is that of the first element that is not what it should be. A list of
the wrong length comes before its elements.
"""

from collections.abc import Sequence
from typing import Any

from sigmoid_models.dtype import DtypeName
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import SPACE, count_rest, json_type_name, scalar
from sigmoid_serve.payload.json_errors import number_error
from sigmoid_serve.payload.walk.nesting import Nesting


def value_error(value: Any, nesting: Nesting) -> ElementError:
    """Make the error of a value that has no place in the innermost open list.

    Args:
        value: No number where a number should be, or no list where a list should be.
        nesting: The lists that are open before the value.
    """
    place, depth = nesting.pointer(), nesting.depth
    if depth == nesting.rank or not depth:
        error = number_error(value, place, "float64")
        assert error is not None
        return error
    return ElementError(
        "ragged" if type(value) is float else "not_a_number",
        pointer=place,
        expected=f"a list of {nesting.lengths[depth]}",
        got=json_type_name(value),
    )


def scalars_error(
    tokens: Sequence[bytes], nesting: Nesting, dtype: DtypeName
) -> ElementError:
    """Make the error of the first scalar that is no number of the dtype.

    Args:
        tokens: The next scalars; one of them is no such number.
        nesting: The lists that are open before the scalars.
        dtype: The dtype of the tensor.
    """
    row = nesting.lists[-1]
    before, error = row.count, None
    for token in tokens:
        error = number_error(scalar(token.strip(SPACE)), nesting.pointer(), dtype)
        if error:
            break
        row.count += 1
    row.count = before
    assert error is not None
    return error


def first_error(
    error: ElementError, nesting: Nesting, body: bytes, position: int
) -> ElementError:
    """Return an error, or that of an open list of a wrong length, which comes first.

    Args:
        error: The error of an element.
        nesting: The lists that are open before the element.
        body: The body.
        position: Where the element begins, or one before it in the same list.
    """
    if not nesting.has_lengths():
        return error
    commas = count_rest(body, position, nesting.depth)
    return nesting.outermost_error(commas) or error
