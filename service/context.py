"""What every answer has: an id, and a body even at worst."""

import logging
import re
import secrets
from itertools import count

from fastapi import Response
from starlette.requests import ClientDisconnect

from service.error_handlers import problem
from service.errors import ServiceError

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

# Drawing random bytes for each request would cost more than reading a row of features.
_PROCESS_ID = secrets.token_hex(10)
_numbers = count()

logger = logging.getLogger("sigmoid_serve")


def name_request(given: bytes | None) -> str:
    """Name a request as the header `X-Request-ID` does, or else uniquely."""
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_PROCESS_ID}{next(_numbers):012x}"


def answer_to_failure(request_id: str, error: Exception) -> Response | None:
    """Make the last answer: the log gets the trace, the client an id to ask about.

    Returns:
        None where the client has gone away.
    """
    if isinstance(error, ClientDisconnect):
        logger.info("%s the client went away", request_id)
        return None
    logger.error("%s unexpected error", request_id, exc_info=error)
    detail = "the server failed; its log has more under this request_id"
    return problem(request_id, ServiceError("internal_error", detail))
