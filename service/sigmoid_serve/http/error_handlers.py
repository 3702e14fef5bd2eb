"""The one place where errors become HTTP: a table of codes, and one body (RFC 9457)."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from sigmoid_serve.errors import Code, ElementError, ServiceError, shown
from sigmoid_serve.inference.schemas import Problem

PROBLEM = "application/problem+json"

STATUSES: dict[Code, int] = {
    "malformed_json": 400,
    "malformed_request": 400,
    "preflight_refused": 400,
    "key_required": 401,
    "key_unknown": 401,
    "not_admin": 403,
    "route_not_found": 404,
    "model_not_found": 404,
    "version_not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "request_timeout": 408,
    "body_too_large": 413,
    "too_many_elements": 413,
    "unsupported_media_type": 415,
    "ragged": 422,
    "not_a_number": 422,
    "overflow": 422,
    "rank": 422,
    "features": 422,
    "unknown_field": 422,
    "missing_field": 422,
    "dtype": 422,
    "bad_npy": 422,
    "not_finite": 422,
    "queue_full": 429,
    "header_too_large": 431,
    "internal_error": 500,
    "not_ready": 503,
    "draining": 503,
    "out_of_memory": 503,
    "too_many_connections": 503,
    "timeout": 504,
}


def install(app: FastAPI) -> None:
    """Answer every error that a route or the router raises with a problem document."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_query_error)


def problem(request_id: str, error: ServiceError) -> Response:
    """Make the answer to an error.

    Args:
        request_id: See `sigmoid_serve.http.context`.
        error: Its texts are bounded where they are made.
    """
    status = STATUSES[error.code]
    body = Problem(
        type=f"urn:sigmoid-serve:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.detail,
        code=error.code,
        request_id=request_id,
        pointer=error.pointer,
        expected=error.expected,
        got=error.got,
    )
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        orjson.dumps(body.model_dump(exclude_none=True)),
        status,
        headers,
        media_type=PROBLEM,
    )


async def _on_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _problem(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Translate what the router raises: no such path, or another method."""
    assert isinstance(error, HTTPException)
    path = shown(request.scope["path"])
    if error.status_code != 405:
        detail = f"there is no {path}; GET /docs shows what there is"
        return _problem(request, ServiceError("route_not_found", detail))
    methods = (error.headers or {})["Allow"].split(", ")
    # Every route that answers GET answers HEAD (see sigmoid_serve.http.middleware).
    allowed = ", ".join(methods + ["HEAD"] * ("GET" in methods))
    detail = f"{path} takes {allowed}, not {shown(request.method)}"
    response = _problem(
        request,
        ServiceError(
            "method_not_allowed", detail, expected=allowed, got=shown(request.method)
        ),
    )
    response.headers["Allow"] = allowed
    return response


async def _on_query_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _problem(request, query_fault(error.errors()))


def _problem(request: Request, error: ServiceError) -> Response:
    """Make the answer, and keep the error for `sigmoid_serve.http.middleware`."""
    request.state.error = error
    return problem(request.state.request_id, error)


def query_fault(errors: Sequence[Any]) -> ElementError:
    """Translate pydantic's verdict on the query."""
    first = errors[0]
    name = shown(str(first["loc"][-1]))
    if first["type"] == "extra_forbidden":
        expected = "only query parameters that the API documentation lists"
    else:
        expected = f"the query parameter {name} to be {first['ctx']['expected']}"
    return ElementError(
        "unknown_field", pointer=None, expected=expected, got=f"another {name}"
    )
