"""Answers to infer, read by a reader of the specification: bits, order, lengths."""

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName, round_to
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.protocols.open_inference.answering import Output, write_infer
from sigmoid_serve.http.protocols.open_inference.forms import RequestedOutput
from sigmoid_serve.inference.request import InferenceResponse
from sigmoid_serve.json.text import no_check
from sigmoid_serve.payload import json_answer

# Formats of `struct`; `e` is the float of 16 bits.
FORMATS = {"FP16": "e", "FP32": "f", "FP64": "d", "INT64": "q", "BOOL": "?"}
DTYPES: dict[str, DtypeName] = {
    "FP16": "float16",
    "BF16": "bfloat16",
    "FP32": "float32",
    "FP64": "float64",
}
DATATYPES = [*DTYPES, "INT64", "BOOL", "BYTES"]

SHAPES: list[tuple[int, ...]] = [
    (),
    (1,),
    (3,),
    (0,),
    (0, 3),
    (1, 3),
    (2, 3, 4),
    (1,) * 32,
    (40_000,),
]


def strings(data: bytes) -> list[str]:
    texts, start = [], 0
    while start < len(data):
        (length,) = struct.unpack_from("<I", data, start)
        start += 4 + length
        texts.append(data[start - length : start].decode())
    assert start == len(data)
    return texts


def unpacked(data: bytes, datatype: str) -> list[Any]:
    if datatype == "BYTES":
        return strings(data)
    if datatype == "BF16":
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        return [struct.unpack("<f", struct.pack("<I", h << 16))[0] for h in halves]
    size = struct.calcsize(FORMATS[datatype])
    return list(struct.unpack(f"<{len(data) // size}{FORMATS[datatype]}", data))


def read(response: InferenceResponse) -> dict[str, Any]:
    """Read an answer as the binary tensor extension says; `values` are flat lists."""
    body = b"".join(response.pieces)
    headers = dict(response.headers)
    length = headers.pop(b"inference-header-content-length", None)
    assert not headers
    start = len(body) if length is None else int(length)
    document: dict[str, Any] = json.loads(body[:start])
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        assert ("data" in output) == (size is None)
        output["values"] = output.get("data")
        if size is not None:
            assert len(body) >= start + size
            output["values"] = unpacked(body[start : start + size], output["datatype"])
            start += size
    assert start == len(body)
    is_binary = any("parameters" in output for output in document["outputs"])
    assert is_binary == (length is not None)
    kind = "application/octet-stream" if is_binary else "application/json"
    assert response.media_type == kind
    return document


def made(shape: tuple[int, ...], datatype: str) -> NDArray[Any]:
    random = np.random.default_rng(0)
    if datatype == "BYTES":
        names = np.array(["benign", 'mal"ignant', "ü", "", "日本"], dtype=object)
        return np.asarray(names[random.integers(5, size=shape)], dtype=object)
    if datatype == "INT64":
        return np.asarray(random.integers(-(2**62), 2**62, size=shape))
    if datatype == "BOOL":
        return np.asarray(random.integers(2, size=shape) > 0)
    drawn = np.asarray(random.normal(size=shape))
    return np.asarray(round_to(drawn, DTYPES[datatype]))


def asked(name: str, *, is_binary: bool, classes: int = 0) -> RequestedOutput:
    return RequestedOutput(name, is_binary, classes)


def answered(
    *outputs: Output, id: str = "", most_bytes: int = 2**30
) -> InferenceResponse:
    return write_infer("iris", "7", id, outputs, most_bytes, no_check)


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape)[:20])
def test_values_come_back(
    shape: tuple[int, ...], datatype: str, is_binary: bool
) -> None:
    values = made(shape, datatype)
    request = asked("outputs", is_binary=is_binary)
    response = answered(Output(request, values, datatype))
    (found,) = read(response)["outputs"]
    assert (found["name"], found["datatype"]) == ("outputs", datatype)
    assert tuple(found["shape"]) == shape
    assert len(found["values"]) == math.prod(shape)
    back: Any = np.array(found["values"], dtype=object)
    if datatype in DTYPES:
        back = round_to(back.astype(np.float64), DTYPES[datatype])
        assert np.array_equal(np.signbit(back), np.signbit(values.ravel()))
    assert np.array_equal(back, values.ravel())


