"""What the requests of an application have in common: an id, a queue, a last answer."""

import logging
import re
import secrets
from collections.abc import Sequence
from itertools import count
from time import perf_counter
from typing import Final, NamedTuple

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import NO_STAGE
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.engine.device import as_memory_error
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.http.authentication import ApiKeys
from sigmoid_serve.http.error_handlers import NATIVE, error_response, status_of
from sigmoid_serve.http.protocols.protocol import ErrorForm, Protocol
from sigmoid_serve.inference.operations import OperationTable
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.reloading import ReloadFunction, UnloadFunction

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

# Drawing random bytes for each request would cost more than reading a row of features.
_PROCESS_ID = secrets.token_hex(10)
_numbers = count()

_OF_LOAD: Final = ("queue_full", "too_many_connections")

logger = logging.getLogger("sigmoid_serve")


class Context(NamedTuple):
    """What an application is made of; its requests share it.

    Attributes:
        settings: See `sigmoid_serve.configuration.settings`.
        registry: The models that are served.
        readiness: Whether requests should come here.
        api_keys: Who may ask.
        admission: Limits what is in flight.
        background: Does what takes long.
        telemetry: What is counted.
        reload: Has a model's checkpoints read again.
        unload: Has a model served no more.
        protocols: That are spoken beside the native API.
        operations: The routes of inference, of all of them.
        health_paths: That never need a key, and are answered on any connection.
    """

    settings: Settings
    registry: ModelRegistry
    readiness: Readiness
    api_keys: ApiKeys
    admission: AdmissionLimit
    background: BackgroundExecutor
    telemetry: Telemetry
    reload: ReloadFunction
    unload: UnloadFunction
    protocols: Sequence[Protocol]
    operations: OperationTable
    health_paths: frozenset[str]

    def error_form(self, path: str) -> ErrorForm:
        """Return how errors of a path are told."""
        forms = (each.error_form for each in self.protocols if each.is_of(path))
        return next(forms, NATIVE)

    def record_response(self, state: RequestState, status: int, code: str) -> None:
        """Count an answer, and log it where every request is logged.

        Args:
            state: Of the request.
            status: Of HTTP.
            code: `ok`, or that of the problem.
        """
        self.telemetry.record_response(state, status, code)
        if self.settings.access_log:
            seconds = perf_counter() - state.began
            logger.info(
                "%d %s%s, %.6f s",
                status,
                code,
                _place(state),
                seconds,
                extra={**_labels(state), "status": status, "seconds": seconds},
            )

    def update_gauges(self) -> None:
        """Note in the metrics how things are at the moment."""
        self.telemetry.update_gauges(self.admission, not self.readiness.reasons())


def context_of(request: Request) -> Context:
    """Find what a request shares with the others of its application."""
    context: Context = request.app.state.context
    return context


def name_request(given: bytes | None) -> str:
    """Name a request as the header `X-Request-ID` does, or else uniquely."""
    if given:  # short requests have what stands behind a value
        given = given.rstrip(b" \t")
        if _REQUEST_ID.fullmatch(given):
            return given.decode("ascii")
    return f"{_PROCESS_ID}{next(_numbers):012x}"


def answer_to_error(
    context: Context, state: RequestState, error: Exception, path: str
) -> Response | None:
    """Make the answer to any error of a request; count and log it.

    Args:
        context: Of the application.
        state: Of the request.
        error: What was raised.
        path: That was asked.

    Returns:
        None where the client has gone away.
    """
    state.enter(NO_STAGE)
    if isinstance(error, Abandoned | ClientDisconnect):
        stage = error.stage if isinstance(error, Abandoned) else "body"
        logger.info(
            "client disconnected (%s)%s", stage, _place(state), extra=_labels(state)
        )
        context.telemetry.record_error(Abandoned(stage))
        return None
    told = error if isinstance(error, ServiceError) else as_memory_error(error)
    if told is None:
        logger.error(
            "unexpected error%s", _place(state), exc_info=error, extra=_labels(state)
        )
        detail = "the server failed; its log has more under this request_id"
        told = ServiceError("internal_error", detail)
    form = context.error_form(path)
    record_error(context, state, told, status_of(told, form))
    response = error_response(state.request_id, told, form)
    if isinstance(told, Expired) and told.stage in ("header", "body"):
        # What is still to come of the request must not be waited for.
        response.headers["Connection"] = "close"
    return response


def record_error(
    context: Context, state: RequestState, error: ServiceError, status: int
) -> None:
    """Count and log a request that is not answered as its sender hoped."""
    context.telemetry.record_error(error)
    # Under too much load a line for each would be more of it.
    if not context.settings.access_log and error.code not in _OF_LOAD:
        logger.info(
            "%d %s%s",
            status,
            error.code,
            _place(state),
            extra={**_labels(state), "status": status},
        )
    context.record_response(state, status, error.code)


def _place(state: RequestState) -> str:
    model = f", model {state.model}" if state.model else ""
    return f" {state.route}{model}" if state.route else ""


def _labels(state: RequestState) -> dict[str, object]:
    labels = {"request_id": state.request_id, "route": state.route}
    return {**labels, "model": state.model} if state.model else {**labels}
