"""The shape of a JSON array of numbers, verified on its brackets and commas.

The skeleton of a text is the text without its numbers and white space. `[[1,2],[3,4]]`
has the skeleton `[[,],[,]]`. Its first `]` ends the first row, and its first `]]` ends
the whole, so (2, 2) is the only shape that it can have. The skeleton must then be, byte
for byte, the one of that shape.

The cost grows with the length of the text, however many lists there are.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.payload.array_shape import MAX_RANK, Unverified

_OPEN, _CLOSE, _COMMA = b"[],"

_SPACE: Final = b" \t\r\n"
_DIGITS: Final = b"0123456789+-.eE"

# Stands in a skeleton for an empty list.
_EMPTY: Final = b"()"

# Python objects for so many are made within a few milliseconds.
_AT_ONCE: Final = 2**14


def skeleton(text: bytes) -> bytes:
    """Strike out the numbers and the white space; write empty lists as `()`."""
    return text.translate(None, _SPACE).replace(b"[]", _EMPTY).translate(None, _DIGITS)


def skeleton_shape(whole: bytes) -> tuple[int, ...]:
    """Read the only shape that a skeleton can have, and verify that it has it.

    Not verified here: that the text is valid JSON, with a number at each place.

    Raises:
        Unverified: It is not the skeleton of a dense array or of a number.
    """
    empties = whole.count(_EMPTY)
    outer = whole.replace(_EMPTY, b"") if empties else whole
    shape = _outer_shape(outer) if outer else ()
    if not empties:
        return shape
    # All that is innermost must be empty lists.
    if empties != math.prod(shape) or len(shape) == MAX_RANK:
        raise Unverified
    return (*shape, 0)


def _outer_shape(whole: bytes) -> tuple[int, ...]:
    stop = whole.find(b"]")
    rank = stop - whole.count(b",", 0, stop)
    if not 1 <= rank <= MAX_RANK:
        raise Unverified
    shape: list[int] = []
    length = 0  # of the skeleton of one element of the level at hand
    for level in range(1, rank + 1):
        stop = whole.find(b"]" * level) + level
        count, rest = divmod(stop - (rank - level) - 1, length + 1)
        if rest or count < 1:
            raise Unverified
        shape.insert(0, count)
        length = count * (length + 1) + 1
    if length != len(whole):
        raise Unverified
    expected = b""
    for count in reversed(shape):
        expected = b"[" + (expected + b",") * (count - 1) + expected + b"]"
    if whole != expected:
        raise Unverified
    return tuple(shape)


def skeleton_shapes(whole: bytes) -> list[tuple[int, ...]]:
    """Read the shape of each element of an array of tensors.

    Args:
        whole: The skeleton of the array.

    Raises:
        Unverified: An element is not the skeleton of a dense array.
    """
    if whole == _EMPTY:
        return []
    if whole.count(b"[") == 1 and _EMPTY not in whole:
        return [()] * (whole.count(b",") + 1)
    starts, stops, deepest = _elements(whole)
    are_flat = deepest < 2 or (deepest == 2 and _EMPTY not in whole)
    shapes: list[tuple[int, ...]] = []
    of_length, of_part = _ShapesByLength(), _Shapes()
    for first in range(0, len(starts), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        if are_flat:
            # An empty list is as long as one of two numbers.
            are_empty = np.frombuffer(whole, np.uint8)[starts[some]] == _EMPTY[0]
            lengths = np.where(are_empty, 1, stops[some] - starts[some])
            shapes += map(of_length.__getitem__, lengths.tolist())
        else:
            ends = zip(starts[some].tolist(), stops[some].tolist(), strict=True)
            parts = [whole[start:stop] for start, stop in ends]
            shapes += map(of_part.__getitem__, parts)
    return shapes


def count_numbers(whole: bytes) -> int:
    """Count the places for numbers in the skeleton of an array.

    A list of n elements has n - 1 commas, and all lists but the outermost are elements.
    """
    return whole.count(b",") + 1 - whole.count(_EMPTY)


class _ShapesByLength(dict[int, tuple[int, ...]]):
    """Shapes of numbers and of lists of numbers, by the length of their skeleton."""

    def __missing__(self, length: int) -> tuple[int, ...]:
        # A list of so many numbers has one comma less, and two brackets.
        shape = self[length] = (length - 1,) if length else ()
        return shape


class _Shapes(dict[bytes, tuple[int, ...]]):
    """Shapes by skeleton: most tensors of an array are like others."""

    def __missing__(self, part: bytes) -> tuple[int, ...]:
        shape = self[part] = skeleton_shape(part)
        return shape


def _elements(whole: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Find the elements between the outermost commas of the skeleton of an array.

    Returns:
        Where each starts, where each stops, and the depth of the deepest bracket.
    """
    chars = np.frombuffer(whole, np.uint8)
    steps = (chars == _OPEN).astype(np.int16) - (chars == _CLOSE)
    depths = np.cumsum(steps, dtype=np.int16)
    is_whole = chars[0] == _OPEN and not depths[-1] and depths[:-1].min() > 0
    deepest = int(depths.max())
    if not is_whole or deepest > MAX_RANK + 1:
        raise Unverified
    cuts = np.flatnonzero((depths == 1) & (chars == _COMMA))
    starts = np.concatenate(([1], cuts + 1))
    stops = np.append(cuts, len(whole) - 1)
    return starts, stops, deepest
