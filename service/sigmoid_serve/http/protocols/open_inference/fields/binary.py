"""The bytes of an input behind the JSON, held against what the JSON says of them."""

import math
from typing import Final

from sigmoid_serve.errors import ElementError
from sigmoid_serve.http.protocols.open_inference.datatypes import Datatype

LENGTH_HEADER: Final = "Inference-Header-Content-Length"
INPUT_POINTER: Final = "/inputs/0"


def framing_error(pointer: str | None, expected: str, got: str) -> ElementError:
    """Make the error of a body that is not framed as its header and fields say."""
    return ElementError(
        "malformed_request", pointer=pointer, expected=expected, got=got
    )


def check_rest(
    shape: tuple[int, ...],
    datatype: Datatype,
    size: int | None,
    rest: int,
    json_bytes: int | None,
    *,
    has_data: bool,
) -> None:
    """Raise where the bytes behind the JSON are not those of the input.

    Args:
        shape: Of the input.
        datatype: Its datatype.
        size: Its parameter `binary_data_size`.
        rest: How many bytes are behind the JSON.
        json_bytes: How long the JSON is, as the header says it.
        has_data: Whether it has values in the JSON.

    Raises:
        ElementError: `malformed_request`, or `missing_field` without any values.
    """
    if has_data and size is not None:
        raise framing_error(
            f"{INPUT_POINTER}/data",
            "either data or the parameter binary_data_size",
            "both",
        )
    if size is None and not has_data:
        raise ElementError(
            "missing_field",
            pointer=INPUT_POINTER,
            expected="data, or the parameter binary_data_size and bytes after the JSON",
            got="neither",
        )
    if size is None:
        raise framing_error(
            None,
            "no bytes after the JSON, as its input has data and no binary_data_size",
            f"{rest} ({LENGTH_HEADER} is {json_bytes})",
        )
    needed = math.prod(shape) * datatype.stored.itemsize
    if size != needed:
        raise framing_error(
            f"{INPUT_POINTER}/parameters/binary_data_size",
            f"{needed} bytes, as shape {list(shape)} and {datatype.name} say",
            str(size),
        )
    if size != rest:
        told = f"{LENGTH_HEADER} is {json_bytes}"
        if json_bytes is None:
            told = f"without {LENGTH_HEADER}, all of the body is JSON"
        raise framing_error(
            None,
            f"{size} bytes after the JSON, as binary_data_size says",
            f"{rest} ({told})",
        )
