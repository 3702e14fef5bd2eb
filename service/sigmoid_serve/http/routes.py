"""The routes of the native API. They name fields and nothing else."""

from functools import partial
from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, Request, Response

from sigmoid_serve.admission.request_state import ELEMENTWISE_VERSION
from sigmoid_serve.errors import shown
from sigmoid_serve.http.cards import Card, card_of, served_model
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.inference import InferenceRoute, check_native_media, respond
from sigmoid_serve.http.openapi import (
    inference_operation,
    operation_id,
    problem_responses,
)
from sigmoid_serve.http.schemas import (
    ModelList,
    PassedOver,
    PredictQuery,
    PredictResponse,
    SigmoidBatchResponse,
    SigmoidResponse,
)
from sigmoid_serve.inference import predict as rows
from sigmoid_serve.inference import sigmoid as elements
from sigmoid_serve.inference.schemas import PredictRequest, SigmoidRequest
from sigmoid_serve.repository.load_problems import MOST_LISTED

inference = APIRouter(
    route_class=InferenceRoute, generate_unique_id_function=operation_id
)
router = APIRouter(
    generate_unique_id_function=operation_id, responses=problem_responses(500, 503)
)

Query = Annotated[PredictQuery, fastapi.Query()]

_PREDICT: dict[str, Any] = {
    "tags": ["inference"],
    "response_model": None,
    "openapi_extra": inference_operation(PredictRequest, PredictResponse),
}
_SIGMOID: dict[str, Any] = {
    "tags": ["inference"],
    "response_model": None,
    "openapi_extra": inference_operation(
        SigmoidRequest, SigmoidResponse, SigmoidBatchResponse
    ),
}
_NO_MODEL = problem_responses(404)


@inference.post("/predict", **_PREDICT)
async def predict(request: Request, query: Query) -> Response:
    """Ask the default model: logits, probabilities and labels of rows."""
    registry = context_of(request).registry
    return await _predict(request, query, registry.default, None)


@inference.post("/models/{name}/predict", responses=_NO_MODEL, **_PREDICT)
async def predict_model(request: Request, name: str, query: Query) -> Response:
    """Ask the newest version of a model."""
    return await _predict(request, query, name, None)


@inference.post(
    "/models/{name}/versions/{version}/predict", responses=_NO_MODEL, **_PREDICT
)
async def predict_version(
    request: Request, name: str, version: str, query: Query
) -> Response:
    """Ask one version of a model."""
    return await _predict(request, query, name, version)


@inference.post("/sigmoid", **_SIGMOID)
async def sigmoid(request: Request) -> Response:
    """Compute the sigmoid of every element of a tensor, or of several tensors."""
    request.state.request_state.model_version = ELEMENTWISE_VERSION
    answer = partial(
        elements.answer_elementwise,
        read_quick=elements.read_native_quickly,
        read_strict=elements.read_native_strictly,
    )
    return await respond(request, answer, check_native_media)


async def _predict(
    request: Request, query: PredictQuery, name: str, version: str | None
) -> Response:
    found = context_of(request).registry.find(name, version)
    state = request.state.request_state
    state.model, state.model_version = found.name, found.number
    answer = partial(
        rows.answer_rows,
        version=found,
        read_quick=partial(rows.read_native_quickly, output=query.output),
        read_strict=partial(rows.read_native_strictly, output=query.output),
    )
    return await respond(request, answer, check_native_media)


@router.get("/models", tags=["models"], response_model_exclude_defaults=True)
async def list_models(request: Request) -> ModelList:
    """List the models that are served, and what was found and is not."""
    registry = context_of(request).registry
    return ModelList(
        default=registry.default,
        models=[
            served_model(versions, next(iter(versions.values())))
            for versions in registry.models.values()
        ],
        passed_over=[
            PassedOver(
                name=shown(each.name),
                version=None if each.version is None else shown(each.version),
                reason=each.reason,
            )
            for each in registry.passed_over[:MOST_LISTED]
        ],
        more_passed_over=max(0, len(registry.passed_over) - MOST_LISTED),
    )


@router.get("/models/{name}", tags=["models"], responses=_NO_MODEL)
async def get_model(request: Request, name: str) -> Card:
    """Show the card of a model's newest version."""
    registry = context_of(request).registry
    versions = registry.versions(name)
    return card_of(versions, next(iter(versions.values())))


@router.get("/models/{name}/versions/{version}", tags=["models"], responses=_NO_MODEL)
async def get_version(request: Request, name: str, version: str) -> Card:
    """Show the card of one version of a model."""
    registry = context_of(request).registry
    found = registry.find(name, version)
    return card_of(registry.versions(name), found)
