"""The text of a JSON array of numbers to a flat array and its shape.

simdjson reads the numbers many times faster than a parser that makes Python objects,
but flat: to it `[[1,2],[3]]` and `[[1],[2,3]]` are the same three numbers. So the shape
is proven on the text's skeleton, which is the text without its numbers and white space.
`[[1,2],[3,4]]` has the skeleton `[[,],[,]]`; its first `]` and its first `]]` end the
first row and the whole, which gives the only shape that it can have, (2, 2). The
skeleton must then be, byte for byte, the one of that shape; and simdjson must find as
many numbers as the shape has places, so that none of the places is empty.

Nothing here says what is wrong with a text that fails: the strict way does that.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from threading import local
from typing import Any, Final, NamedTuple

import numpy as np
import simdjson
from numpy.typing import NDArray

from models.dtype import STORAGE, DtypeName, round_to

STRUCK: Final = b"0123456789+-.eE \t\r\n"

# NumPy's own limit.
MAX_RANK: Final = 64

# Read in one call, which holds the interpreter: a few milliseconds.
SLICE_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class ArrayText:
    """A JSON array that nothing has looked into: `body[start:stop]`."""

    body: bytes
    start: int
    stop: int


class Unproven(ValueError):
    """A text that may or may not be a dense array of finite numbers."""


class _Slice(NamedTuple):
    """A stretch of text between two commas, and how deep in brackets its ends are."""

    start: int
    stop: int
    depth: int
    depth_after: int


class _Parsers(local):
    """A parser keeps its buffers, and is for one thread at a time."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_parsers = _Parsers()


def read_array(text: ArrayText, dtype: DtypeName, max_elements: int) -> NDArray[Any]:
    """Read numbers, rounded once to `dtype`.

    Args:
        text: Of an array.
        dtype: Of the result's values.
        max_elements: More are not read.

    Returns:
        An array of the lists' shape, in the type that stores `dtype`.

    Raises:
        Unproven: Something is not as it should be, or not as it usually is.
    """
    slices, skeleton = _skeleton(text)
    shape = _shape(skeleton, max_elements)
    values: NDArray[Any] = np.empty(math.prod(shape), STORAGE[dtype])
    filled = 0
    for part in slices:
        rounded = round_to(_numbers(text.body, part), dtype)
        stop = filled + len(rounded)
        if stop > len(values) or not np.isfinite(rounded).all():
            raise Unproven
        values[filled:stop] = rounded
        filled = stop
    if filled < len(values):
        raise Unproven
    return values.reshape(shape)


def _skeleton(text: ArrayText) -> tuple[list[_Slice], bytes]:
    slices, bones = [], []
    depth = 0
    for start, stop in _stretches(text):
        bone = text.body[start:stop].translate(None, STRUCK)
        after = depth + bone.count(b"[") - bone.count(b"]")
        slices.append(_Slice(start, stop, depth, after))
        bones.append(bone)
        depth = after
    return slices, b",".join(bones)


def _stretches(text: ArrayText) -> Iterator[tuple[int, int]]:
    start = text.start
    while start + SLICE_BYTES < text.stop:
        comma = text.body.find(b",", start + SLICE_BYTES, text.stop)
        if comma < 0:
            break
        yield start, comma
        start = comma + 1
    yield start, text.stop


def _shape(skeleton: bytes, max_elements: int) -> tuple[int, ...]:
    """Read the one shape that a skeleton can have, and hold it to that."""
    stop = skeleton.find(b"]")
    rank = stop - skeleton.count(b",", 0, stop)
    if not 1 <= rank <= MAX_RANK or skeleton.count(b",") >= max_elements:
        raise Unproven
    shape: list[int] = []
    length = 0  # of the skeleton of one element of the level at hand
    for level in range(1, rank + 1):
        stop = skeleton.find(b"]" * level) + level
        count, rest = divmod(stop - (rank - level) - 1, length + 1)
        if rest or count < 1:
            raise Unproven
        shape.insert(0, count)
        length = count * (length + 1) + 1
    if length != len(skeleton):
        raise Unproven
    expected = b""
    for count in reversed(shape):
        expected = b"[" + (expected + b",") * (count - 1) + expected + b"]"
    if skeleton != expected:
        raise Unproven
    return tuple(shape)


def _numbers(body: bytes, part: _Slice) -> NDArray[np.float64]:
    """Parse a slice, completed to an array by the brackets that it lacks."""
    text = b"[" * part.depth + body[part.start : part.stop] + b"]" * part.depth_after
    try:
        array: Any = _parsers.parser.parse(text)
        return np.frombuffer(array.as_buffer(of_type="d"))
    # What simdjson raises for text that is no JSON, or no array of numbers.
    except (ValueError, RuntimeError, TypeError):
        raise Unproven from None
