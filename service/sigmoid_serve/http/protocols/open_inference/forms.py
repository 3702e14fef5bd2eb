"""What a request says beside the values of its input.

The requests of a client are mostly the same but for the values, so it is read once.
"""

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from sigmoid_serve.http.protocols.open_inference.datatypes import DATATYPES, Datatype
from sigmoid_serve.http.protocols.open_inference.schemas import (
    Expectation,
    InferBody,
    InferInput,
    InferRequestedOutput,
)
from sigmoid_serve.json.outline import LIST, outline_around
from sigmoid_serve.json.text import no_check
from sigmoid_serve.payload.tensors import Reading

# Most of it is short.
_CACHED: Final = 64
_CACHED_BYTES: Final = 1024


class RequestedOutput(NamedTuple):
    """An output that is answered.

    Attributes:
        name: Its name.
        is_binary: Whether it is answered as bytes behind the JSON.
        classes: How many of the largest values are asked for, by Triton's extension for
            classification; 0 for the output itself.
    """

    name: str
    is_binary: bool
    classes: int


class Form(NamedTuple):
    """What a body says beside its values.

    Attributes:
        id: See `reading.InferRequest`.
        timeout_seconds: See there.
        shape: Of the input, as declared.
        datatype: Of the input, as declared.
        size: Of the input behind the JSON, in bytes; None where it is not declared.
        outputs: See there.
    """

    id: str
    timeout_seconds: float
    shape: tuple[int, ...]
    datatype: Datatype
    size: int | None
    outputs: tuple[RequestedOutput, ...]


def read_form(before: bytes, after: bytes, expected: Expectation) -> Form | None:
    """Read a body but for its values in a fast way, if it is surely right.

    Args:
        before: What is before the list of values; the whole JSON where there is none.
        after: What is behind the list; empty where there is none.
        expected: What it is held against.

    Returns:
        None where there is a doubt.
    """
    is_short = len(before) + len(after) <= _CACHED_BYTES
    return (_cached if is_short else _read)(before, after, expected)


def _read(before: bytes, after: bytes, expected: Expectation) -> Form | None:
    document = outline_around(before, after, "data")
    if document is None:
        return None
    if after:
        inputs = document.get("inputs")
        given = inputs[0] if type(inputs) is list and inputs else None
        if type(given) is not dict or given.get("data") is not LIST:
            return None
        given["data"] = None  # it is read beside
    reading = Reading(expected.max_elements, False, no_check)
    try:
        # What `model_validate` calls, without its handling of options.
        valid: InferBody = InferBody.__pydantic_validator__.validate_python(
            document, context=(expected, reading)
        )
    except ValidationError:
        return None
    return form_of(valid, expected)


_cached = lru_cache(_CACHED)(_read)


def form_of(body: InferBody, expected: Expectation) -> Form:
    """Take from a valid body what it says beside the values."""
    given: InferInput = body.inputs[0]
    parameters = body.parameters or {}
    microseconds = parameters.get("timeout")
    size: Any = (given.parameters or {}).get("binary_data_size")
    return Form(
        body.id or "",
        microseconds / 1e6 if microseconds else math.inf,
        tuple(given.shape),
        DATATYPES[given.datatype],
        size,
        _outputs(body.outputs, bool(parameters.get("binary_data_output")), expected),
    )


def _outputs(
    asked: list[InferRequestedOutput] | None, is_binary: bool, expected: Expectation
) -> tuple[RequestedOutput, ...]:
    if not asked:
        return all_outputs(expected.outputs, is_binary)
    outputs = []
    for output in asked:
        parameters = output.parameters or {}
        own = parameters.get("binary_data")
        outputs.append(
            RequestedOutput(
                output.name,
                is_binary if own is None else own,
                parameters.get("classification") or 0,
            )
        )
    return tuple(outputs)


@lru_cache(16)
def all_outputs(names: tuple[str, ...], is_binary: bool) -> tuple[RequestedOutput, ...]:
    """Ask for outputs of these names, as they are."""
    return tuple(RequestedOutput(name, is_binary, 0) for name in names)
