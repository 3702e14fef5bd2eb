"""Tensors to bytes without a header: little-endian, in C order, without padding.

The receiver knows datatype and shape from elsewhere. A string is its length and its
UTF-8.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_raw(values: NDArray[Any], datatype_name: str) -> memoryview:
    """Write one array of numbers or booleans.

    Args:
        values: Any shape, of the type that the datatype is stored in; for `BF16`
            float32, each value exactly a bfloat16.
        datatype_name: `BF16`, or any other, which is written as it is stored.

    Returns:
        The array's own memory where it lies in C order and little-endian, else that of
        a copy; bytes, in one dimension.
    """
    stored = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    flat = stored.ravel()
    if datatype_name == "BF16":
        # A bfloat16 is the high half of the float32, which stands second.
        flat = np.ascontiguousarray(flat.view("<u2")[1::2])
    return flat.view(np.uint8).data


def write_bytes(texts: Sequence[str]) -> bytes:
    """Write strings of the datatype `BYTES`.

    Args:
        texts: Each of at most 2**32 - 1 bytes as UTF-8; few of them different, or few.

    Returns:
        For each, the length of its UTF-8 as uint32, and the UTF-8.
    """
    return b"".join(map(_Strings().__getitem__, texts))


class _Strings(dict[str, bytes]):
    """Strings as they are written, each made once: labels are often the same."""

    def __missing__(self, text: str) -> bytes:
        encoded = text.encode()
        written = self[text] = len(encoded).to_bytes(4, "little") + encoded
        return written
