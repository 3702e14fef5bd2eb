"""Shapes, dtypes and numbers over the wire: what goes in right comes out right."""

import io
import json
import math
from typing import Any

import httpx
import numpy as np
import pytest

from sigmoid_models.dtype import DTYPES, round_to
from sigmoid_models.exact_sigmoid import sigmoid64


def post(client: httpx.Client, document: Any, **kwargs: Any) -> Any:
    response = client.post("/sigmoid", json=document, **kwargs)
    assert response.status_code == 200, response.text
    return response.json()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_the_tutorial_example(client: httpx.Client) -> None:
    response = client.post("/sigmoid", json={"inputs": [-1.0, 0.0, 1.0]})
    assert response.text == (
        '{"outputs":[0.26894143,0.5,0.7310586],"shape":[3],"dtype":"float32"}'
    )


def nested(rank: int) -> Any:
    value: Any = 0.25
    for _ in range(rank):
        value = [value]
    return value


SHAPES = [
    (3.0, []),
    ([], [0]),
    ([[], []], [2, 0]),
    ([[[]], [[]]], [2, 1, 0]),
    ([[1, 2, 3], [4, 5, 6]], [2, 3]),
    *[(nested(rank), [1] * rank) for rank in range(2, 33)],
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_shape_is_kept(client: httpx.Client, dtype: str) -> None:
    for inputs, shape in SHAPES:
        answer = post(client, {"inputs": inputs, "dtype": dtype})
        assert answer["shape"] == shape
        assert answer["dtype"] == dtype
        assert np.array(answer["outputs"]).shape == tuple(shape)


def test_a_batch_keeps_its_shapes(client: httpx.Client) -> None:
    answer = post(client, {"batch": [0.0, [1, 2], [[3]], []]})
    assert answer["shapes"] == [[], [2], [1, 1], [0]]
    assert answer["batch"] == [0.5, [0.7310586, 0.8807971], [[0.95257413]], []]
    assert post(client, {"batch": []}) == {
        "batch": [],
        "shapes": [],
        "dtype": "float32",
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_read_back_to_the_exact_values(
    client: httpx.Client, dtype: Any
) -> None:
    values = np.random.default_rng(0).normal(0, 8, 500)
    answer = post(client, {"inputs": values.tolist(), "dtype": dtype})
    exact = round_to(sigmoid64(round_to(values, dtype).astype(np.float64)), dtype)
    got = round_to(np.array(answer["outputs"], dtype=np.float64), dtype)
    assert np.array_equal(got, exact)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0.5),
        ("-0.0", 0.5),
        ("1e-400", 0.5),
        ("0." + "0" * 500 + "1", 0.5),
        ("1" + "0" * 400 + "e-400", 1 / (1 + math.exp(-1))),
        ("1" * 5000 + "e-4999", 1 / (1 + math.exp(-1.1111111111111112))),
        ("123456789012345678901234567890", 1.0),
        ("1E0", 1 / (1 + math.exp(-1))),
    ],
)
def test_numbers_of_any_length(client: httpx.Client, text: str, value: float) -> None:
    body = f'{{"inputs": {text}, "dtype": "float64"}}'
    response = client.post(
        "/sigmoid", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.json()["outputs"] == pytest.approx(value, rel=1e-15)


def test_a_number_is_rounded_once(client: httpx.Client) -> None:
    # Just above the tie between two float16 values, by less than float32 can hold.
    inputs = 1 + 2**-11 + 2**-40
    answer = post(client, {"inputs": inputs, "dtype": "float16"})
    exact = np.float16(sigmoid64(np.array(1 + 2**-10))[()])
    assert answer["outputs"] == 0.7314
    assert np.float16(answer["outputs"]) == exact


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", "<i4", "|u1", ">i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_in_and_out(client: httpx.Client, dtype: str, order: Any) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype).copy(order=order)
    headers = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
    response = client.post("/sigmoid", content=npy(array), headers=headers)
    assert response.headers["content-type"] == "application/x-npy"
    answer = np.load(io.BytesIO(response.content), allow_pickle=False)
    name = "float32" if array.dtype.kind in "iu" else f"float{8 * array.itemsize}"
    assert answer.dtype == name
    assert np.array_equal(answer, sigmoid64(array.astype(np.float64)).astype(name))


@pytest.mark.parametrize("shape", [(), (0,), (0, 30), (2, 0, 3), (1,) * 32])
def test_npy_shapes(client: httpx.Client, shape: tuple[int, ...]) -> None:
    headers = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
    response = client.post("/sigmoid", content=npy(np.zeros(shape)), headers=headers)
    assert np.load(io.BytesIO(response.content)).shape == shape
    headers["Accept"] = "*/*"
    response = client.post("/sigmoid", content=npy(np.zeros(shape)), headers=headers)
    assert response.json()["shape"] == list(shape)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(client: httpx.Client, version: tuple[int, int]) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros(3, np.float32), version=version)
    headers = {"Content-Type": "application/x-npy"}
    response = client.post("/sigmoid", content=buffer.getvalue(), headers=headers)
    assert response.json()["outputs"] == [0.5] * 3


def test_json_in_npy_out(client: httpx.Client) -> None:
    headers = {"Accept": "application/x-npy"}
    document = {"inputs": [[1.5]], "dtype": "float16"}
    response = client.post("/sigmoid", json=document, headers=headers)
    answer = np.load(io.BytesIO(response.content))
    assert (answer.dtype, answer.shape) == (np.float16, (1, 1))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, application/json;q=0.1", "application/json"),
        ("application/json;q=0.5, application/x-npy", "application/x-npy"),
        ("application/json;q=0.5, application/x-npy;q=0.4", "application/json"),
        ("application/x-npy;q=0, */*;q=0.1", "application/json"),
    ],
)
def test_accept(client: httpx.Client, accept: str | None, expected: str) -> None:
    request = client.build_request("POST", "/sigmoid", json={"inputs": 0})
    del request.headers["accept"]
    if accept:
        request.headers["accept"] = accept
    assert client.send(request).headers["content-type"] == expected


@pytest.mark.parametrize(
    "content_type", [None, "application/json", 'Application/JSON; charset="UTF-8"']
)
def test_json_content_types(client: httpx.Client, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"inputs": 0}).encode()
    assert client.post("/sigmoid", content=body, headers=headers).status_code == 200
