"""Rows of numbers from the text of JSON, some at a time.

The text was found to be JSON before (`sigmoid_serve.json.syntax`).
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from sigmoid_serve.json.text import SPACE
from sigmoid_serve.payload.array_shape import Unverified
from sigmoid_serve.payload.array_skeleton import skeleton, skeleton_shapes

# Lists of scalars; and such lists and scalars. Some in a row, and not too many.
_ROW: Final = rb'\[[^\[\]{}"]{0,256}+\]'
_rows = re.compile(rb"(?:[ \t\r\n,]*+%b){2,256}+" % _ROW).match
_tensors = re.compile(
    rb'(?:[ \t\r\n,]*+(?:%b|[^\[\]{}", \t\r\n]{1,256}+(?=[,\] \t\r\n]))){2,256}+' % _ROW
).match


class Rows(NamedTuple):
    """Lists of numbers, or numbers alone.

    Attributes:
        numbers: Of all.
        shapes: Of each.
    """

    numbers: list[float]
    shapes: list[tuple[int, ...]]


def read_rows(
    body: bytes, position: int, beyond: float, with_scalars: bool
) -> tuple[int, Rows | None]:
    """Read some lists of numbers, if there are some in a row.

    Args:
        body: All of it.
        position: Where the first would begin, or the comma before it.
        beyond: No number is as large.
        with_scalars: Whether numbers may stand among them.

    Returns:
        Where they end, and what they are; None where one is no list of numbers.
    """
    found = (_tensors if with_scalars else _rows)(body, position)
    if found is None:
        return position, None
    items = found[0].lstrip(b" \t\r\n,")
    # An empty list leaves no number, but its comma.
    text = items.translate(None, b"[]")
    tokens = [token for token in text.split(b",") if token.strip(SPACE)]
    numbers = read_numbers(text, tokens, beyond)
    try:
        shapes = skeleton_shapes(b"[%b]" % skeleton(items))
    except Unverified:
        return found.end(), None
    return found.end(), None if numbers is None else Rows(numbers, shapes)


def read_numbers(
    text: bytes, tokens: Sequence[bytes], beyond: float
) -> list[float] | None:
    """Read numbers; None where one is none, or is too large.

    Args:
        text: That has all of them.
        tokens: Each of them.
        beyond: No number is as large.
    """
    if not tokens:
        return []
    if b"N" in text:  # no comparison finds a NaN
        return None
    try:
        numbers = list(map(float, tokens))
    except ValueError:
        return None
    return numbers if max(numbers) < beyond and min(numbers) > -beyond else None
