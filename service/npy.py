"""`.npy` bytes to arrays and back, format versions 1.0 to 3.0.

The layout is that of NumPy's NEP 1. The header is a Python literal, read as nothing but
a literal; objects, which would need unpickling, are refused by their type.
"""

import ast
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.dtype import DtypeName
from service.array_shape import MAX_RANK
from service.errors import ElementError, ServiceError
from service.lookalikes import recognise_for_npy
from service.tensors import check_limits, check_size

MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 4096

# Version: width of the field that holds the header's length, and its encoding.
_VERSIONS = {1: (2, "latin-1"), 2: (4, "latin-1"), 3: (4, "utf-8")}


def read_npy(body: bytes, max_elements: int) -> tuple[NDArray[Any], DtypeName]:
    """Read one array of float16, float32, float64 or integers.

    Args:
        body: The whole file, in C or Fortran order and either endianness.
        max_elements: More are refused.

    Returns:
        The values as they lie in the body, without a copy; and the dtype that they
        stand for, `float32` for integers.

    Raises:
        ServiceError: `bad_npy`, `dtype`, `rank`, `too_many_elements`, or
            `not_a_number` for NaN and infinities.
    """
    header, data = _split(body)
    dtype, shape = _dtype(header["descr"]), header["shape"]
    # An empty dimension beside an absurd one would pass as no elements at all.
    check_size(math.prod(max(size, 1) for size in shape), None, max_elements)
    elements = math.prod(shape)
    if len(data) != elements * dtype.itemsize:
        raise bad_npy(
            f"its header says {elements} elements of {dtype.itemsize} bytes, "
            f"but {len(data)} bytes follow"
        )
    values: NDArray[Any] = np.frombuffer(data, dtype).reshape(
        shape, order="F" if header["fortran_order"] else "C"
    )
    finite = np.isfinite(values)
    if not finite.all():
        index = np.unravel_index(int(np.argmin(finite)), shape)
        raise ElementError(
            "not_a_number",
            pointer=None,
            expected="finite numbers",
            got=f"a NaN or an infinity at index {[int(i) for i in index]}",
        )
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


def bad_npy(finding: str) -> ServiceError:
    """Make the error of a body that is not the `.npy` file it should be."""
    return ServiceError(
        "bad_npy",
        f"the body is not a whole .npy file: {finding}; numpy.save writes one",
    )


def _split(body: bytes) -> tuple[dict[str, Any], memoryview]:
    """Take the header from the data, and check what it says."""
    if body[:6] != MAGIC:
        known = recognise_for_npy(body)
        raise bad_npy(f"it {known}" if known else "it does not start with \\x93NUMPY")
    if len(body) < 8 or body[6] not in _VERSIONS or body[7] != 0:
        raise bad_npy("its format version is not 1.0, 2.0 or 3.0")
    width, encoding = _VERSIONS[body[6]]
    start = 8 + width
    length = int.from_bytes(body[8:start], "little")
    if length > MAX_HEADER_BYTES or len(body) < start + length:
        raise bad_npy("its header is truncated or too long")
    text = body[start : start + length]
    if b"\\" in text:
        raise bad_npy("its header has an escape sequence")
    try:
        header = ast.literal_eval(text.decode(encoding))
    # What literal_eval documents for malformed and hostile input.
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise bad_npy("its header is no Python literal") from None
    _check(header)
    return header, memoryview(body)[start + length :]


def _check(header: Any) -> None:
    keys = {"descr", "fortran_order", "shape"}
    if not isinstance(header, dict) or set(header) != keys:
        raise bad_npy("its header is not {'descr', 'fortran_order', 'shape'}")
    if not isinstance(header["fortran_order"], bool):
        raise bad_npy("its fortran_order is neither True nor False")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(
        type(size) is int and size >= 0 for size in shape
    ):
        raise bad_npy("its shape is no tuple of sizes")
    check_limits(shape, None, MAX_RANK, None)


_KINDS = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8)}


def _dtype(descr: object) -> np.dtype[Any]:
    """Read `<f4` and its kin, and nothing else that NumPy would understand."""
    if isinstance(descr, str) and len(descr) == 3 and descr[0] in "<>|=":
        width = descr[2]
        if width in "1248" and int(width) in _KINDS.get(descr[1], ()):
            return np.dtype(descr)
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