@pytest.mark.parametrize("datatype", DATATYPES)
def test_types_of_json(datatype: str) -> None:
    types = {"INT64": int, "BOOL": bool, "BYTES": str}
    response = answered(
        Output(asked("x", is_binary=False), made((5,), datatype), datatype)
    )
    data = read(response)["outputs"][0]["data"]
    assert {type(value) for value in data} == {types.get(datatype, float)}


@pytest.mark.parametrize(
    "values",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(12, dtype=np.float32)[::-2],
        np.arange(12, dtype=">f4").reshape(3, 4),
    ],
    ids=["turned", "strided", "big-endian"],
)
@pytest.mark.parametrize("datatype", ["FP32", "BF16"])
def test_binary_is_little_endian_and_in_c_order(
    values: NDArray[Any], datatype: str
) -> None:
    response = answered(Output(asked("x", is_binary=True), values, datatype))
    (output,) = read(response)["outputs"]
    assert output["values"] == values.ravel().tolist()


def test_mixed_outputs_in_the_order_asked() -> None:
    likely, labels = made((2, 3), "FP32"), made((2,), "BYTES")
    outputs = [
        Output(asked("labels", is_binary=True), labels, "BYTES"),
        Output(asked("logits", is_binary=False), likely, "FP32"),
        Output(asked("probabilities", is_binary=True), likely, "FP32"),
    ]
    response = answered(*outputs, id="r-1")
    document = read(response)
    assert {key: document[key] for key in document if key != "outputs"} == {
        "model_name": "iris",
        "model_version": "7",
        "id": "r-1",
    }
    found = document["outputs"]
    assert [out["name"] for out in found] == ["labels", "logits", "probabilities"]
    assert found[0]["values"] == labels.tolist()
    assert np.array_equal(np.array(found[1]["data"], np.float32), likely.ravel())
    assert np.array_equal(np.array(found[2]["values"], np.float32), likely.ravel())


def test_binary_outputs_are_not_copied() -> None:
    values = made((1000, 100), "FP32")
    response = answered(Output(asked("x", is_binary=True), values, "FP32"))
    _, memory = response.pieces
    assert np.shares_memory(np.frombuffer(memory, np.uint8), values)
    assert len(memory) == values.nbytes


@pytest.mark.parametrize("id", ["", "a", 'q"\\\n', "ü日本😀", "x" * 4096])
def test_ids_come_back_or_stay_absent(id: str) -> None:
    output = Output(asked("x", is_binary=False), made((3,), "FP32"), "FP32")
    document = read(answered(output, id=id))
    assert document.get("id", "") == id
    assert ("id" in document) == bool(id)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_short_and_long_answers_are_the_same_text(
    monkeypatch: pytest.MonkeyPatch, datatype: str
) -> None:
    outputs: Sequence[Output] = [
        Output(asked(name, is_binary=False), made((4, 5), datatype), datatype)
        for name in ("a", "b")
    ]
    short = answered(*outputs, id="r")
    assert len(short.pieces) == 1
    for chunk in (1, 7, 2**15):
        monkeypatch.setattr(json_answer, "CHUNK_PARTS", chunk)
        # So few bytes are allowed that they are counted.
        long = answered(*outputs, id="r", most_bytes=2**20)
        assert len(long.pieces) > 1
        assert b"".join(long.pieces) == short.pieces[0]


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_a_long_answer_asks_again_and_again(datatype: str) -> None:
    def calls(elements: int, is_binary: bool) -> int:
        found = []
        request = asked("x", is_binary=is_binary)
        outputs = [Output(request, made((elements,), datatype), datatype)]
        write_infer("iris", "1", "", outputs, 2**30, lambda: found.append(1))
        return len(found)

    assert calls(2**18, is_binary=False) > calls(2**16, is_binary=False) > 2
    if datatype == "BYTES":
        assert calls(2**18, is_binary=True) == 8


