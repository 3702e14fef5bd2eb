"""`.npy` bytes to arrays and back, format versions 1.0 to 3.0.

The layout is that of NumPy's NEP 1. The header is a Python literal of three members; it
is parsed as nothing else, and never evaluated. Arrays of objects, which would need
unpickling, are an error.
"""

import math
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName
from sigmoid_serve.errors import ElementError, ServiceError
from sigmoid_serve.json.lookalikes import recognise_for_npy
from sigmoid_serve.payload.array_shape import MAX_RANK
from sigmoid_serve.payload.tensors import check_finite, check_limits, check_size

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 4096

# Version: width of the field that holds the header's length.
_VERSIONS = {1: 2, 2: 4, 3: 4}


class _Header(NamedTuple):
    """What a header says; only its shape has been checked."""

    descr: str
    is_fortran: bool
    shape: tuple[int, ...]


def read_npy(body: bytes, max_elements: int) -> tuple[NDArray[Any], DtypeName]:
    """Read one array of float16, float32, float64 or integers.

    Args:
        body: The whole file, in C or Fortran order and either endianness.
        max_elements: More elements are an error.

    Returns:
        The values as they lie in the body, without a copy; and the dtype to compute
        in, `float32` for integers.

    Raises:
        ServiceError: `bad_npy`, `dtype`, `rank`, `too_many_elements`, or
            `not_a_number` for NaN and infinities.
    """
    header, data = _split(body)
    dtype, shape = _dtype(header.descr), header.shape
    # An empty dimension beside an absurd one would pass as no elements at all.
    check_size(math.prod(max(size, 1) for size in shape), None, max_elements)
    elements = math.prod(shape)
    if len(data) != elements * dtype.itemsize:
        raise bad_npy(
            f"its header says {elements} elements of {dtype.itemsize} bytes, "
            f"but {len(data)} bytes follow"
        )
    values: NDArray[Any] = np.frombuffer(data, dtype).reshape(
        shape, order="F" if header.is_fortran else "C"
    )
    check_finite(np.isfinite(values), shape, None)
    return values, _name(dtype)


def write_npy(values: NDArray[Any]) -> list[bytes | memoryview]:
    """Write one array as `.npy`, format version 1.0, little-endian, C order.

    Returns:
        The header, and the array's own memory.
    """
    stored = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    header = (
        f"{{'descr': '{stored.dtype.str}', "
        f"'fortran_order': False, 'shape': {values.shape}, }}"
    )
    # The data starts at a multiple of 64 bytes, for readers that map the file.
    padding = -(len(MAGIC) + 4 + len(header) + 1) % 64
    text = (header + " " * padding + "\n").encode("latin-1")
    start = b"".join((MAGIC, b"\x01\x00", len(text).to_bytes(2, "little"), text))
    return [start, stored.reshape(-1).view(np.uint8).data]


def bad_npy(reason: str) -> ServiceError:
    """Make the error of a body that is not the `.npy` file it should be."""
    return ServiceError(
        "bad_npy",
        f"the body is not a whole .npy file: {reason}; numpy.save writes one",
    )


def _split(body: bytes) -> tuple[_Header, memoryview]:
    """Split a file into its header and its data."""
    if body[:6] != MAGIC:
        known = recognise_for_npy(body)
        raise bad_npy(f"it {known}" if known else "it does not start with \\x93NUMPY")
    if len(body) < 8 or body[6] not in _VERSIONS or body[7] != 0:
        raise bad_npy("its format version is not 1.0, 2.0 or 3.0")
    start = 8 + _VERSIONS[body[6]]
    length = int.from_bytes(body[8:start], "little")
    if length > MAX_HEADER_BYTES or len(body) < start + length:
        raise bad_npy("its header is truncated or too long")
    text = body[start : start + length]
    return _read_header(text), memoryview(body)[start + length :]


def _read_header(text: bytes) -> _Header:
    text = text.strip(b" \n")
    members: dict[bytes, str] = {}
    position = 1
    while found := _member(text, position):
        members[found[2]] = found[3].decode("latin-1").strip(" ")
        position = found.end()
    if text[:1] != b"{" or text[position:] != b"}":
        raise bad_npy("its header is no Python literal")
    if set(members) != {b"descr", b"fortran_order", b"shape"}:
        raise bad_npy("its header is not {'descr', 'fortran_order', 'shape'}")
    if members[b"fortran_order"] not in ("True", "False"):
        raise bad_npy("its fortran_order is neither True nor False")
    sizes = _shape(members[b"shape"].replace(" ", ""))
    if sizes is None:
        raise bad_npy("its shape is no tuple of sizes")
    shape = tuple(map(int, filter(None, sizes[1].split(","))))
    check_limits(shape, None, MAX_RANK, None)
    return _Header(members[b"descr"], members[b"fortran_order"] == "True", shape)


# A name, and a string, a tuple, a list or a word.
_member = re.compile(
    rb"""[ ]*+(['"])([a-z_]{1,16}+)\1[ ]*+:[ ]*+"""
    rb"""('[^'\\]*+'|"[^"\\]*+"|\([^()]*+\)|\[[^\[\]]*+\]|[^,'"(\[{}]++)"""
    rb"""[ ]*+(?:,[ ]*+|(?=\}))"""
).match
_SIZE = "0|[1-9][0-9]{0,39}"
_shape = re.compile(rf"\(((?:(?:{_SIZE}),)+(?:{_SIZE})?|)\)").fullmatch

_type = re.compile(r"""(['"])[<>|=]([fiu])([1248])\1""").fullmatch
_KINDS = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8)}


def _dtype(descr: str) -> np.dtype[Any]:
    """Read `<f4` and its kin, and nothing else that NumPy would understand."""
    found = _type(descr)
    if found and int(found[3]) in _KINDS[found[2]]:
        return np.dtype(found[0][1:-1])
    raise ElementError(
        "dtype",
        pointer=None,
        expected="float16, float32, float64 or integers",
        got="another dtype (cast with array.astype)",
    )


def _name(dtype: np.dtype[Any]) -> DtypeName:
    if dtype.kind != "f":
        return "float32"
    names: dict[int, DtypeName] = {2: "float16", 4: "float32", 8: "float64"}
    return names[dtype.itemsize]
