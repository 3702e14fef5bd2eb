"""Good `.npy` bodies, and damage to what their headers say."""

import io
import math
import re
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fuzzing.damage import damage_bytes
from fuzzing.json_bodies import Good, Model, draw_shape

TYPES: Final = (
    *("<f2", ">f2", "<f4", ">f4", "<f8", ">f8"),
    *("|i1", "|u1", "<i2", ">u2", "<i4", ">u4", "<i8", ">i8", "<u8"),
)
_DESCRIPTIONS: Final = (
    *TYPES,
    *("|b1", "|O", "O", "<c8", "<f16", "|S4", "<U4", "<M8", "|V8", "=f4", "f4"),
    *("float32", "<f3", "<f\u0664", "", "<f4\\x00", "<i16"),
)
_SHAPES: Final = (
    *("()", "(0,)", "(1,)", "(30,)", "(1, 64)", "(-1,)", "(0, -1)", "(1.0,)"),
    *("(True,)", "[1]", "1", "None", "(99999999999999999999,)", "(0, 4294967296)"),
    *(f"({'1,' * 32})", f"({'1,' * 33})", f"({'1,' * 70})", "(2**3,)", "(1e3,)"),
    *("(4294967296, 4294967296)", "(65537, 0)", "('1',)"),
)
_ORDERS: Final = ("True", "False", "0", "1", "None", "'C'", "[]")
_ODD_VALUES: Final = (
    b"\x00\x00\x80\x7f",
    b"\x7f\x80\x00\x00",
    b"\x00\x00\xc0\xff",
    b"\x00\x7c",
    b"\x00\x00\x00\x00\x00\x00\xf0\x7f",
)


def sigmoid_npy(random: Random, models: Sequence[Model]) -> Good:
    """Draw an array of any finite values for `/sigmoid`."""
    del models
    shape, dtype = draw_shape(random), np.dtype(random.choice(TYPES))
    content = random.randbytes(math.prod(shape) * dtype.itemsize)
    values = np.frombuffer(content, dtype).reshape(shape)
    finite: NDArray[Any] = np.where(np.isfinite(values), values, 0).astype(dtype)
    return Good("/sigmoid", "npy", _written(random, finite), fits_npy=True)


def rows_npy(random: Random, models: Sequence[Model]) -> Good:
    """Draw rows of features for a model."""
    model = random.choice(models)
    leading = random.choice(([], [1], [2], [0], [2, 3], [40]))
    shape = [*leading, model.features]
    numbers = random.choices(range(100), k=math.prod(shape))
    values = np.array(numbers, random.choice(TYPES)).reshape(shape)
    return Good(model.path, "npy", _written(random, values), fits_npy=True)


def damage_npy(random: Random, body: bytes) -> bytes:
    """Change what the header says, the values, or any bytes at all."""
    share = random.random()
    if share < 0.4:
        return damage_bytes(random, body)
    width = 2 if body[6] == 1 else 4
    start = 8 + width
    stop = start + int.from_bytes(body[8:start], "little")
    header, data = body[start:stop], body[stop:]
    if share < 0.5:
        at = random.randint(0, len(data))
        value = random.choice(_ODD_VALUES)
        return body[:stop] + data[:at] + value + data[at + len(value) :]
    if share < 0.6:
        header = damage_bytes(random, header)
    else:
        name, values = random.choice(_FIELDS)
        text = f"'{name}': {random.choice(values)},".encode()
        pattern = b"'%b': (\\(.*?\\)|'.*?'|\\w+)," % name.encode()
        header = re.sub(pattern, lambda _: text, header, count=1)
    length = len(header).to_bytes(4, "little")[:width]
    return body[:8] + length + header + data


_FIELDS: Final = (
    ("descr", [f"'{text}'" for text in _DESCRIPTIONS] + ["[('a', '<f4')]", "4"]),
    ("fortran_order", _ORDERS),
    ("shape", _SHAPES),
)


def _written(random: Random, values: NDArray[Any]) -> bytes:
    if random.random() < 0.5:
        values = np.asfortranarray(values)
    file = io.BytesIO()
    version = random.choice(((1, 0), (1, 0), (2, 0), (3, 0)))
    np.lib.format.write_array(file, values, version, allow_pickle=False)
    return file.getvalue()
