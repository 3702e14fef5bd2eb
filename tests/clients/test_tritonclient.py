"""Triton's client for Python, unmodified, asks a real server; both kinds of it.

What it gets are the bits that the service's own API answers.
"""

import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferRequestedOutput, InferResult

from sigmoid_serve.configuration.settings import Settings
from tests.clients.triton import (
    DATATYPES,
    FEATURES,
    KINDS,
    asked,
    drawn,
    natively,
    opened,
    tensor,
    texts,
)
from tests.conftest import serve

OUTPUTS = ["probabilities", "logits", "labels"]


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serve(Settings()) as client:
        yield client


@pytest.fixture(scope="module", params=KINDS)
def triton(server: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Any]:
    with opened(request.param, server.base_url) as client:
        yield client


def names(result: InferResult) -> list[str]:
    return [output["name"] for output in result.get_response()["outputs"]]


def same_bits(got: NDArray[Any], wanted: NDArray[Any]) -> bool:
    return (got.dtype, got.shape, got.tobytes()) == (
        *(wanted.dtype, wanted.shape),
        wanted.tobytes(),
    )


def test_the_server_is_live_and_ready(triton: Any) -> None:
    assert triton.is_server_live() is True
    assert triton.is_server_ready() is True
    for model in (*FEATURES, "sigmoid"):
        assert triton.is_model_ready(model) is True
        assert triton.is_model_ready(model, "1") is True
        assert triton.is_model_ready(model, "2") is False
    assert triton.is_model_ready("none") is False


def test_metadata(server: httpx.Client, triton: Any) -> None:
    document = server.get("/openapi.json").json()
    metadata = triton.get_server_metadata()
    assert metadata["name"] == "sigmoid-serve"
    assert metadata["version"] == document["info"]["version"]
    assert set(metadata["extensions"]) == {
        *("binary_tensor_data", "classification", "model_configuration"),
        *("model_repository", "parameters", "statistics"),
    }


@pytest.mark.parametrize("model", FEATURES)
def test_metadata_of_models(server: httpx.Client, triton: Any, model: str) -> None:
    card = server.get(f"/models/{model}").json()
    metadata = triton.get_model_metadata(model)
    assert metadata == triton.get_model_metadata(model, "1")
    assert (metadata["name"], metadata["versions"]) == (model, ["1"])
    assert metadata["inputs"] == [
        {"name": "inputs", "datatype": "FP32", "shape": [-1, FEATURES[model]]}
    ]
    assert [(o["name"], o["datatype"]) for o in metadata["outputs"]] == [
        *(("probabilities", "FP32"), ("logits", "FP32"), ("labels", "BYTES"))
    ]
    assert metadata["properties"]["sha256"] == card["sha256"]
    assert metadata["properties"]["task"] == card["task"]


def test_metadata_of_the_sigmoid(triton: Any) -> None:
    metadata = triton.get_model_metadata("sigmoid")
    one = {"datatype": "FP32", "shape": [-1]}
    assert metadata["inputs"] == [{"name": "inputs", **one}]
    assert metadata["outputs"] == [{"name": "outputs", **one}]
    assert metadata["versions"] == ["1"]


@pytest.mark.parametrize("model", [*FEATURES, "sigmoid"])
def test_configuration(triton: Any, model: str) -> None:
    config = triton.get_model_config(model)
    assert config == triton.get_model_config(model, "1")
    assert config["name"] == model
    (taken,) = config["input"]
    assert (taken["name"], taken["data_type"]) == ("inputs", "TYPE_FP32")
    assert taken["dims"] == [FEATURES.get(model, -1)]
    metadata = triton.get_model_metadata(model)
    assert [o["name"] for o in config["output"]] == [
        output["name"] for output in metadata["outputs"]
    ]


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("model", FEATURES)
def test_predictions(
    server: httpx.Client, triton: Any, model: str, datatype: str
) -> None:
    values = drawn((3, FEATURES[model]), datatype)
    exact = values.astype(np.float64)  # as all these numbers are in it
    path = f"/models/{model}/predict"
    likely = natively(server, path, exact)
    logits = natively(server, f"{path}?output=logits", exact)
    labels = server.post(path, json={"inputs": exact.tolist()}).json()["labels"]
    # The client itself sends BF16 only as bytes.
    for is_binary in (True, False)[: 1 if datatype == "BF16" else 2]:
        for outputs in (None, asked(*OUTPUTS), asked(*OUTPUTS, is_binary=False)):
            inputs = [tensor(values, is_binary=is_binary)]
            result = triton.infer(model, inputs, outputs=outputs)
            assert names(result) == OUTPUTS
            assert same_bits(result.as_numpy("probabilities"), likely)
            assert same_bits(result.as_numpy("logits"), logits)
            assert texts(result.as_numpy("labels")) == labels


