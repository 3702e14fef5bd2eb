"""The bytes of an inference request to a tensor, and what is asked of it.

A body is JSON, and behind it the bytes of its input, if these are not JSON; the header
`Inference-Header-Content-Length` says where the JSON ends. There are two ways, as for
the native requests: the quick one takes what it can verify, and the strict one says
what is wrong. What both take has the same values.
"""

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from sigmoid_serve.errors import ElementError, ServiceError, shown
from sigmoid_serve.http.protocols.open_inference.datatypes import DATATYPES, Datatype
from sigmoid_serve.http.protocols.open_inference.fields.binary import (
    INPUT_POINTER,
    LENGTH_HEADER,
    check_rest,
    framing_error,
)
from sigmoid_serve.http.protocols.open_inference.fields.errors import field_error
from sigmoid_serve.http.protocols.open_inference.forms import (
    Form,
    RequestedOutput,
    all_outputs,
    form_of,
    read_form,
)
from sigmoid_serve.http.protocols.open_inference.schemas import (
    KNOWN_NAMES,
    Expectation,
    InferBody,
)
from sigmoid_serve.json.outline import (
    find_list,
    outline_strictly,
)
from sigmoid_serve.json.text import Check, JsonText, no_check
from sigmoid_serve.payload.array_shape import Unverified
from sigmoid_serve.payload.raw import check_declared, read_declared, read_raw
from sigmoid_serve.payload.tensors import Reading

# Lists of more bytes are read faster as text than as a parser's objects.
_SMALL_BYTES: Final = 4096

# More digits than any length has.
_MOST_DIGITS: Final = 19

# What a raw body is made of, as the metadata of every model says.
_RAW: Final = DATATYPES["FP32"]

# Of a body that is no JSON, so much is searched for a sign of bytes behind the JSON.
_SEARCHED_BYTES: Final = 4096


_NOTHING: Final = memoryview(b"")


class InferRequest(NamedTuple):
    """What is asked.

    Attributes:
        id: To be returned with the answer; empty where there is none.
        timeout_seconds: How long the client waits; infinite where it does not say.
        values: Finite, in the declared shape: integers in their type, floating-point
            numbers in theirs, but bfloat16 as float32.
        datatype: The declared one.
        is_flat: Whether the values came as one list of JSON.
        is_json: Whether the values came as JSON.
        outputs: Those that are answered, in this order.
    """

    id: str
    timeout_seconds: float
    values: NDArray[Any]
    datatype: Datatype
    is_flat: bool
    is_json: bool
    outputs: tuple[RequestedOutput, ...]


def json_bytes(header: bytes | None) -> int | None:
    """Read `Inference-Header-Content-Length`: how many bytes of a body are JSON.

    Returns:
        None where there is no such header, so that all are; 0 for a raw body.

    Raises:
        ElementError: `malformed_request`.
    """
    if header is None:
        return None
    digits = header.strip()
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise framing_error(
            None,
            f"{LENGTH_HEADER} to be the number of bytes of the JSON",
            shown(header.decode("latin-1")),
        )
    return int(digits)


def read_quickly(
    body: bytes,
    json_bytes: int | None,
    expected: Expectation,
    check: Check = no_check,
) -> InferRequest | None:
    """Read a body in a fast way, if it is beyond doubt that it is right.

    Args:
        body: All of it.
        json_bytes: How many of its bytes are JSON, as `json_bytes` returns it.
        expected: What it is held against.
        check: Called again and again; it may raise, and so end it.

    Returns:
        None where there is a doubt.
    """
    try:
        text, rest = body, _NOTHING
        if json_bytes is not None:
            rest = _rest(body, json_bytes)
            if json_bytes == 0:
                return _raw_request(rest, expected)
            text = body[:json_bytes]
        place = find_list(text, "data")
        if place is None:
            form = read_form(text, b"", expected)
            return form and _with_bytes(form, rest, json_bytes)
        start, stop = place
        form = read_form(text[:start], text[stop:], expected)
        if form is None or form.size is not None or rest:
            return None
        value: Any
        if stop - start <= _SMALL_BYTES:
            value = orjson.loads(text[start:stop])
        else:
            value = JsonText(text, start, stop)
        if check is no_check:
            reading = _quick_reading(expected.max_elements)
        else:
            reading = Reading(expected.max_elements, False, check)
        stored, dtype = form.datatype.stored, form.datatype.dtype
        values = read_declared(value, "", stored, dtype, form.shape, reading)
        return _with_numbers(form, values)
    except (ElementError, Unverified, orjson.JSONDecodeError):
        return None


