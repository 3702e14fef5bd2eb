"""What is wrong with an inference request, and where."""

import json
import math

import numpy as np
import pytest

from sigmoid_serve.http.protocols.open_inference import reading
from tests.http.protocols.bodies import (
    INPUT,
    binary,
    body,
    read,
    refused,
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
