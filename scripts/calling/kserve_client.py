"""Call a server with `InferenceRESTClient` of KServe's SDK, by protocol V2.

Runs in an environment that has it, as `kserve_client.py URL KEY`; KEY is empty where
the server asks for none.
"""

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import from_np_dtype
from numpy.typing import NDArray

FEATURES = {"breast-cancer": 30, "digits": 64}
DTYPES = ("float16", "float32", "float64", "int8", "int32", "uint8", "uint64")


def request(
    model: str, values: NDArray[Any], is_binary: bool, *outputs: RequestedOutput
) -> InferRequest:
    """Make a request of one tensor, and for binary outputs where it is binary."""
    datatype = from_np_dtype(values.dtype)
    tensor = InferInput("inputs", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=is_binary)
    return InferRequest(
        model,
        [tensor],
        request_id="r-7",
        parameters={"binary_data_output": is_binary},
        request_outputs=list(outputs),
    )


async def ask_models(
    client: InferenceRESTClient, url: str, headers: dict[str, str]
) -> None:
    """Ask both models, in all datatypes, and hold the answers against our own API's."""
    for model, features in FEATURES.items():
        for dtype in DTYPES:
            values = np.linspace(0, 99, 2 * features).reshape(2, features).astype(dtype)
            wanted = httpx.post(
                f"{url}/models/{model}/predict",
                json={"inputs": values.astype(float).tolist()},
                headers=headers,
            ).json()
            # The client itself does not send FP16 as JSON.
            for is_binary in (True, False)[: 1 if dtype == "float16" else 2]:
                answer = await client.infer(
                    url, request(model, values, is_binary), model, {**headers}
                )
                assert (answer.id, answer.model_name) == ("r-7", model)
                likely, logits, labels = answer.outputs
                for output in (likely, logits):
                    want = np.float32(wanted[output.name])
                    assert np.array_equal(output.as_numpy(), want), output.name
                assert labels.data == wanted["labels"], labels.data


async def ask_sigmoid(
    client: InferenceRESTClient, url: str, headers: dict[str, str]
) -> None:
    """Ask for the sigmoid of tensors of all ranks, and of an empty one."""
    for shape in ((), (3,), (2, 1, 3), (0, 30)):
        values = np.zeros(shape, np.float64)
        for is_binary in (True, False):
            # What a request says of an output wins over what it says of all.
            output = RequestedOutput("outputs", {"binary_data": not is_binary})
            asked = request("sigmoid", values, is_binary, output)
            answer = await client.infer(url, asked, "sigmoid", {**headers})
            (outputs,) = answer.outputs
            assert np.array_equal(outputs.as_numpy(), np.full(shape, 0.5))


async def refused(call: Awaitable[Any], status: int, *words: str) -> None:
    """Await what is answered with an error, whose text the client shows."""
    got, text = 200, ""
    try:
        await call
    except httpx.HTTPStatusError as error:
        got, text = error.response.status_code, str(error)
    assert got == status, text
    assert all(word in text for word in words), text


async def ask_wrongly(
    client: InferenceRESTClient, url: str, headers: dict[str, str]
) -> None:
    """Ask what is answered with an error."""
    row = request("digits", np.zeros((1, 63), np.float32), True)
    await refused(client.infer(url, row, "digits", {**headers}), 400, "64 features")
    row = request("none", np.zeros((1, 63), np.float32), False)
    await refused(client.infer(url, row, "none", {**headers}), 404, "no model none")
    output = RequestedOutput("scores")
    row = request("digits", np.zeros((1, 64), np.float32), False, output)
    await refused(client.infer(url, row, "digits", {**headers}), 400, "scores")


async def main(url: str, key: str) -> None:
    """Call the server at `url`."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(url) is True
        assert await client.is_server_ready(url) is True
        for model in (*FEATURES, "sigmoid"):
            assert await client.is_model_ready(url, model, headers) is True
        assert await client.is_model_ready(url, "none", headers) is False
        await ask_models(client, url, headers)
        await ask_sigmoid(client, url, headers)
        await ask_wrongly(client, url, headers)
        if key:
            row = request("digits", np.zeros((1, 64), np.float32), True)
            call = client.infer(url, row, "digits")
            await refused(call, 401, "Authorization: Bearer")


asyncio.run(main(*sys.argv[1:]))
