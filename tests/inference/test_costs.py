"""Small requests whose answers or whose parts are many, and what ends a long one."""

import gzip
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.errors import Abandoned, Expired
from sigmoid_serve.inference import sigmoid
from sigmoid_serve.inference.media import NPY
from sigmoid_serve.inference.request import InferenceRequest, Limits
from tests.conftest import serve


def npy_header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


@pytest.fixture(scope="module")
def usual() -> Any:
    with serve(Settings()) as client:
        yield client


@pytest.mark.parametrize("path", ["/sigmoid", "/models/digits/predict"])
@pytest.mark.parametrize(
    "shape",
    [
        (2**18, 0),
        (2**20, 0),
        (2**18, *(1,) * 29, 0),
        (2**9, 2**9, *(1,) * 28, 0),
        (2**11, 2**11, 0, 3),
        (*(1,) * 30, 2**17, 0),
    ],
    ids=str,
)
def test_no_few_bytes_are_answered_with_very_many_brackets(
    usual: httpx.Client, path: str, shape: tuple[int, ...]
) -> None:
    if "predict" in path:
        shape = (*shape[-31:], 64)
    body = npy_header(shape)
    headers = {"Content-Type": NPY}
    refused = usual.post(path, content=body, headers=headers)
    assert refused.status_code == 413, refused.text
    assert refused.json()["code"] == "too_many_elements"
    if "predict" in path:
        return
    assert NPY in refused.json()["detail"]
    answer = usual.post(path, content=body, headers={**headers, "Accept": NPY})
    assert answer.status_code == 200
    assert np.load(io.BytesIO(answer.content)).size == 0


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 4), (2**15, 0), (2, 0, 5)])
def test_empty_tensors_are_answered_as_json(
    usual: httpx.Client, shape: tuple[int, ...]
) -> None:
    headers = {"Content-Type": NPY}
    answer = usual.post("/sigmoid", content=npy_header(shape), headers=headers).json()
    assert answer["shape"] == list(shape)
    assert answer["outputs"] == np.zeros(shape).tolist()


def test_ones_of_high_rank(usual: httpx.Client) -> None:
    shape = (1000, *(1,) * 31)
    body = npy_header(shape, "|i1") + bytes(1000)
    answer = usual.post("/sigmoid", content=body, headers={"Content-Type": NPY}).json()
    assert np.array(answer["outputs"]).shape == shape


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "tensors", [[0.0], [0.0, [0.5]], [[]], [[1.0, 2.0]], [[[0.0]], 1.0, []]], ids=str
)
def test_very_many_tensors(usual: httpx.Client, tensors: list[Any], dtype: str) -> None:
    batch = tensors * (100_000 // len(tensors))
    body = gzip.compress(json.dumps({"batch": batch, "dtype": dtype}).encode())
    headers = {"Content-Encoding": "gzip"}
    answer = usual.post("/sigmoid", content=body, headers=headers)
    assert answer.status_code == 200, answer.text[:300]
    read = answer.json()
    few = usual.post("/sigmoid", json={"batch": tensors, "dtype": dtype}).json()
    assert read["batch"] == few["batch"] * (100_000 // len(tensors))
    assert read["shapes"] == few["shapes"] * (100_000 // len(tensors))


LONG = {
    "numbers": b'{"inputs": [' + b"0," * 200_000 + b"0]}",
    "batch": b'{"batch": [' + b"0,[1]," * 50_000 + b"0]}",
    "late fault": b'{"inputs": [' + b"[0]," * 100_000 + b"0]}",
    "no JSON": b'{"inputs": [' + b"[[[[0]]]]," * 50_000,
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("is_abandoned", [True, False])
async def test_what_is_in_vain_ends_between_two_pieces(
    name: str, is_abandoned: bool
) -> None:
    """At the third look at whether anybody still waits for it."""

    class Late(RequestState):
        looks = 0

        def should_stop(self, now: float) -> bool:
            self.looks += 1
            if self.looks > 2:
                self.is_abandoned = is_abandoned
            return self.looks > 2

    state = Late(AdmissionLimit(2**26, 2**24, 30))
    state.start_deadline()
    request = InferenceRequest(
        LONG[name],
        {},
        Limits.of(Settings()),
        state,
        BackgroundExecutor(),
        lambda: None,
    )
    assert sigmoid.answer_quickly(request, sigmoid.read_native_quickly) is None
    with pytest.raises(Abandoned if is_abandoned else Expired):
        await sigmoid.answer_elementwise(
            request, sigmoid.read_native_quickly, sigmoid.read_native_strictly
        )
    assert state.looks == 3
