"""`/openapi.json`: the request and response models that validate, and live examples."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sigmoid_serve.http.error_handlers import PROBLEM, STATUSES
from sigmoid_serve.http.protocols.protocol import Protocol
from sigmoid_serve.http.schemas import (
    PredictResponse,
    Problem,
    SigmoidBatchResponse,
    SigmoidResponse,
)
from sigmoid_serve.inference.media import JSON, NPY
from sigmoid_serve.inference.schemas import PredictRequest, SigmoidRequest

_REF = "#/components/schemas/{model}"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_OF_ADMINS = ("/reload", "/load", "/unload")
_ERRORS = (400, 406, 408, 413, 415, 422, 429, 431, 500, 503, 504)


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
    return _errors(statuses, PROBLEM, Problem, {})


def error_responses(
    protocol: Protocol, *statuses: int
) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an operation of a protocol, each with its codes."""
    return _errors(
        statuses, protocol.error_media_type, protocol.error_model, protocol.statuses
    )


def _errors(
    statuses: Collection[int],
    media_type: str,
    model: type[BaseModel],
    replaced: Mapping[int, int],
) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {
        str(status): {
            "description": ", ".join(
                code
                for code, own in STATUSES.items()
                if replaced.get(own, own) == status
            ),
            "content": {media_type: {"schema": schema}},
        }
        for status in statuses
    }


def build_document(app: FastAPI) -> dict[str, Any]:
    """Make the document: what FastAPI finds in the routes, and the models."""
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
        *(
            model
            for protocol in app.state.context.protocols
            for model in (protocol.error_model, *protocol.models)
        ),
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in shown], ref_template=_REF
    )
    schemas = document["components"]["schemas"]
    schemas.update(definitions["$defs"])
    _drop_foreign_errors(document)
    if app.state.context.settings.extra_fields == "ignore":
        schemas["PredictRequest"]["additionalProperties"] = True
        schemas["FeatureRecord"]["additionalProperties"] = True
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return document


def ask_for_key(
    document: dict[str, Any],
    open_paths: Collection[str],
    protocol_of: Callable[[str], Protocol | None],
) -> None:
    """Say which operations need a key, and how it is sent.

    Args:
        document: As `build_document` makes it.
        open_paths: That need none.
        protocol_of: Finds the protocol of a path; None for the native API.
    """
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of SIGMOID_API_KEYS_FILE; to change what is served "
            "needs an admin's.",
        }
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            is_open = path in open_paths
            operation["security"] = [] if is_open else [{"key": []}]
            if is_open:
                continue
            statuses = (401, 403) if path.endswith(_OF_ADMINS) else (401,)
            protocol = protocol_of(path)
            told = (
                error_responses(protocol, *statuses)
                if protocol
                else problem_responses(*statuses)
            )
            responses = operation["responses"] | told
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
