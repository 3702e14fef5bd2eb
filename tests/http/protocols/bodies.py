"""Bodies of inference requests, read in both ways."""

import json
from typing import Any

import numpy as np
import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.protocols.open_inference.reading import (
    InferRequest,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.http.protocols.open_inference.schemas import Expectation
from sigmoid_serve.json.text import no_check

OUTPUTS = ("probabilities", "logits", "labels")
MODEL = Expectation(OUTPUTS, 3, 1000, 8, 10)
ELEMENTWISE = Expectation(("outputs",), 0, 1000, 8, None)

INPUT = {"name": "inputs", "shape": [1, 3], "datatype": "FP32"}


def body(tensor: dict[str, Any] | None = None, **fields: Any) -> bytes:
    given = {**INPUT, "data": [1, 2, 3], **(tensor or {})}
    return json.dumps({"inputs": [given], **fields}).encode()


def binary(values: Any, datatype: str = "FP32", **fields: Any) -> tuple[bytes, int]:
    array = np.asarray(values)
    size = {"binary_data_size": array.nbytes}
    tensor = {"shape": list(array.shape), "datatype": datatype, "parameters": size}
    text = json.dumps({"inputs": [{**INPUT, **tensor}], **fields}).encode()
    return text + array.tobytes(), len(text)


def read(
    text: bytes, length: int | None = None, expected: Expectation = MODEL
) -> InferRequest:
    """Read in both ways, which must agree."""
    strict = read_strictly(text, length, expected, no_check)
    quick = read_quickly(text, length, expected)
    assert quick is None or plain(quick) == plain(strict)
    return strict


def refused(
    text: bytes, length: int | None = None, expected: Expectation = MODEL
) -> ServiceError:
    assert read_quickly(text, length, expected) is None
    with pytest.raises(ServiceError) as caught:
        read_strictly(text, length, expected, no_check)
    error = caught.value
    assert len(error.detail) < 600
    if error.pointer:
        assert f" at {error.pointer}, got " in error.detail
    return error


def plain(request: InferRequest) -> tuple[Any, ...]:
    """Make values comparable, bit for bit."""
    values = request.values
    bits = (values.dtype.str, values.shape, values.tobytes())
    return (bits, *request._replace(values=np.empty(0))[:2], *request[3:])