@pytest.mark.parametrize("datatype", DATATYPES)
def test_the_sigmoid(server: httpx.Client, triton: Any, datatype: str) -> None:
    values = drawn((2, 3), datatype)
    floats = {"FP16": "float16", "BF16": "bfloat16", "FP64": "float64"}
    body = {
        "inputs": values.astype(np.float64).tolist(),
        "dtype": floats.get(datatype, "float32"),
    }
    response = server.post("/sigmoid", json=body)
    dtype = values.dtype if datatype in (*floats, "FP32") else np.dtype(np.float32)
    wanted = np.array(response.json()["outputs"]).astype(dtype)
    for is_binary in (True, False)[: 1 if datatype == "BF16" else 2]:
        for outputs in (None, asked("outputs"), asked("outputs", is_binary=False)):
            inputs = [tensor(values, is_binary=is_binary)]
            result = triton.infer("sigmoid", inputs, outputs=outputs)
            assert same_bits(result.as_numpy("outputs"), wanted)


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("lead", [(), (1,), (0,), (2, 0), (2, 2)], ids=str)
def test_shapes_of_rows(triton: Any, lead: tuple[int, ...], is_binary: bool) -> None:
    inputs = [tensor(drawn((*lead, 64), "FP32"), is_binary=is_binary)]
    result = triton.infer("digits", inputs, outputs=asked(*OUTPUTS))
    assert result.as_numpy("probabilities").shape == (*lead, 10)
    assert result.as_numpy("logits").shape == (*lead, 10)
    assert result.as_numpy("labels").shape == lead


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (0, 30), (2, 1, 3)], ids=str)
def test_shapes_of_the_sigmoid(
    server: httpx.Client, triton: Any, shape: tuple[int, ...], is_binary: bool
) -> None:
    values = np.asarray(drawn(shape, "FP64"))
    result = triton.infer("sigmoid", [tensor(values, is_binary=is_binary)])
    assert same_bits(result.as_numpy("outputs"), natively(server, "/sigmoid", values))


@pytest.mark.parametrize("model", FEATURES)
def test_no_rows(triton: Any, model: str) -> None:
    values = np.empty((0, FEATURES[model]), np.float32)
    for is_binary in (True, False):
        outputs = asked(*OUTPUTS, is_binary=is_binary)
        result = triton.infer(model, [tensor(values)], outputs=outputs)
        assert result.as_numpy("probabilities").shape[0] == 0
        assert result.as_numpy("labels").shape == (0,)


def test_outputs_come_in_the_order_asked(triton: Any) -> None:
    inputs = [tensor(drawn((2, 30), "FP32"))]
    first = triton.infer("breast-cancer", inputs)
    for order in (["logits"], ["labels", "probabilities"], OUTPUTS[::-1]):
        mixed = [
            InferRequestedOutput(name, binary_data=name != "logits") for name in order
        ]
        result = triton.infer("breast-cancer", inputs, outputs=mixed)
        assert names(result) == order
        for name in order:
            output = result.get_output(name)
            assert ("data" in output) == (name == "logits")
            assert texts(result.as_numpy(name)) == texts(first.as_numpy(name))
        assert result.as_numpy("none") is None


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "json"])
def test_the_likeliest_classes(triton: Any, is_binary: bool) -> None:
    inputs = [tensor(drawn((2, 64), "FP32"))]
    likely = triton.infer("digits", inputs).as_numpy("probabilities")
    for count in (1, 3, 99):
        output = InferRequestedOutput("probabilities", is_binary, class_count=count)
        result = triton.infer("digits", inputs, outputs=[output])
        found = result.as_numpy("probabilities")
        assert found.shape == (2, min(count, 10))
        order = np.argsort(-likely, axis=-1, kind="stable")[:, :count]
        assert texts(found) == [
            f"{row[index]:.6f}:{index}:{index}"
            for row, indices in zip(likely, order, strict=True)
            for index in indices
        ]


