"""Inference requests of the protocol: what they say."""

import math
from typing import Any

import numpy as np
import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.protocols.open_inference import reading
from sigmoid_serve.http.protocols.open_inference.datatypes import DATATYPES
from sigmoid_serve.http.protocols.open_inference.forms import RequestedOutput
from sigmoid_serve.http.protocols.open_inference.reading import (
    json_bytes,
    read_quickly,
)
from tests.http.protocols.bodies import (
    ELEMENTWISE,
    MODEL,
    OUTPUTS,
    binary,
    body,
    plain,
    read,
    refused,
)


def test_a_row_as_json() -> None:
    text = body(id="a", parameters={"timeout": 1500, "more": "x"})
    request = read(text)
    assert request.id == "a"
    assert request.timeout_seconds == 0.0015
    assert request.values.tolist() == [[1, 2, 3]]
    assert request.values.dtype == np.float32
    assert request.datatype.name == "FP32"
    assert (request.is_flat, request.is_json) == (True, True)
    assert request.outputs == tuple(RequestedOutput(each, False, 0) for each in OUTPUTS)
    assert read_quickly(text, None, MODEL) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": None, "parameters": None, "outputs": None},
        {"id": "", "parameters": {}, "outputs": []},
        {"parameters": {"timeout": 0}},
        {"parameters": {"timeout": None, "binary_data_output": False}},
        {"model_name": "m", "parameters": {"priority": 3, "headers": "x"}},
        {"more": {"a": [[1], {"b": 2}]}},
        {"parameters": {"headers": {"a": "b"}}},
        {"parameters": {"sequence_id": 0, "sequence_start": False}},
        {"parameters": {"sequence_id": "", "sequence_end": False}},
    ],
    ids=str,
)
def test_what_may_be_absent_or_is_passed_over(fields: dict[str, Any]) -> None:
    request = read(body(**fields))
    assert plain(request) == plain(read(body()))
    assert (request.id, request.timeout_seconds) == ("", math.inf)


@pytest.mark.parametrize(
    "tensor",
    [
        {"parameters": {}},
        {"parameters": None},
        {"parameters": {"binary_data_size": None}},
        {"parameters": {"more": "x"}, "more": None},
    ],
    ids=str,
)
def test_what_may_be_absent_of_a_tensor(tensor: dict[str, Any]) -> None:
    assert plain(read(body(tensor))) == plain(read(body()))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_json_and_binary_give_equal_bits(datatype: str) -> None:
    stored = DATATYPES[datatype].stored  # type: ignore[index]
    numbers: list[Any] = [1, 100, 3.0]
    if stored.kind == "f" or datatype == "BF16":
        numbers = [0.1, -2.7182818284590452, 1e-6]
    from_json = read(body({"datatype": datatype, "data": numbers}))
    values = from_json.values
    if datatype == "BF16":
        values = (values.view(np.uint32) >> 16).astype("<u2")
    assert values.dtype == stored
    from_bytes = read(*binary(values, datatype))
    assert (from_bytes.is_flat, from_bytes.is_json) == (False, False)
    assert from_bytes.values.tobytes() == from_json.values.tobytes()
    assert from_bytes.values.dtype == from_json.values.dtype
    assert read_quickly(*binary(values, datatype), MODEL) is not None


@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
@pytest.mark.parametrize(
    ("shape", "data", "is_flat"),
    [
        ([3], [1, 2, 3], True),
        ([2, 3], [1, 2, 3, 4, 5, 6], True),
        ([2, 3], [[1, 2, 3], [4, 5, 6]], False),
        ([1, 2, 3], [[[1, 2, 3], [4, 5, 6]]], False),
        ([0, 3], [], True),
        ([2, 0, 3], [[], []], False),
    ],
    ids=str,
)
def test_flat_and_nested(
    shape: list[int],
    data: Any,
    is_flat: bool,
    small: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_SMALL_BYTES", small)
    request = read(body({"shape": shape, "data": data}))
    assert request.values.shape == tuple(shape)
    assert request.values.reshape(-1).tolist() == np.ravel(data).tolist()
    assert request.is_flat == is_flat


def test_the_sigmoid_takes_any_shape() -> None:
    for shape, data in (([], 0.5), ([], [0.5]), ([1, 1, 1], [[[0.5]]]), ([0], [])):
        text = body({"shape": shape, "data": data})
        request = read(text, None, ELEMENTWISE)
        assert request.values.shape == tuple(shape)
        assert request.outputs == (RequestedOutput("outputs", False, 0),)


def test_outputs_are_those_that_were_asked_for() -> None:
    outputs = [
        {"name": "labels", "parameters": {"binary_data": False}},
        {"name": "logits", "parameters": {"classification": 2, "binary_data": None}},
    ]
    text = body(outputs=outputs, parameters={"binary_data_output": True})
    assert read(text).outputs == (
        RequestedOutput("labels", False, 0),
        RequestedOutput("logits", True, 2),
    )
    text = body(parameters={"binary_data_output": True})
    assert read(text).outputs == tuple(
        RequestedOutput(each, True, 0) for each in OUTPUTS
    )


def test_a_body_without_json() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    request = read(values.tobytes(), 0)
    np.testing.assert_array_equal(request.values, values)
    assert request.outputs == tuple(RequestedOutput(each, True, 0) for each in OUTPUTS)
    assert read(values.tobytes(), 0, ELEMENTWISE).values.shape == (6,)
    for raw in (bytes(13), b""):  # nothing at all is no row by intent
        assert "rows of 3 FP32 values, 12 bytes or a multiple" in refused(raw, 0).detail
        assert "4 bytes or a multiple" in refused(raw, 0, ELEMENTWISE).detail
    assert refused(bytes(12 * 11), 0).code == "too_many_elements"
    assert refused(np.array([np.nan], "<f4").tobytes(), 0, ELEMENTWISE).pointer is None


def test_binary_values_are_not_copied() -> None:
    text, length = binary(np.ones((2, 3), "<f4"))
    for request in (read_quickly(text, length, MODEL), read(text, length)):
        assert request is not None
        assert np.shares_memory(request.values, np.frombuffer(text, np.uint8))


@pytest.mark.parametrize(
    ("header", "length"), [(None, None), (b"0", 0), (b"134", 134), (b" 7 ", 7)]
)
def test_the_header_of_the_length(header: bytes | None, length: int | None) -> None:
    assert json_bytes(header) == length


@pytest.mark.parametrize(
    "header", [b"", b"x", b"-1", b"1.0", b"+1", b"\xb2", b"1, 1", b"9" * 5000]
)
def test_a_header_that_is_no_length(header: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        json_bytes(header)
    assert caught.value.code == "malformed_request"
    assert len(caught.value.detail) < 300
