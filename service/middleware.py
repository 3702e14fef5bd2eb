"""What every answer has: an id, timings, HEAD beside GET, and a body even at worst."""

import logging
import re
import uuid

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.error_handlers import problem
from service.errors import ServiceError

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

logger = logging.getLogger("sigmoid_serve")


class RequestContext:
    """Names the request, answers HEAD like GET, and catches what nothing else caught.

    The id stands in `request.state.request_id`. A route that measures itself leaves
    its `Timings` in `request.state.timings`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(Headers(scope=scope))
        is_head = scope["method"] == "HEAD"
        started = False

        async def send_with_context(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Request-ID"] = request_id
                if "timings" in state:
                    headers["Server-Timing"] = state["timings"].header()
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            routed = {**scope, "method": "GET"} if is_head else scope
            await self.app(routed, receive, send_with_context)
        except ClientDisconnect:
            logger.info("%s the client went away", request_id)
        # The last handler: the log gets the trace, the client gets an id to ask about.
        except Exception:
            logger.exception("%s unexpected error", request_id)
            if not started:
                detail = "the server failed; its log has more under this request_id"
                response = problem(
                    Request(scope), ServiceError("internal_error", detail)
                )
                await response(scope, receive, send_with_context)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
