"""The errors of the protocol: one sentence, as `{"error": "..."}`.

Triton knows few statuses; those that say more than 400 does are kept, as its clients
tell success from all others alone.
"""

from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, Field

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.openapi import error_responses
from sigmoid_serve.http.protocols.protocol import ErrorForm
from sigmoid_serve.inference.media import JSON


class ErrorResponse(BaseModel):
    """Why there is no answer."""

    error: Annotated[str, Field(description="For people; at most 4 KiB.")]


def _write(error: ServiceError, _status: int, _request_id: str) -> bytes:
    return orjson.dumps({"error": error.detail})


ERROR_FORM: Final = ErrorForm(
    JSON, ErrorResponse, {406: 400, 409: 400, 422: 400}, _write
)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an operation, by their statuses."""
    return error_responses(ERROR_FORM, *statuses)
