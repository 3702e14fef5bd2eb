"""Arbitrary JSON, and damaged good bodies: never a 5xx, never a coercion."""

import io
import json
from typing import Any

import httpx
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmoid_models.exact_sigmoid import sigmoid64

SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=5)
)
keys = st.sampled_from(["inputs", "batch", "dtype", "mean radius"]) | st.text(
    max_size=5
)
documents = st.recursive(
    leaves,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(keys, part, max_size=4),
    max_leaves=20,
)
bodies = st.dictionaries(keys, documents, max_size=3) | documents
paths = st.sampled_from(["/sigmoid", "/predict", "/models/digits/predict"])


def is_tensor(value: Any) -> bool:
    """Say whether nested lists of finite numbers are dense, by NumPy's own opinion."""
    if isinstance(value, list):
        shapes = {np.shape(part) for part in value if is_tensor(part)}
        return all(map(is_tensor, value)) and len(shapes) <= 1
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and bool(np.isfinite(np.float32(value)))


def check(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code != 200:
        assert len(response.content) <= 4096
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


@SETTINGS
@given(path=paths, body=bodies)
def test_arbitrary_json(client: httpx.Client, path: str, body: Any) -> None:
    content = json.dumps(body).encode()
    response = client.post(path, content=content)
    check(response)
    if path == "/sigmoid" and response.status_code == 200:
        answer = response.json()
        tensors = body["batch"] if "batch" in body else [body["inputs"]]
        shapes = answer["shapes"] if "batch" in body else [answer["shape"]]
        outputs = answer["batch"] if "batch" in body else [answer["outputs"]]
        for tensor, shape, output in zip(tensors, shapes, outputs, strict=True):
            assert is_tensor(tensor)
            assert list(np.shape(tensor)) == shape
            want = sigmoid64(np.array(tensor, dtype=np.float64))
            assert np.allclose(output, want, rtol=1e-2, atol=1e-4)


@SETTINGS
@given(value=st.recursive(st.floats(width=32) | st.booleans(), st.lists))
def test_a_tensor_is_accepted_if_and_only_if_it_is_one(
    client: httpx.Client, value: Any
) -> None:
    response = client.post("/sigmoid", content=json.dumps({"inputs": value}).encode())
    check(response)
    assert (response.status_code == 200) == is_tensor(value)


def good_bodies() -> list[tuple[str, bytes, str]]:
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(-3, 3, 30, dtype=np.float32))
    row = list(range(30))
    return [
        ("/sigmoid", b'{"inputs": [[1.5, -2e3], [0, 1]], "dtype": "float16"}', "json"),
        ("/sigmoid", b'{"batch": [[1, 2.25], 3, [[]]]}', "json"),
        ("/predict", json.dumps({"inputs": [row, row]}).encode(), "json"),
        ("/predict", buffer.getvalue(), "x-npy"),
        ("/sigmoid", buffer.getvalue(), "x-npy"),
    ]


@SETTINGS
@given(data=st.data(), good=st.sampled_from(good_bodies()))
def test_damaged_bodies(
    client: httpx.Client, data: st.DataObject, good: tuple[str, bytes, str]
) -> None:
    path, body, kind = good
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 3))
        damaged[position : position + length] = data.draw(st.binary(max_size=3))
    response = client.post(
        path,
        content=bytes(damaged),
        headers={"Content-Type": f"application/{kind}"},
    )
    check(response)
