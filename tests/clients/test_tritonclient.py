"""Triton's client for Python, unmodified, asks a real server; both kinds of it.

What it gets are the bits that the service's own API answers.
"""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.clients.triton import (
    DATATYPES,
    FEATURES,
    OUTPUTS,
    asked,
    drawn,
    names,
    natively,
    same_bits,
    tensor,
    texts,
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
