"""`/openapi.json`: the request and response models that validate, and live examples."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sigmoid_models.card import ModelCard
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.error_handlers import PROBLEM, STATUSES
from sigmoid_serve.http.schemas import (
    PredictResponse,
    Problem,
    SigmoidBatchResponse,
    SigmoidResponse,
)
from sigmoid_serve.inference.media import JSON, NPY
from sigmoid_serve.inference.predict import answer_predict
from sigmoid_serve.inference.request import InferenceRequest, InferenceResponse, Limits
from sigmoid_serve.inference.schemas import PredictRequest, SigmoidRequest
from sigmoid_serve.inference.sigmoid import answer_sigmoid
from sigmoid_serve.registry.registry import ModelVersion

_REF = "#/components/schemas/{model}"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ERRORS = (400, 406, 408, 413, 415, 422, 429, 431, 500, 503, 504)

SIGMOID_EXAMPLES: dict[str, Any] = {
    "tensor": {"inputs": [-1.0, 0.0, 1.0]},
    "batch": {"batch": [0.0, [1, 2], [[3]], []]},
    "dtype": {"inputs": [[-740.5], [1e-3]], "dtype": "float64"},
}


def operation_id(route: APIRoute) -> str:
    """Name an operation as its function, which is what clients call theirs."""
    return route.name


def inference_operation(
    request: type[BaseModel], *responses: type[BaseModel]
) -> dict[str, Any]:
    """Describe an operation whose route reads the raw body itself."""
    refs = [{"$ref": _REF.format(model=response.__name__)} for response in responses]
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": _REF.format(model=request.__name__)}},
                NPY: _BINARY,
            },
        },
        "responses": {
            "200": {
                "description": "The answer",
                "content": {
                    JSON: {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}},
                    NPY: _BINARY,
                },
            },
            **problem_responses(*_ERRORS),
        },
    }


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an operation, each with the codes that it may have."""
    schema = {"schema": {"$ref": _REF.format(model=Problem.__name__)}}
    return {
        str(status): {
            "description": ", ".join(c for c, s in STATUSES.items() if s == status),
            "content": {PROBLEM: schema},
        }
        for status in statuses
    }


async def build_document(
    app: FastAPI, default: ModelVersion, background: BackgroundExecutor
) -> dict[str, Any]:
    """Make the document: what FastAPI finds in the routes, models, and examples.

    The examples are asked of the default model here, so they work when pasted.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
    )
    shown = (
        PredictRequest,
        SigmoidRequest,
        PredictResponse,
        SigmoidResponse,
        SigmoidBatchResponse,
        Problem,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in shown], ref_template=_REF
    )
    schemas = document["components"]["schemas"]
    schemas.update(definitions["$defs"])
    _drop_foreign_errors(document)
    rows = _predict_examples(default.engine.card)
    predict = partial(answer_predict, version=default, output="probabilities")
    path_parameters = {"name": default.name, "version": default.number}
    if app.state.context.settings.extra_fields == "ignore":
        schemas["PredictRequest"]["additionalProperties"] = True
        schemas["FeatureRecord"]["additionalProperties"] = True
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
            for parameter in operation.get("parameters", []):
                if parameter["name"] in path_parameters:
                    parameter["example"] = path_parameters[parameter["name"]]
        if path.endswith("/predict"):
            await _add_examples(operations["post"], rows, predict, background)
    sigmoid = document["paths"]["/sigmoid"]["post"]
    await _add_examples(sigmoid, SIGMOID_EXAMPLES, answer_sigmoid, background)
    return document


def ask_for_key(document: dict[str, Any], open_paths: Collection[str]) -> None:
    """Say which operations need a key, and how it is sent."""
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of SIGMOID_API_KEYS_FILE; reloads need an admin's.",
        }
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in open_paths
            operation["security"] = [] if is_open else [{"key": []}]
            if is_open:
                continue
            statuses = (401, 403) if path.endswith("/reload") else (401,)
            responses = operation["responses"] | problem_responses(*statuses)
            operation["responses"] = dict(sorted(responses.items()))


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """Remove FastAPI's own validation errors, which never leave this service."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if content.pop(JSON, None) and not content:
                del operation["responses"]["422"]


def _predict_examples(card: ModelCard) -> dict[str, Any]:
    """Make requests of a model's golden rows, or of zeros where it has none."""
    zeros = (0.0,) * card.architecture.features
    rows = card.golden.inputs if card.golden else (zeros, zeros)
    examples: dict[str, Any] = {
        "row": {"inputs": rows[0]},
        "rows": {"inputs": rows[:2]},
    }
    if card.features:
        record = dict(zip(card.features, rows[0], strict=True))
        examples["record"] = {"inputs": record}
    return examples


async def _add_examples(
    operation: dict[str, Any],
    requests: dict[str, Any],
    answer: Callable[[InferenceRequest], Awaitable[InferenceResponse]],
    background: BackgroundExecutor,
) -> None:
    """Put requests and the answers to them into an operation.

    A model that is not ready has no answers to show.
    """
    body = operation["requestBody"]["content"][JSON]
    body["examples"] = {name: {"value": value} for name, value in requests.items()}
    limits = Limits.of(Settings())
    answers = operation["responses"]["200"]["content"][JSON].setdefault("examples", {})
    for name, value in requests.items():
        body = orjson.dumps(value)
        state = RequestState(AdmissionLimit(2**25, 2**24, 30))
        request = InferenceRequest(
            body, "json", "json", limits, state, background, lambda: None
        )
        with suppress(ServiceError):
            pieces = (await answer(request)).pieces
            answers[name] = {"value": orjson.loads(b"".join(pieces))}
