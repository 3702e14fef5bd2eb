"""The one place where errors become HTTP: a table of codes, and one body (RFC 9457).

A protocol has a body of its own, and may have other statuses.
"""

from http import HTTPStatus
from typing import Final

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from sigmoid_serve.errors import Code, ServiceError, shown
from sigmoid_serve.http.protocols.protocol import ErrorForm
from sigmoid_serve.http.schemas import Problem

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
    "last_model": 409,
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
    """Have the router's own errors raised as errors of the service."""
    app.add_exception_handler(HTTPException, _raise_routing_error)


def status_of(error: ServiceError, form: ErrorForm) -> int:
    """Return the status of HTTP that an error has."""
    status = STATUSES[error.code]
    return form.statuses.get(status, status)


def error_response(request_id: str, error: ServiceError, form: ErrorForm) -> Response:
    """Make the answer to an error.

    Args:
        request_id: See `sigmoid_serve.http.context`.
        error: Its texts are bounded where they are made.
        form: Of the path that was asked.
    """
    status = status_of(error, form)
    headers = {}
    if error.code == "method_not_allowed":
        headers["Allow"] = error.expected or ""
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.accept_encoding is not None:
        headers["Accept-Encoding"] = error.accept_encoding
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = form.write(error, status, request_id)
    return Response(body, status, headers, media_type=form.media_type)


def _problem(error: ServiceError, status: int, request_id: str) -> bytes:
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
    return orjson.dumps(body.model_dump(exclude_none=True))


NATIVE: Final = ErrorForm("application/problem+json", Problem, {}, _problem)
"""Of all paths that are no protocol's."""


async def _raise_routing_error(request: Request, error: Exception) -> Response:
    """Translate what the router raises: no such path, or another method."""
    assert isinstance(error, HTTPException)
    path = shown(request.scope["path"])
    if error.status_code != 405:
        detail = f"there is no {path}; GET /docs shows what there is"
        raise ServiceError("route_not_found", detail) from None
    methods = (error.headers or {}).get("Allow", "GET").split(", ")
    # Every route that answers GET answers HEAD (see `sigmoid_serve.http.middleware`).
    heads = ["HEAD"] if "GET" in methods and "HEAD" not in methods else []
    allowed = ", ".join(methods + heads)
    got = shown(request.method)
    detail = f"{path} takes {allowed}, not {got}"
    raise ServiceError(
        "method_not_allowed", detail, expected=allowed, got=got
    ) from None