def test_ids_and_parameters(triton: Any) -> None:
    inputs = [tensor(drawn((1, 30), "FP32"))]
    for version, identity in (("", "r-7"), ("1", 'é "\\')):
        result = triton.infer(
            "breast-cancer",
            inputs,
            model_version=version,
            request_id=identity,
            priority=1,
            timeout=10_000_000,
            parameters={"note": "x", "number": 0.5, "flag": True},
        )
        answer = result.get_response()
        assert answer["id"] == identity
        assert (answer["model_name"], answer["model_version"]) == ("breast-cancer", "1")
    assert "id" not in triton.infer("breast-cancer", inputs).get_response()


@pytest.mark.parametrize("way", product((None, "gzip", "deflate"), repeat=2), ids=str)
def test_compression(triton: Any, way: tuple[str | None, str | None]) -> None:
    there, back = way
    values = drawn((200, 30), "FP32")
    for is_binary in (True, False):
        inputs = [tensor(values, is_binary=is_binary)]
        outputs = asked("probabilities", is_binary=is_binary)
        plain = triton.infer("breast-cancer", inputs, outputs=outputs)
        result = triton.infer(
            "breast-cancer",
            inputs,
            outputs=outputs,
            request_compression_algorithm=there,
            response_compression_algorithm=back,
        )
        assert same_bits(
            result.as_numpy("probabilities"), plain.as_numpy("probabilities")
        )


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_that_the_client_makes_and_reads(
    server: httpx.Client, encoding: str
) -> None:
    """What another HTTP library sends and gets; and that it was compressed."""
    values = np.ones((1000,), np.float32)
    inputs = [tensor(values)]
    with opened("sync", server.base_url) as client:
        body, size = client.generate_request_body(inputs, asked("outputs"))
        headers = {
            "Inference-Header-Content-Length": str(size),
            "Content-Encoding": "deflate",
            "Accept-Encoding": encoding,
        }
        content = zlib.compress(body)
        path = "/v2/models/sigmoid/infer"
        with server.stream("POST", path, content=content, headers=headers) as response:
            received = b"".join(response.iter_raw())
        assert response.status_code == 200
        assert response.headers["Content-Encoding"] == encoding
        assert len(received) < 1000
        result = client.parse_response_body(
            received,
            header_length=int(response.headers["Inference-Header-Content-Length"]),
            content_encoding=encoding,
        )
        assert same_bits(
            result.as_numpy("outputs"), natively(server, "/sigmoid", values)
        )


def test_several_at_once(server: httpx.Client) -> None:
    values = drawn((8, 64), "FP32")
    wanted = natively(server, "/models/digits/predict", values)
    with opened("sync", server.base_url, concurrency=4) as client:
        requests = [
            client.async_infer("digits", [tensor(row)], request_id=f"r{position}")
            for position, row in enumerate(values)
        ]
        for position, request in enumerate(requests):
            result = request.get_result()
            assert result.get_response()["id"] == f"r{position}"
            assert same_bits(result.as_numpy("probabilities"), wanted[position])


def test_large_tensors(server: httpx.Client, triton: Any) -> None:
    values = drawn((1000, 1000), "FP32")
    result = triton.infer("sigmoid", [tensor(values)])
    assert same_bits(result.as_numpy("outputs"), natively(server, "/sigmoid", values))


@pytest.mark.parametrize("kind", KINDS)
def test_below_a_path(kind: str) -> None:
    values = drawn((2, 30), "FP32")
    with (
        serve(Settings(root_path="/models-api")) as server,
        opened(kind, server.base_url, "/models-api") as client,
    ):
        assert client.is_server_ready() is True
        assert client.get_server_metadata()["name"] == "sigmoid-serve"
        assert client.get_model_metadata("digits")["name"] == "digits"
        assert len(client.get_model_repository_index()) == 3
        result = client.infer("breast-cancer", [tensor(values)])
        wanted = natively(server, "/models-api/models/breast-cancer/predict", values)
        assert same_bits(result.as_numpy("probabilities"), wanted)
