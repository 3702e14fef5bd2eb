"""What every answer has, on the routes that FastAPI answers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.context import answer_to_failure, name_request


class RequestContext:
    """Names the request, answers HEAD like GET, catches what nothing else caught.

    The id stands in `request.state.request_id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = name_request(dict(scope["headers"]).get(b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        is_head = scope["method"] == "HEAD"
        started = False

        async def send_with_context(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                name = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], name]
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            routed = {**scope, "method": "GET"} if is_head else scope
            await self.app(routed, receive, send_with_context)
        except Exception as error:
            response = answer_to_failure(request_id, error)
            if response and not started:
                await response(scope, receive, send_with_context)
