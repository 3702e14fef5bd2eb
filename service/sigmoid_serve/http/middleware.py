"""What every response has, whatever answers: an id, its counts, and its errors."""

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.http.context import Context, answer_to_error, name_request
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.monitoring.telemetry import OK

DOCS_ASSETS: Final = "/docs/assets"
PAGE_ASSETS: Final = "/assets"

_ASSETS: Final = (f"{DOCS_ASSETS}/", f"{PAGE_ASSETS}/")

# A browser that opens a page cannot show a key.
PAGES: Final = frozenset(("/", "/docs", "/openapi.json"))


class RequestContext:
    """Names the request, asks for its key, answers HEAD like GET, counts the response.

    Every error that a route, the router or FastAPI raises becomes a response here, and
    nowhere else. The `RequestState` stands in `request.state.request_state`.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context
        self._open_paths = context.health_paths | PAGES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = self.context
        headers = combine_headers(scope["headers"])
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_post = scope["method"] == "POST"
        match = context.operations.match(path) if is_post else None
        state = RequestState(context.admission)
        state.route = match.operation.template if match else "other"
        state.request_id = name_request(headers.get(b"x-request-id"))
        routed = _routed(scope, state)
        is_head = scope["method"] == "HEAD"
        started = False

        async def send_with_context(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if match is None:
                    _note_route(state, routed, context)
                _add_headers(message, state, is_timed=match is not None)
                context.record_response(state, message["status"], OK)
                # Its client may take its time to read it; see `server.unread`.
                state.release()
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            if path not in self._open_paths and not path.startswith(_ASSETS):
                context.api_keys.authorize(
                    headers.get(b"authorization"), for_admin=False
                )
            await self.app(routed, receive, send_with_context)
        except Exception as error:
            if match is None:
                _note_route(state, routed, context)
            response = answer_to_error(context, state, error, path)
            if response and not started:
                message = {"headers": response.raw_headers}
                _add_headers(message, state, is_timed=match is not None)
                response.raw_headers = message["headers"]
                await response(scope, receive, send)
        finally:
            state.release()


def _routed(scope: Scope, state: RequestState) -> dict[str, Any]:
    """Make the scope that FastAPI sees."""
    own = {"request_state": state, "query": scope["query_string"]}
    # To read a query takes time; who wants it takes it from the state.
    routed = {
        **scope,
        "query_string": b"",
        "state": {**scope.get("state", {}), **own},
    }
    if scope["method"] == "HEAD":
        routed["method"] = "GET"
    return routed


def _note_route(state: RequestState, scope: Scope, context: Context) -> None:
    """Keep for the metrics which route FastAPI took."""
    state.route = getattr(scope.get("route"), "path", "other")
    name = scope.get("path_params", {}).get("name")
    state.model = name if name in context.registry.models else ""


def _add_headers(
    message: MutableMapping[str, Any], state: RequestState, *, is_timed: bool
) -> None:
    headers = [*message["headers"], (b"x-request-id", state.request_id.encode())]
    if is_timed:
        headers.append((b"server-timing", state.finish_server_timing()))
    message["headers"] = headers
