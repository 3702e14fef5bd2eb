"""The routes of infer, for what the fast path leaves to them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.inference import Answer, InferenceRoute, respond
from sigmoid_serve.http.openapi import operation_id, reference
from sigmoid_serve.http.protocols.open_inference import infer
from sigmoid_serve.http.protocols.open_inference.answer_schemas import InferResponse
from sigmoid_serve.http.protocols.open_inference.answering import BINARY_MEDIA_TYPE
from sigmoid_serve.http.protocols.open_inference.compression import (
    compress,
    wanted_encoding,
)
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.reading import json_bytes
from sigmoid_serve.http.protocols.open_inference.schemas import InferBody
from sigmoid_serve.http.protocols.open_inference.signature import (
    ELEMENTWISE,
    ELEMENTWISE_VERSION,
    INPUT,
    find_version,
)
from sigmoid_serve.inference.media import JSON
from sigmoid_serve.inference.predict import answer_rows
from sigmoid_serve.inference.request import (
    InferenceRequest,
    InferenceResponse,
    offload,
)
from sigmoid_serve.inference.sigmoid import answer_elementwise

router = APIRouter(
    tags=["open inference protocol"],
    route_class=InferenceRoute,
    generate_unique_id_function=operation_id,
    responses=responses(400, 404, 408, 413, 415, 429, 431, 500, 503, 504),
)

MODELS: Final = (InferBody, InferResponse)
"""What a body and an answer hold; the routes read and write the bytes themselves."""


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTED: Final[dict[str, Any]] = {
    "response_model": None,
    "openapi_extra": {
        "parameters": [
            {
                "name": "Inference-Header-Content-Length",
                "in": "header",
                "required": False,
                "description": "Bytes of the JSON, where binary tensors follow it.",
                "schema": {"type": "integer", "minimum": 0},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": reference(InferBody)},
                BINARY_MEDIA_TYPE: _BINARY,
            },
        },
        "responses": {
            "200": {
                "description": "The answer",
                "content": {
                    JSON: {"schema": reference(InferResponse)},
                    BINARY_MEDIA_TYPE: _BINARY,
                },
            }
        },
    },
}


def row_request(row: Sequence[float]) -> dict[str, Any]:
    """Make the body that asks a model about one row."""
    tensor = {"name": INPUT, "shape": [1, len(row)], "datatype": "FP64", "data": row}
    return {"inputs": [tensor]}


@router.post("/v2/models/{name}/infer", **_DOCUMENTED)
async def infer_model(request: Request, name: str) -> Response:
    """Ask the newest version of a model."""
    return await _infer(request, name, None)


@router.post("/v2/models/{name}/versions/{version}/infer", **_DOCUMENTED)
async def infer_version(request: Request, name: str, version: str) -> Response:
    """Ask one version of a model."""
    return await _infer(request, name, version)


async def _infer(request: Request, name: str, number: str | None) -> Response:
    version = find_version(context_of(request).registry, name, number)
    state = request.state.request_state
    if version is None:
        state.model, state.model_version = ELEMENTWISE, ELEMENTWISE_VERSION
        answer: Answer = partial(
            answer_elementwise,
            read_quick=infer.read_elements_quickly,
            read_strict=infer.read_elements_strictly,
        )
    else:
        state.model, state.model_version = version.name, version.number
        answer = partial(
            answer_rows,
            version=version,
            read_quick=infer.read_rows_quickly,
            read_strict=infer.read_rows_strictly,
        )
    return await respond(request, partial(_compressed, answer), _check_headers)


def _check_headers(headers: Mapping[bytes, bytes]) -> None:
    json_bytes(headers.get(infer.LENGTH))


async def _compressed(answer: Answer, request: InferenceRequest) -> InferenceResponse:
    """Answer, compressed where that is asked for."""
    response = await answer(request)
    encoding = wanted_encoding(request.headers.get(b"accept-encoding"))
    if encoding is None:
        return response
    return await offload(request, compress, response, encoding, request.state.check)
