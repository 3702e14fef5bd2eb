"""What every answer has, on the routes that FastAPI answers."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmoid_serve.admission.request_state import Ticket
from sigmoid_serve.http.context import (
    Context,
    answer_to_error,
    count_error,
    name_request,
)
from sigmoid_serve.http.headers import read_fields
from sigmoid_serve.monitoring.telemetry import OK

ASSETS: Final = "/docs/assets"

# Probes have no key, and a browser that opens a page cannot show one.
OPEN_PATHS: Final = ("/livez", "/readyz", "/startupz", "/", "/docs", "/openapi.json")


class RequestContext:
    """Names the request, asks for its key, answers HEAD like GET, counts the answer.

    What nothing else caught is caught here. The id stands in
    `request.state.request_id`.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        fields = read_fields(scope["headers"])
        ticket = Ticket(self.context.queue)
        ticket.route = "other"
        ticket.request_id = request_id = name_request(fields.get(b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        is_head = scope["method"] == "HEAD"
        # No route of FastAPI's has a query, and to read one takes time.
        routed = {**scope, "query_string": b""}
        if is_head:
            routed["method"] = "GET"
        started = False

        async def send_with_context(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._count(ticket, routed, message["status"])
                name = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], name]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if path not in OPEN_PATHS and not path.startswith(f"{ASSETS}/"):
                key = fields.get(b"authorization")
                self.context.keys.check(key, for_admin=False)
            await self.app(routed, receive, send_with_context)
        except Exception as error:
            response = answer_to_error(self.context, ticket, error)
            if response and not started:
                response.headers["X-Request-ID"] = request_id
                await response(scope, receive, send)

    def _count(self, ticket: Ticket, scope: Scope, status: int) -> None:
        """Count an answer that came from FastAPI, or from its handlers of errors."""
        ticket.route = getattr(scope.get("route"), "path", "other")
        name = scope.get("path_params", {}).get("name")
        ticket.model = name if name in self.context.repository.models else ""
        error = scope["state"].get("error")
        if error:
            count_error(self.context, ticket, error)
        else:
            self.context.answered(ticket, status, OK)
