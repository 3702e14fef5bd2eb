"""What the requests of an application have in common: an id, a queue, a last answer."""

import logging
import re
import secrets
from itertools import count
from typing import NamedTuple

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from service.device import as_memory_error
from service.error_handlers import STATUSES, problem
from service.errors import Abandoned, Expired, ServiceError
from service.keys import Keys
from service.queue import Queue
from service.readiness import Readiness
from service.reloading import Reload
from service.repository import Repository
from service.settings import Settings
from service.telemetry import Telemetry
from service.ticket import Ticket
from service.timing import NOTHING
from service.worker import Worker

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

# Drawing random bytes for each request would cost more than reading a row of features.
_PROCESS_ID = secrets.token_hex(10)
_numbers = count()

logger = logging.getLogger("sigmoid_serve")


class Context(NamedTuple):
    """What an application is made of; its requests share it.

    Attributes:
        settings: See `service.settings`.
        repository: The models that are served.
        readiness: Whether requests should come here.
        keys: Who may ask.
        queue: What is not answered yet.
        worker: Does what takes long.
        telemetry: What is counted.
        reload: Has a model's checkpoints read again.
    """

    settings: Settings
    repository: Repository
    readiness: Readiness
    keys: Keys
    queue: Queue
    worker: Worker
    telemetry: Telemetry
    reload: Reload

    def observe(self) -> None:
        """Note in the metrics how things are at the moment."""
        self.telemetry.observe(self.queue, not self.readiness.reasons())


def context_of(request: Request) -> Context:
    """Find what a request shares with the others of its application."""
    context: Context = request.app.state.context
    return context


def name_request(given: bytes | None) -> str:
    """Name a request as the header `X-Request-ID` does, or else uniquely."""
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_PROCESS_ID}{next(_numbers):012x}"


def answer_to_error(
    context: Context, request_id: str, ticket: Ticket, error: Exception
) -> Response | None:
    """Make the answer to any error of a request, and count it.

    Returns:
        None where the client has gone away.
    """
    ticket.enter(NOTHING)
    if isinstance(error, Abandoned | ClientDisconnect):
        stage = error.stage if isinstance(error, Abandoned) else "body"
        logger.info(
            "the client went away (%s)", stage, extra={"request_id": request_id}
        )
        context.telemetry.failed(Abandoned(stage))
        return None
    told = error if isinstance(error, ServiceError) else as_memory_error(error)
    if told is None:
        logger.error(
            "unexpected error", exc_info=error, extra={"request_id": request_id}
        )
        detail = "the server failed; its log has more under this request_id"
        told = ServiceError("internal_error", detail)
    context.telemetry.failed(told)
    context.telemetry.answered(ticket, STATUSES[told.code], told.code)
    response = problem(request_id, told)
    if isinstance(told, Expired) and told.stage in ("header", "body"):
        # What is still to come of the request must not be waited for.
        response.headers["Connection"] = "close"
    return response
