"""Answers to bytes of JSON, in the shortest digits that read back to the same float."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

# Written in one call, which holds the interpreter: a few milliseconds.
CHUNK_ELEMENTS: Final = 2**16


def encode(document: dict[str, Any], is_long: bool) -> list[bytes]:
    """Write an object whose members are JSON values, arrays or lists of arrays.

    Args:
        document: Arrays hold floats of 16 to 64 bits, integers, booleans or strings.
        is_long: Whether to write it in pieces, each of at most `CHUNK_ELEMENTS`.

    Returns:
        The text, in one piece or more.
    """
    if not is_long:
        return [_dumps(document)]
    pieces = [b"{"]
    for name, value in document.items():
        pieces += [_dumps(name), b":", *_pieces(value), b","]
    pieces[-1] = b"}"
    return pieces


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        # An array without elements still has as many brackets as it has rows.
        rows: int = max(value.size, *value.shape, 1)
        return rows
    if isinstance(value, list):
        return len(value) + sum(map(_size, value))
    return 1


def _pieces(value: Any) -> Iterator[bytes]:
    """Cut along the first dimension, again and again, until a part is short."""
    size = _size(value)
    if size <= CHUNK_ELEMENTS or not isinstance(value, np.ndarray | list):
        yield _dumps(value)
        return
    yield b"["
    step = max(1, len(value) * CHUNK_ELEMENTS // size)
    for start in range(0, len(value), step):
        if start:
            yield b","
        if step == 1:
            yield from _pieces(value[start])
        else:
            yield _dumps(value[start : start + step])[1:-1]
    yield b"]"


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=_writable, option=orjson.OPT_SERIALIZE_NUMPY)


def _writable(array: NDArray[Any]) -> Any:
    """Turn an array that orjson does not take into what it takes."""
    if array.ndim == 0:
        return array[()]
    if array.dtype == object:
        return array.tolist()
    return np.ascontiguousarray(array)