@lru_cache(2)
def _quick_reading(max_elements: int) -> Reading:
    return Reading(max_elements, False, no_check)


def read_strictly(
    body: bytes, json_bytes: int | None, expected: Expectation, check: Check
) -> InferRequest:
    """Read a body in the way that says what is wrong; see `read_quickly`.

    Raises:
        ServiceError: `malformed_json`.
        ElementError: The first fault of the JSON in document order, what is missing
            after what is there; then those of the bytes behind it.
    """
    rest = _rest(body, json_bytes)
    if json_bytes == 0:
        return _raw_request(rest, expected)
    text = body if json_bytes is None else body[:json_bytes]
    try:
        document = outline_strictly(text, "data", KNOWN_NAMES, check)
    except ServiceError as error:
        if json_bytes is None and b'"binary_data_size"' in body[:_SEARCHED_BYTES]:
            error.detail += (
                f"; where bytes follow the JSON, {LENGTH_HEADER} is its length"
            )
        raise
    context = (expected, Reading(expected.max_elements, True, check))
    # Raised outside `except`, as for the native requests: inside, our error and
    # pydantic's would refer to each other, and keep the document.
    refusals: list[ElementError] = []
    try:
        valid = InferBody.model_validate(document, context=context)
    except ValidationError as error:
        refusals.append(field_error(error, document))
    if refusals:
        raise refusals.pop()
    form, values = form_of(valid, expected), valid.inputs[0].data
    has_data = values is not None
    if values is None or form.size is not None or rest:
        return _with_bytes(form, rest, json_bytes, has_data=has_data)
    return _with_numbers(form, values)


def _rest(body: bytes, json_bytes: int | None) -> memoryview:
    """Return what is behind the JSON."""
    if json_bytes is not None and json_bytes > len(body):
        raise framing_error(
            None,
            f"{LENGTH_HEADER} to be at most the length of the body, {len(body)}",
            str(json_bytes),
        )
    return memoryview(body)[len(body) if json_bytes is None else json_bytes :]


def _raw_request(data: memoryview, expected: Expectation) -> InferRequest:
    """Take a whole body as the input."""
    _, features, max_elements, max_rank, max_rows = expected
    row_bytes = _RAW.stored.itemsize * (features or 1)
    rows, excess = divmod(len(data), row_bytes)
    if excess or not rows:
        what = f"rows of {features} {_RAW.name} values" if features else _RAW.name
        raise framing_error(
            None,
            f"a body of {what}, {row_bytes} bytes or a multiple ({LENGTH_HEADER} is 0)",
            str(len(data)),
        )
    shape = (rows, features) if features else (rows,)
    check_declared(shape, None, features, max_elements, max_rank, max_rows)
    values = read_raw(data, _RAW.stored, _RAW.dtype, shape, None)
    outputs = all_outputs(expected.outputs, True)
    return InferRequest("", math.inf, values, _RAW, False, False, outputs)


def _with_numbers(form: Form, values: NDArray[Any]) -> InferRequest:
    """Add numbers of JSON to what is said of them, in their shape or flat."""
    name, seconds, shape, datatype, _, outputs = form
    is_flat = values.ndim == 1
    if values.shape != shape:
        values = values.reshape(shape)
    return InferRequest(name, seconds, values, datatype, is_flat, True, outputs)


def _with_bytes(
    form: Form, rest: memoryview, json_bytes: int | None, *, has_data: bool = False
) -> InferRequest:
    """Add the bytes behind the JSON to what is said of them.

    Raises:
        ElementError: They are not what is said of them, or not finite.
    """
    name, seconds, shape, datatype, size, outputs = form
    check_rest(shape, datatype, size, len(rest), json_bytes, has_data=has_data)
    values = read_raw(rest, datatype.stored, datatype.dtype, shape, INPUT_POINTER)
    return InferRequest(name, seconds, values, datatype, False, False, outputs)
