"""The header of a safetensors file: which tensors there are, and where they lie.

Eight bytes of length, little-endian, then that many bytes of JSON, then the numbers of
one tensor after another: https://github.com/huggingface/safetensors#format. The library
copies all numbers before the header can be checked, so here it only writes files.
"""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from sigmoid_models.files.pickle_values import ITEM_BYTES
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import (
    FormatError,
    Stored,
    checked_number,
    checked_shape,
    strides_of,
)

MAX_HEADER_BYTES: Final = 2**22

_DTYPES: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_LENGTH_BYTES: Final = 8


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        tensors: The tensors, by name.
        metadata: The texts beside them, by name.
    """

    tensors: dict[str, Stored]
    metadata: dict[str, str]


def read_header(content: FileBytes) -> Contents:
    """Find the tensors of a file.

    Raises:
        FormatError: It is no whole file, or its header is too long.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if start > len(content) or len(content) < _LENGTH_BYTES:
        raise FormatError("a header that is cut off")
    if length > MAX_HEADER_BYTES:
        raise FormatError(f"a header of {length} bytes, more than {MAX_HEADER_BYTES}")
    document = _parsed(content[_LENGTH_BYTES:start])
    metadata = document.pop("__metadata__", None)
    tensors = {name: _stored(entry, start) for name, entry in document.items()}
    _check_places(tensors, start, len(content))
    return Contents(tensors, _checked_metadata(metadata))


def _parsed(header: bytes) -> dict[str, Any]:
    if header[:1] != b"{":
        raise FormatError("a header that is no JSON object")
    try:
        document = json.loads(header.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"a header that is no JSON: {type(error).__name__}") from None
    if not isinstance(document, dict):
        raise FormatError("a header that is no JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError("a header with a name that comes twice")
    return members


def _stored(entry: object, start: int) -> Stored:
    match entry:
        case {"dtype": str(name), "shape": list(shape), "data_offsets": [first, stop]}:
            first, stop = checked_number(first), checked_number(stop)
        case _:
            raise FormatError("a header with an entry that is no tensor's")
    if name not in _DTYPES:
        raise FormatError("a header with a tensor of an unknown type")
    dtype, lengths = _DTYPES[name], checked_shape(shape)
    made = Stored(dtype, lengths, strides_of(lengths), start=start + first)
    if stop - first != made.size * ITEM_BYTES[dtype]:
        raise FormatError("a header with a tensor that has not the bytes of its shape")
    return Stored(dtype, lengths, made.strides, 0, made.start, made.size)


def _check_places(tensors: Mapping[str, Stored], start: int, stop: int) -> None:
    """Check that one tensor follows another, from the header to the file's end."""
    spans = sorted(
        (each.start, each.start + each.size * ITEM_BYTES[each.dtype])
        for each in tensors.values()
    )
    edges = [start, *chain.from_iterable(spans), stop]
    if edges[::2] != edges[1::2]:
        raise FormatError("tensors that do not follow each other to the file's end")


def _checked_metadata(metadata: object) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise FormatError("metadata that are no texts by name")
    return metadata
