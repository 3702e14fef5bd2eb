"""Rows of numbers from the text of JSON, some at a time.

The text was found to be JSON before (`sigmoid_serve.json.syntax`).
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from sigmoid_serve.json.text import SPACE
from sigmoid_serve.payload.array_shape import Unverified
from sigmoid_serve.payload.array_skeleton import skeleton, skeleton_shapes

# 2 to 256 lists of scalars in a row; and the same with scalars among them.
_ROW: Final = rb'\[[^\[\]{}"]{0,256}+\]'
_rows = re.compile(rb"(?:[ \t\r\n,]*+%b){2,256}+" % _ROW).match
_tensors = re.compile(
    rb'(?:[ \t\r\n,]*+(?:%b|[^\[\]{}", \t\r\n]{1,256}+(?=[,\] \t\r\n]))){2,256}+' % _ROW
).match


class Rows(NamedTuple):
    """Lists of numbers, or numbers alone.

    Attributes:
        numbers: The numbers of all of them.
        shapes: The shape of each.
    """

    numbers: list[float]
    shapes: list[tuple[int, ...]]


def read_rows(
    body: bytes, position: int, beyond: float, with_scalars: bool
) -> tuple[int, Rows | None]:
    """Read some lists of numbers, if there are some in a row.

    Args:
        body: The whole body.
        position: Where the first list would begin, or the comma before it.
        beyond: Every number must be smaller, and larger than its negative.
        with_scalars: Whether numbers may stand among the lists.

    Returns:
        Where the lists end, and their numbers; None if one is no list of numbers.
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
    """Read numbers; None if one is no number, or too large.

    Args:
        text: The text of all numbers.
        tokens: The text of each number.
        beyond: Every number must be smaller, and larger than its negative.
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
