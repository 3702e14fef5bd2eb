"""The datatypes of the protocol: their names, and how their values are stored.

Values are little-endian. NumPy has no bfloat16, so BF16 is stored as the 16 bits that
are the high half of a float32.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from sigmoid_models.dtype import DtypeName

DatatypeName = Literal[
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
]
"""Those that inputs may have."""

BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
INT64: Final = "INT64"


class Datatype(NamedTuple):
    """A datatype that inputs may have.

    Attributes:
        name: In requests and answers.
        stored: How values are stored in a binary tensor.
        dtype: What a sigmoid of such values is computed in; `float32` for integers.
        config_name: In model configurations.
    """

    name: DatatypeName
    stored: np.dtype[Any]
    dtype: DtypeName
    config_name: str


_STORED: Final[dict[DatatypeName, tuple[str, DtypeName]]] = {
    "FP16": ("<f2", "float16"),
    "BF16": ("<u2", "bfloat16"),
    "FP32": ("<f4", "float32"),
    "FP64": ("<f8", "float64"),
    "INT8": ("<i1", "float32"),
    "INT16": ("<i2", "float32"),
    "INT32": ("<i4", "float32"),
    "INT64": ("<i8", "float32"),
    "UINT8": ("<u1", "float32"),
    "UINT16": ("<u2", "float32"),
    "UINT32": ("<u4", "float32"),
    "UINT64": ("<u8", "float32"),
}

DATATYPES: Final[Mapping[DatatypeName, Datatype]] = {
    name: Datatype(name, np.dtype(stored), dtype, f"TYPE_{name}")
    for name, (stored, dtype) in _STORED.items()
}
"""Those that inputs may have, by name."""
