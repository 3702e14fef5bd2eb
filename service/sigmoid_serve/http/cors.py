"""Which pages of other origins may ask: Starlette's answers, with our body and id."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.http.context import Context, answer_to_error, name_request

_METHODS: Final = ("GET", "POST")

# What a page of another origin may read of an answer, beside what it always may.
_EXPOSED: Final = ("X-Request-ID", "Server-Timing", "Retry-After")

_OF_BODY: Final = (b"content-type", b"content-length")


class Cors(CORSMiddleware):
    """Lets pages of some origins ask.

    Args:
        app: That they ask.
        context: Of the application.
        origins: As browsers write them; `*` for all.
    """

    def __init__(
        self, app: ASGIApp, context: Context, origins: Collection[str]
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=("*",),
            expose_headers=_exposed(context),
        )
        self._context = context

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks whether a page may ask."""
        state = RequestState(self._context.admission)
        state.route = "other"
        given = request_headers.get("x-request-id", "").encode("latin-1")
        state.request_id = name_request(given)
        response = super().preflight_response(request_headers)
        if response.status_code != 200:
            grants = response.raw_headers
            refusal = self._refusal(request_headers)
            told = answer_to_error(self._context, state, refusal, path="")
            assert told is not None  # its client has not gone
            told.raw_headers += [line for line in grants if line[0] not in _OF_BODY]
            response = told
        response.headers["X-Request-ID"] = state.request_id
        return response

    def _refusal(self, headers: Headers) -> ServiceError:
        origin, method = headers["origin"], headers["access-control-request-method"]
        if not self.is_allowed_origin(origin):
            expected, got = "an origin of SIGMOID_CORS_ORIGINS", shown(origin)
        elif method not in _METHODS:
            expected, got = f"the method {' or '.join(_METHODS)}", shown(method)
        else:
            expected, got = "a page of the same network", "one of another network"
        return ServiceError(
            "preflight_refused",
            f"a page of another origin may not ask so: expected {expected}, got {got}",
            expected=expected,
            got=got,
        )


def _exposed(context: Context) -> list[str]:
    of_protocols = (each.exposed_headers for each in context.protocols)
    return [*_EXPOSED, *(name for names in of_protocols for name in names)]
