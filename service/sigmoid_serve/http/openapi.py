"""`/openapi.json`: the request and response models that validate, and live examples."""

from collections.abc import Callable, Collection
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sigmoid_serve.http.error_handlers import NATIVE, STATUSES
from sigmoid_serve.http.protocols.protocol import ErrorForm
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


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """Refer to the schema of a model that the document has."""
    return {"$ref": _REF.format(model=model.__name__)}


def inference_operation(
    request: type[BaseModel], *responses: type[BaseModel]
) -> dict[str, Any]:
    """Describe an operation whose route reads the raw body itself."""
    refs = [reference(response) for response in responses]
    return {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": reference(request)},
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
    """Describe the errors of an operation of the native API."""
    return error_responses(NATIVE, *statuses)


def error_responses(form: ErrorForm, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an operation, each with the codes that it may have."""
    codes: dict[int, list[str]] = {}
    for code, native in STATUSES.items():
        codes.setdefault(form.statuses.get(native, native), []).append(code)
    return {
        str(status): {
            "description": ", ".join(codes[status]),
            "content": {form.media_type: {"schema": reference(form.model)}},
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
            for model in (protocol.error_form.model, *protocol.models)
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
    error_form: Callable[[str], ErrorForm],
) -> None:
    """Say which operations need a key, and how it is sent.

    Args:
        document: As `build_document` makes it.
        open_paths: That need none.
        error_form: Tells how errors of a path are told.
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
            told = error_responses(error_form(path), *statuses)
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
