"""Answers to bytes of JSON, in the shortest digits that read back to the same float.

What an answer takes is not only its numbers: an array of many dimensions has brackets
for each of them, also where it has no numbers at all. Both are counted.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from math import prod
from operator import mul
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from service.array_text import Tensors
from service.errors import ElementError, ServiceError
from service.json_text import Check

# Numbers and lists that are written in one call, which holds the interpreter: a few
# milliseconds.
CHUNK_PARTS: Final = 2**15

# From so many dimensions on, some of them are likely to be of one element.
_MANY_DIMENSIONS: Final = 4

# Of an array without numbers, which costs its sender nothing: so many lists are shown.
MOST_EMPTY_LISTS: Final = 2**16

# Tensors of one shape in a row, from which on they are written as one.
_MANY: Final = 8

# A request with more shapes than this has few tensors of each.
_CACHED_SHAPES: Final = 64


def count_lists(shape: Sequence[int]) -> int:
    """Count the lists that an array of a shape is in JSON."""
    return sum(accumulate(shape[:-1], mul, initial=1)) if shape else 0


def least_bytes(shape: Sequence[int]) -> int:
    """Say how long the JSON of an array of a shape is at least."""
    return 2 * (count_lists(shape) + prod(shape))


def encode(document: dict[str, Any], most_bytes: int, check: Check) -> list[bytes]:
    """Write an object whose members are JSON values, arrays or tensors.

    Args:
        document: Arrays hold floats of 16 to 64 bits, integers, booleans or strings.
        most_bytes: Of the text.
        check: Called again and again; it may raise, and so end it.

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
            raise too_long(most_bytes)
        pieces.append(piece)
    return pieces


def encode_short(document: dict[str, Any]) -> list[bytes]:
    """Write an object of few numbers, whose arrays have few dimensions."""
    return [_dumps(document)]


def refuse_long(shapes: Sequence[Sequence[int]], most_bytes: int) -> None:
    """Refuse, before it is made, an answer that would be too long as JSON.

    Args:
        shapes: Of its arrays.
        most_bytes: Of its text.

    Raises:
        ServiceError: `too_many_elements`.
    """
    if sum(map(least_bytes, shapes)) > most_bytes:
        raise too_long(most_bytes)
    for shape in shapes:
        lists = 0 if prod(shape) else count_lists(shape)
        if lists > MOST_EMPTY_LISTS:
            raise ElementError(
                "too_many_elements",
                pointer=None,
                expected=f"at most {MOST_EMPTY_LISTS} empty lists in an answer in JSON "
                "(Accept: application/x-npy has no such limit)",
                got=f"a shape of {lists}",
            )


def too_long(most_bytes: int) -> ServiceError:
    """Make the error of an answer that is longer than answers may be."""
    return ServiceError(
        "too_many_elements",
        f"the answer would be longer than {most_bytes} bytes "
        "(SIGMOID_MAX_ANSWER_BYTES); ask for less at once, or for application/x-npy",
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
        else:
            yield _dumps(value)
    yield b"}"


def _parts(shape: Sequence[int]) -> int:
    """Count numbers, and lists but for those of one element."""
    return prod(shape) + count_lists([size for size in shape if size != 1])


def _pieces(value: NDArray[Any]) -> Iterator[bytes]:
    """Cut along the first dimension, again and again, until a part is short."""
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
    """Write an array; lists of one element, of which there may be very many, fast."""
    shape = [size for size in value.shape if size != 1]
    if value.ndim < _MANY_DIMENSIONS or value.dtype == object:
        return _dumps(value)
    # Of one element each: how many lists stand around what each level holds.
    singles = [0]
    for size in value.shape:
        if size == 1:
            singles[-1] += 1
        else:
            singles.append(0)
    rank = len(shape)
    text = _dumps(value.reshape(shape))[rank : -rank or None]
    # Between two elements of a level, the lists end and begin that are further inside.
    # The most come first, as fewer are a part of them.
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
    """Write tensors of one shape as one, where there are some in a row."""
    values, shapes = tensors
    waiting: list[tuple[int, ...]] = []
    start, stop, parts = 0, 0, 0  # of the numbers of those that wait
    before = b""
    for shape, count in _runs(shapes):
        size = _size(shape)
        is_few = count < _MANY and size < CHUNK_PARTS // _MANY
        if waiting and (not is_few or parts > CHUNK_PARTS):
            yield before + _together(values[start:stop], waiting)
            waiting, start, parts, before = [], stop, 0, b","
        stop += count * size
        if is_few:
            waiting += [shape] * count
            parts += count * (size + len(shape) + 1)
        else:
            yield before
            yield from _elements(values[start:stop].reshape(count, *shape))
            start, before = stop, b","
    if waiting:
        yield before + _together(values[start:stop], waiting)


def _runs(shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], int]]:
    """Count how often each shape comes in a row; not too many at once."""
    for start in range(0, len(shapes), CHUNK_PARTS):
        for shape, group in groupby(shapes[start : start + CHUNK_PARTS]):
            yield shape, len(list(group))


_size = lru_cache(_CACHED_SHAPES)(prod)


def _together(values: NDArray[Any], shapes: Sequence[tuple[int, ...]]) -> bytes:
    # As numbers of Python, with the shortest digits of their own type.
    numbers = orjson.loads(_dumps(values))
    tensors: list[Any] = []
    start = 0
    for shape in shapes:
        if not shape:
            tensors.append(numbers[start])
            start += 1
            continue
        stop = start + _size(shape)
        tensors.append(_nested(numbers[start:stop], shape))
        start = stop
    return orjson.dumps(tensors)[1:-1]


def _nested(numbers: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Cut numbers into lists within lists."""
    if len(shape) == 1:
        return numbers
    if not numbers:
        return _empty_lists(shape)
    for size in reversed(shape[1:]):
        numbers = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    return numbers


@lru_cache(_CACHED_SHAPES)
def _empty_lists(shape: tuple[int, ...]) -> list[Any]:
    empty: list[Any] = orjson.loads(_empty_text(shape))
    return empty


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
