"""Triton's client for Python: both kinds of it called alike, and its tensors."""

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx
import numpy as np
import tritonclient.http
import tritonclient.http.aio
from numpy.typing import NDArray
from tritonclient.http import InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

FEATURES: Final = {"breast-cancer": 30, "digits": 64}
DATATYPES: Final = (
    *("FP16", "BF16", "FP32", "FP64"),
    *("INT8", "INT16", "INT32", "INT64"),
    *("UINT8", "UINT16", "UINT32", "UINT64"),
)
OUTPUTS: Final = ["probabilities", "logits", "labels"]
NPY: Final = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}


class AsyncioClient:
    """Waits for each call of the client for asyncio."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(_opened(url))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(
            call(*arguments, **options)
        )

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


async def _opened(url: str) -> Any:
    # It wants a running event loop.
    return tritonclient.http.aio.InferenceServerClient(url)


KINDS: Final[Mapping[str, Callable[..., Any]]] = {
    "sync": tritonclient.http.InferenceServerClient,
    "asyncio": AsyncioClient,
}


@contextmanager
def opened(
    kind: str, url: httpx.URL | str, path: str = "", **options: Any
) -> Iterator[Any]:
    """Open a client, whose addresses have no scheme, but may have a path."""
    client = KINDS[kind](str(url).removeprefix("http://").rstrip("/") + path, **options)
    try:
        yield client
    finally:
        client.close()


def tensor(
    values: NDArray[Any], *, is_binary: bool = True, name: str = "inputs"
) -> InferInput:
    datatype = np_to_triton_dtype(values.dtype)
    made = InferInput(name, list(values.shape), datatype)
    return made.set_data_from_numpy(values, binary_data=is_binary)


def asked(*names: str, is_binary: bool = True) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name, binary_data=is_binary) for name in names]


def drawn(shape: tuple[int, ...], datatype: str) -> NDArray[Any]:
    """Draw numbers that a datatype can hold, the same each time."""
    dtype = np.dtype(triton_to_np_dtype(datatype))
    draw = np.random.default_rng(7)
    if dtype.kind in "iu":
        return draw.integers(0, 100, shape).astype(dtype)
    return draw.normal(size=shape).astype(dtype)


def texts(values: NDArray[Any]) -> list[str]:
    """Read a tensor of texts: bytes where they came as such, else as in JSON."""
    return [v.decode() if isinstance(v, bytes) else v for v in values.ravel().tolist()]


def natively(client: httpx.Client, path: str, values: NDArray[Any]) -> NDArray[Any]:
    """Ask a route of the service's own API, with the same numbers as `.npy`."""
    body = io.BytesIO()
    np.save(body, values)
    response = client.post(path, content=body.getvalue(), headers=NPY)
    assert response.status_code == 200, response.text
    answer: NDArray[Any] = np.load(io.BytesIO(response.content))
    return answer


def names(result: InferResult) -> list[str]:
    return [output["name"] for output in result.get_response()["outputs"]]


def same_bits(got: NDArray[Any], wanted: NDArray[Any]) -> bool:
    return (got.dtype, got.shape, got.tobytes()) == (
        *(wanted.dtype, wanted.shape),
        wanted.tobytes(),
    )
