"""The text of a JSON array of numbers to a flat array and its shape.

simdjson reads the numbers many times faster than a parser that makes Python objects,
but flat: to it `[[1,2],[3]]` and `[[1],[2,3]]` are the same three numbers. So the shape
is verified separately: on the lengths of the lists (`array_shape`), or, where there are
very many lists, on the text (`array_skeleton`). The count of the numbers must fit the
shape. A long text is read in slices, each completed by the brackets that it lacks.

This is a fast way: it does not say what is wrong with a text. `json_walk` does.
"""

import math
import re
from collections.abc import Iterator, Sequence
from threading import local
from typing import Any, Final, NamedTuple

import numpy as np
import simdjson
from numpy.typing import NDArray

from sigmoid_models.dtype import STORAGE, DtypeName, Float64Array, round_to
from sigmoid_serve.json.text import Check, JsonText
from sigmoid_serve.payload.array_shape import ShapeCheck, Unverified
from sigmoid_serve.payload.array_skeleton import (
    count_numbers,
    skeleton,
    skeleton_shape,
    skeleton_shapes,
)

# Read in one call, which holds the interpreter: a few milliseconds.
SLICE_BYTES: Final = 2**19

# To ask a list for its length takes as long as to read so much text.
LIST_BYTES: Final = 64

_START: Final = re.compile(rb"[\[ \t\r\n]*")
_OPEN, _CLOSE = b"[]"


class Tensors(NamedTuple):
    """Tensors, one after the other.

    Attributes:
        values: The numbers of all tensors, flat, in the type that stores their dtype.
        shapes: The shape of each tensor.
    """

    values: NDArray[Any]
    shapes: Sequence[tuple[int, ...]]


class _Slice(NamedTuple):
    """A stretch of text between two commas.

    Attributes:
        start: Where it starts in the body.
        stop: Where it ends in the body.
        before: How many lists are open where it starts.
        after: How many lists are open where it ends.
        opened: How many `[` it has.
    """

    start: int
    stop: int
    before: int
    after: int
    opened: int


class _Parsers(local):
    """A parser for each thread: it reuses its buffers."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_parsers = _Parsers()


def read_array(
    text: JsonText, dtype: DtypeName, max_elements: int, check: Check
) -> NDArray[Any]:
    """Read numbers, rounded once to `dtype`.

    Args:
        text: What should be an array; it need not be JSON.
        dtype: The dtype of the result.
        max_elements: The most numbers that are read.
        check: Called again and again; it may raise, and so end the work.

    Returns:
        An array of the lists' shape, in the type that stores `dtype`.

    Raises:
        Unverified: The text has an error, or is written in an unusual way.
    """
    slices = list(_slices(text))
    lists = sum(part.opened for part in slices)
    if lists * LIST_BYTES > text.stop - text.start:
        shape = skeleton_shape(_skeleton(text, slices, check))
        values = _values(text, slices, dtype, max_elements, None, check)
    else:
        shape_check = ShapeCheck(_leading_brackets(text))
        values = _values(text, slices, dtype, max_elements, shape_check, check)
        shape = shape_check.shape()
    if len(values) != math.prod(shape):
        raise Unverified
    return values.reshape(shape)


def read_arrays(
    text: JsonText, dtype: DtypeName, max_elements: int, check: Check
) -> Tensors:
    """Read an array of tensors, each of its own shape; see `read_array`."""
    slices = list(_slices(text))
    values = _values(text, slices, dtype, max_elements, None, check)
    bones = _skeleton(text, slices, check)
    shapes = skeleton_shapes(bones)
    if len(values) != count_numbers(bones):
        raise Unverified
    return Tensors(values, shapes)


def _skeleton(text: JsonText, slices: Sequence[_Slice], check: Check) -> bytes:
    bones: list[bytes] = []
    for part in slices:
        check()
        bones.append(skeleton(text.body[part.start : part.stop]))
    return b",".join(bones)


def _values(
    text: JsonText,
    slices: Sequence[_Slice],
    dtype: DtypeName,
    max_elements: int,
    shape_check: ShapeCheck | None,
    check: Check,
) -> NDArray[Any]:
    """Read all numbers, flat."""
    if len(slices) == 1:
        values = _numbers(text.body, slices[0], dtype, shape_check)
        if len(values) > max_elements:
            raise Unverified
        return values
    # The memory of an empty array is taken only as it is filled.
    values = np.empty(min(max_elements, (text.stop - text.start) // 2), STORAGE[dtype])
    found = 0
    for part in slices:
        check()
        numbers = _numbers(text.body, part, dtype, shape_check)
        start, found = found, found + len(numbers)
        if found > len(values):
            raise Unverified
        values[start:found] = numbers
    return values[:found]


def _leading_brackets(text: JsonText) -> int:
    start = _START.match(text.body, text.start, text.stop)
    return start[0].count(b"[") if start else 0


def _slices(text: JsonText) -> Iterator[_Slice]:
    depth = 0
    start = text.start
    while start <= text.stop:
        comma = text.body.find(b",", start + SLICE_BYTES, text.stop)
        stop = text.stop if comma < 0 else comma
        chars = np.frombuffer(text.body, np.uint8, stop - start, start)
        opened = int(np.count_nonzero(chars == _OPEN))
        after = 0
        if comma >= 0:
            after = depth + opened - int(np.count_nonzero(chars == _CLOSE))
        yield _Slice(start, stop, depth, after, opened)
        depth, start = after, stop + 1


def _numbers(
    body: bytes, part: _Slice, dtype: DtypeName, shape_check: ShapeCheck | None
) -> NDArray[Any]:
    try:
        numbers = _flat(body, part, shape_check)
    # What simdjson raises for text that is no JSON, or no array of numbers.
    except (ValueError, RuntimeError, TypeError):
        numbers = None
    # Raised outside `except`: the error above refers to what the parser gave, and the
    # parser reads on only when nothing does.
    if numbers is None:
        raise Unverified
    if dtype == "float64":
        return numbers  # simdjson has refused what float64 cannot hold
    rounded = round_to(numbers, dtype)
    if not np.isfinite(rounded).all():
        raise Unverified
    return rounded


def _flat(body: bytes, part: _Slice, shape_check: ShapeCheck | None) -> Float64Array:
    text: bytes | memoryview = memoryview(body)[part.start : part.stop]
    if part.before or part.after:
        text = b"".join((b"[" * part.before, text, b"]" * part.after))
    array: Any = _parsers.parser.parse(text)
    if not isinstance(array, simdjson.Array):
        raise TypeError
    if shape_check:
        shape_check.read(array, part.before + part.opened, part.before, part.after)
    return np.frombuffer(array.as_buffer(of_type="d"))