@pytest.mark.parametrize("binary", [0, 1, 2], ids=["json", "mixed", "binary"])
def test_no_answer_is_longer_than_allowed(binary: int) -> None:
    values = made((1000,), "FP32")
    outputs = [
        Output(asked(name, is_binary=position < binary), values, "FP32")
        for position, name in enumerate(("a", "b"))
    ]
    length = sum(map(len, answered(*outputs).pieces))
    assert sum(map(len, answered(*outputs, most_bytes=length).pieces)) == length
    hint = "fewer outputs" if binary else "binary_data_output"
    with pytest.raises(ServiceError, match=hint) as refused:
        answered(*outputs, most_bytes=length - 1)
    assert refused.value.code == "too_many_elements"
    assert "SIGMOID_MAX_ANSWER_BYTES" in refused.value.detail
    assert "npy" not in refused.value.detail


def test_what_is_surely_too_long_is_refused_before_it_is_made() -> None:
    def never() -> None:
        pytest.fail("it was begun")

    values = np.broadcast_to(np.float16(0.5), (2**20,))
    outputs = [Output(asked("x", is_binary=False), values, "FP16")]
    with pytest.raises(ServiceError, match="binary_data_output"):
        write_infer("iris", "1", "", outputs, 2**20, never)


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "binary"])
def test_classes_instead_of_values(is_binary: bool) -> None:
    values = np.array([[0.25, 0.5, 0.125], [0.5, 0.5, 1]], np.float32)
    request = asked("probabilities", is_binary=is_binary, classes=2)
    output = Output(request, values, "FP32", ["a", "b", "c"])
    (found,) = read(answered(output))["outputs"]
    assert (found["datatype"], found["shape"]) == ("BYTES", [2, 2])
    assert found["values"] == [
        "0.500000:1:b",
        "0.250000:0:a",
        "1.000000:2:c",
        "0.500000:0:a",
    ]


def test_what_cannot_be_classified_is_pointed_at() -> None:
    values, labels = made((2, 3), "FP32"), made((2,), "INT64")
    with pytest.raises(ServiceError, match="/outputs/1/parameters/classification"):
        answered(
            Output(asked("logits", is_binary=False), values, "FP32"),
            Output(RequestedOutput("labels", False, 2), labels, "INT64"),
        )


@pytest.mark.parametrize(("model", "features"), [("breast-cancer", 30), ("digits", 64)])
def test_what_a_model_says_is_the_same_in_every_form(
    client: httpx.Client, model: str, features: int
) -> None:
    """JSON, binary and classes over the wire, against the native route."""
    rows = np.random.default_rng(0).normal(size=(3, features)).astype(np.float32)
    native = client.post(f"/models/{model}/predict", json={"inputs": rows.tolist()})
    want = native.json()
    inputs = [
        {
            "name": "inputs",
            "shape": rows.shape,
            "datatype": "FP32",
            "data": rows.ravel().tolist(),
        }
    ]
    for parameters in ({}, {"binary_data_output": True}):
        answer = client.post(
            f"/v2/models/{model}/infer",
            json={"inputs": inputs, "parameters": parameters},
        )
        document = read(received(answer))
        assert len(document["outputs"]) == 3
        for output in document["outputs"]:
            found = np.array(output["values"]).reshape(output["shape"])
            exact = np.array(want[output["name"]])
            if output["datatype"] == "FP32":
                found, exact = found.astype(np.float32), exact.astype(np.float32)
            assert np.array_equal(found, exact)
    classes = {"name": "probabilities", "parameters": {"classification": 1}}
    answer = client.post(
        f"/v2/models/{model}/infer", json={"inputs": inputs, "outputs": [classes]}
    )
    (output,) = read(received(answer))["outputs"]
    likely = want["probabilities"]
    best = [row.index(max(row)) for row in likely]
    assert output["values"] == [
        f"{np.float32(row[index]):.6f}:{index}:{want['classes'][index]}"
        for row, index in zip(likely, best, strict=True)
    ]


def received(answer: httpx.Response) -> InferenceResponse:
    assert answer.status_code == 200
    name = "inference-header-content-length"
    length = answer.headers.get(name)
    lines = () if length is None else ((name.encode(), length.encode()),)
    return InferenceResponse([answer.content], answer.headers["content-type"], lines)
