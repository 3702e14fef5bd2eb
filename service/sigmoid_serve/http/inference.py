"""Inference on the ASGI path: from a request of FastAPI's to one of `inference`."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import QUEUE
from sigmoid_serve.errors import ElementError, shown
from sigmoid_serve.http.bodies import inflate, most_inflated, receive_body
from sigmoid_serve.http.context import Context, context_of
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.inference.media import (
    Encoding,
    answer_media,
    request_encodings,
    request_media,
)
from sigmoid_serve.inference.request import InferenceRequest, InferenceResponse, Limits

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

Answer = Callable[[InferenceRequest], Awaitable[InferenceResponse]]
"""Answers a request, however long that takes."""


# More than all parameters that there are take.
_MOST_QUERY_BYTES: Final = 2**10


class InferenceRoute(APIRoute):
    """A route whose arguments are read here: the path's, and a query if there is one.

    FastAPI documents it by its signature as any other. To solve its dependencies would
    take as long as all else that the ASGI path does.
    """

    def get_route_handler(self) -> Handler:
        """Make what answers a request."""
        endpoint = self.endpoint
        model = get_type_hints(endpoint).get("query")
        default = model and model()

        async def handle(request: Request) -> Response:
            arguments = dict(request.path_params)
            if model:
                text = request.state.query
                arguments["query"] = _read_query(model, text) if text else default
            response: Response = await endpoint(request, **arguments)
            return response

        return handle


def _read_query(model: type[BaseModel], text: bytes) -> BaseModel:
    known = "only query parameters that the API documentation lists"
    if len(text) > _MOST_QUERY_BYTES:
        raise ElementError(
            "unknown_field",
            pointer=None,
            expected=known,
            got=f"a query of {len(text)} bytes",
        )
    try:
        return model.model_validate(dict(QueryParams(text)))
    except ValidationError as error:
        first = error.errors()[0]
    name = shown(str(first["loc"][-1]))
    if first["type"] != "extra_forbidden":
        known = f"the query parameter {name} to be {first['ctx']['expected']}"
    raise ElementError(
        "unknown_field", pointer=None, expected=known, got=f"another {name}"
    )


class PiecesResponse(Response):
    """A response whose body is several pieces of bytes, sent without joining them."""

    def __init__(self, response: InferenceResponse) -> None:
        # What Response's own constructor prepares beyond this is not used.
        self.status_code = 200
        self.background = None
        self._pieces = pieces = response.pieces
        length = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        self.raw_headers = [
            (b"content-type", response.media_type.encode()),
            (b"content-length", b"%d" % length),
            *response.headers,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        last = len(self._pieces) - 1
        for position, piece in enumerate(self._pieces):
            more = position < last
            await send({"type": "http.response.body", "body": piece, "more_body": more})


class _Watch:
    """Notices if the client goes away.

    Args:
        receive: Of a request whose body has been received.
        state: Of the request; told of it.
    """

    def __init__(self, receive: Receive, state: RequestState) -> None:
        self._receive = receive
        self._state = state
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Notice it from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._notice())

    def stop(self) -> None:
        """Notice it no more."""
        if self._task:
            self._task.cancel()

    async def _notice(self) -> None:
        message = await self._receive()
        self._state.is_abandoned = message["type"] == "http.disconnect"


def check_native_media(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what the native API neither reads nor writes, before a body is received.

    Raises:
        ServiceError: `unsupported_media_type` or `not_acceptable`.
    """
    request_media(headers.get(b"content-type"))
    answer_media(headers.get(b"accept"))


async def respond(
    request: Request,
    answer: Answer,
    check_headers: Callable[[Mapping[bytes, bytes]], object],
) -> Response:
    """Receive the body of a request, and answer it.

    Args:
        request: To a route of inference.
        answer: From the request of inference to its response.
        check_headers: Given the headers by names in lower case, raises a
            `ServiceError` where they are not right.

    Raises:
        ServiceError: The request is not right, or there is no room for it.
        Abandoned: The client went away meanwhile.
    """
    context = context_of(request)
    state: RequestState = request.state.request_state
    headers = combine_headers(request.scope["headers"])
    check_headers(headers)
    encodings = request_encodings(headers.get(b"content-encoding"))
    settings = context.settings
    body = await receive_body(
        request.receive, headers, settings.max_body_bytes, settings.body_seconds, state
    )
    state.start_deadline()
    watch = _Watch(request.receive, state)
    try:
        for encoding in reversed(encodings):
            watch.start()
            body = await _inflated(context, state, body, encoding)
        limits = Limits.of(settings)
        asked = InferenceRequest(
            body, headers, limits, state, context.background, watch.start
        )
        return PiecesResponse(await answer(asked))
    finally:
        watch.stop()


async def _inflated(
    context: Context, state: RequestState, body: bytes, encoding: Encoding
) -> bytes:
    most_bytes = context.settings.max_inflated_bytes
    admission = context.admission
    state.enter(QUEUE)
    state.reserve(admission.most(most_inflated(body, most_bytes)))
    body = await context.background.run(
        state, inflate, body, encoding, most_bytes, state.check
    )
    state.reserve(admission.most(len(body)))
    return body
