"""The one place where errors become HTTP: a table of codes, and one body (RFC 9457).

A protocol has a body of its own, and may have other statuses.
"""

from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from sigmoid_serve.errors import Code, ServiceError, shown
from sigmoid_serve.http.protocols.protocol import Protocol
from sigmoid_serve.http.schemas import Problem

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


def status_of(error: ServiceError, protocol: Protocol | None) -> int:
    """Return the status of HTTP that an error has.

    Args:
        error: The error.
        protocol: Of the path that was asked; None for the native API.
    """
    status = STATUSES[error.code]
    return protocol.statuses.get(status, status) if protocol else status


def error_response(
    request_id: str, error: ServiceError, protocol: Protocol | None = None
) -> Response:
    """Make the answer to an error.

    Args:
        request_id: See `sigmoid_serve.http.context`.
        error: Its texts are bounded where they are made.
        protocol: Of the path that was asked; None for the native API.
    """
    status = status_of(error, protocol)
    headers = {}
    if error.code == "method_not_allowed":
        headers["Allow"] = error.expected or ""
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if protocol:
        body, media_type = protocol.error_body(error), protocol.error_media_type
    else:
        body, media_type = _problem(request_id, error, status), PROBLEM
    return Response(body, status, headers, media_type=media_type)


def _problem(request_id: str, error: ServiceError, status: int) -> bytes:
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
