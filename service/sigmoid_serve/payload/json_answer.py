"""Arrays to bytes of JSON, in the shortest digits that read back to the same float.

The length of the text is bounded. An array of many dimensions has brackets for each of
them, even if it holds no numbers, so numbers and lists are both counted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from sigmoid_serve.errors import ElementError, ServiceError
from sigmoid_serve.json.text import Check
from sigmoid_serve.payload.array_text import Tensors

# How many numbers and lists are written in one call, which holds the interpreter for a
# few milliseconds.
CHUNK_PARTS: Final = 2**15

# An array of so many dimensions is likely to have some of size 1.
_MANY_DIMENSIONS: Final = 4

# An array without numbers costs its sender nothing, so the lists in it are bounded.
MOST_EMPTY_LISTS: Final = 2**16

# How many tensors are looked at together; most may be left for the next time.
_TENSORS_AT_ONCE: Final = 2**12

# What to ask for where an answer in JSON is too long.
_COMPACT: Final = "application/x-npy"

_ZERO: Final = b"0"


def count_lists(shape: Sequence[int]) -> int:
    """Count the lists that an array of a shape is in JSON."""
    return sum(accumulate(shape[:-1], mul, initial=1)) if shape else 0


def least_bytes(shape: Sequence[int]) -> int:
    """Return the least bytes that the JSON of an array of a shape can have."""
    return 2 * (count_lists(shape) + prod(shape))


def encode(
    document: dict[str, Any], most_bytes: int, check: Check, compact: str = _COMPACT
) -> list[bytes]:
    """Write an object whose members are JSON values, arrays or tensors.

    Args:
        document: Arrays hold floats of 16 to 64 bits, integers, booleans or strings.
            A value may be a fragment, which was written before. A list is one of
            objects such as this.
        most_bytes: The most bytes of the text.
        check: Called again and again; it may raise, and so end the work.
        compact: What to ask for where it would be longer.

    Returns:
        The text, in one piece or more.

    Raises:
        ServiceError: `too_many_elements` where it would be longer.
    """
    pieces: list[bytes] = []
    written = 0
    for piece in _members(document):
        check()
        written += len(piece)
        if written > most_bytes:
            raise too_long(most_bytes, compact)
        pieces.append(piece)
    return pieces


def encode_short(document: dict[str, Any]) -> list[bytes]:
    """Write an object of few numbers, whose arrays have few dimensions."""
    return [_dumps(document)]


def refuse_long(
    shapes: Sequence[Sequence[int]], most_bytes: int, compact: str = _COMPACT
) -> None:
    """Raise for an answer that would be too long as JSON, before it is made.

    Args:
        shapes: The shapes of its arrays.
        most_bytes: The most bytes of its text.
        compact: What to ask for instead.

    Raises:
        ServiceError: `too_many_elements`.
    """
    if sum(map(least_bytes, shapes)) > most_bytes:
        raise too_long(most_bytes, compact)
    for shape in shapes:
        lists = 0 if prod(shape) else count_lists(shape)
        if lists > MOST_EMPTY_LISTS:
            raise ElementError(
                "too_many_elements",
                pointer=None,
                expected=f"at most {MOST_EMPTY_LISTS} empty lists in an answer in JSON "
                f"({compact} has no such limit)",
                got=f"a shape of {lists}",
            )


def too_long(most_bytes: int, compact: str = _COMPACT) -> ServiceError:
    """Make the error of an answer that is longer than answers may be.

    Args:
        most_bytes: That it may have.
        compact: What to ask for instead.
    """
    return ServiceError(
        "too_many_elements",
        f"the answer would be longer than {most_bytes} bytes "
        f"(SIGMOID_MAX_ANSWER_BYTES); ask for less at once, or for {compact}",
        expected=f"a request whose answer has at most {most_bytes} bytes",
        got="more",
    )


def _members(document: dict[str, Any]) -> Iterator[bytes]:
    before = b"{"
    for name, value in document.items():
        yield before + _dumps(name) + b":"
        before = b","
        if isinstance(value, Tensors):
            yield b"["
            yield from _tensor_pieces(value)
            yield b'],"shapes":['
            yield from _shape_pieces(value.shapes)
            yield b"]"
        elif isinstance(value, np.ndarray):
            yield from _pieces(value)
        elif isinstance(value, list):
            yield b"["
            for position, element in enumerate(value):
                if position:
                    yield b","
                yield from _members(element)
            yield b"]"
        else:
            yield _dumps(value)
    yield b"}" if document else b"{}"


def _parts(shape: Sequence[int]) -> int:
    """Count the numbers, and the lists of more or less than one element."""
    return prod(shape) + count_lists([size for size in shape if size != 1])


def _pieces(value: NDArray[Any]) -> Iterator[bytes]:
    """Write an array in pieces, cut along the first dimension until each is short."""
    if not value.size:
        yield _empty_text(value.shape)
    elif _parts(value.shape) <= CHUNK_PARTS:
        yield _array_text(value)
    else:
        yield b"["
        yield from _elements(value)
        yield b"]"


def _elements(value: NDArray[Any]) -> Iterator[bytes]:
    """Write what stands between the outermost brackets."""
    if not value.size:
        yield _empty_text(value.shape)[1:-1]
        return
    step = len(value) * CHUNK_PARTS // _parts(value.shape)
    for start in range(0, len(value), max(1, step)):
        if start:
            yield b","
        if step < 2:
            yield from _pieces(value[start, ...])
        else:
            yield _array_text(value[start : start + step])[1:-1]


def _array_text(value: NDArray[Any]) -> bytes:
    """Write an array, fast even if very many of its lists have one element."""
    shape = [size for size in value.shape if size != 1]
    if value.ndim < _MANY_DIMENSIONS or value.dtype == object:
        return _dumps(value)
    # How many lists of one element stand around the elements of each level.
    singles = [0]
    for size in value.shape:
        if size == 1:
            singles[-1] += 1
        else:
            singles.append(0)
    rank = len(shape)
    text = _dumps(value.reshape(shape))[rank : -rank or None]
    # Between two elements of a level, all lists further inside end and begin. The
    # longest separators are replaced first, as they contain the shorter ones.
    for level in range(1, rank + 1):
        text = text.replace(_separator(rank - level), b"%c" % level)
    for level in range(1, rank + 1):
        lists = rank - level + sum(singles[level:])
        text = text.replace(b"%c" % level, _separator(lists))
    return b"[" * value.ndim + text + b"]" * value.ndim


def _separator(lists: int) -> bytes:
    return b"]" * lists + b"," + b"[" * lists


def _empty_text(shape: Sequence[int]) -> bytes:
    text = b"[]"
    for size in reversed(shape[: shape.index(0)]):
        text = b"[" + (text + b",") * (size - 1) + text + b"]"
    return text


def _tensor_pieces(tensors: Tensors) -> Iterator[bytes]:
    """Write tensors of one shape as one, where only such come next."""
    values, shapes = tensors
    weights, templates = _Weights(), _Templates()
    start = first = 0
    while first < len(shapes):
        if first:
            yield b","
        some = shapes[first : first + _TENSORS_AT_ONCE]
        shape = some[0]
        if some != [shape] * len(some):
            some = _affordable(some, weights)
        if some == [shape] * len(some):
            stop = start + len(some) * prod(shape)
            yield from _elements(values[start:stop].reshape(len(some), *shape))
        else:
            between = b",".join(map(templates.__getitem__, some)).split(_ZERO)
            stop = start + len(between) - 1
            yield _filled(between, values[start:stop])
        start, first = stop, first + len(some)


class _Weights(dict[tuple[int, ...], int]):
    """The numbers and lists of shapes."""

    def __missing__(self, shape: tuple[int, ...]) -> int:
        weight = self[shape] = prod(shape) + count_lists(shape)
        return weight


def _affordable(
    shapes: Sequence[tuple[int, ...]], weights: _Weights
) -> Sequence[tuple[int, ...]]:
    """Return as many of the first shapes as are written in one call, at least one."""
    found = list(map(weights.__getitem__, shapes))
    if sum(found) <= CHUNK_PARTS:
        return shapes
    return shapes[: max(1, bisect_right(list(accumulate(found)), CHUNK_PARTS))]


class _Templates(dict[tuple[int, ...], bytes]):
    """Arrays of zeros, by their shape."""

    def __missing__(self, shape: tuple[int, ...]) -> bytes:
        text = _ZERO
        for size in reversed(shape):
            text = b"[" + b",".join([text] * size) + b"]"
        self[shape] = text
        return text


def _filled(between: Sequence[bytes], values: NDArray[Any]) -> bytes:
    """Write numbers between what stands before, between and behind them."""
    numbers = _dumps(values)[1:-1].split(b",") if values.size else []
    pieces = [b""] * (2 * len(numbers) + 1)
    pieces[::2] = between
    pieces[1::2] = numbers
    return b"".join(pieces)


def _shape_pieces(shapes: Sequence[tuple[int, ...]]) -> Iterator[bytes]:
    for start in range(0, len(shapes), CHUNK_PARTS):
        piece = orjson.dumps(shapes[start : start + CHUNK_PARTS])[1:-1]
        yield b"," + piece if start else piece


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_writable, option=orjson.OPT_SERIALIZE_NUMPY)


def _writable(array: NDArray[Any]) -> Any:
    """Turn an array that orjson does not take into what it takes."""
    if array.ndim == 0:
        return array[()]
    if array.dtype == object:
        return array.tolist()
    return np.ascontiguousarray(array)
