"""What Triton's client can ask for beside the numbers: outputs, ids, compression."""

import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferRequestedOutput

from sigmoid_serve.configuration.settings import Settings
from tests.clients.triton import (
    KINDS,
    OUTPUTS,
    asked,
    drawn,
    names,
    natively,
    opened,
    same_bits,
    tensor,
    texts,
)
from tests.conftest import serve


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


@pytest.mark.parametrize("back", [None, "gzip", "deflate"], ids=str)
@pytest.mark.parametrize("there", [None, "gzip", "deflate"], ids=str)
def test_compression(triton: Any, there: str | None, back: str | None) -> None:
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


# The client for asyncio gives aiohttp the bytes as they are.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
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
