"""Inference requests of the protocol: what they say, or what is wrong with them."""

import gc
import json
import math
import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.protocols.open_inference import reading
from sigmoid_serve.http.protocols.open_inference.datatypes import DATATYPES
from sigmoid_serve.http.protocols.open_inference.forms import RequestedOutput
from sigmoid_serve.http.protocols.open_inference.reading import (
    InferRequest,
    json_bytes,
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


LARGEST = 2**63 - 1
FAULTS: dict[str, tuple[bytes, str, str | None]] = {
    "no inputs": (b"{}", "missing_field", ""),
    "null inputs": (b'{"inputs": null}', "malformed_request", "/inputs"),
    "no input": (b'{"inputs": []}', "malformed_request", "/inputs"),
    "an input that is none": (b'{"inputs": [1]}', "malformed_request", "/inputs/0"),
    "two inputs": (
        json.dumps({"inputs": [{**INPUT, "data": [1, 2, 3]}] * 2}).encode(),
        "malformed_request",
        "/inputs",
    ),
    "no name": (b'{"inputs": [{}]}', "missing_field", "/inputs/0"),
    "other name": (body({"name": "x"}), "unknown_field", "/inputs/0/name"),
    "shape of text": (body({"shape": "x"}), "malformed_request", "/inputs/0/shape"),
    "null shape": (body({"shape": None}), "malformed_request", "/inputs/0/shape"),
    "negative": (body({"shape": [1, -3]}), "malformed_request", "/inputs/0/shape/1"),
    "fraction": (body({"shape": [1, 3.0]}), "malformed_request", "/inputs/0/shape/1"),
    "boolean": (body({"shape": [True]}), "malformed_request", "/inputs/0/shape/0"),
    "2 ** 63": (body({"shape": [2**63]}), "malformed_request", "/inputs/0/shape/0"),
    "10 ** 30": (body({"shape": [10**30]}), "malformed_request", "/inputs/0/shape/0"),
    "huge": (body({"shape": [LARGEST] * 3}), "features", "/inputs/0/shape/2"),
    "huge rows": (
        body({"shape": [LARGEST, LARGEST, 3]}),
        "too_many_elements",
        "/inputs/0/shape",
    ),
    "empty and huge": (
        body({"shape": [0, 10**18, 3]}),
        "too_many_elements",
        "/inputs/0/shape",
    ),
    "features": (body({"shape": [3, 1]}), "features", "/inputs/0/shape/1"),
    "no dimension": (body({"shape": []}), "rank", "/inputs/0/shape"),
    "dimensions": (body({"shape": [1] * 40 + [3]}), "rank", "/inputs/0/shape"),
    "rows": (body({"shape": [11, 3]}), "too_many_elements", "/inputs/0/shape"),
    "lower case": (body({"datatype": "fp32"}), "dtype", "/inputs/0/datatype"),
    "BYTES": (body({"datatype": "BYTES"}), "dtype", "/inputs/0/datatype"),
    "BOOL": (body({"datatype": "BOOL"}), "dtype", "/inputs/0/datatype"),
    "BYTES of another shape": (
        body({"datatype": "BYTES", "shape": [1], "data": ["x"]}),
        "dtype",
        "/inputs/0/datatype",
    ),
    "count": (body({"data": [1, 2]}), "ragged", "/inputs/0/data"),
    "nesting": (body({"data": [[1], [2], [3]]}), "ragged", "/inputs/0/data"),
    "ragged": (
        body({"shape": [2, 3], "data": [[1, 2, 3], [4]]}),
        "ragged",
        "/inputs/0/data/1",
    ),
    "text": (body({"data": [1, 2, "3"]}), "not_a_number", "/inputs/0/data/2"),
    "true": (body({"data": [1, True, 3]}), "not_a_number", "/inputs/0/data/1"),
    "null": (body({"data": [[1, 2, None]]}), "not_a_number", "/inputs/0/data/0/2"),
    "NaN": (body({"data": [1, math.nan, 3]}), "not_a_number", "/inputs/0/data/1"),
    "records": (body({"data": [{"a": 1}]}), "not_a_number", "/inputs/0/data/0"),
    "an object": (body({"data": {"a": 1}}), "not_a_number", "/inputs/0/data"),
    "no data": (body({"data": None}), "missing_field", "/inputs/0"),
    "FP16 overflow": (
        body({"datatype": "FP16", "data": [1, 2, 65520]}),
        "overflow",
        "/inputs/0/data/2",
    ),
    "BF16 overflow": (
        body({"datatype": "BF16", "data": [1, 3.4e38, 1]}),
        "overflow",
        "/inputs/0/data/1",
    ),
    "FP32 overflow": (body({"data": [3.5e38, 1, 1]}), "overflow", "/inputs/0/data/0"),
    "INT8 overflow": (
        body({"datatype": "INT8", "data": [[1, 2, 128]]}),
        "overflow",
        "/inputs/0/data/0/2",
    ),
    "UINT16 fraction": (
        body({"datatype": "UINT16", "data": [1, 2.5, 3]}),
        "not_a_number",
        "/inputs/0/data/1",
    ),
    "id": (body(id=5), "malformed_request", "/id"),
    "long id": (body(id="é" * 4097), "malformed_request", "/id"),
    "parameters": (body(parameters=[]), "malformed_request", "/parameters"),
    "nested parameter": (
        body(parameters={"a/b": [1]}),
        "malformed_request",
        "/parameters/a~1b",
    ),
    "timeout": (
        body(parameters={"timeout": -1}),
        "malformed_request",
        "/parameters/timeout",
    ),
    "timeout of text": (
        body(parameters={"timeout": "100"}),
        "malformed_request",
        "/parameters/timeout",
    ),
    "timeout with a fraction": (
        body(parameters={"timeout": 1.5}),
        "malformed_request",
        "/parameters/timeout",
    ),
    "binary_data_output": (
        body(parameters={"binary_data_output": 1}),
        "malformed_request",
        "/parameters/binary_data_output",
    ),
    "sequence": (
        body(parameters={"sequence_id": "a" * 100}),
        "malformed_request",
        "/parameters/sequence_id",
    ),
    "sequence start": (
        body(parameters={"sequence_start": True}),
        "malformed_request",
        "/parameters/sequence_start",
    ),
    "Triton's own": (
        body(parameters={"triton_enable": 1}),
        "malformed_request",
        "/parameters/triton_enable",
    ),
    "shared memory": (
        body({"data": None, "parameters": {"shared_memory_region": "x"}}),
        "malformed_request",
        "/inputs/0/parameters/shared_memory_region",
    ),
    "shared memory for an output": (
        body(outputs=[{"name": "logits", "parameters": {"shared_memory_region": "x"}}]),
        "malformed_request",
        "/outputs/0/parameters/shared_memory_region",
    ),
    "outputs": (body(outputs={}), "malformed_request", "/outputs"),
    "unknown output": (
        body(outputs=[{"name": "labels"}, {"name": "x"}]),
        "unknown_field",
        "/outputs/1/name",
    ),
    "doubled output": (
        body(outputs=[{"name": "labels"}, {"name": "labels"}]),
        "unknown_field",
        "/outputs/1/name",
    ),
    "output without a name": (body(outputs=[{}]), "missing_field", "/outputs/0"),
    "classification": (
        body(outputs=[{"name": "labels", "parameters": {"classification": 0}}]),
        "malformed_request",
        "/outputs/0/parameters/classification",
    ),
    "binary_data": (
        body(outputs=[{"name": "labels", "parameters": {"binary_data": "yes"}}]),
        "malformed_request",
        "/outputs/0/parameters/binary_data",
    ),
    "size and data": (
        body({"parameters": {"binary_data_size": 12}}),
        "malformed_request",
        "/inputs/0/data",
    ),
    "wrong size": (
        body({"data": None, "parameters": {"binary_data_size": 11}}),
        "malformed_request",
        "/inputs/0/parameters/binary_data_size",
    ),
    "size of text": (
        body({"data": None, "parameters": {"binary_data_size": "12"}}),
        "malformed_request",
        "/inputs/0/parameters/binary_data_size",
    ),
    "twice": (b'{"id": "a", "id": "b"}', "malformed_json", None),
    "twice in an input": (
        b'{"inputs": [{"name": "inputs", "name": "inputs"}]}',
        "malformed_json",
        None,
    ),
    "half a pair": (b'{"id": "\\ud800", "inputs": []}', "malformed_json", None),
    "a list": (b"[]", "malformed_json", None),
    "no JSON": (b'{"inputs": [', "malformed_json", None),
    "nothing": (b"", "malformed_json", None),
}


@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_told(
    name: str, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_SMALL_BYTES", small)
    text, code, pointer = FAULTS[name]
    error = refused(text)
    assert (error.code, error.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("first", "second", "pointer"),
    [
        ('"outputs": [{"name": "x"}]', '"id": 5', "/outputs/0/name"),
        ('"id": 5', '"outputs": [{"name": "x"}]', "/id"),
        ('"parameters": {"timeout": ""}', '"inputs": []', "/parameters/timeout"),
        ('"inputs": [{"data": ["x"], "shape": "x"}]', '"id": 5', "/inputs/0/data/0"),
        ('"inputs": [{"shape": ["x"], "data": "x"}]', '"id": 5', "/inputs/0/shape/0"),
        ('"inputs": [{"name": "inputs"}]', '"id": 5', "/inputs/0"),
    ],
)
def test_the_first_fault_in_document_order(
    first: str, second: str, pointer: str
) -> None:
    assert refused(f"{{{first}, {second}}}".encode()).pointer == pointer


def test_framing() -> None:
    text, length = binary(np.ones((2, 3), "<f4"))
    told = refused(text, length + 25)
    assert told.detail == (
        "expected Inference-Header-Content-Length to be at most the length of the "
        f"body, {len(text)}, got {length + 25}"
    )
    assert (
        "got 20 (Inference-Header-Content-Length is"
        in refused(text[:-4], length).detail
    )
    assert "got 25 (" in refused(text + b"x", length).detail
    assert "without Inference-Header" in refused(text[:length]).detail
    assert "Inference-Header-Content-Length is its length" in refused(text).detail
    plain_body = body()
    assert (
        "no bytes after the JSON" in refused(plain_body + b"x", len(plain_body)).detail
    )
    assert read(plain_body, len(plain_body)).is_json
    for bad in (math.nan, math.inf):
        values = np.array([[1, 2, 3], [4, bad, 6]], "<f4")
        told = refused(*binary(values))
        assert (told.code, told.pointer) == ("not_a_number", "/inputs/0")
        assert told.detail.endswith("index [1, 1]")


def test_a_body_without_json() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    request = read(values.tobytes(), 0)
    np.testing.assert_array_equal(request.values, values)
    assert request.outputs == tuple(RequestedOutput(each, True, 0) for each in OUTPUTS)
    assert read(values.tobytes(), 0, ELEMENTWISE).values.shape == (6,)
    for body in (bytes(13), b""):  # nothing at all is no row by intent
        assert (
            "rows of 3 FP32 values, 12 bytes or a multiple" in refused(body, 0).detail
        )
        assert "4 bytes or a multiple" in refused(body, 0, ELEMENTWISE).detail
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


NUMBER = st.sampled_from(["0", "1", "-2.5", "1e3", "3.0000000000000001", "7e-5", "300"])
ODD = st.sampled_from(
    ["true", "null", "NaN", '"1"', "1e999", "[]", "{}", "9" * 30, '"[1]"', '"data"']
)
ROW = st.lists(NUMBER, min_size=3, max_size=3).map(lambda x: f"[{', '.join(x)}]")
ROWS = st.lists(ROW, max_size=3).map(lambda x: f"[{','.join(x)}]")
LIST = st.lists(st.one_of(NUMBER, NUMBER, ODD), max_size=4).map(
    lambda x: f"[{','.join(x)}]"
)
SHAPE = st.sampled_from(["[3]", "[1, 3]", "[2,3]", "[0,3]", "[1.0,3]", "[-1,3]", "3"])
DATATYPE = st.sampled_from(['"FP32"'] * 3 + ['"FP64"', '"BF16"', '"INT8"', '"BOOL"'])
VALUES = {
    "name": st.sampled_from(['"inputs"'] * 5 + ['"x"', "null"]),
    "shape": SHAPE,
    "datatype": DATATYPE,
    "data": st.one_of(ROW, ROW, ROWS, LIST, ODD),
    "parameters": st.sampled_from(
        ["{}", "null", '{"data": [1]}', '{"a": 1}', '{"binary_data_size": 12}']
    ),
    "more": st.one_of(ODD, st.just('{"data": [1, 2, 3]}')),
}


def joined(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"


def members(names: st.SearchStrategy[list[str]], values: dict[str, Any]) -> Any:
    return names.flatmap(
        lambda some: st.tuples(*(values[name] for name in some)).map(
            lambda found: joined(zip(some, found, strict=True))
        )
    )


NEEDED = ["name", "shape", "datatype", "data"]
TENSOR = members(
    st.one_of(
        st.permutations(NEEDED),
        st.permutations(NEEDED).map(list),
        st.lists(st.sampled_from(list(VALUES)), max_size=6),
        st.permutations(list(VALUES)),
    ),
    VALUES,
)
FIELDS = {
    "inputs": st.one_of(TENSOR, TENSOR, TENSOR, ODD).map(lambda x: f"[{x}]"),
    "id": st.sampled_from(['"a"', '""', "5", '"\\"data\\": [1]"', '"}"']),
    "outputs": st.sampled_from(
        ["[]", "null", '[{"name": "labels"}]', '[{"name": "x"}]', '[{"data": [1]}]']
    ),
    "parameters": st.sampled_from(
        ["{}", '{"timeout": 5}', '{"timeout": 5.0}', '{"binary_data_output": true}']
    ),
    "data": LIST,
}
BODY = members(
    st.one_of(
        st.just(["inputs"]),
        st.permutations(["inputs", "id", "outputs", "parameters"]),
        st.lists(st.sampled_from(list(FIELDS)), max_size=5),
    ),
    FIELDS,
)


@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
def test_what_is_read_quickly_is_read_so_strictly(
    small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = quick = 0

    @settings(
        max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(BODY)
    def agree(text: str) -> None:
        nonlocal accepted, quick
        content = text.encode()
        strict = None
        with suppress(ServiceError):
            strict = plain(read_strictly(content, None, MODEL, no_check))
        with monkeypatch.context() as patch:
            patch.setattr(reading, "_SMALL_BYTES", small)
            found = read_quickly(content, None, MODEL)
        assert found is None or plain(found) == strict
        accepted += strict is not None
        quick += found is not None

    agree()
    assert accepted > 20
    assert quick > accepted // 2


HOSTILE = {
    "brackets": (b'{"inputs": [{"data": ', b"[", b""),
    "closed brackets": (b'{"inputs": [{"data": [', b"[],", b"[]]}]}"),
    "sizes": (b'{"inputs": [{"shape": [', b"1,", b"1]}]}"),
    "inputs": (b'{"inputs": [', b"{},", b"{}]}"),
    "outputs": (b'{"outputs": [', b"{},", b"{}]}"),
    "parameters": (b'{"parameters": {"a": [', b"[],", b"[]]}}"),
    "id": (b'{"id": "', b"x", b'"}'),
    "escapes": (b'{"id": "', b"\\u0041", b'"}'),
    "digits": (b'{"inputs": [{"shape": [', b"9", b"]}]}"),
    "what is not known": (b'{"more": [', b'{"data":[1]},', b"1]}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_little_memory(name: str) -> None:
    start, part, end = HOSTILE[name]
    text = start + part * (2**19 // len(part)) + end
    tracemalloc.start()
    try:
        refused(text, None, ELEMENTWISE)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Less than three copies, and what the outline may hold.
    assert most < 3 * len(text) + 2**22


@pytest.mark.parametrize("end", ["true", "[]", "NaN"])
def test_nothing_is_kept_of_what_was_refused(end: str) -> None:
    """Not even what only the garbage collector could free: it may be long in coming."""
    tensor = {"shape": [50_001], "data": 0}
    data = f"[{'0.25, ' * 50_000}{end}]"
    text = body(tensor).replace(b'"data": 0', b'"data": ' + data.encode())
    expected = ELEMENTWISE._replace(max_elements=10**6)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for round_ in range(6):
            assert read_quickly(text, None, expected) is None
            with pytest.raises(ServiceError):
                read_strictly(text, None, expected, no_check)
            if round_ == 1:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < len(text)
